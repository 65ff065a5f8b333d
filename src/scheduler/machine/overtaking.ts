/**
 * Bounded overtaking. A request that waits for memory may be overtaken by younger ones that ask less: `overtakeMax`
 * times while it is the oldest, counted on workers that could hold it (elsewhere they take nothing from it). Then the
 * next such worker is kept: nobody gets a core there until its leases have ended and the old request fits.
 *
 * One worker is kept at a time, so the cluster never stops for one request; while one is, nobody is counted, so what
 * bounds the wait of the others is how long a lease may last. That holds for all shards together: which worker is kept, and by which
 * shard, is one word that is swapped in from 0. A shard's oldest request is overtaken by other shards, too; it counts each
 * time that it was woken for what did not suit it, or was gone already, and then keeps the next worker in turn that could hold the request.
 *
 * For a request of several cores the cores of one word have to become idle at the same time, which they seldom do by chance. So as soon as it is
 * the oldest and finds nothing, a worker is kept for it: of a few that could hold it, the one with the most idle cores in a word.
 */
import type { Cores } from './cores.ts';
import { counter } from './counters.ts';
import { globalWord, KEPT_SHARD_LOG2, type Place } from './memory.ts';
import type { Queue } from './queue.ts';
import type { SharedInt32 } from './shared.ts';
import type { Versions } from './versions.ts';
import type { Workers } from './workers.ts';

const { KEPT } = globalWord;
const SHARD_LOG2 = KEPT_SHARD_LOG2;
const SEARCH_MAX = 16;

interface Parts {
  readonly cores: Cores;
  readonly workers: Workers;
  readonly queue: Queue;
  readonly versions: Versions;
  readonly counters: Float64Array;
}

export class Overtaking {
  readonly #parts: Parts;
  readonly #globals: SharedInt32;
  readonly #shard: number;
  readonly #overtakeMax: number;
  /** The worker at which the next search begins. */
  #next = 0;

  /** The home of the worker that this shard keeps, and the queue's entry for which it does; -1: none. */
  keptHome = -1;
  keptFor = -1;
  /** The entry of several cores for which all workers have been looked at. */
  #searchedFor = -1;
  /** The home of a worker that has come to have more cores or memory in all, and was not looked at since then; -1: none. */
  #grown = -1;

  constructor(parts: Parts, { memory, shard }: Place, overtakeMax: number) {
    this.#parts = parts;
    this.#globals = memory.globals;
    this.#shard = shard;
    this.#overtakeMax = overtakeMax;
  }

