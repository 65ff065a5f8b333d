/**
 * Has an observer look at those whose invocations have run for a while, or of which somebody says that they wait: what is over within a
 * tick costs nothing here. Of a function of which that is known, the next ones are watched from their start.
 */
import type { Observer, ObserverEvents } from '../observers/contract.ts';
import type { Instance } from './instance.ts';

/** An invocation that has run for so long is watched until its end. */
const WATCHED_AFTER_US = 5000;

export interface WatchSetting {
  readonly slotCount: number;
  readonly versionCount: number;
  /** Whoever polls there may be stopped before anybody has been told. */
  readonly mayStop: (slot: number) => boolean;
}

export class SleepWatch {
  readonly #observer: Observer | null;
  readonly #mayStop: (slot: number) => boolean;
  /** By slot: who is watched, or was; null where nobody. */
  readonly #watched: (Instance | null)[];
  /** By slot: its invocation has ended, and it is not looked at until the next one. */
  readonly #isResting: Uint8Array;
  readonly #polls: Uint8Array;
  /** CPU time of the slot's instance before it was watched: of earlier invocations. */
  readonly #beforeUs: Float64Array;
  /** By version: invocations have been watched, so that they are worth it. */
  readonly #isLong: Uint8Array;

  /** `observe` null: nobody is watched. */
  constructor(
    { slotCount, versionCount, mayStop }: WatchSetting,
    observe: ((events: ObserverEvents) => Observer) | null,
    events: ObserverEvents,
  ) {
    this.#mayStop = mayStop;
    this.#watched = new Array<Instance | null>(slotCount).fill(null);
    this.#isResting = new Uint8Array(slotCount);
    this.#polls = new Uint8Array(slotCount);
    this.#beforeUs = new Float64Array(slotCount);
    this.#isLong = new Uint8Array(versionCount);
    this.#observer =
      observe?.({
        slept: (slot, atUs) => events.slept(slot, atUs),
        woke: (slot, atUs) => {
          this.#polls[slot] = 0;
          events.woke(slot, atUs);
        },
        polls: (slot, atUs) => {
          this.#polls[slot] = 1;
          events.polls(slot, atUs);
        },
        sent: (slot, atUs) => events.sent(slot, atUs),
        received: (slot, atUs) => events.received(slot, atUs),
      }) ?? null;
  }

  get observer(): Observer['name'] | 'none' {
    return this.#observer?.name ?? 'none';
  }

  /** Whoever is said to poll may be frozen: something is seen that wakes it. */
  get seesInput(): boolean {
    return this.#observer?.seesInput ?? false;
  }

  /** An invocation begins. `isWanted`: it is watched whether it takes long or not. */
  runs(instance: Instance, isWanted: boolean): void {
    if (isWanted || this.#isLong[instance.versionIndex] === 1) this.#watch(instance);
  }

  /** It says that it waits. */
  waits(instance: Instance): void {
    if (this.#watch(instance)) this.#isLong[instance.versionIndex] = 1;
  }

  /** What the observer is to do from now on. True: it has said that it polls, and may not be stopped any longer; that is forgotten. */
  ask(slot: number, mayStop: boolean, tellTraffic: boolean): boolean {
    if (this.#watched[slot] === null || this.#isResting[slot] === 1) return false;
    this.#observer!.permitStop(slot, mayStop);
    this.#observer!.tellTraffic(slot, tellTraffic);
    const isForgotten = !mayStop && this.#polls[slot] === 1;
    if (isForgotten) this.#polls[slot] = 0;
    return isForgotten;
  }

  /** At each tick, of whoever runs an invocation. */
  follow(instance: Instance, runUs: number): void {
    if (runUs >= WATCHED_AFTER_US && this.#watch(instance)) this.#isLong[instance.versionIndex] = 1;
  }

  /** The CPU time that it was seen to use for its invocation, µs. To look costs some microseconds. */
  cpuUs(instance: Instance): number {
    return this.#isWatched(instance) ? this.#observer!.cpuUs(instance.slot) - this.#beforeUs[instance.slot]! : 0;
  }

  /** Whether it is off its core, since the observer has stopped it and keeps it so. */
  hold(slot: number): boolean {
    return this.#observer?.hold(slot) ?? false;
  }

  /** Whether it is known of an idle instance that nothing runs in it. */
  isStill(slot: number): boolean {
    return this.#isResting[slot] === 1 && this.#observer!.isStill(slot);
  }

  letGo(slot: number): void {
    this.#observer?.letGo(slot);
  }

  /** Its invocation is over, or it is gone. */
  leave(slot: number): void {
    const instance = this.#watched[slot]!;
    if (instance === null || this.#isResting[slot] === 1) return;
    // What was believed of it must not be there at its next invocation.
    if (instance.once || instance.exit !== null || this.#polls[slot] === 1) return this.#forget(slot);
    this.#isResting[slot] = 1;
    this.#observer!.rest(slot);
  }

  close(): void {
    this.#observer?.close();
  }

  #isWatched(instance: Instance): boolean {
    return this.#watched[instance.slot] === instance && this.#isResting[instance.slot] === 0;
  }

  /** False where there is nothing to be seen. */
  #watch(instance: Instance): boolean {
    const { slot } = instance;
    if (this.#observer === null) return false;
    if (this.#isWatched(instance)) return true;
    const tasks = instance.tasks();
    if (tasks === null) return false;
    if (this.#watched[slot] !== instance) this.#forget(slot);
    this.#watched[slot] = instance;
    this.#isResting[slot] = 0;
    this.#observer.watch(slot, tasks, this.#mayStop(slot));
    this.#beforeUs[slot] = this.#observer.cpuUs(slot);
    return true;
  }

  #forget(slot: number): void {
    if (this.#watched[slot] !== null) this.#observer!.unwatch(slot);
    this.#watched[slot] = null;
    this.#isResting[slot] = 0;
    this.#polls[slot] = 0;
  }
}
