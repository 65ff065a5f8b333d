/** What is reported of a simulation, declared once for tables, CSV and plots. */
import type { Distribution, Result } from '../measure/result.ts';
import type { SimulationSpec } from '../spec.ts';
import {
  type Format,
  formatCount,
  formatRatio,
  formatShare,
  formatTick,
  formatTime,
  shareTick,
  timeTick,
} from './format.ts';

export interface Unit {
  /** Of the metric's name. */
  readonly suffix: string;
  readonly format: Format;
  /** Beside an axis. */
  readonly tick: (value: number) => string;
}

const TIME: Unit = { suffix: 'Us', format: formatTime, tick: timeTick };
const RATIO: Unit = { suffix: '', format: formatRatio, tick: formatTick };
const SHARE: Unit = { suffix: '', format: formatShare, tick: shareTick };
const COUNT: Unit = { suffix: '', format: formatCount, tick: formatTick };

export interface Metric {
  /** In CSV and JSON. */
  readonly name: string;
  /** What it is one figure of, for people; null: it stands for itself. */
  readonly family: string | null;
  /** For people. */
  readonly title: string;
  /** What it is, in a line. */
  readonly help: string;
  readonly unit: Unit;
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
  readonly unit: Unit;
  readonly of: (result: Result) => Distribution | null;
}

const FAMILIES: readonly Family[] = [
  {
    name: 'slowdown',
    title: 'slowdown',
    help: 'latency over what the function takes by itself; 1 is best',
    unit: RATIO,
    of: ({ slowdown }) => slowdown,
  },
  {
    name: 'latency',
    title: 'latency',
    help: 'from the gateway and back to it',
    unit: TIME,
    of: ({ latencyUs }) => latencyUs,
  },
  {
    name: 'wait',
    title: 'wait',
    help: 'latency without what the function takes by itself',
    unit: TIME,
    of: ({ waitUs }) => waitUs,
  },
  {
    name: 'start',
    title: 'start',
    help: 'until it has a core for the first time',
    unit: TIME,
    of: ({ startUs }) => startUs,
  },
  {
    name: 'chain',
    title: 'chain',
    help: 'latency of a whole chain',
    unit: TIME,
    of: ({ chainUs }) => chainUs,
  },
  {
    name: 'between',
    title: 'between steps',
    help: 'from the end of a step of a chain until the next has a core',
    unit: TIME,
    of: ({ betweenUs }) => betweenUs,
  },
];

function inFamily({ name, title, help, unit, of }: Family): readonly Metric[] {
  return FIGURES.map(([figure, figureTitle]) => ({
    name: `${name}${figure[0]!.toUpperCase()}${figure.slice(1)}${unit.suffix}`,
    family: title,
    title: `${title} ${figureTitle}`,
    help,
    unit,
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
    family: null,
    title: 'cores at work',
    help: 'share of all cores that are at work for an invocation, costs included',
    unit: SHARE,
    of: ({ utilisation }) => utilisation,
  },
  {
    name: 'waitingMean',
    family: null,
    title: 'waiting, mean',
    help: 'invocations that have no core yet, in the mean over time',
    unit: COUNT,
    of: ({ waitingMean }) => waitingMean,
  },
  {
    name: 'waitingMax',
    family: null,
    title: 'waiting, most',
    help: 'invocations that have no core yet, at most',
    unit: COUNT,
    of: ({ waitingMax }) => waitingMax,
  },
  {
    name: 'coldStartShare',
    family: null,
    title: 'cold starts',
    help: 'starts where no instance of the function was there, for each invocation',
    unit: SHARE,
    of: perInvocation('cold starts'),
  },
  {
    name: 'migrationsPerInvocation',
    family: null,
    title: 'migrations',
    help: 'moves of what had begun to another server, for each invocation',
    unit: RATIO,
    of: perInvocation('migrations'),
  },
  {
    name: 'preemptionsPerInvocation',
    family: null,
    title: 'preemptions',
    help: 'times that a core went on with another before one had ended, for each invocation',
    unit: RATIO,
    of: perInvocation('preemptions'),
  },
  {
    name: 'messagesPerInvocation',
    family: null,
    title: 'messages',
    help: 'messages between hosts for each invocation',
    unit: RATIO,
    of: perInvocation('messages'),
  },
  {
    name: 'refusedShare',
    family: null,
    title: 'refused',
    help: 'told that there is no room (HTTP 429)',
    unit: SHARE,
    of: shareOf('refused'),
  },
  { name: 'lostShare', family: null, title: 'lost', help: 'gone with their server', unit: SHARE, of: shareOf('lost') },
  {
    name: 'retriedShare',
    family: null,
    title: 'retried',
    help: 'times that one was run again after it was lost, for each invocation',
    unit: SHARE,
    of: shareOf('retried'),
  },
  {
    name: 'unavailableShare',
    family: null,
    title: 'unavailable',
    help: 'share of the time of all servers in which they were down or cut off',
    unit: SHARE,
    of: ({ unavailable }) => unavailable,
  },
  {
    name: 'unfinishedShare',
    family: null,
    title: 'unfinished',
    help: 'not at their end when the simulation stopped',
    unit: SHARE,
    of: shareOf('unfinished'),
  },
];

function shareOf(what: 'refused' | 'lost' | 'retried' | 'unfinished'): Metric['of'] {
  return (result) => (result.arrived === 0 ? null : result[what] / result.arrived);
}

const BY_NAME: ReadonlyMap<string, Metric> = new Map(METRICS.map((metric) => [metric.name, metric]));

export function metricNamed(name: string): Metric {
  const metric = BY_NAME.get(name);
  if (metric === undefined) throw new Error(`no metric ${name}`);
  return metric;
}
