/** What the scheduler of a cluster knows, for people: read when somebody asks, in one pass over the cores. */
import type { ClusterScheduler } from './cluster-scheduler.ts';
import type { Gateway } from './intake.ts';
import type { Member } from './members.ts';

interface CoreCounts {
  idle: number;
  leased: number;
  /** Taken out, or about to be when their leases end. */
  withdrawn: number;
  absent: number;
}

export type WorkerState = 'joined' | 'draining' | 'absent';

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

export function viewOf(scheduler: ClusterScheduler): ClusterView {
  const { machine, members, gateways, provisions } = scheduler;
  const running = new Map<Gateway, number>();
  const cores = noCores();
  const workers = members.all().map((member) => {
    const own = coresOf(scheduler, member, running);
    for (const state of Object.keys(own) as (keyof CoreCounts)[]) cores[state] += own[state];
    const { name, host, port, firstCore, coreCount, memoryMb, sinceMs, line } = member;
    const memoryFreeMb = machine.workers.unreserved(machine.workers.homeOf(member.index));
    const since = line === null ? 0 : sinceMs;
    const state = workerState(member);
    return { name, state, host, port, firstCore, coreCount, cores: own, memoryMb, memoryFreeMb, sinceMs: since };
  });
  return {
    epoch: scheduler.epoch,
    queueLength: machine.queue.length,
    collectedCount: scheduler.intake.collectedCount,
    versionCount: scheduler.names.count,
    grantsTotal: scheduler.grantCount,
    cores,
    workers,
    gateways: [...gateways].map((gateway) => ({
      name: gateway.name,
      waiting: waitingOf(scheduler, gateway),
      running: running.get(gateway) ?? 0,
      sinceMs: gateway.sinceMs,
    })),
    provisioned: provisions
      .sums()
      .map(({ key, wanted, begun, ready, failed }) => ({ key, wanted, begun, ready, failed })),
  };
}

export function workerState({ line, isDraining }: Member): WorkerState {
  if (line === null) return 'absent';
  return isDraining ? 'draining' : 'joined';
}

function noCores(): CoreCounts {
  return { idle: 0, leased: 0, withdrawn: 0, absent: 0 };
}

function coresOf({ machine, requests }: ClusterScheduler, member: Member, running: Map<Gateway, number>): CoreCounts {
  const counts = noCores();
  const { firstCore, coreCount, line } = member;
  if (line === null) return { ...counts, absent: coreCount };
  for (let core = firstCore; core < firstCore + coreCount; core++) {
    const request = machine.leases.request(core);
    if (request < 0) {
      counts[machine.cores.isWithdrawn(core) ? 'withdrawn' : 'idle']++;
      continue;
    }
    counts.leased++;
    const gateway = requests.requester(request);
    if (gateway !== null) running.set(gateway, (running.get(gateway) ?? 0) + 1);
  }
  return counts;
}

function waitingOf({ requests }: ClusterScheduler, { indexes }: Gateway): number {
  let count = 0;
  for (const index of indexes) if (index >= 0 && requests.waits(index)) count++;
  return count;
}
