/** One line for each simulation, with every metric and everything that was counted. */
import type { Done, Summary } from './summary.ts';
import { METRICS } from './metrics.ts';

const NAMING = [
  'policy',
  'workload',
  'servers',
  'cores',
  'memoryMb',
  'load',
  'seconds',
  'warmUpSeconds',
  'seed',
] as const;
const COUNTED = ['traceHash', 'eventCount', 'arrived', 'refused', 'lost', 'retried', 'unfinished'] as const;

export function toCsv(summaries: readonly Summary[]): string {
  const runs = summaries.flatMap((summary) => summary.runs);
  const counters = [...new Set(runs.flatMap(({ result }) => Object.keys(result.counters)))];
  const head = [...NAMING, ...COUNTED, ...METRICS.map(({ name }) => name), ...counters];
  return [head, ...runs.map((run) => lineOf(run, counters))]
    .map((cells) => cells.map(cellOf).join(',') + '\n')
    .join('');
}

function lineOf({ spec, result }: Done, counters: readonly string[]): readonly (string | number | null)[] {
  return [
    ...NAMING.map((name) => spec[name]),
    ...COUNTED.map((name) => result[name]),
    ...METRICS.map((metric) => metric.of(result, spec)),
    ...counters.map((name) => result.counters[name] ?? null),
  ];
}

/** As RFC 4180 has it; what there is not is empty. */
function cellOf(value: string | number | null): string {
  if (value === null) return '';
  const text = String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
