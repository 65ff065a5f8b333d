/** Closed forms against what is printed of them, and the simulator against the closed forms: a small part of `perch sim theory`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../src/sim/engine/random.ts';
import { simulate } from '../../src/sim/simulate.ts';
import { parseWorkload, setupOf } from '../../src/sim/spec.ts';
import {
  allChecks,
  centralQueue,
  type Check,
  firstCome,
  foregroundBackground,
  processorSharing,
  separateQueues,
  sharedByKernel,
  specsOf,
  takingTurns,
} from '../../src/sim/theory/checks.ts';
import { erlangB, erlangC, waitMeanOf, waitQuantileOf } from '../../src/sim/theory/erlang.ts';
import {
  bimodalLaw,
  deterministicLaw,
  exponentialLaw,
  type Law,
  paretoLaw,
  type SmoothLaw,
} from '../../src/sim/theory/laws.ts';
import {
  meanOver,
  responseForegroundBackground,
  responseMeanForegroundBackground,
  slowdownForegroundBackground,
  waitMeanFirstCome,
} from '../../src/sim/theory/single-server.ts';
import { argumentsOf, type Verdict, verdictsOf } from '../../src/sim/theory/verdicts.ts';
import { Arrival } from '../../src/sim/workload.ts';

function near(value: number, expected: number, share = 1e-9): void {
  assert.ok(Math.abs(value - expected) <= share * Math.abs(expected), `${value} is not ${expected}`);
}

test('Erlang B and C, by the tables', () => {
  near(erlangB(1, 0.5), 1 / 3);
  near(erlangB(2, 1), 0.2);
  near(erlangB(10, 5), 0.018385, 1e-4);
  near(erlangC(1, 0.7), 0.7);
  near(erlangC(2, 0.5), 1 / 3);
  // 20 cores at 0.9, by the sum that defines it.
  const offered = 18;
  const terms = Array.from({ length: 20 }, (_, k) => offered ** k / factorial(k));
  const last = offered ** 20 / factorial(20) / (1 - 0.9);
  near(erlangC(20, 0.9), last / (terms.reduce((sum, term) => sum + term, 0) + last));
});

function factorial(n: number): number {
  return n < 2 ? 1 : n * factorial(n - 1);
}

test('Erlang C of 640 and of 640,000 cores is a number between 0 and 1, that grows with the load', () => {
  for (const cores of [640, 640_000]) {
    let before = 0;
    for (const load of [0.5, 0.8, 0.9, 0.95, 0.99, 0.9999]) {
      const share = erlangC(cores, load);
      assert.ok(share >= before && share < 1, `${share}`);
      before = share;
    }
    assert.ok(before > 0.5);
  }
});

test('M/M/n: mean wait and its percentiles', () => {
  near(waitMeanOf(1, 0.8), 4);
  near(waitQuantileOf(1, 0.8, 0.99), Math.log(80) / 0.2);
  assert.equal(waitQuantileOf(16, 0.5, 0.5), 0);
  // The area above all percentiles is the mean.
  const stepCount = 200_000;
  let sum = 0;
  for (let i = 0; i < stepCount; i++) sum += waitQuantileOf(16, 0.8, (i + 0.5) / stepCount);
  near(sum / stepCount, waitMeanOf(16, 0.8), 1e-3);
});

const SMOOTH: SmoothLaw[] = [exponentialLaw(2), paretoLaw(1.5, 1, 1e4), paretoLaw(1.1, 2, 500), paretoLaw(3, 1, 50)];
const LAWS: Law[] = [...SMOOTH, deterministicLaw(3), bimodalLaw(1, 10, 0.1)];

for (const law of LAWS) {
  test(`${law.workload}: theory and the workload have the same mean`, () => {
    near(parseWorkload(law.workload).meanDemandUs, law.mean * 1e3, 1e-12);
  });
}

for (const law of SMOOTH) {
  test(`${law.workload}: moments of what is broken off, as drawn and as integrated`, () => {
    const arrivals = parseWorkload(law.workload).start(1, new Random(4, 0));
    const arrival = new Arrival(1);
    const drawn = Array.from({ length: 200_000 }, () => {
      arrivals.next(arrival);
      return arrival.phasesUs[0]! / 1e3;
    });
    for (const x of [0.5, 1.5, 4, 20]) {
      const cut = drawn.map((value) => Math.min(value, x));
      near(cut.reduce((sum, value) => sum + value, 0) / cut.length, law.cutMean(x), 0.01);
      near(cut.reduce((sum, value) => sum + value ** 2, 0) / cut.length, law.cutSquare(x), 0.02);
      near(
        meanOver(law, (value) => Math.min(value, x)),
        law.cutMean(x),
        1e-5,
      );
      near(law.above(law.shareAbove(3)), 3, 1e-9);
    }
    near(
      meanOver(law, (value) => value),
      law.mean,
      1e-6,
    );
    near(
      meanOver(law, (value) => value ** 2),
      law.square,
      1e-5,
    );
  });
}

test('Pollaczek and Khinchine: deterministic runs wait half as long as exponential ones', () => {
  near(waitMeanFirstCome(exponentialLaw(1), 0.8), 4);
  near(waitMeanFirstCome(deterministicLaw(1), 0.8), 2);
});

test('foreground–background: what books say of it', () => {
  const law = exponentialLaw(1);
  // With exponential runs, who goes first changes nothing about how many are there: the mean response is that of M/M/1.
  near(responseMeanForegroundBackground(law, 0.8), 5, 1e-6);
  // The shortest run at once, the longest as in an empty system with the busy periods of all others.
  near(responseForegroundBackground(law, 0.8, 1e-9) / 1e-9, 1, 1e-6);
  near(responseForegroundBackground(law, 0.8, 1e6) / 1e6, 1 / (1 - 0.8), 1e-3);
  assert.ok(slowdownForegroundBackground(law, 0.8) < 5);
  // Parts of the whole come to the whole.
  const pareto = paretoLaw(1.5, 1, 1e4);
  const cuts = [0, 10, 100, Infinity];
  const parts = cuts.slice(1).map((to, i) => {
    const share = pareto.shareAbove(cuts[i]!) - (to === Infinity ? 0 : pareto.shareAbove(to));
    return share * slowdownForegroundBackground(pareto, 0.8, cuts[i], to);
  });
  near(
    parts.reduce((sum, part) => sum + part, 0),
    slowdownForegroundBackground(pareto, 0.8),
    1e-4,
  );
});

test('the check has what it is asked to have: three sizes at five loads, and the argument of the first paper', () => {
  const queues = allChecks().map(({ queue, load }) => `${queue} at ${load}`);
  const setups = allChecks().map(({ queue, load, policy }) => `${queue} at ${load} by ${policy}`);
  assert.equal(new Set(setups).size, setups.length);
  for (const cores of [1, 16, 640]) {
    for (const load of [0.5, 0.7, 0.8, 0.9, 0.95]) assert.ok(queues.includes(`M/M/${cores} at ${load}`));
  }
});

const SMALL = 0.04;
const SEEDS = 4;

function simulated(check: Check): Verdict[] {
  return verdictsOf(
    check,
    specsOf(check, SMALL, SEEDS).map((spec) => simulate(setupOf(spec))),
    check.figures.length,
  );
}

/** Few seeds and short runs: twice their interval, or a few percent. */
const ABOUT_SHARE = 0.04;
const ABOUT_WIDTHS = 2;

