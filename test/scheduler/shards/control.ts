/**
 * What the threads of an enumeration share beside the machine's memory: who may run, what they have done, whom they run for. One thread runs at a
 * time. Before each access to a shared word of the machine it looks here whether it has to let another one go first.
 */
import { readFileSync } from 'node:fs';

/** Indices in the array that they share. */
export const control = {
  /** Goes up at each schedule. */
  GENERATION: 0,
  /** The thread that may run; the controller: CONTROLLER. */
  CURRENT: 1,
  STEP: 2,
  /** 1: accesses are steps of the schedule; 0: the case is being set up. */
  IS_COUNTED: 3,
  /** 1: something was asserted in vain; the text is in `error`. */
  FAILED: 4,
  ERROR_LENGTH: 5,
  /** How many switches there are in this schedule, and which is next. */
  SWITCH_COUNT: 6,
  SWITCH_NEXT: 7,
  /** Of the setup: the next action. */
  SETUP_NEXT: 8,
  /** Leases that were granted while the case was set up. */
  LEASE_COUNT: 9,
  /** For each thread: is it asleep? */
  ASLEEP: 16,
  /** Pairs: the step before which to switch, and to which thread. */
  SWITCHES: 32,
  LENGTH: 64,
} as const;

export const CONTROLLER = -1;
export const STEP_MAX = 4096;
export const TRACE_STRIDE = 4;
export const CORE_MAX = 128;

export interface Controls {
  readonly control: Int32Array<SharedArrayBuffer>;
  /** For each step: the thread, the word, whether it was written, and which threads could have run (a bit each). */
  readonly trace: Int32Array<SharedArrayBuffer>;
  readonly error: Uint8Array<SharedArrayBuffer>;
  /** For each core: sequence + 1 of what runs there; 0: nothing. What workers would say. */
  readonly running: Int32Array<SharedArrayBuffer>;
  /** Core, sequence and mask of each lease of the setup. */
  readonly leases: Int32Array<SharedArrayBuffer>;
}

const ints = (length: number): Int32Array<SharedArrayBuffer> => new Int32Array(new SharedArrayBuffer(length * 4));

export function makeControls(): Controls {
  return {
    control: ints(control.LENGTH),
    trace: ints(STEP_MAX * TRACE_STRIDE),
    error: new Uint8Array(new SharedArrayBuffer(4096)),
    running: ints(CORE_MAX),
    leases: ints(64),
  };
}

export type Action =
  | readonly ['request', request: number, version: number]
  | readonly ['cancel', request: number]
  /** The lease of the setup with that number. */
  | readonly ['release' | 'noMemory', lease: number]
  /** The lease that this thread was granted last, if it has not ended that already. */
  | readonly ['releaseOwn']
  | readonly ['withdraw' | 'giveBack', core: number]
  | readonly ['memoryAvailable' | 'forget', worker: number]
  | readonly ['concurrency', max: number]
  /** What is given is told of from here on: elsewhere at the end of each action. */
  | readonly ['batch']
  | readonly ['settle'];

export interface Case {
  readonly name: string;
  readonly shardCount: number;
  /** Which shard each of them is, of as many as that takes; they are the first ones otherwise. The others never do anything. */
  readonly places?: readonly number[];
  /** Extra seats are closed at first: the first of the first worker, where that has no more than 32 cores, is 32. */
  readonly workers: readonly (readonly [coreCount: number, memoryMb: number, extraSeatCount?: number])[];
  /** Memory of each version; all are of function 0. */
  readonly versions: readonly number[];
  /** Cores of each version; 1, where nothing is said. */
  readonly coreCounts?: readonly number[];
  /** Versions that have no extra seats. */
  readonly dedicated?: readonly number[];
  readonly overtakeMax?: number;
  /** One after the other. */
  readonly setup: readonly (readonly [shard: number, action: Action])[];
  /** For each shard, at the same time as the others. */
  readonly actions: readonly (readonly Action[])[];
  /** How many of the requests wait in the end, at most; the rest is granted. */
  readonly waitingMax?: number;
  /** So many run at one time, at most. */
  readonly runningMax?: number;
  readonly switchMax: number;
  /** Each thread is late by milliseconds, one of so many times that it looks whose turn it is; and each schedule is played twice. */
  readonly lateEach?: number;
  /** How long the controller waits for the thread whose turn it is before it looks whether that has gone on; a second, where nothing is said. */
  readonly lookMs?: number;
}

/** A guard of the shipped code, taken out: the text has to be there, once. */
export interface Mutant {
  readonly name: string;
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

export const MACHINE: URL = new URL('../../../src/scheduler/', import.meta.url);

/** The mutant's file; throws where the text to be replaced is not there once. */
export function mutate({ name, file, from, to }: Mutant): string {
  const source = readFileSync(new URL(file, MACHINE), 'utf8');
  if (source.split(from).length !== 2) throw new Error(`${name}: its text is not in ${file}, or more than once`);
  return source.replace(from, () => to);
}

export interface ThreadData {
  readonly shard: number;
  readonly theCase: Case;
  readonly mutant: Mutant | null;
  readonly controls: Controls;
  readonly memory: unknown;
}
