/**
 * Bounded overtaking. A request that waits for memory may be overtaken by younger ones that ask less: `overtakeMax`
 * times while it is the oldest, counted on workers that could hold it (elsewhere they take nothing from it). Then the
 * next such worker is kept: nobody gets a core there until its leases have ended and the old request fits.
 *
 * One worker is kept at a time, so the cluster never stops for one request; while one is, nobody is counted, so what
 * bounds the wait of the others is how long a lease may last.
 */
import type { Cores } from './cores.ts';
import { counter } from './counters.ts';
import type { Queue } from './queue.ts';
import type { Workers } from './workers.ts';

interface Parts {
  readonly cores: Cores;
  readonly workers: Workers;
  readonly queue: Queue;
  readonly counters: Float64Array;
}

export class Overtaking {
  readonly #parts: Parts;
  readonly #overtakeMax: number;

  /** The home of the worker kept, and the queue's entry for which it is; -1: none. */
  keptHome = -1;
  keptFor = -1;

  constructor(parts: Parts, overtakeMax: number) {
    this.#parts = parts;
    this.#overtakeMax = overtakeMax;
  }

  /** May a younger request have a core there? Counts it, or keeps the worker for the oldest; the summary is not told yet. */
  mayPassOn(home: number): boolean {
    if (this.keptHome >= 0) return true;
    const { queue, workers, counters } = this.#parts;
    const oldest = queue.oldest();
    if (workers.capacity(home) < queue.memoryMb(oldest)) return true;
    if (queue.overtaken(oldest) < this.#overtakeMax) {
      queue.addOvertaken(oldest);
      counters[counter.overtakes]! += 1;
      return true;
    }
    this.keptHome = home;
    this.keptFor = oldest;
    counters[counter.keeps]! += 1;
    return false;
  }

  /** A core on the kept worker for the request it is kept for, claimed; -1 if it does not fit yet. */
  claimKept(): number {
    const { cores, queue, workers } = this.#parts;
    if (workers.free(this.keptHome) < queue.memoryMb(this.keptFor)) return -1;
    return cores.claimOn(this.keptHome);
  }

  /** Can the kept worker never come to hold its request, unless somebody gives it memory or cores? */
  isVain(): boolean {
    const { cores, queue, workers } = this.#parts;
    const memoryMb = queue.memoryMb(this.keptFor);
    return workers.capacity(this.keptHome) < memoryMb || cores.allWithdrawn(this.keptHome);
  }

  /** Answers the home of the worker that was kept. */
  end(): number {
    const home = this.keptHome;
    this.keptHome = -1;
    this.keptFor = -1;
    return home;
  }
}
