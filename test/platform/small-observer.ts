/** The simulated observer: who is watched sleeps, wakes and uses CPU time when a test says so. */
import assert from 'node:assert/strict';
import type { Observer, ObserverEvents, Watched } from '../../src/worker/observers/contract.ts';

interface WatchedSlot {
  isAsleep: boolean;
  cpuUs: number;
}

export class SmallObserver implements Observer {
  readonly #watched = new Map<number, WatchedSlot>();
  #events: ObserverEvents | null = null;

  open(events: ObserverEvents): this {
    assert.equal(this.#events, null, 'two observers');
    this.#events = events;
    return this;
  }

  get slots(): number[] {
    return [...this.#watched.keys()];
  }

  /** It sleeps if it was awake, and the other way round. */
  turn(slot: number): void {
    const watched = this.#watched.get(slot);
    if (watched === undefined) return;
    watched.isAsleep = !watched.isAsleep;
    if (watched.isAsleep) this.#events!.slept(slot, 0);
    else this.#events!.woke(slot, 0);
  }

  use(slot: number, us: number): void {
    const watched = this.#watched.get(slot);
    if (watched !== undefined) watched.cpuUs += us;
  }

  watch(slot: number, _watched: Watched): void {
    assert.ok(!this.#watched.has(slot), `slot ${slot} is watched twice`);
    // It has used some for earlier invocations.
    this.#watched.set(slot, { isAsleep: false, cpuUs: 1_000_000 });
  }

  unwatch(slot: number): void {
    this.#watched.delete(slot);
  }

  cpuUs(slot: number): number {
    return this.#watched.get(slot)?.cpuUs ?? 0;
  }

  close(): void {
    this.#watched.clear();
  }
}
