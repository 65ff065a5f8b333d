/**
 * Sees sleep and wake by looking at every watched sandbox every few milliseconds, with no privileges.
 *
 *   awake ──no thread can run──▶ dozing ──the same at the next look, and no CPU time used since──▶ asleep
 *         ◀──a thread can run──────┴────────────────────────────CPU time used, or a thread can run───┘
 *
 * The moment of a sleep is that of the first of the two looks. What sleeps for less than two intervals may not be seen.
 *
 * Budget: of a sandbox that runs a look reads its CPU time and the state of the thread that ran last; of a sleeper its CPU
 * time alone, and at every eighth look all states, since threads that can run but get no CPU use none. New threads are made
 * by running, so they are listed again only when CPU time has grown. `npm run bench -- sleep` says what a look costs.
 */
import { assert } from '../../base/assert.ts';
import type { Clock } from '../../base/clock.ts';
import type { Observer, ObserverEvents, Watched } from './contract.ts';
import { type CpuTime, openCpuTime } from './cpu-time.ts';
import { openProc, type Proc } from './proc.ts';
import { Thread, ThreadList } from './threads.ts';

const INTERVAL_MS = 4;
/** Looks at a sleeper between two at which the states of its threads are read. */
const STATES_EVERY = 8;

export interface SamplingOptions {
  readonly clock: Clock;
  readonly proc?: Proc;
  readonly intervalMs?: number;
}

export class SamplingObserver implements Observer {
  readonly name = 'sampling';
  readonly seesInput: boolean = false;
  readonly #clock: Clock;
  readonly #proc: Proc;
  readonly #intervalMs: number;
  readonly #events: ObserverEvents;
  readonly #subjects = new Map<number, Subject>();
  #stop: (() => void) | null = null;

  constructor(events: ObserverEvents, { clock, proc, intervalMs }: SamplingOptions) {
    this.#events = events;
    this.#clock = clock;
    this.#proc = proc ?? openProc();
    this.#intervalMs = intervalMs ?? INTERVAL_MS;
  }

  watch(slot: number, watched: Watched): void {
    assert(!this.#subjects.has(slot), `slot ${slot} is watched already`);
    this.#subjects.set(slot, new Subject(this.#proc, watched));
    this.#stop ??= this.#clock.every(this.#intervalMs, () => this.#look());
  }

  permitStop(): void {}

  /** It stops nobody. */
  hold(): boolean {
    return false;
  }

  letGo(): void {}

  rest(slot: number): void {
    this.unwatch(slot);
  }

  /** What counts it in /proc is open to nobody but its network namespace, and says when only at the next look. */
  tellTraffic(): void {}

  isStill(): boolean {
    return false;
  }

  unwatch(slot: number): void {
    this.#subjects.get(slot)?.close();
    this.#subjects.delete(slot);
    if (this.#subjects.size > 0) return;
    this.#stop?.();
    this.#stop = null;
  }

  cpuUs(slot: number): number {
    return this.#subjects.get(slot)?.cpuUs() ?? 0;
  }

  close(): void {
    for (const slot of this.#subjects.keys()) this.unwatch(slot);
  }

  #look(): void {
    for (const [slot, subject] of this.#subjects) {
      const nowUs = this.#clock.nowUs();
      const change = subject.look(nowUs);
      if (change === 'slept') this.#events.slept(slot, subject.dozedUs);
      else if (change === 'woke') this.#events.woke(slot, nowUs);
    }
  }
}

class Subject {
  /** When it was first seen not to run. */
  dozedUs = 0;
  readonly #proc: Proc;
  readonly #cpu: CpuTime;
  readonly #list: ThreadList;
  readonly #threads = new Map<number, Thread>();
  /** Seen running last. */
  #runner: Thread | null = null;
  #state: 'awake' | 'dozing' | 'asleep' = 'awake';
  #lastUs = -1;
  /** The threads are those that there are, as far as CPU time tells. */
  #isListed = false;
  #asleepLooks = 0;

  constructor(proc: Proc, watched: Watched) {
    this.#proc = proc;
    this.#cpu = openCpuTime(proc, watched);
    this.#list = new ThreadList(proc, watched);
  }

  look(nowUs: number): 'slept' | 'woke' | null {
    const isUsing = this.#hasUsed();
    if (isUsing) this.#isListed = false;
    if (this.#state === 'asleep') {
      const isDue = ++this.#asleepLooks % STATES_EVERY === 0;
      if (!isUsing && !(isDue && this.#canRun())) return null;
      this.#doze(nowUs);
      return 'woke';
    }
    if (this.#state === 'awake' || isUsing) {
      this.#doze(nowUs);
      return null;
    }
    if (this.#canRun()) {
      this.#state = 'awake';
      return null;
    }
    this.#state = 'asleep';
    this.#asleepLooks = 0;
    return 'slept';
  }

  #doze(nowUs: number): void {
    this.#state = this.#canRun() ? 'awake' : 'dozing';
    this.dozedUs = nowUs;
  }

  cpuUs(): number {
    return this.#cpu.readUs();
  }

  close(): void {
    this.#cpu.close();
    this.#list.close();
    for (const thread of this.#threads.values()) thread.close();
    this.#threads.clear();
    this.#runner = null;
  }

  #hasUsed(): boolean {
    const us = this.cpuUs();
    const grew = us > this.#lastUs;
    this.#lastUs = us;
    return grew;
  }

  #canRun(): boolean {
    if (this.#runner?.isRunnable() === true) return true;
    if (!this.#isListed) this.#listThreads();
    if (this.#findRunner()) return true;
    if (!this.#threads.values().some(({ isGone }) => isGone)) return false;
    // Its number may be another thread's by now.
    this.#listThreads();
    return this.#findRunner();
  }

  #findRunner(): boolean {
    for (const thread of this.#threads.values()) {
      if (thread === this.#runner || !thread.isRunnable()) continue;
      this.#runner = thread;
      return true;
    }
    return false;
  }

  #listThreads(): void {
    const ids = new Set(this.#list.ids());
    for (const [id, thread] of this.#threads) {
      if (ids.has(id) && !thread.isGone) continue;
      thread.close();
      this.#threads.delete(id);
      if (thread === this.#runner) this.#runner = null;
    }
    for (const id of ids) if (!this.#threads.has(id)) this.#threads.set(id, new Thread(this.#proc, id));
    this.#isListed = true;
  }
}
