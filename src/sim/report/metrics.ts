/** What is reported of a simulation, declared once for tables, CSV and plots. */
import type { Distribution, Result } from '../measure/result.ts';
import type { SimulationSpec } from '../spec.ts';
import { formatCount, formatRatio, formatShare, formatTime } from './format.ts';

export interface Metric {
  /** In CSV and JSON. */
  readonly name: string;
  /** For people. */
  readonly title: string;
  /** What it is, in a line. */
  readonly help: string;
  readonly format: (value: number) => string;
  /** null: there is no such thing in this simulation. */
  readonly of: (result: Result, spec: SimulationSpec) => number | null;
}

type Figure = Exclude<keyof Distribution, 'count'>;

const FIGURES: readonly (readonly [Figure, string])[] = [
  ['mean', 'mean'],
  ['p50', 'p50'],
  ['p90', 'p90'],
  ['p99', 'p99'],
  ['p999', 'p99.9'],
  ['max', 'max'],
];

interface Family {
  readonly name: string;
  readonly title: string;
  readonly help: string;
  readonly unit: string;
  readonly format: (value: number) => string;
  readonly of: (result: Result) => Distribution | null;
}

const FAMILIES: readonly Family[] = [
  {
    name: 'slowdown',
    title: 'slowdown',
    help: 'latency over what the function takes by itself; 1 is best',
    unit: '',
    format: formatRatio,
    of: ({ slowdown }) => slowdown,
  },
  {
    name: 'latency',
    title: 'latency',
    help: 'from the gateway and back to it',
    unit: 'Us',
    format: formatTime,
    of: ({ latencyUs }) => latencyUs,
  },
  {
    name: 'wait',
    title: 'wait',
    help: 'latency without what the function takes by itself',
    unit: 'Us',
    format: formatTime,
    of: ({ waitUs }) => waitUs,
  },
  {
    name: 'start',
    title: 'start',
    help: 'until it has a core for the first time',
    unit: 'Us',
    format: formatTime,
    of: ({ startUs }) => startUs,
  },
  {
    name: 'chain',
    title: 'chain',
    help: 'latency of a whole chain',
    unit: 'Us',
    format: formatTime,
    of: ({ chainUs }) => chainUs,
  },
  {
    name: 'between',
    title: 'between steps',
    help: 'from the end of a step of a chain until the next has a core',
    unit: 'Us',
    format: formatTime,
    of: ({ betweenUs }) => betweenUs,
  },
];

function inFamily({ name, title, help, unit, format, of }: Family): readonly Metric[] {
  return FIGURES.map(([figure, figureTitle]) => ({
    name: `${name}${figure[0]!.toUpperCase()}${figure.slice(1)}${unit}`,
    title: `${title} ${figureTitle}`,
    help,
    format,
    of: (result) => of(result)?.[figure] ?? null,
  }));
}

/**
 * Of all that a policy counted over all of its time, how much there was for each invocation. Invocations of the whole time are not counted, so they
 * are taken to arrive as those did that were.
 */
function perInvocation(counter: string): Metric['of'] {
  return ({ counters, seconds, arrived }, spec) => {
    const count = counters[counter];
    if (count === undefined || arrived === 0) return null;
    return (count * spec.seconds) / (seconds * arrived);
  };
}

export const METRICS: readonly Metric[] = [
  ...FAMILIES.flatMap(inFamily),
  {
    name: 'utilisation',
    title: 'cores at work',
    help: 'share of all cores that are at work for an invocation, costs included',
    format: formatShare,
    of: ({ utilisation }) => utilisation,
  },
  {
    name: 'waitingMean',
    title: 'waiting, mean',
    help: 'invocations that have no core yet, in the mean over time',
    format: formatCount,
    of: ({ waitingMean }) => waitingMean,
  },
  {
    name: 'waitingMax',
    title: 'waiting, most',
    help: 'invocations that have no core yet, at most',
    format: formatCount,
    of: ({ waitingMax }) => waitingMax,
  },
  {
    name: 'coldStartShare',
    title: 'cold starts',
    help: 'starts where no instance of the function was there, for each invocation',
    format: formatShare,
    of: perInvocation('cold starts'),
  },
  {
    name: 'migrationsPerInvocation',
    title: 'migrations',
    help: 'moves of what had begun to another server, for each invocation',
    format: formatRatio,
    of: perInvocation('migrations'),
  },
  {
    name: 'preemptionsPerInvocation',
    title: 'preemptions',
    help: 'times that a core went on with another before one had ended, for each invocation',
    format: formatRatio,
    of: perInvocation('preemptions'),
  },
  {
    name: 'messagesPerInvocation',
    title: 'messages',
    help: 'messages between hosts for each invocation',
    format: formatRatio,
    of: perInvocation('messages'),
  },
  {
    name: 'refusedShare',
    title: 'refused',
    help: 'told that there is no room (HTTP 429)',
    format: formatShare,
    of: shareOf('refused'),
  },
  { name: 'lostShare', title: 'lost', help: 'gone with their server', format: formatShare, of: shareOf('lost') },
  {
    name: 'unfinishedShare',
    title: 'unfinished',
    help: 'not at their end when the simulation stopped',
    format: formatShare,
    of: shareOf('unfinished'),
  },
];

function shareOf(what: 'refused' | 'lost' | 'unfinished'): Metric['of'] {
  return (result) => (result.arrived === 0 ? null : result[what] / result.arrived);
}

const BY_NAME: ReadonlyMap<string, Metric> = new Map(METRICS.map((metric) => [metric.name, metric]));

export function metricNamed(name: string): Metric {
  const metric = BY_NAME.get(name);
  if (metric === undefined) throw new Error(`no metric ${name}`);
  return metric;
}
