/** One line for each round of each setting, and one for their median. */
import type { BurstMetrics } from '../burst.ts';
import type { SleepyRow } from '../sleepy.ts';

const NAMING = ['pipeline', 'build', 'latency', 'chainCount', 'policy', 'source'] as const;

export function toCsv(rows: readonly SleepyRow[]): string {
  const names = rows[0] === undefined ? [] : (Object.keys(rows[0].metrics) as (keyof BurstMetrics)[]);
  const metricNames = names.filter((name) => name !== 'chainCount');
  const line = (row: SleepyRow, round: string, metrics: BurstMetrics): string =>
    [...NAMING.map((name) => row[name]), round, ...metricNames.map((name) => metrics[name])].join(',');
  const lines = rows.flatMap((row) => [
    ...row.rounds.map((metrics, index) => line(row, String(index + 1), metrics)),
    line(row, 'median', row.metrics),
  ]);
  return [[...NAMING, 'round', ...metricNames].join(','), ...lines, ''].join('\n');
}
