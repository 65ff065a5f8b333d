/** What arrives of each workload: when, of which function, and what it does. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../src/sim/engine/random.ts';
import { parseWorkload, SpecError } from '../../src/sim/spec.ts';
import { Arrival, type Workload } from '../../src/sim/workload.ts';
import { AliasTable } from '../../src/sim/workloads/alias-table.ts';
import {
  boundedPareto,
  type Distribution,
  gamma,
  logNormal,
  quantiles,
} from '../../src/sim/workloads/distributions.ts';
import { WORKLOADS } from '../../src/sim/workloads/index.ts';
import { normalCdf, normalQuantile } from '../../src/sim/workloads/normal.ts';
import { PLAIN_FUNCTION } from '../../src/sim/workload.ts';
import { runs } from '../../src/sim/workloads/programs.ts';
import { renewal } from '../../src/sim/workloads/renewal.ts';

const RATE_PER_US = 1e-3;

interface Seen {
  readonly timesUs: number[];
  readonly functions: number[];
  readonly runUs: number[];
  readonly sleepUs: number[];
}

function first(workload: Workload, count: number, { seed = 1, ratePerUs = RATE_PER_US } = {}): Seen {
  const arrivals = workload.start(ratePerUs, new Random(seed, 0));
  const arrival = new Arrival(workload.phaseMax);
  const seen: Seen = { timesUs: [], functions: [], runUs: [], sleepUs: [] };
  for (let i = 0; i < count && arrivals.next(arrival); i++) {
    const phases = [...arrival.phasesUs.subarray(0, arrival.phaseCount)];
    assert.equal(phases.length % 2, 1);
    seen.timesUs.push(arrival.timeUs);
    seen.functions.push(arrival.functionIndex);
    seen.runUs.push(sum(phases.filter((_, phase) => phase % 2 === 0)));
    seen.sleepUs.push(sum(phases.filter((_, phase) => phase % 2 === 1)));
  }
  return seen;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function mean(values: readonly number[]): number {
  return sum(values) / values.length;
}

/** Standard deviation over mean. */
function variation(values: readonly number[]): number {
  const middle = mean(values);
  return Math.sqrt(mean(values.map((value) => (value - middle) ** 2))) / middle;
}

function near(value: number, expected: number, share: number): void {
  assert.ok(Math.abs(value - expected) <= share * Math.abs(expected), `${value} is not ${expected} ± ${share * 100} %`);
}

function gaps(timesUs: readonly number[]): number[] {
  return timesUs.slice(1).map((time, i) => time - timesUs[i]!);
}

/** The CPU time of an arrival with the steps that follow it, on all of its cores. */
function demandOf(workload: Workload, count: number): number {
  const arrivals = workload.start(RATE_PER_US, new Random(5, 0));
  const arrival = new Arrival(workload.phaseMax);
  let demandUs = 0;
  const add = (): void => {
    for (let phase = 0; phase < arrival.phaseCount; phase += 2) {
      demandUs += arrival.phasesUs[phase]! * workload.functions[arrival.functionIndex]!.coreCount;
    }
  };
  for (let i = 0; i < count; i++) {
    arrivals.next(arrival);
    add();
    for (;;) {
      const { next } = workload.functions[arrival.functionIndex]!;
      if (next < 0) break;
      arrival.functionIndex = next;
      arrivals.step(next, arrival);
      add();
    }
  }
  return demandUs / count;
}

const BUILT_IN = WORKLOADS.filter(({ options }) => !('path' in options) && !('invocations' in options));

for (const { name } of BUILT_IN) {
  test(`${name}: one seed, the same arrivals, none before the one before it`, () => {
    const workload = parseWorkload(name);
    const seen = first(workload, 2000);
    assert.deepEqual(first(parseWorkload(name), 2000), seen);
    assert.notDeepEqual(first(workload, 2000, { seed: 2 }), seen);
    assert.ok(gaps(seen.timesUs).every((gap) => gap >= 0));
    assert.ok(seen.functions.every((index) => workload.functions[index] !== undefined));
    assert.ok([...seen.runUs, ...seen.sleepUs].every((us) => us >= 0));
  });
}

// Light tails only: of the others, a mean is not seen in so few.
for (const text of [
  'exponential',
  'deterministic',
  'bimodal',
  'lognormal:sigma=1',
  'pareto:alpha=3',
  'bursts:mean=7,every=0.1,n=10',
  'sleepy:share=20',
  'sleepy:share=80,sleeps=1',
  'chains:length=7,sleep=3',
  'chains:length=2,chains=3',
  'multicore:cores=4,share=0.3',
  'azure2019:cut=2,gaps=poisson',
  'azure2019:cut=2,gaps=poisson,chains=yes',
]) {
  test(`${text}: what arrives is as much work as it says`, () => {
    const workload = parseWorkload(text);
    near(demandOf(workload, 50_000), workload.meanDemandUs, 0.04);
  });
}

