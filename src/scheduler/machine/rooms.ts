/**
 * Tells the summary what has become of a worker's cores and memory. Every change of these is followed by `settle`, and nobody waits for it:
 * see summary.ts for what holds in between.
 *
 * Several shards: the look that decides is made after the store, and begins with an atomic load. What is read plainly after an atomic load is
 * not read before it: to the compiler that load is a call, to the processor an acquire.
 */
import type { Cores } from './cores.ts';
import type { Overtaking } from './overtaking.ts';
import type { Summary } from './summary.ts';
import type { Workers } from './workers.ts';

interface Parts {
  readonly cores: Cores;
  readonly workers: Workers;
  readonly summary: Summary;
  readonly overtaking: Overtaking;
}

export class Rooms {
  readonly #cores: Cores;
  readonly #workers: Workers;
  readonly #summary: Summary;
  readonly #overtaking: Overtaking;
  readonly #isShared: boolean;

  constructor(parts: Parts, isShared: boolean) {
    this.#cores = parts.cores;
    this.#workers = parts.workers;
    this.#summary = parts.summary;
    this.#overtaking = parts.overtaking;
    this.#isShared = isShared;
  }

  /** True: it promises more than before, there or above. Of no use to one thread alone, which is told false. */
  settle(home: number): boolean {
    if (this.#isShared) return this.#settleShared(home);
    this.#summary.set(home, this.of(home));
    return false;
  }

  /** The memory that a request could get there now; -1: no core is idle, or the worker is kept for somebody. */
  of(home: number): number {
    const isOpen = this.#cores.hasIdle(home) && home !== this.#overtaking.homeKept;
    return isOpen ? this.#workers.free(home) : -1;
  }

  #settleShared(home: number): boolean {
    let isRaised = false;
    for (let room = this.of(home); room !== this.#summary.room(home); room = this.of(home)) {
      if (this.#summary.swap(home, room)) isRaised = true;
    }
    return isRaised;
  }
}
