/** Exponential times, mean 1, by the inverse of their distribution: seeds that failed once keep their meaning, however the engine draws its own. */
import type { Random } from '../engine/random.ts';

export function exponentialOf(random: Random): number {
  return -Math.log1p(-random.unit());
}
