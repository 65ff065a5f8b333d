/** What a cluster's scheduler, its workers and its gateways say to each other, as calls; lines carry them as frames. */
import type { Outcome } from '../machine/scheduler.ts';
import type { NamedVersion } from './version-names.ts';

/** Of a worker that wants a place. */
export type WorkerSize = Pick<Announcement, 'name' | 'coreCount' | 'extraSeatCount' | 'memoryMb'>;

/** The cores of a worker. */
export interface Place {
  readonly firstCore: number;
  /** It takes no lease but those after this sequence (`isAfter`). */
  readonly floor: number;
}

/** What the scheduler tells a worker. Nothing is answered before a call returns. */
export interface WorkerPort {
  /** Do you run this lease? If not, refuse it from now on. */
  probe(core: number, sequence: number): void;
  /** The index stands for this key no more. */
  dropped(index: number, key: string): void;
  /** Keep so many instances of it, which has this index. */
  provision(index: number, count: number, version: NamedVersion): void;
}

export interface Granted {
  readonly core: number;
  readonly sequence: number;
  /** 1: the worker is believed to have an instance at rest. */
  readonly warm: number;
  /** All cores of the lease, as bits of the word of `core`, their lead; 0: that core alone. */
  readonly mask: number;
}

export interface ProvisionedSum {
  readonly wanted: number;
  /** Made or being made, and ready, by all workers. */
  readonly begun: number;
  readonly ready: number;
  /** Some worker could not make its share, or there is no room for all. */
  readonly failed: boolean;
}

/** `version`: the index stood for something once. `stopping`: it is to be asked for again, of the next scheduler. */
export type Refusal = Outcome | 'version' | 'stopping';

/** What the scheduler tells a gateway. Nothing is answered before a call returns. */
export interface GatewayPort {
  /** `shard`: in whose queue it waited; -1: it did not. The lease is a register. */
  granted(request: number, lease: Granted, shard: number): void;
  refused(request: number, why: Refusal): void;
  cancelled(request: number): void;
  /** Cores from `firstCore` on are this worker's. */
  workerJoined(worker: WorkerView): void;
  /** What runs there has no result any more. */
  workerLeft(worker: WorkerView): void;
  provisioned(version: number, sum: ProvisionedSum): void;
}

/** What runs on a worker from before it joined; cores, and then extra seats, counted from its first core. */
export interface Running {
  readonly core: number;
  /** As of a grant. */
  readonly mask: number;
  readonly sequence: number;
  readonly version: NamedVersion;
}

export interface Announcement {
  readonly name: string;
  /** Where gateways reach it. */
  readonly host: string;
  readonly port: number;
  /** Of the worker's process, to tell it from the one before. */
  readonly life: number;
  readonly coreCount: number;
  /** Its seats beside the cores' own; they follow these from the next word on, here as everywhere but at the agent. None unless said otherwise. */
  readonly extraSeatCount?: number;
  readonly memoryMb: number;
  readonly running: readonly Running[];
  /** A word for each 32 cores, and then extra seats, with a bit for each that is withdrawn. Those that are missing are 0 of cores, and all of extra seats. */
  readonly withdrawn?: readonly number[];
  readonly nowMs?: number;
}

export interface WorkerView {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly life: number;
  readonly firstCore: number;
  readonly coreCount: number;
  readonly extraSeatCount: number;
}

export interface Unheld {
  readonly core: number;
  readonly sequence: number;
  readonly version: number;
}

/**
 * Why a gateway has not started what it was granted. `unsent`: the worker was told nothing of it. `refused`: the worker does not
 * take the lease. Of these, all but `cancelled` is granted again.
 */
export type Unstarted = 'unsent' | 'refused' | 'no-memory' | 'cancelled';

/** A worker's line. What names no core or lease of its own changes nothing and answers false. */
export interface WorkerSession extends Place {
  release(core: number, sequence: number, warm: boolean): boolean;
  noMemory(core: number, sequence: number): boolean;
  /** The answers to `probe`: it does not run this lease, and never will; it does. */
  fenced(core: number, sequence: number): boolean;
  held(core: number, sequence: number): void;
  memoryAvailable(): void;
  /** The word of 32 cores from `firstCore` on: those with a bit take no lease after the one that they have. */
  withdraw(firstCore: number, bits: number): boolean;
  warmed(version: number): void;
  evicted(version: number): void;
  /** Of its own instances; `wanted` is left out, since the scheduler knows what it asked for. */
  provisioned(version: number, own: Omit<ProvisionedSum, 'wanted'>): void;
  /** -1: there are too many. The index stays for a while; gateways that name it keep it. */
  name(version: NamedVersion): number;
  leave(): void;
}

export interface Asking {
  /** It was accepted before, by this scheduler or another, and is not refused for want of a place. */
  readonly again: boolean;
  readonly waitedMs: number;
}

/** A gateway's line. */
export interface GatewaySession {
  /** -1: there are too many versions. */
  name(version: NamedVersion): number;
  /** Where the index stands for another key by now, nothing changes. */
  unname(index: number, key: string): void;
  /** Reserved concurrency of a function that has a version here; -1: none of its own. */
  setConcurrency(functionKey: string, max: number): void;
  /** All workers together keep so many instances. False: it has not named the version. */
  provision(version: number, count: number): boolean;
  /** False: the number is in use, or the version was never given to it. */
  request(number: number, version: number, asking?: Asking): boolean;
  cancel(number: number): void;
  /** It was granted this, and has not started it. */
  unstarted(number: number, lease: Unheld, why: Unstarted): void;
  leave(): void;
}
