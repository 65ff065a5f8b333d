/** What the experiment needs of a platform; the command line gives it one, since starting and talking to platforms is its business. */
export interface ExperimentPlatform {
  /** Of `perch up`: gateway, scheduler and agent. */
  readonly pid: number;
  /** The kernel's CPU numbers of each core. */
  readonly cores: readonly (readonly number[])[];
  /** The response of a function; null where the platform refused it as too busy. Throws where the function failed. */
  invoke(name: string, payload: unknown): Promise<unknown>;
  /** Null where the platform has no chains: then the harness calls one function after the other. */
  readonly invokeChain: ((name: string, payload: unknown) => Promise<unknown>) | null;
  /** A chain of functions, for `invokeChain`. */
  createChain(name: string, functions: readonly string[]): Promise<void>;
  stop(): Promise<void>;
}

export interface PlatformStarter {
  /** With all functions of the experiment deployed. */
  start(args: readonly string[]): Promise<ExperimentPlatform>;
  /** Whether `perch up` takes this option. */
  takes(option: string): boolean;
}
