/** An overview as text: two samples, since rates are what happened between them. */
import type { FunctionUse, Overview, WorkerSharing } from '../gateway/overview.ts';
import type { ClusterView } from '../scheduler/server/view.ts';
import type { ResidentState } from '../worker/agent/sharing-view.ts';
import { isOrdered } from '../worker/agent/sharing-setting.ts';
import { policyText, sourcesText } from './sharing-text.ts';
import { type Column, formatTable, formatUs, style } from './terminal.ts';

export interface Sample {
  readonly overview: Overview;
  /** Of any clock that only goes forward. */
  readonly atMs: number;
}

type WorkerRow = ClusterView['workers'][number];

const BAR_CELLS = 20;
const GB = 1024;

export function formatOverview(before: Sample, now: Sample): string {
  const seconds = (now.atMs - before.atMs) / 1000;
  const { cluster, functions } = now.overview;
  // A gateway of an earlier version does not say.
  const sharing = now.overview.sharing ?? [];
  const parts =
    cluster === null
      ? [style('yellow', 'The scheduler does not answer: what is asked for now waits.') + '\n']
      : [summaryOf(cluster, before.overview.cluster, { seconds, sharing }), workerTable(cluster.workers, sharing)];
  if (functions.length > 0) parts.push(functionTable(functions, before.overview.functions, seconds));
  return parts.join('\n');
}

interface Meanwhile {
  readonly seconds: number;
  readonly sharing: readonly WorkerSharing[];
}

function summaryOf(now: ClusterView, before: ClusterView | null, { seconds, sharing }: Meanwhile): string {
  const { idle, leased, withdrawn, absent } = now.cores;
  const here = idle + leased + withdrawn;
  // Another scheduler counts from 0 again.
  const granted = before?.epoch === now.epoch ? now.grantsTotal - before.grantsTotal : 0;
  const share = here === 0 ? 0 : leased / here;
  const { count, open, leased: guests } = now.extraSeats;
  const extra =
    count === 0 ? [] : [`${style('bold', 'shared')}    ${guests} run beside them, for ${open} more there is room`];
  const away = absent > 0 ? `, ${absent} absent` : '';
  const out = withdrawn > 0 ? `, ${withdrawn} withdrawn` : '';
  const workers = now.workers.filter(({ state }) => state !== 'absent').length;
  return [
    `${style('bold', 'cores')}     ${bar(share)} ${percent(share)}   ${leased} leased, ${idle} idle${out}${away}`,
    ...extra,
    ...residentsLine(sharing),
    `${style('bold', 'requests')}  ${perSecond(granted / seconds)} granted, ${now.queueLength} waiting`,
    `${style('bold', 'nodes')}     ${workers} of ${now.workers.length} workers, ${now.gateways.length} gateways; epoch ${now.epoch}`,
    '',
  ].join('\n');
}

/** Of those who share their cores. */
function residentsLine(sharing: readonly WorkerSharing[]): string[] {
  const shared = sharing.filter(isOrdered);
  if (shared.length === 0) return [];
  const count = (state: ResidentState): number => shared.reduce((sum, { residents }) => sum + residents[state], 0);
  const [running, waiting, asleep, frozen] = (['running', 'waiting', 'asleep', 'frozen'] as const).map(count);
  return [
    `${style('bold', 'there')}     ${running} running, ${waiting} waiting behind others, ${asleep} asleep, ${frozen} frozen`,
  ];
}

/** Invocations on seats beside those of the cores, of those that may be there now. */
const EXTRA: Column<WorkerRow> = {
  title: 'SHARED',
  value: ({ extraSeats: { count, open, leased } }) => (count === 0 ? '-' : `${leased}/${leased + open}`),
  alignRight: true,
};

/** How each worker shares its cores, if it has said so. */
function sharingColumns(sharing: readonly WorkerSharing[]): Column<WorkerRow>[] {
  if (!sharing.some(({ policy }) => policy !== 'dedicated')) return [];
  const byName = new Map(sharing.map((each) => [each.worker, each]));
  const column = (title: string, text: (each: WorkerSharing) => string): Column<WorkerRow> => ({
    title,
    value: ({ name }) => {
      const said = byName.get(name);
      return said === undefined ? '-' : text(said);
    },
  });
  return [
    column('SHARING', policyText),
    column('KNOWLEDGE', ({ sources }) => sourcesText(sources)),
    column('OBSERVER', ({ observer }) => observer),
  ];
}

function workerTable(workers: readonly WorkerRow[], sharing: readonly WorkerSharing[]): string {
  const nowMs = Date.now();
  const isShared = workers.some(({ extraSeats }) => extraSeats.count > 0);
  return formatTable<WorkerRow>(
    [
      { title: 'WORKER', value: ({ name }) => name },
      {
        title: 'STATE',
        value: ({ state }) => state,
        paint: ({ state }) => (state === 'joined' ? 'green' : state === 'draining' ? 'yellow' : 'red'),
      },
      { title: 'BUSY', value: ({ cores, coreCount }) => bar(cores.leased / coreCount) },
      { title: 'LEASED', value: ({ cores, coreCount }) => `${cores.leased}/${coreCount}`, alignRight: true },
      ...(isShared ? [EXTRA] : []),
      ...sharingColumns(sharing),
      { title: 'MEMORY GB', value: memoryText, alignRight: true },
      {
        title: 'SINCE',
        value: ({ sinceMs }) => (sinceMs === 0 ? '-' : formatUs((nowMs - sinceMs) * 1000)),
        alignRight: true,
      },
    ],
    workers,
  );
}

/** What leases reserve, of all. */
function memoryText({ memoryMb, memoryFreeMb }: WorkerRow): string {
  return `${((memoryMb - memoryFreeMb) / GB).toFixed(1)}/${(memoryMb / GB).toFixed(1)}`;
}

function functionTable(now: readonly FunctionUse[], before: readonly FunctionUse[], seconds: number): string {
  const keyOf = ({ functionName, version }: FunctionUse): string => `${functionName}:${version}`;
  const earlier = new Map(before.map((each) => [keyOf(each), each.resultsTotal]));
  const rateOf = (each: FunctionUse): number => (each.resultsTotal - (earlier.get(keyOf(each)) ?? 0)) / seconds;
  const rows = now.toSorted((a, b) => b.running + b.waiting - (a.running + a.waiting) || rateOf(b) - rateOf(a));
  return formatTable<FunctionUse>(
    [
      { title: 'FUNCTION', value: keyOf },
      { title: 'RUNNING', value: ({ running }) => String(running), alignRight: true },
      { title: 'WAITING', value: ({ waiting }) => String(waiting), alignRight: true },
      { title: 'RESULTS', value: (each) => perSecond(rateOf(each)), alignRight: true },
    ],
    rows,
  );
}

function bar(share: number): string {
  const full = Math.round(share * BAR_CELLS);
  return '█'.repeat(full) + '░'.repeat(BAR_CELLS - full);
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`.padStart(5);
}

function perSecond(rate: number): string {
  return `${rate.toLocaleString('en-US', { maximumFractionDigits: rate < 10 ? 1 : 0 })}/s`;
}
