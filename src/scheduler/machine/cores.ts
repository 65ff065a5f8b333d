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
 * A word never spans two workers, so a word tells the worker. After the words of its cores a worker may have words of *extra* seats: they are
 * granted, released, withdrawn and returned as cores are, and taken only where no core fits (docs/decisions/012-sharing-cores.md). Unless
 * something else is said, a core is a seat of either kind here.
 *
 * Where several shards share the words, claiming a core is
 * one compare-and-swap of its word and freeing it one atomic or. Where one thread has them to itself, plain loads and
 * stores do: atomics are calls out of compiled code and cost a decision 12 to 20 %.
 *
 * Budget: a claim or a free touches one record of words.ts. Allocates nothing. Checked by bench/schedule.ts.
 */
import { assert } from '../../base/assert.ts';
import { globalWord, type Place } from './memory.ts';
import type { SharedInt32 } from './shared.ts';
import { word, wordCountOf, type Words } from './words.ts';

const { STRIDE_LOG2, IDLE, WITHDRAWN, HOME, WORD_COUNTS } = word;
const EXTRA_SHIFT = 16;
const OWN_MASK = 0xffff;

export class Cores {
  /** Size of the core index space, padding of partly used words included. */
  readonly coreCountMax: number;
  readonly #words: Words;
  readonly #wordCountMax: number;
  /** Which bits stand for a core at all. */
  readonly #registered: SharedInt32;
  readonly #globals: SharedInt32;
  readonly #isShared: boolean;

  constructor({ memory, isShared }: Place) {
    this.#words = memory.words;
    this.#registered = memory.registered;
    this.#globals = memory.globals;
    this.#isShared = isShared;
    this.#wordCountMax = wordCountOf(memory.words);
    this.coreCountMax = this.#wordCountMax * 32;
  }

