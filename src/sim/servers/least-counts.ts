/**
 * Counts of so many places, of which the least is found, and any changed by one, in constant work: places sorted by their count, and where in that
 * order each count begins. A place that goes up by one changes places with the last of its count.
 *
 *   order   [ 4 1 | 0 3 5 | 2 ]
 *   counts    0 0   1 1 1   2
 *   begins    0     2       5   6
 */
import { assert } from '../../base/assert.ts';
import type { Random } from '../engine/random.ts';

export class LeastCounts {
  readonly #order: Int32Array;
  readonly #at: Int32Array;
  readonly #counts: Int32Array;
  readonly #isOut: Uint8Array;
  /** By count: where its places begin; those of the next count begin where they end. One more than there are counts. */
  #begins: number[];

  constructor(placeCount: number) {
    this.#order = Int32Array.from({ length: placeCount }, (_, i) => i);
    this.#at = Int32Array.from(this.#order);
    this.#counts = new Int32Array(placeCount);
    this.#isOut = new Uint8Array(placeCount);
    this.#begins = [0, placeCount];
  }

  count(place: number): number {
    return this.#counts[place]!;
  }

  /** Infinity: all are out. */
  get least(): number {
    return this.#begins.at(-1) === 0 ? Infinity : this.#counts[this.#order[0]!]!;
  }

  /** One of those that have the least, each as likely as the others. */
  draw(random: Random): number {
    const { least } = this;
    const count = least === Infinity ? this.#order.length : this.#begins[least + 1]!;
    return this.#order[random.below(count)]!;
  }

  /** One of those that have the most of all that have less than the limit; if there are none, one of those that have the least. */
  drawMostBelow(limit: number, random: Random): number {
    const end = limit < this.#begins.length ? this.#begins[limit]! : this.#begins.at(-1)!;
    if (end === 0) return this.draw(random);
    const begin = this.#begins[this.#counts[this.#order[end - 1]!]!]!;
    return this.#order[begin + random.below(end - begin)]!;
  }

  up(place: number): void {
    const count = this.#counts[place]!;
    if (this.#isOut[place] === 1) {
      this.#counts[place] = count + 1;
      return;
    }
    if (count + 2 === this.#begins.length) this.#begins.push(this.#begins.at(-1)!);
    const end = this.#begins[count + 1]! - 1;
    this.#exchange(this.#at[place]!, end);
    this.#begins[count + 1] = end;
    this.#counts[place] = count + 1;
  }

  down(place: number): void {
    const count = this.#counts[place]!;
    assert(count > 0, 'a count goes below 0');
    if (this.#isOut[place] === 1) {
      this.#counts[place] = count - 1;
      return;
    }
    const begin = this.#begins[count]!;
    this.#exchange(this.#at[place]!, begin);
    this.#begins[count] = begin + 1;
    this.#counts[place] = count - 1;
  }

  /** As much work as it differs from what it was. */
  set(place: number, count: number): void {
    while (this.#counts[place]! < count) this.up(place);
    while (this.#counts[place]! > count) this.down(place);
  }

  /** It is found no more, and counted all the same. As many steps as there are counts. */
  takeOut(place: number): void {
    assert(this.#isOut[place] === 0, 'a place is taken out twice');
    this.#isOut[place] = 1;
    for (let count = this.#counts[place]!; count < this.#begins.length - 1; count++) {
      const end = this.#begins[count + 1]! - 1;
      this.#exchange(this.#at[place]!, end);
      this.#begins[count + 1] = end;
    }
  }

  putBack(place: number): void {
    assert(this.#isOut[place] === 1, 'a place is put back that was not out');
    this.#isOut[place] = 0;
    const own = this.#counts[place]!;
    while (this.#begins.length < own + 2) this.#begins.push(this.#begins.at(-1)!);
    for (let count = this.#begins.length - 2; count >= own; count--) {
      const begin = this.#begins[count + 1]!;
      this.#exchange(this.#at[place]!, begin);
      this.#begins[count + 1] = begin + 1;
    }
  }

  #exchange(a: number, b: number): void {
    const placeA = this.#order[a]!;
    const placeB = this.#order[b]!;
    this.#order[a] = placeB;
    this.#order[b] = placeA;
    this.#at[placeA] = b;
    this.#at[placeB] = a;
  }
}
