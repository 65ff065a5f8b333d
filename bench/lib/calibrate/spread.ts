/** What a cost came to, microseconds: the median, and between what most of it lay. */
import type { Costs } from '../../../src/sim/costs.ts';
import { median, quantile } from '../report.ts';

export interface Spread {
  readonly p50: number;
  readonly low: number;
  readonly high: number;
}

export type MeasuredCosts = Partial<Record<keyof Costs, Spread>>;

/** Of many samples: the middle 80 %. */
export function spreadOf(values: readonly number[]): Spread {
  return { p50: quantile(values, 0.5), low: quantile(values, 0.1), high: quantile(values, 0.9) };
}

/** Of a few rounds: all of them. */
export function spreadOfRounds(values: readonly number[]): Spread {
  return { p50: median(values), low: Math.min(...values), high: Math.max(...values) };
}

/** What is made up of parts that were measured apart. */
export function sumOf(...parts: readonly Spread[]): Spread {
  const sum = (of: (part: Spread) => number): number => parts.reduce((total, part) => total + of(part), 0);
  return { p50: sum(({ p50 }) => p50), low: sum(({ low }) => low), high: sum(({ high }) => high) };
}
