/** What the scheduler machine counts, as metrics: read when somebody scrapes. */
import type { Metrics } from '../../telemetry/metrics.ts';
import { counter } from '../machine/counters.ts';
import type { Scheduler } from '../machine/scheduler.ts';
import type { ClusterScheduler } from './cluster-scheduler.ts';
import { viewOf, workerState } from './view.ts';

export function schedulerMetrics(machine: Scheduler, metrics: Metrics): void {
  const count = (index: number): number => machine.counters[index]!;
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
  }));
  metrics.read('perch_scheduler_stale_hints_total', () => ({
    warm: count(counter.staleWarmHints),
    'idle-list': count(counter.staleIdleReferences),
  }));
  metrics.read('perch_scheduler_overtakes_total', () => count(counter.overtakes));
  metrics.read('perch_scheduler_memory_blocked_total', () => count(counter.memoryBlocked));
  metrics.read('perch_scheduler_no_memory_total', () => count(counter.noMemory));
}

/** Of a cluster's: the cores of workers that are away are `absent`. */
export function clusterMetrics(scheduler: ClusterScheduler, metrics: Metrics): void {
  schedulerMetrics(scheduler.machine, metrics);
  metrics.read('perch_cores', () => ({ ...viewOf(scheduler).cores }));
  metrics.read('perch_cluster_workers', () => {
    const counts = { joined: 0, draining: 0, absent: 0 };
    for (const member of scheduler.members.all()) counts[workerState(member)]++;
    return counts;
  });
  metrics.read('perch_cluster_gateways', () => scheduler.gateways.size);
}
