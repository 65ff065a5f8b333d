/** The three workloads that are measured and simulated. Arrivals are a Poisson process. */
import type { Random } from '../../../src/sim/engine/random.ts';
import type { PlannedInvocation } from './load.ts';

export interface CalibrationWorkload {
  readonly name: string;
  /** Of the cores for functions. */
  readonly load: number;
  readonly meanUs: number;
  demandUs(random: Random): number;
}

const MEAN_US = 20_000;
/** Nine of ten short, the tenth long, the mean as with the others. */
const SHORT_US = 10_000;
const LONG_US = 110_000;
const LONG_SHARE = 0.1;

export const CALIBRATION_WORKLOADS: readonly CalibrationWorkload[] = [
  { name: 'exponential', load: 0.7, meanUs: MEAN_US, demandUs: (random) => MEAN_US * random.exponential() },
  { name: 'deterministic', load: 0.8, meanUs: MEAN_US, demandUs: () => MEAN_US },
  {
    name: 'bimodal',
    load: 0.6,
    meanUs: MEAN_US,
    demandUs: (random) => (random.unit() < LONG_SHARE ? LONG_US : SHORT_US),
  },
];

interface PlanSetup {
  readonly coreCount: number;
  readonly seconds: number;
  readonly random: Random;
}

export function openLoopOf(
  workload: CalibrationWorkload,
  { coreCount, seconds, random }: PlanSetup,
): PlannedInvocation[] {
  const gapUs = workload.meanUs / (workload.load * coreCount);
  const plan: PlannedInvocation[] = [];
  for (let atUs = gapUs * random.exponential(); atUs < seconds * 1e6; atUs += gapUs * random.exponential())
    plan.push({ atUs, demandUs: Math.round(workload.demandUs(random)) });
  return plan;
}

/** All at once: how fast the cores get through them is what the platform can serve of them. */
export function burstOf(workload: CalibrationWorkload, count: number, random: Random): PlannedInvocation[] {
  return Array.from({ length: count }, () => ({ atUs: 0, demandUs: Math.round(workload.demandUs(random)) }));
}
