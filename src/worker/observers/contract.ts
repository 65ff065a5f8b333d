/**
 * Observers say when a sandbox sleeps and wakes. Each is a way of seeing it; what they say means the same:
 *
 * - A sandbox is awake while one of its threads can run, whether it has a CPU or not. It is taken for awake when the watch
 *   begins, so the first that is said of it is that it slept.
 * - Of each slot `slept` and `woke` come in turns, and their moments never go back. A sleep that begins and ends between
 *   two looks need not be told.
 * - Nothing is said within `watch` and `unwatch`, nor after `unwatch`. An observer is wrong rather than late: what it says counts for
 *   throughput only, never for who may run (docs/decisions/012-sharing-cores.md).
 */

export interface Watched {
  /** Folder of its version 2 cgroup, in which it is alone; null where it has none. */
  readonly cgroup: string | null;
  /** Every process of it, as the platform sees their ids. */
  processIds(): readonly number[];
}

export interface ObserverEvents {
  /** Moments are those of the clock that the observer was given. */
  slept(slot: number, atUs: number): void;
  woke(slot: number, atUs: number): void;
}

export interface Observer {
  /** Once for each slot, until `unwatch`. */
  watch(slot: number, watched: Watched): void;
  /** Nothing happens where it is not watched. */
  unwatch(slot: number): void;
  /** CPU time that it has used so far, µs; 0 where it is not watched or gone. */
  cpuUs(slot: number): number;
  close(): void;
}

/** `auto`: in the kernel where that can be, else by sampling. */
export const OBSERVERS = ['auto', 'ebpf', 'sampling', 'none'] as const;
export type ObserverKind = (typeof OBSERVERS)[number];
