/** Distributions of how long an invocation runs, in microseconds, with the mean that load is counted with. */
import type { Random } from '../engine/random.ts';

export interface Distribution {
  readonly name: string;
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
