/** The simulated observer: who is watched sleeps, polls, sends, receives, wakes and uses CPU time when a test says so. */
import assert from 'node:assert/strict';
import type { Clock } from '../../src/base/clock.ts';
import type { Observer, ObserverEvents, Watched } from '../../src/worker/observers/contract.ts';

interface WatchedSlot {
  isResting: boolean;
  state: 'awake' | 'sleeps' | 'polls';
  cpuUs: number;
  mayStop: boolean;
  isHeld: boolean;
  tellsTraffic: boolean;
}

export class SmallObserver implements Observer {
  readonly name = 'ebpf';
  readonly seesInput: boolean = true;
  /** Whether it has stopped those that poll, when it tells so, and keeps them so for whoever wants that. */
  holds = false;
  readonly #clock: Clock;
  readonly #watched = new Map<number, WatchedSlot>();
  #events: ObserverEvents | null = null;
  #asked = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  open(events: ObserverEvents): this {
    assert.equal(this.#events, null, 'two observers');
    this.#events = events;
    return this;
  }

  /** Of those that serve somebody. */
  get slots(): number[] {
    return [...this.#watched].filter(([, { isResting }]) => !isResting).map(([slot]) => slot);
  }

  polls(slot: number): boolean {
    return this.#active(slot)?.state === 'polls';
  }

  /** It sleeps or polls if it was awake, and else wakes. That it polls is seen of whoever may be stopped. */
  turn(slot: number, sleep: 'sleeps' | 'polls' = 'sleeps'): void {
    const watched = this.#active(slot);
    if (watched === null || (watched.state === 'awake' && sleep === 'polls' && !watched.mayStop)) return;
    const nowUs = this.#clock.nowUs();
    watched.state = watched.state === 'awake' ? sleep : 'awake';
    watched.isHeld = false;
    if (watched.state === 'awake') this.#events!.woke(slot, nowUs);
    else if (watched.state === 'polls') this.#events!.polls(slot, nowUs);
    else this.#events!.slept(slot, nowUs);
  }

  /** One that polls is said to again, as often as it is let go on. */
  repeat(slot: number): void {
    if (this.polls(slot) && !this.isHeld(slot)) this.#events!.polls(slot, this.#clock.nowUs());
  }

  traffic(slot: number, kind: 'sent' | 'received'): void {
    const watched = this.#active(slot);
    if (watched === null) return;
    const nowUs = this.#clock.nowUs();
    if (watched.state === 'polls') this.turn(slot);
    if (watched.tellsTraffic && this.#active(slot) === watched) this.#events![kind](slot, nowUs);
  }

  use(slot: number, us: number): void {
    const watched = this.#watched.get(slot);
    if (watched !== undefined) watched.cpuUs += us;
  }

  watch(slot: number, _watched: Watched, mayStop = false): void {
    const known = this.#watched.get(slot);
    assert.ok(known === undefined || known.isResting, `slot ${slot} is watched twice`);
    // It has used some for earlier invocations.
    const cpuUs = known?.cpuUs ?? 1_000_000;
    this.#watched.set(slot, { isResting: false, state: 'awake', cpuUs, mayStop, isHeld: false, tellsTraffic: false });
  }

  permitStop(slot: number, mayStop: boolean): void {
    const watched = this.#active(slot);
    if (watched === null) return;
    watched.mayStop = mayStop;
    if (mayStop) return;
    watched.isHeld = false;
    if (watched.state === 'polls') watched.state = 'awake';
  }

  /** Some are, at some times. */
  isStill(slot: number): boolean {
    this.#asked++;
    return this.#watched.get(slot)?.isResting === true && (slot + this.#asked) % 3 !== 0;
  }

  tellTraffic(slot: number, isTold: boolean): void {
    const watched = this.#active(slot);
    if (watched !== null) watched.tellsTraffic = isTold;
  }

  rest(slot: number): void {
    const watched = this.#watched.get(slot);
    if (watched === undefined) return;
    watched.isResting = true;
    watched.isHeld = false;
  }

  hold(slot: number): boolean {
    const watched = this.#active(slot);
    if (watched === null || !this.holds || watched.state !== 'polls') return false;
    watched.isHeld = true;
    return true;
  }

  letGo(slot: number): void {
    const watched = this.#active(slot);
    if (watched !== null) watched.isHeld = false;
  }

  isHeld(slot: number): boolean {
    return this.#active(slot)?.isHeld ?? false;
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

  #active(slot: number): WatchedSlot | null {
    const watched = this.#watched.get(slot);
    return watched === undefined || watched.isResting ? null : watched;
  }
}
