/**
 * Doubly linked lists of slots in typed arrays: a slot is in at most one list of a `SlotList`, and leaves it from
 * anywhere in constant work. Newest at the head.
 */
import { assert } from '../../base/assert.ts';

const NONE = -1;

export class SlotList {
  readonly #heads: Int32Array;
  readonly #tails: Int32Array;
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  #count = 0;

  constructor(listCount: number, slotCount: number) {
    this.#heads = new Int32Array(listCount).fill(NONE);
    this.#tails = new Int32Array(listCount).fill(NONE);
    this.#next = new Int32Array(slotCount).fill(NONE);
    this.#previous = new Int32Array(slotCount).fill(NONE);
  }

  /** Slots in all the lists. */
  get count(): number {
    return this.#count;
  }

  /** The newest; -1 if the list is empty. */
  head(list: number): number {
    return this.#heads[list]!;
  }

  /** The oldest; -1 if the list is empty. */
  tail(list: number): number {
    return this.#tails[list]!;
  }

  /** The next older one in its list; -1 at the end. */
  after(slot: number): number {
    return this.#next[slot]!;
  }

  push(list: number, slot: number): void {
    const head = this.#heads[list]!;
    this.#next[slot] = head;
    this.#previous[slot] = NONE;
    if (head === NONE) this.#tails[list] = slot;
    else this.#previous[head] = slot;
    this.#heads[list] = slot;
    this.#count++;
  }

  remove(list: number, slot: number): void {
    const next = this.#next[slot]!;
    const previous = this.#previous[slot]!;
    assert(previous !== NONE || this.#heads[list] === slot, `slot ${slot} is not in list ${list}`);
    if (previous === NONE) this.#heads[list] = next;
    else this.#next[previous] = next;
    if (next === NONE) this.#tails[list] = previous;
    else this.#previous[next] = previous;
    this.#next[slot] = NONE;
    this.#previous[slot] = NONE;
    this.#count--;
  }
}
