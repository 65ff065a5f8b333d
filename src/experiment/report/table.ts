/** The columns that are printed, and the numbers that CSV and figures take from the same list. */
import type { BurstMetrics } from '../burst.ts';
import type { SleepyRow } from '../sleepy.ts';

interface TableColumn {
  readonly title: string;
  readonly value: (row: SleepyRow) => string;
  readonly alignRight?: boolean;
}

export function nameOf(row: SleepyRow): string {
  return row.source === 'none' ? row.policy : `${row.policy}+${row.source}`;
}

function ms(us: number): string {
  const value = us / 1000;
  return value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0);
}

function percent(share: number): string {
  return (share * 100).toFixed(1);
}

function number(title: string, metric: keyof BurstMetrics, format: (value: number) => string): TableColumn {
  return { title, value: (row) => format(row.metrics[metric]), alignRight: true };
}

const SHORT_COLUMNS: readonly TableColumn[] = [
  number('SHORT p50', 'shortP50Us', ms),
  number('SHORT p99', 'shortP99Us', ms),
  number('SHORT 429', 'shortRefusedCount', String),
  number('CHAIN 429', 'refusedCount', String),
  number('LONGEST ×', 'longestSlowdown', (value) => value.toFixed(2)),
];

/** Rows of one experiment only: what does not change from row to row is left out. */
export function tableOf(rows: readonly SleepyRow[]): readonly TableColumn[] {
  const naming: readonly TableColumn[] = [
    { title: 'PIPELINE', value: (row) => row.pipeline },
    { title: 'BUILD', value: (row) => row.build },
    { title: 'LATENCY', value: (row) => row.latency },
    { title: 'CHAINS', value: (row) => String(row.chainCount), alignRight: true },
    { title: 'POLICY', value: nameOf },
  ];
  return [
    ...naming.filter((column) => column.title === 'POLICY' || new Set(rows.map(column.value)).size > 1),
    number('TRIG ms', 'trigMeanUs', ms),
    number('INTER ms', 'interMeanUs', ms),
    number('INTER p50', 'interP50Us', ms),
    number('EXEC ms', 'execMeanUs', ms),
    number('IDLETIME %', 'idleTimeShare', percent),
    number('OF ALL %', 'idleTimeShareOfAll', percent),
    number('WASTE %', 'wasteShare', percent),
    number('USEFUL %', 'usefulShare', percent),
    number('PLATFORM %', 'platformShare', percent),
    number('OTHERS %', 'strangersShare', percent),
    number('MAKESPAN ms', 'makespanUs', ms),
    number('× BOUND', 'makespanOverBound', (value) => value.toFixed(2)),
    number('× ALL', 'makespanOverBoundOfAll', (value) => value.toFixed(2)),
    ...(rows.some(({ metrics }) => metrics.shortCount > 0) ? SHORT_COLUMNS : []),
  ];
}

export const BAR_NOTES: readonly string[] = [
  '',
  'IDLETIME: CPU time of functions while they waited for a response, over all of theirs (the mean over functions, as in the paper); OF ALL: of all together.',
  'WASTE: cores that were idle or polling while a chain could have used them, over all cores and the whole time.',
  'PLATFORM: gateway, scheduler and agent. OTHERS: what was no function, platform, object server or this command.',
  'BOUND: CPU work of functions / cores + the longest chain by itself; ALL: with the work of the object server and this command, on the same cores.',
];

const STRANGERS_SHARE_MAX = 0.1;

/** Null where the machine was quiet enough for the numbers to mean something. */
export function disturbance(rows: readonly SleepyRow[]): string | null {
  const disturbed = rows.filter(({ metrics }) => metrics.strangersShare > STRANGERS_SHARE_MAX).length;
  if (disturbed === 0) return null;
  return `In ${disturbed} of ${rows.length} rows others had more than ${STRANGERS_SHARE_MAX * 100} % of the cores: times are longer than they would be, and waste is underrated.`;
}