test('arrivals come at the rate that is asked for', () => {
  for (const text of ['exponential', 'sleepy', 'chains', 'azure2019:gaps=poisson', 'bursts:every=0.1,n=10']) {
    const { timesUs } = first(parseWorkload(text), 50_000);
    near(timesUs.length / timesUs.at(-1)!, RATE_PER_US, 0.02);
  }
});

test('functions that are all alike are invoked equally, or as Zipf says', () => {
  const count = 60_000;
  const shareOf = (text: string, index: number): number =>
    first(parseWorkload(text), count).functions.filter((each) => each === index).length / count;
  near(shareOf('exponential:functions=10', 3), 0.1, 0.06);
  const harmonic = sum([1, 1 / 2, 1 / 3, 1 / 4]);
  near(shareOf('exponential:functions=4,skew=1', 0), 1 / harmonic, 0.04);
  near(shareOf('exponential:functions=4,skew=1', 3), 1 / 4 / harmonic, 0.06);
});

test('an alias table draws in proportion, and nobody of weight 0', () => {
  const random = new Random(3, 0);
  for (const weights of [[1], [0, 5, 0], [1, 2, 3, 4], [1e-9, 1, 1e9], [0, 0.1, 0.2, 0, 0.3]]) {
    const table = new AliasTable(weights);
    const counts = weights.map(() => 0);
    const drawn = 100_000;
    for (let i = 0; i < drawn; i++) counts[table.draw(random)]!++;
    for (const [i, weight] of weights.entries()) {
      const share = weight / sum(weights);
      assert.ok(Math.abs(counts[i]! / drawn - share) < 0.006, `${counts[i]} of ${drawn}, ${share}`);
      if (weight === 0) assert.equal(counts[i], 0);
    }
  }
});

test('sleepers sleep for their share, as often as they are told', () => {
  for (const share of [20, 50, 80]) {
    const { runUs, sleepUs } = first(parseWorkload(`sleepy:share=${share},sleeps=3,mean=10`), 50_000);
    near(mean(sleepUs) / (mean(sleepUs) + mean(runUs)), share / 100, 0.02);
    near(mean(runUs), 10_000, 0.02);
  }
  const workload = parseWorkload('sleepy:sleeps=3');
  assert.equal(workload.phaseMax, 7);
});

test('chains: the steps follow each other, and only first ones arrive by themselves', () => {
  const workload = parseWorkload('chains:length=3,chains=2');
  assert.deepEqual(
    workload.functions.map(({ next }) => next),
    [1, 2, -1, 4, 5, -1],
  );
  assert.deepEqual(new Set(first(workload, 1000).functions), new Set([0, 3]));
});

test('bursts: so many at once, every so often, and the rest of the load between them', () => {
  const workload = parseWorkload('bursts:n=100,every=1');
  const { timesUs, functions } = first(workload, 5000, { ratePerUs: 200e-6 });
  const burst = timesUs.filter((_, i) => functions[i] === 1);
  assert.deepEqual(new Set(burst.slice(0, 300)), new Set([1e6, 2e6, 3e6]));
  near(functions.filter((each) => each === 0).length / functions.length, 0.5, 0.1);
  const alone = first(workload, 250, { ratePerUs: workload.ownRate! });
  assert.deepEqual(new Set(alone.functions), new Set([1]));
  assert.throws(() => workload.start(50e-6, new Random(1, 0)), SpecError);
});

test('multicore: some functions want several cores', () => {
  const workload = parseWorkload('multicore:cores=3,share=0.25');
  assert.deepEqual(
    workload.functions.map(({ coreCount }) => coreCount),
    [1, 3],
  );
  near(first(workload, 40_000).functions.filter((each) => each === 1).length / 40_000, 0.25, 0.04);
});

test('log-normal: the median is exp(mu), and nothing takes longer than the cut', () => {
  const { runUs } = first(parseWorkload('lognormal'), 50_000);
  near(runUs.toSorted((a, b) => a - b)[25_000]!, Math.exp(-0.38) * 1e6, 0.06);
  assert.equal(Math.max(...runUs), 600e6);
});

