/** Small whole numbers (jobs, reservations), first in, first out: a ring that grows to twice its size. */
import { assert } from '../../base/assert.ts';

const FIRST_CAPACITY = 8;

export class Fifo {
  #items = new Int32Array(FIRST_CAPACITY);
  #first = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(item: number): void {
    if (this.#length === this.#items.length) this.#grow();
    this.#items[(this.#first + this.#length++) & (this.#items.length - 1)] = item;
  }

  /** The first, which stays; there has to be one. */
  get head(): number {
    assert(this.#length > 0, 'the head of an empty queue');
    return this.#items[this.#first]!;
  }

  /** Takes the first away; there has to be one. */
  shift(): number {
    const item = this.head;
    this.#first = (this.#first + 1) & (this.#items.length - 1);
    this.#length--;
    return item;
  }

  #grow(): void {
    const capacity = this.#items.length;
    const grown = new Int32Array(capacity * 2);
    for (let i = 0; i < capacity; i++) grown[i] = this.#items[(this.#first + i) & (capacity - 1)]!;
    this.#items = grown;
    this.#first = 0;
  }
}
