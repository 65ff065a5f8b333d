/**
 * The cores of the cluster: one bit each, 1 for idle. This bitmap is the truth; idle lists, warm hints and the
 * summary only say where to look first.
 *
 *   global core index = word * 32 + bit
 *
 *   worker 0 (33 cores)             worker 1 (2 cores)
 *   word 0            word 1        word 2
 *   [31 ........... 0][- .... - 32] [- ......... 65 64]     - belongs to no core, is never set
 *
 * A word never spans two workers, so a word tells the worker. Claiming a core is one compare-and-swap of its word,
 * freeing it one atomic or; both are so already with one shard, because later shards share the words.
 *
 * Budget: a claim or a free touches one word of 32 cores (80 KB for 640,000 cores). Allocates nothing.
 * Checked by bench/schedule.ts.
 */
import { assert } from '../../base/assert.ts';
import { sharedInt32, type SharedInt32 } from './shared.ts';

export class Cores {
  /** Size of the core index space, padding of partly used words included. */
  readonly coreCountMax: number;
  readonly idle: SharedInt32;
  /** Cores that are not to be granted: out of the platform already or, while leased, as soon as they are released. */
  readonly withdrawn: SharedInt32;
  /** Which bits stand for a core at all. */
  readonly registered: SharedInt32;
  readonly #workerOfWord: SharedInt32;
  /** By worker; the entry after the last worker is where the next one will begin. */
  readonly #firstWord: SharedInt32;

  constructor(coreCountMax: number, workerCountMax: number) {
    const wordCountMax = Math.ceil(coreCountMax / 32);
    this.coreCountMax = wordCountMax * 32;
    this.idle = sharedInt32(wordCountMax);
    this.withdrawn = sharedInt32(wordCountMax);
    this.registered = sharedInt32(wordCountMax);
    this.#workerOfWord = sharedInt32(wordCountMax);
    this.#firstWord = sharedInt32(workerCountMax + 1);
  }

  /** Registers the cores of the next worker, all of them idle. */
  addWorker(worker: number, coreCount: number): void {
    const first = this.#firstWord[worker]!;
    const wordCount = Math.ceil(coreCount / 32);
    assert(first + wordCount <= this.idle.length, `worker ${worker}: no place for its ${coreCount} cores`);
    for (let i = 0; i < wordCount; i++) {
      const rest = coreCount - i * 32;
      const mask = rest >= 32 ? -1 : (1 << rest) - 1;
      this.registered[first + i] = mask;
      this.#workerOfWord[first + i] = worker;
      Atomics.store(this.idle, first + i, mask);
    }
    this.#firstWord[worker + 1] = first + wordCount;
  }

  firstWord(worker: number): number {
    return this.#firstWord[worker]!;
  }

  /** The word after the worker's last. */
  endWord(worker: number): number {
    return this.#firstWord[worker + 1]!;
  }

  workerOf(core: number): number {
    return this.#workerOfWord[core >>> 5]!;
  }

  isRegistered(core: number): boolean {
    return core >= 0 && core < this.coreCountMax && (this.registered[core >>> 5]! & (1 << (core & 31))) !== 0;
  }

  isIdle(core: number): boolean {
    return (this.idle[core >>> 5]! & (1 << (core & 31))) !== 0;
  }

  /** False if the core was not idle; then nothing changed. */
  claim(core: number): boolean {
    const word = core >>> 5;
    const bit = 1 << (core & 31);
    let seen = this.idle[word]!;
    while ((seen & bit) !== 0) {
      const was = Atomics.compareExchange(this.idle, word, seen, seen & ~bit);
      if (was === seen) return true;
      seen = was;
    }
    return false;
  }

  /** Claims the lowest idle core of the worker; -1 if it has none. As many steps as the worker has words. */
  claimOn(worker: number): number {
    const end = this.#firstWord[worker + 1]!;
    for (let word = this.#firstWord[worker]!; word < end; word++) {
      let seen = this.idle[word]!;
      while (seen !== 0) {
        const bit = seen & -seen;
        const was = Atomics.compareExchange(this.idle, word, seen, seen & ~bit);
        if (was === seen) return word * 32 + 31 - Math.clz32(bit);
        seen = was;
      }
    }
    return -1;
  }

  free(core: number): void {
    Atomics.or(this.idle, core >>> 5, 1 << (core & 31));
  }

  hasIdle(worker: number): boolean {
    const end = this.#firstWord[worker + 1]!;
    for (let word = this.#firstWord[worker]!; word < end; word++) if (this.idle[word]! !== 0) return true;
    return false;
  }

  isWithdrawn(core: number): boolean {
    return (this.withdrawn[core >>> 5]! & (1 << (core & 31))) !== 0;
  }

  setWithdrawn(core: number): void {
    Atomics.or(this.withdrawn, core >>> 5, 1 << (core & 31));
  }

  clearWithdrawn(core: number): void {
    Atomics.and(this.withdrawn, core >>> 5, ~(1 << (core & 31)));
  }

  /** True if no core of the worker can serve a request any more until one is given back. */
  allWithdrawn(worker: number): boolean {
    const end = this.#firstWord[worker + 1]!;
    for (let word = this.#firstWord[worker]!; word < end; word++) {
      if (this.withdrawn[word]! !== this.registered[word]!) return false;
    }
    return true;
  }
}
