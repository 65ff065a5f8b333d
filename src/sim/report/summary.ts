/** What several seeds of one set-up say together: each metric with its confidence interval. Plain data, as what it is made of. */
import type { Run } from '../batch/batch.ts';
import { type Confidence, confidenceOf } from '../measure/confidence.ts';
import type { Result } from '../measure/result.ts';
import type { SimulationSpec } from '../spec.ts';
import { formatShare } from './format.ts';
import { METRICS, type Metric } from './metrics.ts';

export interface Done {
  readonly spec: SimulationSpec;
  readonly result: Result;
}

export interface Summary {
  /** As it was written on the command line. */
  readonly policy: string;
  readonly servers: number;
  readonly load: number | null;
  /** One for each seed. */
  readonly runs: readonly Done[];
  /** By the metric's name; what a simulation does not have is not in it. */
  readonly metrics: Readonly<Record<string, Confidence>>;
  /** Everything that was counted, over all of the simulation; by its name. */
  readonly counters: Readonly<Record<string, Confidence>>;
  /** The metrics over those of the first policy at the same servers and load, seed by seed: both had the same arrivals. */
  readonly ratios: Readonly<Record<string, Confidence>>;
  /** In words; null: its figures hold. */
  readonly warning: string | null;
}

/** Set-ups in the order of the runs. One of which a seed is missing is left out. */
export function summariesOf(runs: readonly Run[]): readonly Summary[] {
  const groups = [...Map.groupBy(runs, ({ spec }) => keyOf(spec)).values()];
  const summaries: Summary[] = [];
  const firsts = new Map<string, readonly Done[]>();
  for (const group of groups) {
    const done = group.filter(isDone);
    if (done.length < group.length) continue;
    const { policy, servers, load } = done[0]!.spec;
    const place = `${servers} ${load}`;
    const first = firsts.get(place) ?? done;
    firsts.set(place, first);
    summaries.push({
      policy,
      servers,
      load,
      runs: done,
      ...estimatesOf(done, first),
      counters: countersOf(done),
      warning: warningOf(done),
    });
  }
  return summaries;
}

function keyOf({ policy, servers, load }: SimulationSpec): string {
  return `${policy} ${servers} ${load}`;
}

function isDone(run: Run): run is Run & Done {
  return run.result !== null;
}

function estimatesOf(runs: readonly Done[], first: readonly Done[]): Pick<Summary, 'metrics' | 'ratios'> {
  const metrics: Record<string, Confidence> = {};
  const ratios: Record<string, Confidence> = {};
  for (const metric of METRICS) {
    const values = valuesOf(metric, runs);
    if (values === null) continue;
    metrics[metric.name] = confidenceOf(values);
    const base = valuesOf(metric, first);
    if (base === null || base.some((value) => value === 0)) continue;
    ratios[metric.name] = confidenceOf(values.map((value, index) => value / base[index]!));
  }
  return { metrics, ratios };
}

/** Policies of one kind count the same things. */
function countersOf(runs: readonly Done[]): Readonly<Record<string, Confidence>> {
  const names = Object.keys(runs[0]!.result.counters);
  return Object.fromEntries(
    names.map((name) => [name, confidenceOf(runs.map(({ result }) => result.counters[name] ?? 0))]),
  );
}

function valuesOf(metric: Metric, runs: readonly Done[]): readonly number[] | null {
  const values = runs.map(({ result, spec }) => metric.of(result, spec));
  return values.every((value) => value !== null) ? values : null;
}

/** Cores at work at the end of a cluster that cannot keep up: all but those that change hands. */
const FULL_SHARE = 0.9;

/** Why the figures do not hold, the worst reason first; all of them are looked for in each seed. */
function warningOf(runs: readonly Done[]): string | null {
  return overloadOf(runs) ?? coldOf(runs) ?? unfinishedOf(runs) ?? emptyOf(runs);
}

function overloadOf(runs: readonly Done[]): string | null {
  const { load } = runs[0]!.spec;
  const growth = runs.map(growthOf).find((each) => each !== null);
  const said = 'THE CLUSTER CANNOT BEAR THIS LOAD';
  if (runs.some((run) => run.result.unfinished > 0 && isFull(run))) return `${said}: ${leftIn(runs)}`;
  if (load !== null && load >= 1) {
    return `${said}: as much work arrives as all cores can do, or more, so over a longer time its figures are worse`;
  }
  if (growth === undefined) return null;
  const [from, to] = growth.map(Math.round);
  return `${said}: those that waited grew from ${from} to ${to} while invocations were counted, so over a longer time its figures are worse`;
}

function coldOf(runs: readonly Done[]): string | null {
  const cold = runs.find(isCold);
  if (cold === undefined) return null;
  const busy = formatShare(cold.result.utilisation);
  const asked = formatShare(cold.spec.load!);
  const left = runs.some(({ result }) => result.unfinished > 0) ? `, and ${leftIn(runs)}` : '';
  return `NOT AT THIS LOAD YET: ${busy} of the cores were at work where the load asks for ${asked}; invocations that take long, or come rarely, want more --warm-up and --seconds${left}`;
}

function unfinishedOf(runs: readonly Done[]): string | null {
  if (runs.every(({ result }) => result.unfinished === 0)) return null;
  return `NOT ALL ENDED: ${leftIn(runs)}; they take long, or were left waiting beside idle cores`;
}

function emptyOf(runs: readonly Done[]): string | null {
  if (runs.every(({ result }) => result.arrived > 0)) return null;
  return 'NOTHING ARRIVED in the time that is counted: it wants more --seconds, or less --warm-up';
}

function leftIn(runs: readonly Done[]): string {
  const unfinished = runs.reduce((sum, { result }) => sum + result.unfinished, 0);
  const arrived = runs.reduce((sum, { result }) => sum + result.arrived, 0);
  return `${unfinished} of ${arrived} invocations had not ended when the simulation stopped, so its latencies and slowdowns are too low`;
}

/** Less than that of what the load asks for is no chance, if many have arrived. */
const WARM_SHARE = 0.8;
const MANY = 1000;

function isCold({ spec, result }: Done): boolean {
  const { arrived, refused, lost, utilisation } = result;
  if (spec.load === null || arrived < MANY || refused + lost > 0) return false;
  return utilisation < WARM_SHARE * Math.min(1, spec.load);
}

function isFull({ result }: Done): boolean {
  const last = result.moments.at(-1);
  return last !== undefined && last.busyCores >= FULL_SHARE * result.serverCount * result.coreCount;
}

/** Of the counted time, at its beginning and at its end. */
const EDGE_SHARE = 0.2;
/** A queue that neither grows nor shrinks wanders about as far as the root of how many have arrived. */
const WANDER_FACTOR = 3;

/** How many waited at most at first, and at least at last; null: not clearly more. */
function growthOf({ spec, result }: Done): readonly [number, number] | null {
  const fromUs = spec.warmUpSeconds * 1e6;
  const lengthUs = spec.seconds * 1e6;
  const counted = result.moments.filter(({ timeUs }) => timeUs >= fromUs && timeUs <= fromUs + lengthUs);
  const edge = Math.floor(counted.length * EDGE_SHARE);
  if (edge === 0) return null;
  const first = Math.max(...counted.slice(0, edge).map(({ waiting }) => waiting));
  const last = Math.min(...counted.slice(-edge).map(({ waiting }) => waiting));
  return last - first > WANDER_FACTOR * Math.sqrt(result.arrived) ? [first, last] : null;
}