  /** Takes words for the cores of one more worker and for its extra seats, none of them idle yet; answers the worker's home. */
  addWorker(coreCount: number, extraSeatCount = 0): number {
    const ownCount = Math.ceil(coreCount / 32);
    const wordCount = ownCount + Math.ceil(extraSeatCount / 32);
    const home = Atomics.add(this.#globals, globalWord.WORD_COUNT, wordCount);
    assert(home + wordCount <= this.#wordCountMax, `no place for ${coreCount} more cores in ${this.coreCountMax}`);
    for (let i = 0; i < wordCount; i++) {
      const rest = i < ownCount ? coreCount - i * 32 : extraSeatCount - (i - ownCount) * 32;
      this.#registered[home + i] = rest >= 32 ? -1 : (1 << rest) - 1;
      this.#words[((home + i) << STRIDE_LOG2) + HOME] = home;
    }
    this.#words[(home << STRIDE_LOG2) + WORD_COUNTS] = ((wordCount - ownCount) << EXTRA_SHIFT) | ownCount;
    Atomics.add(this.#globals, globalWord.EXTRA_COUNT, extraSeatCount);
    return home;
  }

  /** All its cores at once: idle, or wished out. Its extra seats are wished out. */
  open(home: number, isIdle: boolean): void {
    const end = this.endOf(home) >>> 5;
    const ownEnd = this.#ownEnd(home);
    for (let index = home; index < end; index++) {
      const offset = isIdle && index < ownEnd ? IDLE : WITHDRAWN;
      Atomics.store(this.#words, (index << STRIDE_LOG2) + offset, this.#registered[index]!);
    }
  }

  /** The home of the core's worker. */
  homeOf(core: number): number {
    return this.#words[((core >>> 5) << STRIDE_LOG2) + HOME]!;
  }

  /** The core after the worker's last, padding and extra seats included; its first is `home * 32`. */
  endOf(home: number): number {
    const counts = this.#words[(home << STRIDE_LOG2) + WORD_COUNTS]!;
    return (home + (counts & OWN_MASK) + (counts >>> EXTRA_SHIFT)) << 5;
  }

  /** The first of the worker's extra seats, if it has any. */
  firstExtra(home: number): number {
    return this.#ownEnd(home) << 5;
  }

  /** Has any worker extra seats? */
  get hasExtras(): boolean {
    return this.#globals[globalWord.EXTRA_COUNT] !== 0;
  }

  hasExtrasAt(home: number): boolean {
    return this.#words[(home << STRIDE_LOG2) + WORD_COUNTS]! >>> EXTRA_SHIFT !== 0;
  }

  /** Is it an extra seat of the worker? */
  isExtra(core: number, home: number): boolean {
    return core >>> 5 !== home && core >>> 5 >= this.#ownEnd(home);
  }

  /** What a warm hint says of an instance that ran there: a core of the worker's own, this one if it is such. */
  hintOf(core: number, home: number): number {
    return this.isExtra(core, home) ? home << 5 : core;
  }

  /** The core after the last, padding included. */
  get end(): number {
    return Atomics.load(this.#globals, globalWord.WORD_COUNT) << 5;
  }

  isRegistered(core: number): boolean {
    return core >= 0 && core < this.coreCountMax && (this.#registered[core >>> 5]! & (1 << (core & 31))) !== 0;
  }

  isIdle(core: number): boolean {
    return (this.#words[((core >>> 5) << STRIDE_LOG2) + IDLE]! & (1 << (core & 31))) !== 0;
  }

  /** False if the core was not idle; then nothing changed. */
  claim(core: number): boolean {
    const at = ((core >>> 5) << STRIDE_LOG2) + IDLE;
    const bit = 1 << (core & 31);
    return (this.#words[at]! & bit) !== 0 && this.#claimBit(at, bit);
  }

  /** Claims the lowest idle core of the worker's own; -1 if it has none. As many steps as the worker has words. */
  claimOn(home: number): number {
    return this.#claimIn(home, this.#ownEnd(home));
  }

  /** The same of its extra seats. */
  claimExtraOn(home: number): number {
    return this.#claimIn(this.#ownEnd(home), this.endOf(home) >>> 5);
  }

  #claimIn(first: number, end: number): number {
    for (let index = first; index < end; index++) {
      const bit = this.#claimLowest((index << STRIDE_LOG2) + IDLE);
      if (bit !== 0) return (index << 5) + 31 - Math.clz32(bit);
    }
    return -1;
  }

  /** Claims so many of the lowest idle cores of the word, all at once; answers their mask, 0: it has not as many. */
  claimSeveral(index: number, count: number): number {
    const at = (index << STRIDE_LOG2) + IDLE;
    let seen = this.#isShared ? Atomics.load(this.#words, at) : this.#words[at]!;
    for (;;) {
      const mask = lowestOf(seen, count);
      if (mask === 0) return 0;
      if (!this.#isShared) {
        this.#words[at] = seen & ~mask;
        return mask;
      }
      const found = Atomics.compareExchange(this.#words, at, seen, seen & ~mask);
      if (found === seen) return mask;
      seen = found;
    }
  }

  /** The word of the worker's own cores with so many idle, that of the core before the others; -1: it has none. */
  wordWith(home: number, count: number, core: number): number {
    const preferred = core >>> 5;
    if (core >= 0 && this.idleCountIn(preferred) >= count) return preferred;
    const end = this.#ownEnd(home);
    for (let index = home; index < end; index++) if (this.idleCountIn(index) >= count) return index;
    return -1;
  }

  idleCountIn(index: number): number {
    const at = (index << STRIDE_LOG2) + IDLE;
    return countBits(this.#isShared ? Atomics.load(this.#words, at) : this.#words[at]!);
  }

  /** The most idle cores in a word of the worker's own cores. */
  mostIdleCount(home: number): number {
    const end = this.#ownEnd(home);
    let most = 0;
    for (let index = home; index < end; index++) most = Math.max(most, this.idleCountIn(index));
    return most;
  }

  /** The most cores that one word of the worker's own cores can come to have idle. */
  couldIdleCount(home: number): number {
    const end = this.#ownEnd(home);
    let most = 0;
    for (let index = home; index < end; index++)
      most = Math.max(most, countBits(this.#registered[index]! & ~this.#words[(index << STRIDE_LOG2) + WITHDRAWN]!));
    return most;
  }

  /** These cores of the word, which are owned, are nobody's from now on. */
  freeSeveral(index: number, mask: number): void {
    const at = (index << STRIDE_LOG2) + IDLE;
    if (this.#isShared) Atomics.or(this.#words, at, mask);
    else this.#words[at]! |= mask;
  }

  /** Of these cores of the word, those that are wished out. */
  withdrawnOf(index: number, mask: number): number {
    return Atomics.load(this.#words, (index << STRIDE_LOG2) + WITHDRAWN) & mask;
  }

  /** The core, which is owned, is nobody's from now on. */
  free(core: number): void {
    const at = ((core >>> 5) << STRIDE_LOG2) + IDLE;
    const bit = 1 << (core & 31);
    if (this.#isShared) Atomics.or(this.#words, at, bit);
    else this.#words[at]! |= bit;
  }

  /** Of the worker's own. */
  hasIdle(home: number): boolean {
    const at = home << STRIDE_LOG2;
    if (this.#words[at + IDLE]! !== 0) return true;
    const ownCount = this.#words[at + WORD_COUNTS]! & OWN_MASK;
    for (let i = 1; i < ownCount; i++) if (this.#words[at + (i << STRIDE_LOG2) + IDLE]! !== 0) return true;
    return false;
  }

  /** Of the worker's extra seats. */
  hasIdleExtra(home: number): boolean {
    const end = this.endOf(home) >>> 5;
    for (let index = this.#ownEnd(home); index < end; index++)
      if (this.#words[(index << STRIDE_LOG2) + IDLE]! !== 0) return true;
    return false;
  }

  /** Has the worker an idle core for a request that is dedicated, or may have an extra seat? */
  hasIdleFor(home: number, isDedicated: boolean): boolean {
    return this.hasIdle(home) || (!isDedicated && this.hasIdleExtra(home));
  }

  /** An atomic load: nothing that is read after it is read before it. */
  loadIdle(home: number): void {
    Atomics.load(this.#words, (home << STRIDE_LOG2) + IDLE);
  }

  /** The bits of the idle cores in the same word. */
  idleBeside(core: number): number {
    return this.#words[((core >>> 5) << STRIDE_LOG2) + IDLE]!;
  }

  /** Is it wished out of the platform? */
  isWithdrawn(core: number): boolean {
    const at = ((core >>> 5) << STRIDE_LOG2) + WITHDRAWN;
    const wished = this.#isShared ? Atomics.load(this.#words, at) : this.#words[at]!;
    return (wished & (1 << (core & 31))) !== 0;
  }

  /** False: it was wished so already. */
  setWithdrawn(core: number): boolean {
    const bit = 1 << (core & 31);
    return (Atomics.or(this.#words, ((core >>> 5) << STRIDE_LOG2) + WITHDRAWN, bit) & bit) === 0;
  }

  /** False: it was not wished. */
  clearWithdrawn(core: number): boolean {
    const bit = 1 << (core & 31);
    return (Atomics.and(this.#words, ((core >>> 5) << STRIDE_LOG2) + WITHDRAWN, ~bit) & bit) !== 0;
  }

  /** True if no core of the worker can serve a request, which is dedicated or may have an extra seat, any more until one is given back. */
  allWithdrawn(home: number, isDedicated: boolean): boolean {
    const end = isDedicated ? this.#ownEnd(home) : this.endOf(home) >>> 5;
    for (let index = home; index < end; index++) {
      if (this.#words[(index << STRIDE_LOG2) + WITHDRAWN]! !== this.#registered[index]!) return false;
    }
    return true;
  }

  /** As `Leases.touch`. */
  touch(cores: Int32Array, first: number, end: number): number {
    const words = this.#words;
    let all = 0;
    for (let i = first; i < end; i++) all ^= words[(cores[i]! >>> 5) << STRIDE_LOG2]!;
    return all;
  }

  /** The word after those of the worker's own cores. */
  #ownEnd(home: number): number {
    return home + (this.#words[(home << STRIDE_LOG2) + WORD_COUNTS]! & OWN_MASK);
  }

  /** False if another shard was faster. */
  #claimBit(at: number, bit: number): boolean {
    if (!this.#isShared) {
      this.#words[at]! &= ~bit;
      return true;
    }
    let seen = this.#words[at]!;
    while ((seen & bit) !== 0) {
      const found = Atomics.compareExchange(this.#words, at, seen, seen & ~bit);
      if (found === seen) return true;
      seen = found;
    }
    return false;
  }

  /** Answers the bit; 0: there is none. */
  #claimLowest(at: number): number {
    let seen = this.#words[at]!;
    if (!this.#isShared) {
      this.#words[at] = seen & (seen - 1);
      return seen & -seen;
    }
    // A plain load may say where to look first, not that there is nothing.
    if (seen === 0) seen = Atomics.load(this.#words, at);
    while (seen !== 0) {
      const found = Atomics.compareExchange(this.#words, at, seen, seen & (seen - 1));
      if (found === seen) return seen & -seen;
      seen = found;
    }
    return 0;
  }
}

/** The lowest bits that are set, so many; 0: there are not as many. */
function lowestOf(bits: number, count: number): number {
  let rest = bits;
  for (let i = 0; i < count; i++) {
    if (rest === 0) return 0;
    rest &= rest - 1;
  }
  return bits & ~rest;
}

function countBits(bits: number): number {
  const pairs = bits - ((bits >>> 1) & 0x55555555);
  const fours = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333);
  return Math.imul((fours + (fours >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
