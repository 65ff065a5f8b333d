/**
 * Observers say when a sandbox sleeps and wakes. Each is a way of seeing it; what they say means the same:
 *
 * - A sandbox is awake while one of its threads can run, whether it has a CPU or not. It is taken for awake when the watch
 *   begins, so the first that is said of it is that it slept.
 * - Of each slot `slept` or `polls`, and `woke`, come in turns, and their moments never go back. A sleep that begins and
 *   ends between two looks need not be told.
 * - A sandbox polls while its only thread that can run asks for input again and again, without waiting and in vain; nothing
 *   has come for its sockets meanwhile, and it has sent nothing. `polls` is told of the moment that this was seen. `woke`
 *   follows when something comes for one of its sockets, when it sends something, or when it is seen to use CPU time for
 *   anything else. That it is frozen for a while, and let go on, is part of polling: nothing is told of it. What polls is not
 *   said to have slept, whether it blocks or not, before it woke; that it polls may be told again. Not every observer can see
 *   it, and none tells it of who may not be stopped.
 * - `sent` and `received` are told of those of whom somebody wants to hear it (`tellTraffic`), by observers that see it: it has
 *   sent something on a socket that it made; something has come for one. In one look only the last moment of each is told, and
 *   in TRAFFIC_WINDOW_US no more than TRAFFIC_COUNT_MAX of both: what was left out is told after that, unless the other has
 *   come after it. Their moments go forward. `slept` and `woke` are told in their order with them, but for what was left out.
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
  polls(slot: number, atUs: number): void;
  woke(slot: number, atUs: number): void;
  sent(slot: number, atUs: number): void;
  received(slot: number, atUs: number): void;
}

export const TRAFFIC_WINDOW_US = 10_000;
export const TRAFFIC_COUNT_MAX = 4;

export interface Observer {
  readonly name: 'ebpf' | 'sampling';
  /** It tells of whoever polls, and when something comes for one that it has said to. */
  readonly seesInput: boolean;
  /**
   * Once for each slot, until `rest` or `unwatch`. It is taken for awake. `mayStop`: where the observer can, it stops whoever
   * begins to poll before it tells so, until `polls` has returned: who hears it decides what is done from then on, and may `hold` it.
   */
  watch(slot: number, watched: Watched, mayStop?: boolean): void;
  /**
   * Whether it may be stopped, from now on. One that polls, and may be no longer, is taken for awake: nothing is told of that. Nothing
   * happens where it is not watched.
   */
  permitStop(slot: number, mayStop: boolean): void;
  /**
   * It stays stopped, where it is: until `letGo`, and no longer than until `rest`, `unwatch`, or it is told that it woke. False where it is not
   * stopped: who wants it off its core has to see to that by other means.
   */
  hold(slot: number): boolean;
  /** Nothing happens where it is not held. */
  letGo(slot: number): void;
  /**
   * Nothing is told of it from now on until `watch` with the same sandbox, before which it is not unwatched: it serves
   * nobody for now. An observer may as well unwatch it. Nothing happens where it is not watched.
   */
  rest(slot: number): void;
  /**
   * Whether `sent` and `received` are told of it: not after `watch`, until this says so; from then on until this says
   * otherwise, or `rest`, or `unwatch`. Nothing happens where it is not watched, nor with an observer that cannot see it.
   */
  tellTraffic(slot: number, isTold: boolean): void;
  /** Of one that rests: none of its threads can run, nor could since this was asked last. False where that is not known. */
  isStill(slot: number): boolean;
  /** Nothing happens where it is not watched. */
  unwatch(slot: number): void;
  /** CPU time that it has used so far, µs; 0 where it is not watched or gone. */
  cpuUs(slot: number): number;
  close(): void;
}

/** `auto`: in the kernel where that can be, else by sampling. */
export const OBSERVERS = ['auto', 'ebpf', 'sampling', 'none'] as const;
export type ObserverKind = (typeof OBSERVERS)[number];
