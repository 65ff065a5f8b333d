/** The columns that people are shown, in a terminal and in the report: those that say something of what was simulated. */
import type { Confidence } from '../measure/confidence.ts';
import { type Format, formatRatio } from './format.ts';
import { metricNamed } from './metrics.ts';
import type { Summary } from './summary.ts';

export interface TableColumn {
  readonly title: string;
  readonly value: (summary: Summary) => string;
  readonly alignRight?: boolean;
}

interface Shown {
  readonly name: string;
  readonly title: string;
  /** With its confidence interval. */
  readonly isSure?: boolean;
  /** With the ratio against the first policy beside it. */
  readonly isCompared?: boolean;
  /** Only where there is any. */
  readonly isRare?: boolean;
}

const SHOWN: readonly Shown[] = [
  { name: 'slowdownMean', title: 'SLOWDOWN', isSure: true, isCompared: true },
  { name: 'slowdownP50', title: 'P50' },
  { name: 'slowdownP99', title: 'P99', isSure: true, isCompared: true },
  { name: 'slowdownP999', title: 'P99.9', isSure: true },
  { name: 'latencyP99Us', title: 'LATENCY P99' },
  { name: 'waitMeanUs', title: 'WAIT' },
  { name: 'startP99Us', title: 'START P99' },
  { name: 'chainMeanUs', title: 'CHAIN', isRare: true },
  { name: 'betweenP50Us', title: 'BETWEEN P50', isRare: true },
  { name: 'utilisation', title: 'BUSY' },
  { name: 'waitingMean', title: 'WAITING', isRare: true },
  { name: 'coldStartShare', title: 'COLD', isRare: true },
  { name: 'migrationsPerInvocation', title: 'MIGRATIONS', isRare: true },
  { name: 'preemptionsPerInvocation', title: 'PREEMPTIONS', isRare: true },
  { name: 'refusedShare', title: 'REFUSED', isRare: true },
  { name: 'lostShare', title: 'LOST', isRare: true },
  { name: 'retriedShare', title: 'RETRIED', isRare: true },
  { name: 'unavailableShare', title: 'UNAVAILABLE', isRare: true },
  { name: 'unfinishedShare', title: 'UNFINISHED', isRare: true },
];

export function columnsFor(summaries: readonly Summary[]): readonly TableColumn[] {
  const naming: readonly TableColumn[] = [
    { title: 'SERVERS', value: ({ servers }) => String(servers), alignRight: true },
    { title: 'LOAD', value: ({ load }) => (load === null ? 'own' : String(load)), alignRight: true },
  ];
  const isCompared = new Set(summaries.map(({ policy }) => policy)).size > 1;
  return [
    ...naming.filter(({ value }) => new Set(summaries.map(value)).size > 1),
    { title: 'POLICY', value: ({ policy, warning }) => (warning === null ? policy : `${policy} (!)`) },
    ...SHOWN.filter(({ name, isRare }) => isRare !== true || hasAny(summaries, name)).flatMap((shown) =>
      shown.isCompared === true && isCompared ? [columnOf(shown), ratioOf(shown)] : [columnOf(shown)],
    ),
  ];
}

/** What each column means, for those that are shown. */
export function legendOf(summaries: readonly Summary[]): readonly string[] {
  const shown = SHOWN.filter(({ name, isRare }) => isRare !== true || hasAny(summaries, name));
  const groups = Map.groupBy(shown, ({ name }) => metricNamed(name).help);
  return [...groups].map(([help, own]) => `${own.map(({ title }) => title).join(', ')}: ${help}`);
}

function hasAny(summaries: readonly Summary[], name: string): boolean {
  return summaries.some(({ metrics }) => (metrics[name]?.mean ?? 0) > 0);
}

function columnOf({ name, title, isSure }: Shown): TableColumn {
  const { format } = metricNamed(name).unit;
  const value = ({ metrics }: Summary): string => {
    const confidence = metrics[name];
    if (confidence === undefined) return '-';
    return isSure === true ? formatConfidence(confidence, format) : format(confidence.mean);
  };
  return { title, value, alignRight: true };
}

function ratioOf({ name }: Shown): TableColumn {
  const value = ({ ratios }: Summary): string => {
    const confidence = ratios[name];
    return confidence === undefined ? '-' : formatConfidence(confidence, formatRatio);
  };
  return { title: '× FIRST', value, alignRight: true };
}

/** Mean ± half-width, which is left out where it is too small to be seen. */
export function formatConfidence({ mean, halfWidth }: Confidence, format: Format): string {
  const isSeen = halfWidth !== null && format(halfWidth, mean) !== format(0, mean);
  return isSeen ? `${format(mean)} ±${format(halfWidth, mean)}` : format(mean);
}

/** Each warning with whose it is. */
export function warningsOf(summaries: readonly Summary[]): readonly string[] {
  return summaries.flatMap(({ policy, servers, load, warning }) =>
    warning === null ? [] : [`${policy}, ${servers} servers, load ${load ?? 'as recorded'}: ${warning}`],
  );
}
