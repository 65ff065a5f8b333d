/** What a chain tells of itself. All times are microseconds on the one monotonic clock that the processes of a machine share. */

/** A request to the object server, as the function saw it. */
interface Wait {
  /** Also the object server's name for it. */
  readonly id: string;
  readonly sentUs: number;
  /** The first byte of the response was there. */
  readonly heardUs: number;
  /** CPU time of the process so far, at both moments. */
  readonly cpuSentUs: number;
  readonly cpuHeardUs: number;
}

/** One function's run, as functions/objects.cjs writes it. */
export interface StepRecord {
  readonly name: string;
  readonly build: string;
  readonly startUs: number;
  readonly endUs: number;
  readonly cpuStartUs: number;
  readonly cpuEndUs: number;
  /** Of programs that it ran. */
  readonly childCpuUs: number;
  readonly waits: readonly Wait[];
}

/** What the first step is called with, and what each step answers with one record more. */
export interface ChainPayload {
  readonly host: string;
  readonly port: number;
  readonly bucket: string;
  readonly chain: string;
  /** The object to read. */
  readonly key: string;
  readonly steps: readonly StepRecord[];
}

/** One chain of a burst, from its trigger to its last step's end. */
export interface ChainRun {
  /** Which input it had: chains of one kind do the same work. */
  readonly kind: string;
  readonly triggerUs: number;
  /** The answer was here. */
  readonly answeredUs: number;
  /** How often the platform refused it as too busy before. */
  readonly refusedCount: number;
  readonly steps: readonly StepRecord[];
}
