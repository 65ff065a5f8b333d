/**
 * The platform beside its simulation: the same invocations on both. Rounds of the workloads take turns; each round begins on an empty platform, with
 * an open loop and then a burst, of which all is sent at once. What others took of the cores is said, since the simulator has nobody else on them.
 */
import type { Costs } from '../../../src/sim/costs.ts';
import { Random } from '../../../src/sim/engine/random.ts';
import { confidenceOf } from '../../../src/sim/measure/confidence.ts';
import { type BenchOptions, compare, type Figure, median } from '../report.ts';
import { compareQuantiles, type Interval, type Pair } from './confidence.ts';
import type { SeenInvocation } from './load.ts';
import { CalibratedPlatform } from './platform.ts';
import { simulatedLatenciesUs } from './replay.ts';
import { burstOf, CALIBRATION_WORKLOADS, type CalibrationWorkload, openLoopOf } from './workloads.ts';

const ROUNDS = 4;
const ROUND_SECONDS = 5.2;
const BURST_COUNT = 30;
const BLOCK_US = 1e6;
const WITHIN = 0.15;
const SEED = 11;

/** One round: what was seen, and what the simulation makes of it. */
interface Round {
  readonly seen: readonly SeenInvocation[];
  readonly simulatedUs: readonly number[];
}

class Runs {
  readonly open: Round[] = [];
  readonly bursts: Round[] = [];
  leftOutCount = 0;
}

export async function compareWithPlatform(costs: Costs, { smoke }: BenchOptions): Promise<readonly Figure[]> {
  // All parts of the platform are one process here: what is a message elsewhere is a call.
  const inOneProcess: Costs = { ...costs, networkUs: 0 };
  const workloads = smoke ? CALIBRATION_WORKLOADS.map((each) => ({ ...each, load: 0.2 })) : CALIBRATION_WORKLOADS;
  const runs = new Map(workloads.map((workload) => [workload, new Runs()]));
  const platform = await CalibratedPlatform.start();
  try {
    await platform.warmUp(smoke);
    for (let round = 0; round < (smoke ? 1 : ROUNDS); round++)
      for (const [workload, of] of runs) await playRound({ workload, platform, costs: inOneProcess, round, smoke }, of);
  } finally {
    await platform.stop();
  }
  return [...runs].flatMap(([workload, of]) => figuresOf(workload, of));
}

interface RoundSetup {
  readonly workload: CalibrationWorkload;
  readonly platform: CalibratedPlatform;
  readonly costs: Costs;
  readonly round: number;
  readonly smoke: boolean;
}

async function playRound({ workload, platform, costs, round, smoke }: RoundSetup, into: Runs): Promise<void> {
  const { coreCount } = platform;
  const random = new Random(
    SEED + round,
    CALIBRATION_WORKLOADS.findIndex(({ name }) => name === workload.name),
  );
  const plans = [
    [into.open, openLoopOf(workload, { coreCount, seconds: smoke ? 1 : ROUND_SECONDS, random })],
    [into.bursts, burstOf(workload, smoke ? 3 : BURST_COUNT * coreCount, random)],
  ] as const;
  for (const [rounds, plan] of plans) {
    const seen = await platform.play(plan);
    // A platform that is disturbed so much refuses some; the simulator has no such neighbours.
    if (seen === null || seen.length === 0) into.leftOutCount++;
    else rounds.push({ seen, simulatedUs: simulatedLatenciesUs(seen, coreCount, costs) });
  }
}

function figuresOf({ name, load }: CalibrationWorkload, { open, bursts, leftOutCount }: Runs): Figure[] {
  const title = `${name} at ${load}`;
  const leftOut: Figure = { name: `${title}, rounds left out, since some were refused`, value: leftOutCount, unit: '' };
  if (open.length === 0 || bursts.length === 0) return [{ ...leftOut, bar: 'at most half', met: false }];
  const pairs = open.flatMap((round, index) => pairsOf(round, index));
  const quantiles = (['p50', 'p99'] as const).flatMap((what) => {
    const { measured, simulated, measuredInterval } = compareQuantiles(pairs, what === 'p50' ? 0.5 : 0.99);
    return beside(`${title}, ${what}`, 'ms', { measured, simulated, interval: measuredInterval, factor: 1e-3 });
  });
  return [
    ...quantiles,
    ...rateFigures(`${title}, answers in a second`, open),
    ...rateFigures(`${title}, answers in a second of a burst`, bursts),
    { name: `${title}, of a core's time others had while a handler ran`, value: takenPercent(open), unit: '%' },
    leftOut,
  ];
}

function pairsOf({ seen, simulatedUs }: Round, round: number): Pair[] {
  return seen.map(({ sentUs, latencyUs }, index) => ({
    block: round * 1e6 + Math.floor(sentUs / BLOCK_US),
    measuredUs: latencyUs,
    simulatedUs: simulatedUs[index]!,
  }));
}

function rateFigures(name: string, rounds: readonly Round[]): Figure[] {
  const rate = (seen: readonly SeenInvocation[], latencyUs: (index: number) => number): number => {
    const endUs = Math.max(...seen.map(({ sentUs }, index) => sentUs + latencyUs(index)));
    return (seen.length * 1e6) / (endUs - seen[0]!.sentUs);
  };
  const measured = rounds.map(({ seen }) => rate(seen, (index) => seen[index]!.latencyUs));
  const simulated = rounds.map(({ seen, simulatedUs }) => rate(seen, (index) => simulatedUs[index]!));
  const { mean, halfWidth } = confidenceOf(measured);
  const interval = { low: mean - (halfWidth ?? 0), high: mean + (halfWidth ?? 0) };
  return beside(name, '/s', { measured: mean, simulated: confidenceOf(simulated).mean, interval, factor: 1 });
}

interface Both {
  readonly measured: number;
  readonly simulated: number;
  /** Of the measured one, 95 %. */
  readonly interval: Interval;
  /** Into the unit. */
  readonly factor: number;
}

/** The measured figure with its confidence interval, and the simulated one over it. */
function beside(name: string, unit: string, { measured, simulated, interval, factor }: Both): Figure[] {
  const [min, max] = [interval.low * factor, interval.high * factor];
  const seen: Figure = { name: `${name}, measured`, unit, value: measured * factor, min, max };
  const other = compare({ name: `${name}, simulated`, unit, value: simulated * factor }, seen);
  const isWithin = Math.abs(other.ratio! - 1) <= WITHIN || (other.value >= min && other.value <= max);
  return [seen, { ...other, bar: `within ${WITHIN * 100} % or the interval`, met: isWithin }];
}

/** Between begin and end of a handler, less the CPU time that it had; of the rounds their median. */
function takenPercent(rounds: readonly Round[]): number {
  return median(
    rounds.map(({ seen }) => {
      const wallUs = seen.reduce((sum, { beganUs, endedUs }) => sum + endedUs - beganUs, 0);
      const usedUs = seen.reduce((sum, each) => sum + each.usedUs, 0);
      return (1 - usedUs / wallUs) * 100;
    }),
  );
}
