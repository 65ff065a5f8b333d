/**
 * How certain a quantile of latencies is, and its ratio to a simulated one. Invocations that follow each other waited for each other,
 * so whole blocks of time are drawn again (a block bootstrap), the measured and the simulated latency of an invocation
 * together: both had the same arrivals.
 */
import { Random } from '../../../src/sim/engine/random.ts';
import { quantile } from '../report.ts';

export interface Interval {
  readonly low: number;
  readonly high: number;
}

export interface Pair {
  /** Which block of time it belongs to. */
  readonly block: number;
  readonly measuredUs: number;
  readonly simulatedUs: number;
}

interface Comparison {
  readonly measured: number;
  readonly simulated: number;
  /** Where the measured value lies with a probability of 95 %. */
  readonly measuredInterval: Interval;
  readonly ratioInterval: Interval;
}

const DRAWS = 1000;
const OUTSIDE = 0.025;
const SEED = 1;
const STREAM = 0;

export function compareQuantiles(pairs: readonly Pair[], share: number): Comparison {
  const blocks = [...Map.groupBy(pairs, ({ block }) => block).values()];
  const random = new Random(SEED, STREAM);
  const measured: number[] = [];
  const ratios: number[] = [];
  for (let draw = 0; draw < DRAWS; draw++) {
    const drawn = Array.from(blocks, () => blocks[random.below(blocks.length)]!).flat();
    const of = quantilesOf(drawn, share);
    measured.push(of.measured);
    ratios.push(of.simulated / of.measured);
  }
  return {
    ...quantilesOf(pairs, share),
    measuredInterval: intervalOf(measured),
    ratioInterval: intervalOf(ratios),
  };
}

function quantilesOf(pairs: readonly Pair[], share: number): { measured: number; simulated: number } {
  return {
    measured: quantile(
      pairs.map(({ measuredUs }) => measuredUs),
      share,
    ),
    simulated: quantile(
      pairs.map(({ simulatedUs }) => simulatedUs),
      share,
    ),
  };
}

function intervalOf(values: readonly number[]): Interval {
  return { low: quantile(values, OUTSIDE), high: quantile(values, 1 - OUTSIDE) };
}
