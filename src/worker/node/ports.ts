/** What the machine of a worker tells others. Nothing is answered before a call returns. */
import type { UserError } from '../../base/errors.ts';
import type { Isolation } from '../../store/settings.ts';
import type { FunctionVersion } from '../../store/store.ts';

/** What is known of a function version by whoever told of it. */
export interface Described {
  /** 32 hexadecimal digits: of account, function, version, revision and isolation. */
  readonly key: string;
  /** 32 hexadecimal digits: of account and function. */
  readonly functionKey: string;
  readonly fn: FunctionVersion;
  readonly isolation: Isolation;
  /** Why this worker cannot run it: the answer to whatever is assigned of it. */
  readonly refusal: UserError | null;
}

/** A lease by its name, and which cores it has. */
export interface LeaseName {
  readonly epoch: number;
  /** Global; the lead of several. */
  readonly core: number;
  readonly sequence: number;
  /** All of its cores, a bit for each of the 32 of the lead's word; 0: the lead alone. */
  readonly mask: number;
}

/** The same by name alone. */
export type Lease = Omit<LeaseName, 'mask'>;

/** 32 cores, or extra seats, from `firstCore` on, with a bit for each. */
export interface Word {
  readonly firstCore: number;
  readonly busy: number;
  readonly withdrawn: number;
  /** It ends the announcement. */
  readonly last: boolean;
}

/** How far a worker is with the instances of a version that it is to keep ready. */
export interface ProvisionedFigures {
  readonly wanted: number;
  readonly begun: number;
  readonly ready: number;
  readonly failed: boolean;
}

/** The scheduler, over the connection that there is to it. `index` is the one of its epoch. */
export interface SchedulerPort {
  nameVersion(handle: number, version: Described): void;
  announce(word: Word): void;
  /** In an announcement with the handle of its version; in answer to a probe with 0, and without its other cores. */
  held(lease: LeaseName, handle: number): void;
  fenced(lease: Lease): void;
  release(lease: Lease, warm: boolean): void;
  noMemory(lease: Lease): void;
  memoryAvailable(): void;
  warmed(index: number): void;
  evicted(index: number): void;
  provisioned(index: number, figures: ProvisionedFigures): void;
}

/** The agent, as far as the machine decides what it does. Versions go by the worker's own numbers. */
export interface AgentPort {
  setVersion(number: number, version: Described): void;
  /** Nothing of it runs, and nothing is asked of it again. */
  dropVersion(number: number): void;
  /** 0: no more than of any other. */
  provision(number: number, count: number): void;
  /** So many invocations that run are followed by one of it. */
  want(number: number, count: number): void;
  provisionedState(number: number): {
    readonly allocated: number;
    readonly available: number;
    readonly failed: string | null;
  };
}

/** The store, as far as the machine asks it: its answer is `described`. */
export interface StorePort {
  describe(key: string): void;
}
