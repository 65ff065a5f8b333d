/**
 * Events whose times never go back: messages that all travel for the same time, the next arrival of a workload. First in, first out, in a
 * ring: a tenth of the work that the queue has with each.
 */
import { assert } from '../../base/assert.ts';

export class Lane {
  /** Infinity: it is empty. */
  headUs = Infinity;
  #lastUs = 0;
  #first = 0;
  #count = 0;
  #mask: number;
  #times: Float64Array;
  #kinds: Uint8Array;
  #as: Int32Array;
  #bs: Int32Array;

  constructor(capacityLog2: number) {
    const capacity = 1 << capacityLog2;
    this.#mask = capacity - 1;
    this.#times = new Float64Array(capacity);
    this.#kinds = new Uint8Array(capacity);
    this.#as = new Int32Array(capacity);
    this.#bs = new Int32Array(capacity);
  }

  get count(): number {
    return this.#count;
  }

  get headKind(): number {
    return this.#kinds[this.#first]!;
  }

  get headA(): number {
    return this.#as[this.#first]!;
  }

  get headB(): number {
    return this.#bs[this.#first]!;
  }

  push(timeUs: number, kind: number, a: number, b: number): void {
    assert(timeUs >= this.#lastUs, 'an event of a lane goes before an earlier one');
    if (this.#count > this.#mask) this.#grow();
    const at = (this.#first + this.#count) & this.#mask;
    this.#times[at] = timeUs;
    this.#kinds[at] = kind;
    this.#as[at] = a;
    this.#bs[at] = b;
    this.#lastUs = timeUs;
    if (this.#count++ === 0) this.headUs = timeUs;
  }

  /** Takes the first away. */
  pop(): void {
    this.#first = (this.#first + 1) & this.#mask;
    this.headUs = --this.#count === 0 ? Infinity : this.#times[this.#first]!;
  }

  #grow(): void {
    const capacity = (this.#mask + 1) * 2;
    const moved = new Lane(Math.log2(capacity));
    for (let i = 0; i <= this.#mask; i++) {
      const at = (this.#first + i) & this.#mask;
      moved.#times[i] = this.#times[at]!;
      moved.#kinds[i] = this.#kinds[at]!;
      moved.#as[i] = this.#as[at]!;
      moved.#bs[i] = this.#bs[at]!;
    }
    this.#times = moved.#times;
    this.#kinds = moved.#kinds;
    this.#as = moved.#as;
    this.#bs = moved.#bs;
    this.#mask = moved.#mask;
    this.#first = 0;
  }
}
