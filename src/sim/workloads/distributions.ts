/** Distributions of how long an invocation runs, in microseconds, with the mean that load is counted with. */
import { assert } from '../../base/assert.ts';
import type { Random } from '../engine/random.ts';
import { normalCdf } from './normal.ts';

export interface Distribution {
  readonly name: string;
  /** Of what is drawn: where there is a bound, of what the bound leaves. */
  readonly mean: number;
  draw(random: Random): number;
}

export function exponential(mean: number): Distribution {
  return { name: `exponential, mean ${mean} µs`, mean, draw: (random) => random.exponential() * mean };
}

export function deterministic(mean: number): Distribution {
  return { name: `always ${mean} µs`, mean, draw: () => mean };
}

/** `longShare` of all take `long`, the others `short`. */
export function bimodal(short: number, long: number, longShare: number): Distribution {
  return {
    name: `${long} µs with probability ${longShare}, else ${short} µs`,
    mean: short * (1 - longShare) + long * longShare,
    draw: (random) => (random.unit() < longShare ? long : short),
  };
}

/** `mu` and `sigma` of the logarithm of microseconds. What would take longer than `cut` takes that long: as with a time limit. */
export function logNormal(mu: number, sigma: number, cut: number): Distribution {
  return {
    name: `log-normal, mu ${mu}, sigma ${sigma} in ln µs, at most ${cut} µs`,
    mean: logNormalMean(mu, sigma, cut),
    draw: (random) => Math.min(Math.exp(mu + sigma * random.normal()), cut),
  };
}

function logNormalMean(mu: number, sigma: number, cut: number): number {
  if (sigma === 0) return Math.min(Math.exp(mu), cut);
  const z = (Math.log(cut) - mu) / sigma;
  return Math.exp(mu + (sigma * sigma) / 2) * normalCdf(z - sigma) + cut * normalCdf(-z);
}

/** P(X > x) falls as x^-alpha between the two bounds. */
export function boundedPareto(alpha: number, low: number, high: number): Distribution {
  assert(alpha > 0 && low > 0 && high > low, 'a bounded Pareto distribution without room between its bounds');
  const kept = 1 - (low / high) ** alpha;
  const mean =
    alpha === 1
      ? (low * Math.log(high / low)) / kept
      : (alpha / (alpha - 1)) * (low / kept) * (1 - (low / high) ** (alpha - 1));
  return {
    name: `Pareto, alpha ${alpha}, from ${low} to ${high} µs`,
    mean,
    draw: (random) => Math.min(high, low * (1 - random.unit() * kept) ** (-1 / alpha)),
  };
}

/** Published points of a distribution: (share at or below, value), both ascending. */
export type Quantiles = readonly (readonly [share: number, value: number])[];

/** Between two points the logarithm is interpolated; beyond the outermost it is theirs. */
export function quantileAt(points: Quantiles, share: number): number {
  let next = 0;
  while (next < points.length && points[next]![0] < share) next++;
  if (next === 0) return points[0]![1];
  if (next === points.length) return points[next - 1]![1];
  const [low, lowValue] = points[next - 1]!;
  const [high, highValue] = points[next]!;
  return lowValue * (highValue / lowValue) ** ((share - low) / (high - low));
}

/** What the points say, and between them what `quantileAt` does. The last one has to be at 1. */
export function quantiles(points: Quantiles): Distribution {
  assert(points.length > 0 && points.at(-1)![0] === 1, 'quantiles that do not end at all');
  let mean = points[0]![0] * points[0]![1];
  for (let i = 1; i < points.length; i++) {
    const [low, lowValue] = points[i - 1]!;
    const [high, highValue] = points[i]!;
    const ratio = Math.log(highValue / lowValue);
    mean += (high - low) * (Math.abs(ratio) < 1e-9 ? lowValue : (highValue - lowValue) / ratio);
  }
  return { name: `${points.length} quantiles`, mean, draw: (random) => quantileAt(points, random.unit()) };
}

/** Scale 1 (Marsaglia and Tsang, 2000; for shapes below 1 their remark on U^(1/shape)). */
export function gamma(random: Random, shape: number): number {
  if (shape < 1) return gamma(random, shape + 1) * random.unit() ** (1 / shape);
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = random.normal();
    const v = (1 + c * x) ** 3;
    if (v > 0 && Math.log(1 - random.unit()) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v;
  }
}
