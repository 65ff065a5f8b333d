/**
 * What a gateway's machine says, and to whom. Nothing is answered before a call returns, and a `Lease` is a register: it
 * holds something else after the call.
 */
import { RefusedWhy, type UnstartedWhy } from '../../../wire/cluster/small-frames.ts';

/** What a request was granted. */
export interface Lease {
  epoch: number;
  /** The lead of several. */
  core: number;
  sequence: number;
  /** All its cores as bits of the lead's word, the lead the lowest; 0: the lead alone. */
  mask: number;
  /** In whose queue it waited; -1: it did not. */
  shard: number;
}

/** A lease by its name. */
export type LeaseName = Omit<Lease, 'mask' | 'shard'>;

/** A lease that its worker keeps for the next step of a chain. */
export interface KeptLease extends LeaseName {
  readonly mask: number;
  /** Of the scheduler's lines the one on which it was granted. */
  readonly line: number;
}

/** The connection to the scheduler. `index`: what the scheduler calls a version in this epoch. */
export interface SchedulerPort {
  /** And how many of its function may run at once. Answered by `named`, in the order of the calls. */
  nameVersion(version: number): void;
  dropVersion(index: number, key: string): void;
  concurrency(functionKey: string, max: number): void;
  /** `again`: it was accepted before, and how long it has waited counts. */
  request(number: number, index: number, again: boolean): void;
  cancel(number: number): void;
  unstarted(number: number, why: UnstartedWhy, index: number, lease: Lease): void;
  provision(index: number, count: number): void;
}

/** Connections to workers. */
export interface WorkerPort {
  /** To have a connection from now on. */
  dial(worker: number): void;
  /** There is nothing to be had of it any more. */
  hangUp(worker: number): void;
  setVersion(worker: number, version: number, index: number, epoch: number): void;
  assign(worker: number, number: number, index: number, lease: Lease): void;
}

/** Why a request is not run. */
export type RequestRefusal = 'queue-full' | 'concurrency' | 'memory' | 'cores' | 'versions' | 'scheduler';

/** What becomes of requests; each is told of at most once, before `freed`. */
export interface RequestEvents {
  refused(number: number, why: RequestRefusal): void;
  /** It may have run, and its result is lost with the connection. */
  lost(number: number, worker: number): void;
  /** Nothing of it is left here: neither its number nor its version is in use by it. */
  freed(number: number): void;
  /** For counting. */
  returned(why: UnstartedWhy): void;
}

export const REFUSALS: Readonly<Partial<Record<number, RequestRefusal>>> = {
  [RefusedWhy.concurrency]: 'concurrency',
  [RefusedWhy.queueFull]: 'queue-full',
  [RefusedWhy.memory]: 'memory',
  [RefusedWhy.cores]: 'cores',
};

export interface MachinePorts {
  readonly scheduler: SchedulerPort;
  readonly workers: WorkerPort;
  readonly events: RequestEvents;
}

/** What a worker answered; `why`: an `UnstartedWhy`, or 0 where it ran. */
export interface Answer {
  readonly request: number;
  readonly epoch: number;
  readonly core: number;
  readonly sequence: number;
  readonly why: number;
}

export interface MachineLimits {
  /** Requests that are accepted and not over. */
  readonly requestCountMax: number;
  /** Of those, such as were never asked for, since there is no scheduler. */
  readonly unaskedMax: number;
  readonly versionCountMax: number;
  /** Every core of a cluster is below. */
  readonly coreEnd: number;
  /** A request that was never asked for waits so many ticks for a scheduler. */
  readonly schedulerWaitTicks: number;
  /** A grant waits so many for the connection to its worker. */
  readonly connectTicks: number;
  /** The number of a lost request is not used for so many. */
  readonly lostTicks: number;
  /** A worker of which the next scheduler says nothing is kept so long. */
  readonly untoldTicks: number;
}
