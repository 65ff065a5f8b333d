/**
 * Has an observer look at those whose invocations have run for a while: what is over within a tick costs nothing here.
 */
import type { Observer, ObserverEvents } from '../observers/contract.ts';
import type { Instance } from './instance.ts';

/** An invocation that has run for so long is watched until its end. */
const WATCHED_AFTER_US = 5000;

export interface WatchEvents {
  slept(slot: number): void;
  woke(slot: number): void;
}

export class SleepWatch {
  readonly #observer: Observer | null;
  /** By slot: 1 while it is watched. */
  readonly #isWatched: Uint8Array;
  /** CPU time of the slot's instance before it was watched: of earlier invocations. */
  readonly #beforeUs: Float64Array;

  /** `observe` null: nobody is watched. */
  constructor(slotCount: number, observe: ((events: ObserverEvents) => Observer) | null, events: WatchEvents) {
    this.#isWatched = new Uint8Array(slotCount);
    this.#beforeUs = new Float64Array(slotCount);
    this.#observer = observe?.({ slept: (slot) => events.slept(slot), woke: (slot) => events.woke(slot) }) ?? null;
  }

  /** At each tick, of whoever runs an invocation. Answers the CPU time that it was seen to use for it, µs. */
  follow(instance: Instance, runUs: number): number {
    const { slot } = instance;
    if (this.#observer === null) return 0;
    if (this.#isWatched[slot] === 1) return this.#observer.cpuUs(slot) - this.#beforeUs[slot]!;
    const tasks = runUs < WATCHED_AFTER_US ? null : instance.tasks();
    if (tasks === null) return 0;
    this.#isWatched[slot] = 1;
    this.#observer.watch(slot, tasks);
    this.#beforeUs[slot] = this.#observer.cpuUs(slot);
    return 0;
  }

  /** Its invocation is over, or it is gone. */
  leave(slot: number): void {
    if (this.#isWatched[slot] === 0) return;
    this.#isWatched[slot] = 0;
    this.#observer!.unwatch(slot);
  }

  close(): void {
    this.#observer?.close();
  }
}