const LAWS: Distribution[] = [
  logNormal(3, 1, 50),
  logNormal(3, 0, 1e9),
  boundedPareto(1, 2, 500),
  boundedPareto(1.5, 2, 500),
  boundedPareto(0.7, 2, 500),
  quantiles([
    [0, 2],
    [0.5, 20],
    [0.9, 20],
    [1, 100],
  ]),
];
for (const law of LAWS) {
  test(`${law.name}: the mean is what is drawn`, () => {
    const random = new Random(9, 0);
    near(mean(Array.from({ length: 200_000 }, () => law.draw(random))), law.mean, 0.025);
  });
}

test('the normal distribution, by what every table says', () => {
  near(normalCdf(1.959964), 0.975, 1e-6);
  near(normalCdf(-3), 0.0013499, 1e-5);
  assert.equal(normalCdf(0), 0.5);
  assert.equal(normalCdf(40), 1);
  for (const share of [0.001, 0.3, 0.5, 0.99]) near(normalCdf(normalQuantile(share)), share, 1e-9);
});

for (const cv of [0, 0.5, 1, 2, 5]) {
  test(`gaps vary as they are told: ${cv}`, () => {
    const member = { shape: PLAIN_FUNCTION, program: runs(LAWS[0]!), weight: 1, gapCv: cv };
    const { timesUs } = first(renewal('r', [member]), 100_000);
    near(mean(gaps(timesUs)), 1 / RATE_PER_US, 0.06);
    assert.ok(Math.abs(variation(gaps(timesUs)) - cv) <= 0.06 * cv + 1e-9, `${variation(gaps(timesUs))}`);
  });

  test(`a process is under way at time 0, with gaps that vary by ${cv}`, () => {
    // As many in the first gaps as in any others: from the start, it is in its steady state.
    const count = 40_000;
    const members = Array.from({ length: count }, () => ({
      shape: PLAIN_FUNCTION,
      program: runs(LAWS[0]!),
      weight: 1,
      gapCv: cv,
    }));
    const { timesUs } = first(renewal('r', members), count / 4, { ratePerUs: 1 });
    near(timesUs.at(-1)!, count / 4, 0.1);
  });
}

test('gamma: mean and variance are the shape', () => {
  const random = new Random(2, 0);
  for (const shape of [0.3, 1, 4]) {
    const drawn = Array.from({ length: 100_000 }, () => gamma(random, shape));
    near(mean(drawn), shape, 0.02);
    near(variation(drawn), 1 / Math.sqrt(shape), 0.03);
  }
});

test('azure2019: the published statistics, who has which of them by the draw', () => {
  const workload = parseWorkload('azure2019:functions=2000');
  const memory = workload.functions.map(({ memoryMb }) => memoryMb).toSorted((a, b) => a - b);
  assert.deepEqual([memory[1000], memory[1899]], [140, 240]);
  assert.deepEqual(parseWorkload('azure2019:functions=2000').functions, workload.functions);
  assert.notDeepEqual(parseWorkload('azure2019:functions=2000,draw=2').functions, workload.functions);
  const { functions } = first(workload, 20_000, { ratePerUs: 1 });
  const counts = new Map<number, number>();
  for (const index of functions) counts.set(index, (counts.get(index) ?? 0) + 1);
  const top = [...counts.values()].toSorted((a, b) => b - a).slice(0, 20);
  assert.ok(sum(top) / functions.length > 0.75, 'the topmost hundredth makes most of the invocations');
});

test('azure2019: what is within a function, and what is between them', () => {
  const spread = (within: number): number => {
    const workload = parseWorkload(`azure2019:functions=100,gaps=poisson,within=${within},cut=1000000000`);
    const arrivals = workload.start(1, new Random(1, 0));
    const arrival = new Arrival(1);
    const logs = Array.from({ length: 4000 }, (_, i) => {
      arrivals.step(i % 2, arrival);
      return Math.log(arrival.phasesUs[0]!);
    });
    const ofFirst = logs.filter((_, i) => i % 2 === 0);
    return Math.sqrt(mean(ofFirst.map((log) => (log - mean(ofFirst)) ** 2)));
  };
  assert.ok(spread(0) < 1e-6);
  near(spread(1), 2.36, 0.06);
  near(spread(0.25), 1.18, 0.06);
});

test('azure2019: applications as chains have as many functions as published', () => {
  const { functions } = parseWorkload('azure2019:functions=1000,chains=yes');
  const first = functions.filter((_, i) => !functions.some(({ next }) => next === i)).length;
  assert.equal(first, 1000);
  assert.ok(functions.length > 2200 && functions.length < 2900, `${functions.length}`);
});

test('options that do not fit are told', () => {
  for (const text of ['pareto:low=5,high=5', 'sleepy:sleeps=1.5', 'chains:length=1000,chains=1000', 'nothing']) {
    assert.throws(() => parseWorkload(text), SpecError);
  }
});
