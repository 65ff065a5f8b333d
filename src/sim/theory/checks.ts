/**
 * What is known of a queue on paper, beside the same queue in the simulator. A check is one set-up, simulated from several seeds, and the figures that
 * theory has for it. Each seed's run is long enough for the queue to forget how it began, many times over.
 */
import { FREE } from '../costs.ts';
import type { Result } from '../measure/result.ts';
import type { SimulationSpec } from '../spec.ts';
import { erlangC, waitMeanOf, waitQuantileOf } from './erlang.ts';
import { bimodalLaw, deterministicLaw, exponentialLaw, type Law, paretoLaw, type SmoothLaw } from './laws.ts';
import {
  responseMeanForegroundBackground,
  slowdownForegroundBackground,
  slowdownProcessorSharing,
  waitMeanFirstCome,
} from './single-server.ts';

interface Figure {
  readonly name: string;
  readonly unit: 'ms' | 'x';
  readonly theory: number;
  readonly of: (result: Result) => number;
}

export interface Check {
  /** As in books: M/M/16. */
  readonly queue: string;
  readonly policy: string;
  readonly workload: string;
  readonly servers: number;
  readonly cores: number;
  readonly load: number;
  /** Invocations that are counted, of all seeds. */
  readonly jobCount: number;
  /** Mean CPU time of an invocation. */
  readonly meanMs: number;
  readonly figures: readonly Figure[];
}

const SEED_COUNT = 10;
const LOADS = [0.5, 0.7, 0.8, 0.9, 0.95] as const;
/** Counted invocations at a load: for most figures, enough to see 1 %. The nearer to 1, the longer a queue remembers. */
const JOB_COUNTS: Readonly<Record<number, number>> = { 0.5: 4e6, 0.7: 8e6, 0.8: 32e6, 0.9: 24e6, 0.95: 32e6 };
/** Where next to nobody waits, it takes more of them to see it. */
const MANY_CORES = 640;
const MANY_CORES_FACTOR = 3;
const SERVER_CORES = 32;
/** Over the time in which a queue forgets: what is left then of how it began is far below what the seeds differ by. */
const WARM_UP_FACTOR = 3;

const EXPONENTIAL = exponentialLaw(1);
/** 1 ms to 10 s: the square of its coefficient of variation is 33. */
const PARETO = paretoLaw(1.5, 1, 1e4);
const BIMODAL = bimodalLaw(1, 10, 0.1);

const waitMean = (theory: number): Figure => ({
  name: 'mean wait',
  unit: 'ms',
  theory,
  of: ({ waitUs }) => waitUs.mean / 1e3,
});

const slowdownMean = (theory: number): Figure => ({
  name: 'mean slowdown',
  unit: 'x',
  theory,
  of: ({ slowdown }) => slowdown.mean,
});

const latencyMean = (theory: number): Figure => ({
  name: 'mean response',
  unit: 'ms',
  theory,
  of: ({ latencyUs }) => latencyUs.mean / 1e3,
});

/** Of the class of invocations by what they need (measure/recorder.ts). */
const slowdownOfClass = (name: string, theory: number): Figure => ({
  name: `mean slowdown, ${name}`,
  unit: 'x',
  theory,
  of: ({ byDemand }) => byDemand.find((each) => each.name === name)!.slowdown.mean,
});

/** The sharing machine takes ten times as long as a queue. */
const SHARING_JOB_COUNT = 2e6;
const WAITING_LEAST = 0.05;

interface Sized {
  readonly servers: number;
  readonly cores: number;
}

/** One central queue, as the shipped scheduler has it. */
export function centralQueue(cores: number, load: number): Check {
  const sized: Sized =
    cores <= SERVER_CORES ? { servers: 1, cores } : { servers: cores / SERVER_CORES, cores: SERVER_CORES };
  return {
    queue: `M/M/${cores}`,
    policy: 'perch',
    workload: EXPONENTIAL.workload,
    ...sized,
    load,
    jobCount: JOB_COUNTS[load]! * (cores === MANY_CORES && load >= 0.9 ? MANY_CORES_FACTOR : 1),
    meanMs: EXPONENTIAL.mean,
    figures: [waitMean(waitMeanOf(cores, load) * EXPONENTIAL.mean), ...waitP99(cores, load)],
  };
}

/** Only where one in a hundred waits by far: at the very edge of that, a percentile is no measure. */
function waitP99(cores: number, load: number): Figure[] {
  if (erlangC(cores, load) < WAITING_LEAST) return [];
  const theory = waitQuantileOf(cores, load, 0.99) * EXPONENTIAL.mean;
  return [{ name: 'p99 wait', unit: 'ms', theory, of: ({ waitUs }) => waitUs.p99 / 1e3 }];
}

/** Each core with a queue of its own, and nobody looks at them before. */
export function separateQueues(cores: number, load: number): Check {
  return {
    queue: `${cores} × M/M/1`,
    policy: 'random:discipline=fcfs',
    workload: EXPONENTIAL.workload,
    servers: cores,
    cores: 1,
    load,
    jobCount: JOB_COUNTS[load]!,
    meanMs: EXPONENTIAL.mean,
    figures: [waitMean(waitMeanOf(1, load) * EXPONENTIAL.mean)],
  };
}