const SMALL_CHECKS: Check[] = [
  centralQueue(1, 0.5),
  centralQueue(16, 0.8),
  centralQueue(640, 0.5),
  separateQueues(16, 0.7),
  firstCome('M/D/1', deterministicLaw(1), 0.5),
  processorSharing(exponentialLaw(1), 0.5),
  foregroundBackground(exponentialLaw(1), 0.5),
  sharedByKernel(exponentialLaw(1), 0.5),
  takingTurns(16, 0.8),
  foregroundBackground(paretoLaw(1.5, 1, 1e4), 0.5, [['< 10 ms', 0, 10]]),
];
for (const check of SMALL_CHECKS) {
  test(`${check.queue} at a load of ${check.load}, simulated by ${check.policy}`, () => {
    for (const verdict of simulated(check)) {
      const { figure, theory, simulated: seen, halfWidth } = verdict;
      const about = Math.max(ABOUT_SHARE * theory, ABOUT_WIDTHS * halfWidth!, 1e-6);
      assert.ok(Math.abs(seen - theory) <= about, `${figure}: ${seen} instead of ${theory} ± ${halfWidth}`);
    }
  });
}

test('a queue each or one for all: the pairs are found', () => {
  const verdicts = [centralQueue(16, 0.7), separateQueues(16, 0.7), separateQueues(4, 0.7)].flatMap((check) =>
    simulated({ ...check, jobCount: 1e5 }),
  );
  const [pair, ...others] = argumentsOf(verdicts);
  assert.equal(others.length, 0);
  assert.ok(pair!.separate.simulated > 20 * pair!.central.simulated);
});

test('what lies outside the interval of one figure may lie within that of many', () => {
  const check = centralQueue(1, 0.5);
  const results = specsOf(check, 0.001, 4).map((spec) => simulate(setupOf(spec)));
  // The mean is 2.5 and the standard error 0.65: the interval's half-width is 2.05, and that of one among 20 figures 6.11.
  const of = (theory: number) => ({
    ...check,
    figures: [{ name: 'f', unit: 'ms' as const, theory, of: ({ seed }: { seed: number }) => seed }],
  });
  const verdicts = [2.49, 4.5, 6, 9].map((theory) => verdictsOf(of(theory), results, 20)[0]!.verdict);
  assert.deepEqual(verdicts, ['within 1 %', 'within the interval', 'outside 95 %', 'differs']);
});

test('one core, first come first served: by the recursion of Lindley, on the same random numbers', () => {
  const [spec] = specsOf(centralQueue(1, 0.8), 0.01, 1);
  const { waitUs } = simulate(setupOf(spec!));
  const random = new Random(spec!.seed, 0);
  const warmUpUs = spec!.warmUpSeconds * 1e6;
  const endUs = warmUpUs + spec!.seconds * 1e6;
  let [timeUs, runUs, waitingUs, sum, count] = [0, 0, 0, 0, 0];
  for (;;) {
    const gapUs = (random.exponential() * 1000) / 0.8;
    timeUs += gapUs;
    if (timeUs >= endUs) break;
    waitingUs = Math.max(0, waitingUs + runUs - gapUs);
    runUs = random.exponential() * 1000;
    if (timeUs < warmUpUs) continue;
    sum += waitingUs;
    count++;
  }
  assert.equal(waitUs.count, count);
  near(waitUs.mean, sum / count, 1e-9);
});

test('what differs is told so, and what is next to nothing is not judged by percents', () => {
  const check = centralQueue(640, 0.5);
  const results = specsOf(check, 0.001, 3).map((spec) => simulate(setupOf(spec)));
  const figure = { name: 'wrong', unit: 'ms' as const, theory: 2, of: () => 1 };
  const judged = verdictsOf({ ...check, figures: [...check.figures, figure] }, results, 2);
  assert.deepEqual(
    judged.map(({ verdict }) => verdict),
    ['nothing', 'differs'],
  );
});
