/**
 * A workload from published statistics of Azure Functions in July 2019, without the trace itself.
 *
 * The percentiles, and where they are from: src/sim/workloads/azure-2019-statistics.ts.
 *
 * An application is one function here. What is drawn independently of each other, as the joint distribution is not
 * published: rate, burstiness, duration, memory. Applications above the 95th percentile of the rate are drawn at it:
 * they are warm under any rule, and would be nearly all of the events. Gaps between invocations are
 * gamma-distributed with the application's mean and coefficient of variation; 0 is a timer.
 *
 * What a cold start costs is not in the data. It is an assumption: `varied` draws it between 50 ms and 5 s, each
 * factor of ten as likely as the other; `equal` gives all functions the mean of that.
 */
import { Prng } from '../../src/base/prng.ts';
import { DURATION_MS, GAP_CV, MEMORY_MB, PER_DAY, TIMER_SHARE } from '../../src/sim/workloads/azure-2019-statistics.ts';
import { quantileAt } from '../../src/sim/workloads/distributions.ts';
import { type Workload, type WorkloadFunction, workloadOf } from './workload.ts';

const INIT_MIN_MS = 50;
const INIT_MAX_MS = 5000;
/** Of what is drawn log-uniformly between the two. */
const INIT_MEAN_MS = (INIT_MAX_MS - INIT_MIN_MS) / Math.log(INIT_MAX_MS / INIT_MIN_MS);

const DAY_MS = 86_400_000;

export interface AzureOptions {
  readonly seed: number;
  readonly functionCount: number;
  readonly seconds: number;
  readonly initCost: 'varied' | 'equal';
}

/** The same options give the same workload. */
export function azureWorkload({ seed, functionCount, seconds, initCost }: AzureOptions): Workload {
  const prng = new Prng(seed);
  const functions: WorkloadFunction[] = [];
  const arrivals: number[][] = [];
  for (let index = 0; index < functionCount; index++) {
    const varied = INIT_MIN_MS * (INIT_MAX_MS / INIT_MIN_MS) ** prng.unit();
    functions.push({
      memoryMb: Math.round(quantileAt(MEMORY_MB, prng.unit())),
      durationMs: quantileAt(DURATION_MS, prng.unit()),
      initMs: initCost === 'varied' ? varied : INIT_MEAN_MS,
    });
    const gapMs = DAY_MS / quantileAt(PER_DAY, prng.unit());
    const share = prng.unit();
    const cv = share < TIMER_SHARE ? 0 : quantileAt(GAP_CV, share);
    arrivals.push(arrivalsOf(prng, gapMs, { cv, untilMs: seconds * 1000 }));
  }
  return workloadOf(functions, seconds, arrivals);
}

/** Turned round by a random offset: what is drawn begins with an arrival, and bursty functions with a burst, all at once. */
function arrivalsOf(prng: Prng, gapMs: number, { cv, untilMs }: { cv: number; untilMs: number }): number[] {
  const gap = (): number => (cv === 0 ? gapMs : gapMs * cv * cv * gamma(prng, 1 / (cv * cv)));
  const offsetMs = prng.unit() * untilMs;
  const times: number[] = [];
  for (let time = prng.unit() * gap(); time < untilMs; time += gap()) times.push((time + offsetMs) % untilMs);
  return times;
}

/** Gamma-distributed with scale 1 (Marsaglia and Tsang, 2000; for shapes below 1 their remark on U^(1/shape)). */
function gamma(prng: Prng, shape: number): number {
  if (shape < 1) return gamma(prng, shape + 1) * prng.unit() ** (1 / shape);
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = normal(prng);
    const v = (1 + c * x) ** 3;
    if (v > 0 && Math.log(1 - prng.unit()) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v;
  }
}

/** Box and Muller. */
function normal(prng: Prng): number {
  return Math.sqrt(-2 * Math.log(1 - prng.unit())) * Math.cos(2 * Math.PI * prng.unit());
}
