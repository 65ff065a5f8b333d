/** What a workload is to the simulator: functions, and when which of them is invoked and for how long it runs and sleeps. */
import type { Random } from './engine/random.ts';

export interface FunctionShape {
  readonly name: string;
  readonly memoryMb: number;
  /** Cores that each invocation has, all of one server. */
  readonly coreCount: number;
  /** How long it takes to initialise, microseconds; -1: as the costs say (`coldStartUs`). */
  readonly initUs: number;
  /** The function that is fed its output, as the next step of a chain; -1: none. */
  readonly next: number;
}

export interface Workload {
  readonly name: string;
  readonly functions: readonly FunctionShape[];
  /** Most phases of an invocation, odd (jobs.ts); 1: nobody sleeps. */
  readonly phaseMax: number;
  /** CPU time of all cores that an arrival leads to in the mean, with all steps of its chain, microseconds. */
  readonly meanDemandUs: number;
  /** Arrivals in a microsecond, where it is a recording and not a distribution; null: whatever is asked for. */
  readonly ownRate: number | null;
  /** The same seed gives the same arrivals. `ratePerUs`: arrivals in a microsecond. */
  start(ratePerUs: number, random: Random): Arrivals;
}

export interface Arrivals {
  /** The next one, not before the one before it; false: there are no more. */
  next(into: Arrival): boolean;
  /** The step of a chain that the function is: its phases, and nothing else. */
  step(functionIndex: number, into: Arrival): void;
}

/** A register for one arrival, used again for each. */
export class Arrival {
  timeUs = 0;
  functionIndex = 0;
  phaseCount = 1;
  /** Run, sleep, run, …, microseconds. */
  readonly phasesUs: Float64Array;

  constructor(phaseMax: number) {
    this.phasesUs = new Float64Array(phaseMax);
  }
}

/** Of a workload that has none of these peculiarities. */
export const PLAIN_FUNCTION: FunctionShape = { name: 'f', memoryMb: 128, coreCount: 1, initUs: -1, next: -1 };
