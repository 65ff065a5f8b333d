/** The simulated observer: who is watched sleeps, polls, wakes and uses CPU time when a test says so. */
import assert from 'node:assert/strict';
import type { Observer, ObserverEvents, Watched } from '../../src/worker/observers/contract.ts';

interface WatchedSlot {
  isResting: boolean;
  state: 'awake' | 'sleeps' | 'polls';
  cpuUs: number;
}

export class SmallObserver implements Observer {
  readonly seesInput: boolean = true;
  readonly #watched = new Map<number, WatchedSlot>();
  #events: ObserverEvents | null = null;

  open(events: ObserverEvents): this {
    assert.equal(this.#events, null, 'two observers');
    this.#events = events;
    return this;
  }

  /** Of those that serve somebody. */
  get slots(): number[] {
    return [...this.#watched].filter(([, { isResting }]) => !isResting).map(([slot]) => slot);
  }

  /** It sleeps or polls if it was awake, and else wakes. */
  turn(slot: number, sleep: 'sleeps' | 'polls' = 'sleeps'): void {
    const watched = this.#watched.get(slot);
    if (watched === undefined || watched.isResting) return;
    watched.state = watched.state === 'awake' ? sleep : 'awake';
    if (watched.state === 'awake') this.#events!.woke(slot, 0);
    else if (watched.state === 'polls') this.#events!.polls(slot, 0);
    else this.#events!.slept(slot, 0);
  }

  use(slot: number, us: number): void {
    const watched = this.#watched.get(slot);
    if (watched !== undefined) watched.cpuUs += us;
  }

  watch(slot: number, _watched: Watched): void {
    const known = this.#watched.get(slot);
    assert.ok(known === undefined || known.isResting, `slot ${slot} is watched twice`);
    // It has used some for earlier invocations.
    this.#watched.set(slot, { isResting: false, state: 'awake', cpuUs: known?.cpuUs ?? 1_000_000 });
  }

  rest(slot: number): void {
    const watched = this.#watched.get(slot);
    if (watched !== undefined) watched.isResting = true;
  }

  permitStop(): void {}

  tellTraffic(): void {}

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
