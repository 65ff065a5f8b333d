/**
 * References to idle cores, the last one freed on top (its caches are the warmest). A hint, not the truth: a core may
 * have been claimed by another way since it was listed. A bit per core says whether it is listed, so that the list
 * never holds a core twice and never outgrows the number of cores.
 *
 * Budget: the core's record of words.ts and the top of the stack. Allocates nothing. Checked by bench/schedule.ts.
 */
import type { Place } from './memory.ts';
import { sharedInt32, type SharedInt32 } from './shared.ts';
import { word, wordCountOf } from './words.ts';

export class IdleList {
  /** The bits: in the records of the words where one shard has these to itself, on the cache line that is needed anyway. */
  readonly #bits: SharedInt32;
  readonly #strideLog2: number;
  readonly #offset: number;
  readonly #stack: SharedInt32;
  #length = 0;

  constructor({ memory, isShared }: Place) {
    const wordCount = wordCountOf(memory.words);
    this.#bits = isShared ? sharedInt32(wordCount) : memory.words;
    this.#strideLog2 = isShared ? 0 : word.STRIDE_LOG2;
    this.#offset = isShared ? 0 : word.LISTED;
    this.#stack = sharedInt32(wordCount * 32);
  }

  push(core: number): void {
    const at = ((core >>> 5) << this.#strideLog2) + this.#offset;
    const bit = 1 << (core & 31);
    const listed = this.#bits[at]!;
    if ((listed & bit) !== 0) return;
    this.#bits[at] = listed | bit;
    this.#stack[this.#length++] = core;
  }

  /** -1 if the list is empty. */
  pop(): number {
    if (this.#length === 0) return -1;
    const core = this.#stack[--this.#length]!;
    this.#bits[((core >>> 5) << this.#strideLog2) + this.#offset]! &= ~(1 << (core & 31));
    return core;
  }

  /** For `checkInvariants`. */
  listed(): SharedInt32 {
    return this.#stack.subarray(0, this.#length);
  }

  /** For `checkInvariants`: the bits and the stack say the same. */
  agrees(): boolean {
    const listed = new Set(this.#stack.subarray(0, this.#length));
    if (listed.size !== this.#length) return false;
    let bits = 0;
    for (let core = 0; core < this.#stack.length; core++) {
      if ((this.#bits[((core >>> 5) << this.#strideLog2) + this.#offset]! & (1 << (core & 31))) === 0) continue;
      if (!listed.has(core)) return false;
      bits++;
    }
    return bits === this.#length;
  }
}
