/**
 * Numbers 1 … count, the longest unused first: what had a number is given all the time there is to disappear from the
 * kernel before it is used again.
 */
import { assert } from '../../base/assert.ts';

export class NumberPool {
  /** A ring: taken from `#first`, given back behind the last. */
  readonly #free: Uint16Array;
  readonly #takenMax: number;
  #first = 0;
  #freeCount: number;

  constructor(count: number, takenMax: number) {
    assert(count > 0 && count <= 0xffff && takenMax <= count, 'the numbers fit');
    this.#free = Uint16Array.from({ length: count }, (_, index) => index + 1);
    this.#freeCount = count;
    this.#takenMax = takenMax;
  }

  /** Undefined where as many are taken as may be. */
  take(): number | undefined {
    if (this.#free.length - this.#freeCount >= this.#takenMax) return undefined;
    const number = this.#free[this.#first];
    this.#first = (this.#first + 1) % this.#free.length;
    this.#freeCount--;
    return number;
  }

  give(number: number): void {
    assert(this.#freeCount < this.#free.length, 'a number is given back once');
    this.#free[(this.#first + this.#freeCount) % this.#free.length] = number;
    this.#freeCount++;
  }
}
