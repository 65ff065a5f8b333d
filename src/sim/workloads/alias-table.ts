/**
 * One of many, drawn in proportion to its weight, in two random numbers however many there are: Walker's alias method (1977), built as Vose
 * did (1991). Each place holds the share of itself that it keeps, and who has the rest of it.
 */
import { assert } from '../../base/assert.ts';
import type { Random } from '../engine/random.ts';

export class AliasTable {
  readonly #kept: Float64Array;
  readonly #others: Int32Array;

  constructor(weights: readonly number[]) {
    const count = weights.length;
    const sum = weights.reduce((total, weight) => total + weight, 0);
    assert(sum > 0 && Number.isFinite(sum), 'weights of which none is above 0');
    this.#kept = new Float64Array(count).fill(1);
    this.#others = Int32Array.from({ length: count }, (_, i) => i);
    const scaled = Float64Array.from(weights, (weight) => (weight * count) / sum);
    const small: number[] = [];
    const large: number[] = [];
    for (let i = 0; i < count; i++) (scaled[i]! < 1 ? small : large).push(i);
    while (small.length > 0 && large.length > 0) {
      const poor = small.pop()!;
      const rich = large.pop()!;
      this.#kept[poor] = scaled[poor]!;
      this.#others[poor] = rich;
      scaled[rich] = scaled[rich]! - (1 - scaled[poor]!);
      (scaled[rich] < 1 ? small : large).push(rich);
    }
    // Of who is left, what is missing to 1 is rounding; but nobody of weight 0 is ever drawn.
    const someone = weights.findIndex((weight) => weight > 0);
    for (const left of small) {
      if (weights[left]! > 0) continue;
      this.#kept[left] = 0;
      this.#others[left] = someone;
    }
  }

  draw(random: Random): number {
    const at = random.below(this.#kept.length);
    return random.unit() < this.#kept[at]! ? at : this.#others[at]!;
  }
}
