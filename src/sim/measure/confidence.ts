/**
 * How far a mean of a few independent numbers may be off: one of each seed, or of each batch of a long simulation. By Student's t, which is right
 * where the numbers are about normally distributed: means over many jobs are.
 */
import { assert } from '../../base/assert.ts';

export interface Confidence {
  readonly mean: number;
  /** The true mean lies within mean ± half-width with the given probability; null: one number says nothing about it. */
  readonly halfWidth: number | null;
  readonly count: number;
}

const LEVEL = 0.95;
/** Of the bisection: 2^-60 of where it began. */
const STEP_COUNT = 60;

export function confidenceOf(values: readonly number[], level: number = LEVEL): Confidence {
  const count = values.length;
  assert(count > 0, 'the confidence of no numbers');
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  if (count === 1) return { mean, halfWidth: null, count };
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const deviation = Math.sqrt(squares / (count - 1));
  return { mean, halfWidth: (studentT(count - 1, level) * deviation) / Math.sqrt(count), count };
}

/** The t of which |T| stays below with probability `level`, at so many degrees of freedom: 12.71 for 1 and 0.95, 1.96 for very many. */
export function studentT(freedom: number, level: number = LEVEL): number {
  assert(Number.isInteger(freedom) && freedom > 0, `${freedom} degrees of freedom`);
  assert(level > 0 && level < 1, `a level of ${level}`);
  // Over the angle, in which it is bounded.
  let low = 0;
  let high = Math.PI / 2;
  for (let step = 0; step < STEP_COUNT; step++) {
    const middle = (low + high) / 2;
    if (probabilityWithin(middle, freedom) < level) low = middle;
    else high = middle;
  }
  return Math.tan(low) * Math.sqrt(freedom);
}

/** P(|T| <= t) at t = √freedom · tan(angle): a finite sum (Abramowitz and Stegun, 26.7.3 and 26.7.4). */
function probabilityWithin(angle: number, freedom: number): number {
  const isOdd = freedom % 2 === 1;
  const square = Math.cos(angle) ** 2;
  let term = isOdd ? Math.cos(angle) : 1;
  let sum = freedom === 1 ? 0 : term;
  for (let power = isOdd ? 3 : 2; power <= freedom - 2; power += 2) {
    term *= (square * (power - 1)) / power;
    sum += term;
  }
  return isOdd ? (2 / Math.PI) * (angle + Math.sin(angle) * sum) : Math.sin(angle) * sum;
}
