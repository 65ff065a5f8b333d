/** What the scheduler of a cluster knows, for people: read when somebody asks, in one pass over the cores. */
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

export type WorkerState = 'joined' | 'draining' | 'absent' | 'unreached';

export interface ClusterView {
  readonly epoch: number;
  readonly queueLength: number;
  /** Requests that wait for the end of a turn, or for workers to come. */
  readonly collectedCount: number;
  readonly versionCount: number;
  readonly grantsTotal: number;
  readonly cores: Readonly<CoreCounts>;
  readonly workers: readonly {
    readonly name: string;
    readonly state: WorkerState;
    readonly host: string;
    readonly port: number;
    readonly firstCore: number;
    readonly coreCount: number;
    readonly cores: Readonly<CoreCounts>;
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
  const workers = members.known().map((member) => {
    const own = coresOf(control, member);
    for (const state of Object.keys(own) as (keyof CoreCounts)[]) cores[state] += own[state];
    const { name, host, port, firstCore, coreCount, memoryMb, sinceMs, line } = member;
    const memoryFreeMb = machine.workers.unreserved(machine.workers.homeOf(member.index));
    const since = line === null ? 0 : sinceMs;
    const state = workerState(control, member);
    return { name, state, host, port, firstCore, coreCount, cores: own, memoryMb, memoryFreeMb, sinceMs: since };
  });
  const sum = (of: (report: ShardReport) => number): number => reports.reduce((total, report) => total + of(report), 0);
  return {
    epoch: control.epoch,
    queueLength: sum(({ queueLength }) => queueLength),
    collectedCount: sum(({ collectedCount }) => collectedCount),
    versionCount: control.names.count,
    grantsTotal: sum(({ grantCount }) => grantCount),
    cores,
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
