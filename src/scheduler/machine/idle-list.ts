/**
 * References to idle cores, the last one freed on top (its caches are the warmest). A hint, not the truth: a core may have been
 * claimed by another way since it was listed. A bit per core says whether it is listed, so that the list never holds a
 * core twice and never outgrows the number of cores.
 *
 * Budget: one word of the bitmap and the top of the stack. Allocates nothing. Checked by bench/schedule.ts.
 */
import { sharedInt32, type SharedInt32 } from './shared.ts';

export class IdleList {
  readonly #stack: SharedInt32;
  readonly #listed: SharedInt32;
  #length = 0;

  constructor(coreCountMax: number) {
    this.#stack = sharedInt32(coreCountMax);
    this.#listed = sharedInt32(Math.ceil(coreCountMax / 32));
  }

  get length(): number {
    return this.#length;
  }

  push(core: number): void {
    const word = core >>> 5;
    const bit = 1 << (core & 31);
    const listed = this.#listed[word]!;
    if ((listed & bit) !== 0) return;
    this.#listed[word] = listed | bit;
    this.#stack[this.#length++] = core;
  }

  /** -1 if the list is empty. */
  pop(): number {
    if (this.#length === 0) return -1;
    const core = this.#stack[--this.#length]!;
    this.#listed[core >>> 5]! &= ~(1 << (core & 31));
    return core;
  }

  /** For `checkInvariants`: the bits and the stack say the same. */
  agrees(): boolean {
    const listed = new Set(this.#stack.subarray(0, this.#length));
    if (listed.size !== this.#length) return false;
    let bits = 0;
    for (let core = 0; core < this.#stack.length; core++) {
      if ((this.#listed[core >>> 5]! & (1 << (core & 31))) === 0) continue;
      if (!listed.has(core)) return false;
      bits++;
    }
    return bits === this.#length;
  }
}
