/** What the scheduler of a cluster knows, for people: read when somebody asks, in one pass over the cores. */
import { firstExtraOf } from '../../base/seats.ts';
import type { ClusterScheduler } from './cluster-scheduler.ts';
import type { Control } from './control.ts';
import type { Member } from './members.ts';
import type { ShardReport } from './shard-ports.ts';

interface CoreCounts {
  idle: number;
  leased: number;
  /** Taken out, or about to be when their leases end. */
  withdrawn: number;
  absent: number;
}

/** Seats beside the cores' own (docs/decisions/012-sharing-cores.md), of workers that are here. */
export interface ExtraSeatCounts {
  count: number;
  /** Nobody is there, and somebody may come. */
  open: number;
  leased: number;
}

export type WorkerState = 'joined' | 'draining' | 'absent' | 'unreached';

export interface ClusterView {
  readonly epoch: number;
  readonly queueLength: number;
  /** Requests that wait for the end of a turn, or for workers to come. */
  readonly collectedCount: number;
  readonly versionCount: number;
  readonly grantsTotal: number;
  readonly cores: Readonly<CoreCounts>;
  readonly extraSeats: Readonly<ExtraSeatCounts>;
  readonly workers: readonly {
    readonly name: string;
    readonly state: WorkerState;
    readonly host: string;
    readonly port: number;
    readonly firstCore: number;
    readonly coreCount: number;
    readonly cores: Readonly<CoreCounts>;
    readonly extraSeats: Readonly<ExtraSeatCounts>;
    readonly memoryMb: number;
    /** Not reserved by leases. */
    readonly memoryFreeMb: number;
    /** When it joined, ms since 1970; 0: it is away. */
    readonly sinceMs: number;
  }[];
  readonly gateways: readonly {
    readonly name: string;
    readonly waiting: number;
    readonly running: number;
    readonly sinceMs: number;
  }[];
  readonly provisioned: readonly {
    readonly key: string;
    readonly wanted: number;
    readonly begun: number;
    readonly ready: number;
    readonly failed: boolean;
  }[];
}

/** Of a scheduler with one shard. */
export function viewOf({ control, shard }: ClusterScheduler): ClusterView {
  return viewOfCluster(control, [shard.report()]);
}

/** With a report of each shard. */
export function viewOfCluster(control: Control, reports: readonly ShardReport[]): ClusterView {
  const { machine, members, provisions } = control;
  const cores = noCores();
  const extraSeats = noExtraSeats();
  const workers = members.known().map((member) => {
    const own = coresOf(control, member);
    const extra = extraSeatsOf(control, member);
    add(cores, own);
    add(extraSeats, extra);
    const { name, host, port, firstCore, coreCount, memoryMb, sinceMs, line } = member;
    const memoryFreeMb = machine.workers.unreserved(machine.workers.homeOf(member.index));
    const since = line === null ? 0 : sinceMs;
    const state = workerState(control, member);
    const seats = { firstCore, coreCount, cores: own, extraSeats: extra };
    return { name, state, host, port, ...seats, memoryMb, memoryFreeMb, sinceMs: since };
  });
  const sum = (of: (report: ShardReport) => number): number => reports.reduce((total, report) => total + of(report), 0);
  return {
    epoch: control.epoch,
    queueLength: sum(({ queueLength }) => queueLength),
    collectedCount: sum(({ collectedCount }) => collectedCount),
    versionCount: control.names.count,
    grantsTotal: sum(({ grantCount }) => grantCount),
    cores,
    extraSeats,
    workers,
    gateways: gatewaysOf(control, reports),
    provisioned: provisions
      .sums()
      .map(({ key, wanted, begun, ready, failed }) => ({ key, wanted, begun, ready, failed })),
  };
}

export function workerState({ unreached }: Control, { index, line, isDraining }: Member): WorkerState {
  if (line === null) return 'absent';
  if (isDraining) return 'draining';
  return unreached.has(index) ? 'unreached' : 'joined';
}

/** One that has just left a shard may be in its report still, and the other way round. */
function gatewaysOf({ gateways }: Control, reports: readonly ShardReport[]): ClusterView['gateways'] {
  const counts = new Map(reports.flatMap((report) => report.gateways.map((each) => [each.line, each] as const)));
  return [...gateways].map(([line, { name, sinceMs }]) => {
    const { waiting = 0, running = 0 } = counts.get(line) ?? {};
    return { name, waiting, running, sinceMs };
  });
}

export function noExtraSeats(): ExtraSeatCounts {
  return { count: 0, open: 0, leased: 0 };
}

function add<Counts extends Record<keyof Counts, number>>(sums: Counts, more: Counts): void {
  for (const key of Object.keys(more) as (keyof Counts)[]) sums[key] = (sums[key] + more[key]) as Counts[keyof Counts];
}

function extraSeatsOf({ machine }: Control, { firstCore, coreCount, extraSeatCount, line }: Member): ExtraSeatCounts {
  const counts = noExtraSeats();
  if (line === null) return counts;
  counts.count = extraSeatCount;
  const first = firstCore + firstExtraOf(coreCount);
  for (let seat = first; seat < first + extraSeatCount; seat++) {
    if (machine.leases.isLeased(seat)) counts.leased++;
    else if (!machine.cores.isWithdrawn(seat)) counts.open++;
  }
  return counts;
}

function noCores(): CoreCounts {
  return { idle: 0, leased: 0, withdrawn: 0, absent: 0 };
}

function coresOf({ machine }: Control, { firstCore, coreCount, line }: Member): CoreCounts {
  const counts = noCores();
  if (line === null) return { ...counts, absent: coreCount };
  for (let core = firstCore; core < firstCore + coreCount; core++) {
    if (machine.leases.isLeased(core)) counts.leased++;
    else counts[machine.cores.isWithdrawn(core) ? 'withdrawn' : 'idle']++;
  }
  return counts;
}