function oneCore(queue: string, policy: string, law: Law, load: number): Omit<Check, 'figures'> {
  return {
    queue,
    policy,
    workload: law.workload,
    servers: 1,
    cores: 1,
    load,
    jobCount: JOB_COUNTS[load]!,
    meanMs: law.mean,
  };
}

export function firstCome(queue: string, law: Law, load: number): Check {
  return { ...oneCore(queue, 'perch', law, load), figures: [waitMean(waitMeanFirstCome(law, load))] };
}

/** The shipped sharing machine leaves the cores of a server to its kernel: that is processor sharing too. */
export function sharedByKernel(law: Law, load: number): Check {
  const check = processorSharing(law, load);
  return { ...check, policy: 'perch-fair:k=64', jobCount: SHARING_JOB_COUNT };
}

/**
 * Exponential runs have no memory, so however invocations take turns, as many are there as if each ran to its end; as long as nobody waits beside an idle
 * core (Kleinrock 1976, 3.4). What the sharing machine demotes and resumes has to come to that.
 */
export function takingTurns(cores: number, load: number): Check {
  const { queue, ...check } = centralQueue(cores, load);
  return {
    ...check,
    queue: `${queue}, in turns`,
    policy: 'perch-preempt',
    jobCount: SHARING_JOB_COUNT,
    figures: [latencyMean((1 + waitMeanOf(cores, load)) * EXPONENTIAL.mean)],
  };
}

export function processorSharing(law: Law, load: number, classes: readonly string[] = []): Check {
  const slowdown = slowdownProcessorSharing(load);
  return {
    ...oneCore(`M/G/1-PS, ${law.name}`, 'random:discipline=ps', law, load),
    figures: [
      slowdownMean(slowdown),
      latencyMean(slowdown * law.mean),
      ...classes.map((name) => slowdownOfClass(name, slowdown)),
    ],
  };
}

export function foregroundBackground(
  law: SmoothLaw,
  load: number,
  classes: readonly (readonly [name: string, fromMs: number, toMs: number])[] = [],
): Check {
  return {
    ...oneCore(`M/G/1-FB, ${law.name}`, 'random:discipline=fb,quantum=0', law, load),
    figures: [
      slowdownMean(slowdownForegroundBackground(law, load)),
      latencyMean(responseMeanForegroundBackground(law, load)),
      ...classes.map(([name, fromMs, toMs]) =>
        slowdownOfClass(name, slowdownForegroundBackground(law, load, fromMs, toMs)),
      ),
    ],
  };
}

/** All of them, in the order of the table. */
export function allChecks(): Check[] {
  return [
    ...[1, 16, MANY_CORES].flatMap((cores) => LOADS.map((load) => centralQueue(cores, load))),
    ...[16, MANY_CORES].flatMap((cores) => LOADS.map((load) => separateQueues(cores, load))),
    ...[0.5, 0.8, 0.95].map((load) => firstCome('M/D/1', deterministicLaw(1), load)),
    ...[0.5, 0.8].map((load) => firstCome('M/G/1, bimodal', BIMODAL, load)),
    ...[0.5, 0.8, 0.9].map((load) => processorSharing(EXPONENTIAL, load)),
    ...[0.5, 0.8].map((load) => processorSharing(PARETO, load, ['< 10 ms', '10–100 ms', '0.1–1 s'])),
    ...[0.5, 0.8].map((load) => sharedByKernel(EXPONENTIAL, load)),
    ...[0.5, 0.8, 0.9].map((load) => foregroundBackground(EXPONENTIAL, load)),
    ...[0.5, 0.8].map((load) =>
      foregroundBackground(PARETO, load, [
        ['< 10 ms', 0, 10],
        ['10–100 ms', 10, 100],
        ['0.1–1 s', 100, 1000],
      ]),
    ),
    ...[0.5, 0.8, 0.9].map((load) => takingTurns(16, load)),
  ];
}

/** `scale`: of the counted invocations. */
export function specsOf(check: Check, scale = 1, seedCount: number = SEED_COUNT): SimulationSpec[] {
  const { policy, workload, servers, cores, load, meanMs } = check;
  const perMs = (servers * cores * load) / meanMs;
  const countedMs = (check.jobCount * scale) / seedCount / perMs;
  return Array.from({ length: seedCount }, (_, i) => ({
    policy,
    workload,
    servers,
    cores,
    // Nothing waits for memory.
    memoryMb: 1 << 20,
    load,
    costs: FREE,
    seed: i + 1,
    seconds: countedMs / 1e3,
    warmUpSeconds: warmUpOf(check) / 1e3,
  }));
}

/** A single core's queue forgets how it began in about 1 / (1 − √load)² run times; long ones make it slower. */
function warmUpOf({ load, meanMs, queue, cores, servers, policy }: Check): number {
  const relaxation = meanMs / (1 - Math.sqrt(load)) ** 2;
  const isCentral = policy.startsWith('perch');
  const spread = queue.includes(PARETO.name) ? PARETO.square / PARETO.mean ** 2 / 2 : 1;
  return (WARM_UP_FACTOR * relaxation * spread) / (isCentral ? servers * cores : 1);
}
