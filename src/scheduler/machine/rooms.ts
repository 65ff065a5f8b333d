/**
 * Tells the summary what has become of a worker's cores and memory. Every change of these is followed by `settle`, and nobody waits for it:
 * see summary.ts for what holds in between.
 *
 * A room is no more than the largest memory that any version asks, rounded up to a power of two: for whoever asks, more makes no difference. So
 * as long as a worker has a core and memory for everybody, its room stays the same, and a decision writes nothing here; in a cluster that
 * has memory enough, that is nearly every decision.
 *
 * A worker with extra seats has a room more for these, in a summary of their own: `extra` does for them what this does for cores.
 *
 * Several shards: the look that decides is made after the store, and begins with an atomic load. What is read plainly after an atomic load is
 * not read before it: to the compiler that load is a call, to the processor an acquire, after all atomic stores of its own thread.
 */
import type { Cores } from './cores.ts';
import { globalWord, type Place } from './memory.ts';
import type { Overtaking } from './overtaking.ts';
import type { SharedInt32 } from './shared.ts';
import type { Summary } from './summary.ts';
import type { Workers } from './workers.ts';

const { LARGEST_MB } = globalWord;

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
  readonly #globals: SharedInt32;
  readonly #isShared: boolean;
  /** Of extra seats; null: this is it. */
  readonly #extra: Rooms | null;

  constructor(parts: Parts, { memory, isShared }: Place, extra: Rooms | null) {
    this.#extra = extra;
    this.#cores = parts.cores;
    this.#workers = parts.workers;
    this.#summary = parts.summary;
    this.#overtaking = parts.overtaking;
    this.#globals = memory.globals;
    this.#isShared = isShared;
  }

  /** True: it promises more than before, there or above. Of no use to one thread alone, which is told false. */
  settle(home: number): boolean {
    const isExtraRaised = this.#extra !== null && this.#cores.hasExtrasAt(home) && this.#extra.settle(home);
    if (this.#isShared) return this.#settleShared(home) || isExtraRaised;
    this.#summary.set(home, this.#seen(home));
    return false;
  }

  /**
   * The same after a core was taken, or where an atomic load came after all that was given. Then a plain look is enough to
   * see that there is nothing to say: who takes may leave a promise that is too great, and whoever lowers it looks again.
   */
  settleSeen(home: number): boolean {
    const isExtraRaised = this.#extra !== null && this.#cores.hasExtrasAt(home) && this.#extra.settleSeen(home);
    if (!this.#isShared) {
      this.#summary.set(home, this.#seen(home));
      return false;
    }
    const room = this.#seen(home);
    return (room !== this.#summary.room(home) && this.#tell(home, room)) || isExtraRaised;
  }

  /** The memory that a request could get there now; -1: no core is idle, or the worker is kept for somebody. */
  of(home: number): number {
    if (this.#isShared) this.#cores.loadIdle(home);
    return this.#seen(home);
  }

  /** The same on its extra seats. */
  ofExtras(home: number): number {
    return this.#extra?.of(home) ?? -1;
  }

  /** A version that asks that much may come. Seldom more than the ones before; else as many steps as there are workers. */
  makeRoomFor(memoryMb: number): boolean {
    let isRaised = false;
    let largest = Atomics.load(this.#globals, LARGEST_MB);
    while (largest < memoryMb) {
      const seen = Atomics.compareExchange(this.#globals, LARGEST_MB, largest, roundUp(memoryMb));
      if (seen !== largest) {
        largest = seen;
        continue;
      }
      for (let worker = 0; worker < this.#workers.count; worker++)
        if (this.settle(this.#workers.homeOf(worker))) isRaised = true;
      return isRaised;
    }
    return false;
  }

  #seen(home: number): number {
    const hasIdle = this.#extra === null ? this.#cores.hasIdleExtra(home) : this.#cores.hasIdle(home);
    if (!hasIdle || home === this.#overtaking.homeKept) return -1;
    return Math.min(this.#workers.free(home), this.#globals[LARGEST_MB]!);
  }

  #settleShared(home: number): boolean {
    const room = this.of(home);
    return room !== this.#summary.room(home) && this.#tell(home, room);
  }

  #tell(home: number, first: number): boolean {
    let isRaised = false;
    let room = first;
    do {
      if (this.#summary.swap(home, room)) isRaised = true;
      // There was an atomic load of the node above after the swap.
      room = this.#seen(home);
    } while (room !== this.#summary.room(home));
    return isRaised;
  }
}

function roundUp(memoryMb: number): number {
  return memoryMb >= 1 << 29 ? 1 << 30 : 1 << (32 - Math.clz32(memoryMb - 1));
}
