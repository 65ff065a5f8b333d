/** What the scheduler machine counts, as metrics: read when somebody scrapes. */
import type { Metrics } from '../../telemetry/metrics.ts';
import { counter } from '../machine/counters.ts';
import type { SharedMemory } from '../machine/memory.ts';
import type { Scheduler } from '../machine/scheduler.ts';
import type { Control } from './control.ts';
import type { LocalScheduler } from './local.ts';
import { localCores, localExtraSeats } from './local-view.ts';
import { type ClusterView, type ExtraSeatCounts, workerState } from './view.ts';

const GRANTS = [
  counter.grantWarmCore,
  counter.grantWarmWorker,
  counter.grantIdleList,
  counter.grantSummary,
  counter.grantHandedOver,
  counter.grantKept,
  counter.grantProvisioned,
  counter.grantExtra,
] as const;

/** By all shards. */
export function grantsTotal({ shards }: SharedMemory): number {
  let total = 0;
  for (const { counters } of shards) for (const path of GRANTS) total += counters[path]!;
  return total;
}

/** What all shards have counted. */
export function schedulerMetrics(machine: Scheduler, metrics: Metrics): void {
  const { shards } = machine.memory;
  const count = (index: number): number => shards.reduce((sum, { counters }) => sum + counters[index]!, 0);
  metrics.read('perch_cores', () => ({
    idle: machine.idleCount,
    leased: machine.leasedCount,
    withdrawn: machine.withdrawnCount,
  }));
  metrics.read('perch_queue_length', () => machine.queue.length);
  metrics.read('perch_scheduler_grants_total', () => ({
    'warm-core': count(counter.grantWarmCore),
    'warm-worker': count(counter.grantWarmWorker),
    'idle-list': count(counter.grantIdleList),
    summary: count(counter.grantSummary),
    'handed-over': count(counter.grantHandedOver),
    kept: count(counter.grantKept),
    provisioned: count(counter.grantProvisioned),
    extra: count(counter.grantExtra),
  }));
  metrics.read('perch_scheduler_stale_hints_total', () => ({
    warm: count(counter.staleWarmHints),
    'idle-list': count(counter.staleIdleReferences),
  }));
  metrics.read('perch_scheduler_overtakes_total', () => count(counter.overtakes));
  metrics.read('perch_scheduler_memory_blocked_total', () => count(counter.memoryBlocked));
  metrics.read('perch_scheduler_no_memory_total', () => count(counter.noMemory));
}

/** Of one machine: its cores are not all seats that there are. */
export function localMetrics(scheduler: LocalScheduler, metrics: Metrics): void {
  schedulerMetrics(scheduler.machine, metrics);
  metrics.read('perch_cores', () => {
    const { idle, leased, withdrawn } = localCores(scheduler);
    return { idle, leased, withdrawn };
  });
  metrics.read('perch_extra_seats', () => statesOf(localExtraSeats(scheduler)));
}

function statesOf({ count, open, leased }: ExtraSeatCounts): Record<'open' | 'leased' | 'closed', number> {
  return { open, leased, closed: count - open - leased };
}

/** Of a cluster's: the cores of workers that are away are `absent`. `view`: of the moment at which somebody scrapes. */
export function clusterMetrics(control: Control, metrics: Metrics, view: () => ClusterView): void {
  schedulerMetrics(control.machine, metrics);
  metrics.read('perch_cores', () => ({ ...view().cores }));
  metrics.read('perch_extra_seats', () => statesOf(view().extraSeats));
  metrics.read('perch_queue_length', () => view().queueLength);
  metrics.read('perch_cluster_workers', () => {
    const counts = { joined: 0, draining: 0, absent: 0, unreached: 0 };
    for (const member of control.members.known()) counts[workerState(control, member)]++;
    return counts;
  });
  metrics.read('perch_cluster_gateways', () => control.gateways.size);
  metrics.read('perch_cluster_connections_closed_total', () => Object.fromEntries(control.closedCounts));
}
