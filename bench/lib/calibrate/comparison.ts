/**
 * The platform beside its simulation: the same invocations on both. Rounds of the workloads take turns; each round begins on an empty platform, with
 * an open loop and then a burst, of which all is sent at once. The simulator is given the CPU time of handlers, and has nobody else on its cores.
 * So it is simulated a second time, with how long handlers took by the clock: what is off then is the simulator's, not the neighbours'.
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
const ROUND_SECONDS = 5;
const BURST_COUNT = 20;
const BLOCK_US = 1e6;
const WITHIN = 0.15;
const SEED = 11;

/** One round: what was seen, and what the simulation makes of it. */
interface Round {
  readonly seen: readonly SeenInvocation[];
  readonly simulatedUs: readonly number[];
  /** The same, each handler as long as it took by the clock. */
  readonly clockedUs: readonly number[];
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
    else rounds.push(roundOf(seen, coreCount, costs));
  }
}

function roundOf(seen: readonly SeenInvocation[], coreCount: number, costs: Costs): Round {
  const clocked = seen.map(({ sentUs, beganUs, endedUs }) => ({ sentUs, demandUs: endedUs - beganUs }));
  return {
    seen,
    simulatedUs: simulatedLatenciesUs(seen, coreCount, costs),
    clockedUs: simulatedLatenciesUs(clocked, coreCount, costs),
  };
}

function figuresOf({ name, load }: CalibrationWorkload, { open, bursts, leftOutCount }: Runs): Figure[] {
  const title = `${name} at ${load}`;
  const leftOut: Figure = { name: `${title}, rounds left out, since some were refused`, value: leftOutCount, unit: '' };
  if (open.length === 0 || bursts.length === 0) return [{ ...leftOut, bar: 'at most half', met: false }];
  const pairs = open.flatMap((round, index) => pairsOf(round, round.simulatedUs, index));
  const clocked = open.flatMap((round, index) => pairsOf(round, round.clockedUs, index));
  const quantiles = ([0.5, 0.99] as const).flatMap((share) => {
    const both = compareQuantiles(pairs, share);
    const byTheClock = compareQuantiles(clocked, share).simulated;
    return beside(`${title}, p${share * 100}`, 'ms', { ...both, byTheClock, factor: 1e-3 });
  });
  return [
    ...quantiles,
    ...rateFigures(`${title}, answers in a second`, open),
    ...rateFigures(`${title}, answers in a second of a burst`, bursts),
    { name: `${title}, of a core's time others had while a handler ran`, value: takenPercent(open), unit: '%' },
    leftOut,
  ];
}

function pairsOf({ seen }: Round, simulatedUs: readonly number[], round: number): Pair[] {
  return seen.map(({ sentUs, latencyUs }, index) => ({
    block: round * 1e6 + Math.floor(sentUs / BLOCK_US),
    measuredUs: latencyUs,
    simulatedUs: simulatedUs[index]!,
  }));
}

function rateFigures(name: string, rounds: readonly Round[]): Figure[] {
  const rates = (latenciesOf: (round: Round) => readonly number[]): number[] =>
    rounds.map((round) => rateOf(round.seen, latenciesOf(round)));
  const { mean, halfWidth } = confidenceOf(rates(({ seen }) => seen.map(({ latencyUs }) => latencyUs)));
  return beside(name, '/s', {
    measured: mean,
    measuredInterval: { low: mean - (halfWidth ?? 0), high: mean + (halfWidth ?? 0) },
    simulated: confidenceOf(rates(({ simulatedUs }) => simulatedUs)).mean,
    byTheClock: confidenceOf(rates(({ clockedUs }) => clockedUs)).mean,
    factor: 1,
  });
}

/** From the first one's sending to the last answer. */
function rateOf(seen: readonly SeenInvocation[], latenciesUs: readonly number[]): number {
  const endUs = Math.max(...seen.map(({ sentUs }, index) => sentUs + latenciesUs[index]!));
  return (seen.length * 1e6) / (endUs - seen[0]!.sentUs);
}

interface Compared {
  readonly measured: number;
  /** 95 %. */
  readonly measuredInterval: Interval;
  readonly simulated: number;
  readonly byTheClock: number;
  /** Into the unit. */
  readonly factor: number;
}

/** The measured figure with its confidence interval, and the simulated ones over it. */
function beside(name: string, unit: string, compared: Compared): Figure[] {
  const { measured, measuredInterval, simulated, byTheClock, factor } = compared;
  const [min, max] = [measuredInterval.low * factor, measuredInterval.high * factor];
  const seen: Figure = { name: `${name}, measured`, unit, value: measured * factor, min, max };
  const other = compare({ name: `${name}, simulated`, unit, value: simulated * factor }, seen);
  const isWithin = Math.abs(other.ratio! - 1) <= WITHIN || (other.value >= min && other.value <= max);
  const clocked = {
    name: `${name}, simulated with handlers as long as by the clock`,
    unit,
    value: byTheClock * factor,
  };
  return [seen, { ...other, bar: `within ${WITHIN * 100} % or the interval`, met: isWithin }, compare(clocked, seen)];
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
