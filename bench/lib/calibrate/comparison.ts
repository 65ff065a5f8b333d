/**
 * The platform beside its simulation: the same invocations on both. Rounds of the workloads take turns; each begins on an empty platform, with
 * an open loop and then a burst, of which all is sent at once. The simulator is given the CPU time of handlers, and has nobody else on its cores. So
 * rounds are left out in which others had some of the functions' cores, and others played instead while there is time; and each is simulated a
 * second time, with how long handlers took by the clock: what is off then is the simulator's, not the neighbours'.
 */
import type { Costs } from '../../../src/sim/costs.ts';
import { Random } from '../../../src/sim/engine/random.ts';
import { confidenceOf } from '../../../src/sim/measure/confidence.ts';
import { type BenchOptions, compare, type Figure, figureOf } from '../report.ts';
import { compareQuantiles, type Interval, type Pair } from './confidence.ts';
import type { SeenInvocation } from './load.ts';
import { CalibratedPlatform } from './platform.ts';
import { simulatedLatenciesUs } from './replay.ts';
import { burstOf, CALIBRATION_WORKLOADS, type CalibrationWorkload, openLoopOf } from './workloads.ts';

const ROUNDS = 4;
const ROUND_SECONDS = 5;
const BURST_COUNT = 20;
/** Between the open loop and the burst. */
const REST_US = 300_000;
/** Of the functions' cores, while handlers run. */
const TAKEN_SHARE_MAX = 0.01;
const LIMIT_SECONDS = 100;
const BLOCK_US = 1e6;
const WITHIN = 0.15;
const SEED = 11;

/** Some of a round's invocations: what was seen, and what the simulation makes of them. */
interface Part {
  readonly seen: readonly SeenInvocation[];
  readonly simulatedUs: readonly number[];
  /** The same, each handler as long as it took by the clock. */
  readonly clockedUs: readonly number[];
}

interface Round {
  readonly open: Part;
  readonly burst: Part;
  /** What others had of the cores while handlers ran. */
  readonly takenShare: number;
}

class Runs {
  readonly #rounds: Round[] = [];
  refusedCount = 0;

  add(round: Round): void {
    this.#rounds.push(round);
  }

  get quietCount(): number {
    return this.#rounds.filter(({ takenShare }) => takenShare <= TAKEN_SHARE_MAX).length;
  }

  /** Where no two are quiet, all count, and it is seen in what others had. */
  get counted(): readonly Round[] {
    if (this.quietCount < 2) return this.#rounds;
    return this.#rounds.filter(({ takenShare }) => takenShare <= TAKEN_SHARE_MAX);
  }

  get leftOutCount(): number {
    return this.#rounds.length - this.counted.length + this.refusedCount;
  }
}

export async function compareWithPlatform(
  costs: Costs,
  { smoke }: BenchOptions,
  limitSeconds = LIMIT_SECONDS,
): Promise<readonly Figure[]> {
  const limitMs = performance.now() + limitSeconds * 1000;
  const workloads = smoke ? CALIBRATION_WORKLOADS.map((each) => ({ ...each, load: 0.2 })) : CALIBRATION_WORKLOADS;
  const runs = workloads.map((workload) => ({ workload, of: new Runs() }));
  const platform = await CalibratedPlatform.start();
  try {
    await platform.warmUp(smoke);
    const lacks = (of: Runs): boolean => of.quietCount < ROUNDS && performance.now() < limitMs;
    for (let round = 0; round === 0 || (!smoke && runs.some(({ of }) => lacks(of))); round++)
      for (const { workload, of } of runs)
        if (round === 0 || lacks(of)) await playRound({ workload, platform, costs, round, smoke }, of);
  } finally {
    await platform.stop();
  }
  return runs.flatMap(({ workload, of }) => figuresOf(workload, of));
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
  const seconds = smoke ? 0.4 : ROUND_SECONDS;
  const open = openLoopOf(workload, { coreCount, seconds, random });
  const burst = burstOf(workload, smoke ? 3 : BURST_COUNT * coreCount, random);
  const burstUs = seconds * 1e6 + REST_US;
  const seen = await platform.play([...open, ...burst.map(({ demandUs }) => ({ atUs: burstUs, demandUs }))]);
  // A platform that is disturbed so much refuses some; the simulator has no such neighbours.
  if (seen === null) into.refusedCount++;
  else into.add(roundOf({ seen, openCount: open.length, coreCount, costs }));
}

interface PlayedRound {
  readonly seen: readonly SeenInvocation[];
  /** The rest is the burst. */
  readonly openCount: number;
  readonly coreCount: number;
  readonly costs: Costs;
}

/** All parts of the platform are one process here: what is a message elsewhere is a call. */
function roundOf({ seen, openCount, coreCount, costs }: PlayedRound): Round {
  const inOneProcess: Costs = { ...costs, networkUs: 0 };
  const clocked = seen.map(({ sentUs, beganUs, endedUs }) => ({ sentUs, demandUs: endedUs - beganUs }));
  const simulatedUs = simulatedLatenciesUs(seen, coreCount, inOneProcess);
  const clockedUs = simulatedLatenciesUs(clocked, coreCount, inOneProcess);
  const part = (from: number, to: number): Part => ({
    seen: seen.slice(from, to),
    simulatedUs: simulatedUs.slice(from, to),
    clockedUs: clockedUs.slice(from, to),
  });
  const ranUs = clocked.reduce((sum, { demandUs }) => sum + demandUs, 0);
  const usedUs = seen.reduce((sum, each) => sum + each.usedUs, 0);
  return { open: part(0, openCount), burst: part(openCount, seen.length), takenShare: 1 - usedUs / ranUs };
}

function figuresOf({ name, load }: CalibrationWorkload, runs: Runs): Figure[] {
  const title = `${name} at ${load}`;
  const { counted, leftOutCount } = runs;
  const leftOut: Figure = { name: `${title}, rounds left out`, value: leftOutCount, unit: '' };
  if (counted.length === 0) return [leftOut];
  const open = counted.map((round) => round.open);
  const bursts = counted.map(({ burst }) => burst);
  const pairs = open.flatMap((part, index) => pairsOf(part, part.simulatedUs, index));
  const clocked = open.flatMap((part, index) => pairsOf(part, part.clockedUs, index));
  const quantiles = ([0.5, 0.99] as const).flatMap((share) => {
    const both = compareQuantiles(pairs, share);
    const byTheClock = compareQuantiles(clocked, share).simulated;
    return beside(`${title}, p${share * 100}`, 'ms', { ...both, byTheClock, factor: 1e-3 });
  });
  const taken = counted.map(({ takenShare }) => takenShare * 100);
  return [
    ...quantiles,
    ...rateFigures(`${title}, answers in a second`, open),
    ...rateFigures(`${title}, answers in a second of a burst`, bursts),
    figureOf(`${title}, what others had of a core while handlers ran`, '%', taken),
    { name: `${title}, rounds counted`, value: counted.length, unit: '' },
    leftOut,
  ];
}

function pairsOf({ seen }: Part, simulatedUs: readonly number[], round: number): Pair[] {
  return seen.map(({ sentUs, latencyUs }, index) => ({
    block: round * 1e6 + Math.floor(sentUs / BLOCK_US),
    measuredUs: latencyUs,
    simulatedUs: simulatedUs[index]!,
  }));
}

function rateFigures(name: string, parts: readonly Part[]): Figure[] {
  const rates = (latenciesOf: (part: Part) => readonly number[]): number[] =>
    parts.map((part) => rateOf(part.seen, latenciesOf(part)));
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