  /** The home of the worker that any shard keeps; -1: none. */
  get homeKept(): number {
    return (this.#globals[KEPT]! >>> SHARD_LOG2) - 1;
  }

  /** Another shard that keeps a worker; -1: none does. */
  otherKeeper(): number {
    const kept = Atomics.load(this.#globals, KEPT);
    const shard = kept & ((1 << SHARD_LOG2) - 1);
    return kept === 0 || shard === this.#shard ? -1 : shard;
  }

  /**
   * May a younger request have a core there? Counts it, or keeps the worker for the oldest; the summary is not told yet. `memoryMb`: what
   * the younger one is still to reserve.
   */
  mayPassOn(home: number, memoryMb = 0): boolean {
    if (this.homeKept >= 0) return true;
    const { queue, workers, counters } = this.#parts;
    const oldest = queue.oldest();
    // Whoever wants several cores has a worker kept at once, or there is none that could hold it.
    if (queue.isSeveral(oldest) || workers.capacity(home) < queue.memoryMb(oldest)) return true;
    if (queue.isDedicated(oldest) && !this.#isInWay(home, memoryMb)) return true;
    if (queue.overtaken(oldest) < this.#overtakeMax) {
      queue.addOvertaken(oldest);
      counters[counter.overtakes]! += 1;
      return true;
    }
    return !this.#keep(home);
  }

  /** Others had what the oldest request could not use. True: a worker is kept for it from now on; the summary is not told yet. */
  countLook(): boolean {
    const { queue, counters } = this.#parts;
    if (this.homeKept >= 0) return false;
    const oldest = queue.oldest();
    if (queue.isSeveral(oldest)) return false;
    if (queue.overtaken(oldest) < this.#overtakeMax) {
      queue.addOvertaken(oldest);
      counters[counter.overtakes]! += 1;
      return false;
    }
    const home = this.#search(queue.version(oldest));
    return home >= 0 && this.#keep(home);
  }

  /** The oldest wants several cores and found nothing. True: a worker is kept for it from now on; the summary is not told yet. */
  keepForSeveral(): boolean {
    const { queue } = this.#parts;
    if (this.homeKept >= 0) return false;
    const oldest = queue.oldest();
    // All workers once for each request, so that one is kept at once if one can be; a few at each look after that.
    const isNew = oldest !== this.#searchedFor;
    this.#searchedFor = oldest;
    const home = this.#searchMostIdle(queue.version(oldest), isNew);
    return home >= 0 && this.#keep(home);
  }

  /** The entry is in the queue no more. */
  dequeued(entry: number): void {
    if (entry === this.#searchedFor) this.#searchedFor = -1;
  }

  /** The worker may come to hold what it could not before. */
  grew(home: number): void {
    this.#grown = home;
  }

  /** Once a second: other shards may have been told of workers that grew. */
  forget(): void {
    this.#searchedFor = -1;
  }

  /** Can the worker come to hold a request of the version? */
  couldHold(home: number, version: number): boolean {
    const { cores, workers, versions } = this.#parts;
    if (workers.capacity(home) < versions.memoryMb(version)) return false;
    const coreCount = versions.coreCount(version);
    if (coreCount > 1) return cores.couldIdleCount(home) >= coreCount;
    return !cores.allWithdrawn(home, versions.isDedicated(version));
  }

  /** Can the kept worker never come to hold its request, unless somebody gives it memory or cores? */
  isVain(): boolean {
    return !this.couldHold(this.keptHome, this.#parts.queue.version(this.keptFor));
  }

  /** Answers the home of the worker that was kept. */
  end(): number {
    const home = this.keptHome;
    this.keptHome = -1;
    this.keptFor = -1;
    Atomics.store(this.#globals, KEPT, 0);
    return home;
  }

  /** False: another shard was faster. */
  #keep(home: number): boolean {
    const kept = ((home + 1) << SHARD_LOG2) | this.#shard;
    if (Atomics.compareExchange(this.#globals, KEPT, 0, kept) !== 0) return false;
    this.keptHome = home;
    this.keptFor = this.#parts.queue.oldest();
    this.#parts.counters[counter.keeps]! += 1;
    return true;
  }

  /**
   * Does who takes that much memory there take something from the oldest, who is dedicated? He may wait for a core of a worker's own alone, and has it
   * as soon as one is released; who has an extra seat meanwhile is in his way only where the memory beside it is then short.
   */
  #isInWay(home: number, memoryMb: number): boolean {
    const { queue, workers } = this.#parts;
    const oldest = queue.oldest();
    return workers.unreserved(home) - memoryMb < queue.memoryMb(oldest) && this.couldHold(home, queue.version(oldest));
  }

  #search(version: number): number {
    const { workers } = this.#parts;
    const tries = Math.min(workers.count, SEARCH_MAX);
    for (let i = 0; i < tries; i++) {
      this.#next = this.#next + 1 >= workers.count ? 0 : this.#next + 1;
      const home = workers.homeOf(this.#next);
      if (this.couldHold(home, version)) return home;
    }
    return -1;
  }

  /** Of the next workers in turn that could hold it, at most SEARCH_MAX, the one with the most idle cores in a word; -1: none could. */
  #searchMostIdle(version: number, amongAll: boolean): number {
    const { workers, cores } = this.#parts;
    const tries = amongAll ? workers.count : Math.min(workers.count, SEARCH_MAX);
    const grown = this.#grown;
    this.#grown = -1;
    if (grown >= 0 && this.couldHold(grown, version)) return grown;
    let best = -1;
    let most = -1;
    for (let i = 0, found = 0; i < tries && found < SEARCH_MAX; i++) {
      this.#next = this.#next + 1 >= workers.count ? 0 : this.#next + 1;
      const home = workers.homeOf(this.#next);
      if (!this.couldHold(home, version)) continue;
      found++;
      const idle = cores.mostIdleCount(home);
      if (idle <= most) continue;
      best = home;
      most = idle;
    }
    return best;
  }
}
