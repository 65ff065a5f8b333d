/** A scheduler with one shard and its connections, all in the thread that calls; whoever listens brings them. */
import type { Clock } from '../../base/clock.ts';
import { LINK_LIMITS } from '../../cluster/link/limits.ts';
import type { Log } from '../../telemetry/log.ts';
import { Metrics } from '../../telemetry/metrics.ts';
import { type ClusterLimits, ClusterScheduler } from './cluster-scheduler.ts';
import { ClusterServer, newLife } from './cluster-server.ts';
import { SWEEP_MS } from './collected.ts';
import type { HttpAnswers } from './http.ts';
import { Rate } from './rate.ts';
import { clusterMetrics } from './scheduler-metrics.ts';
import type { Greeting } from './shard-ports.ts';
import { TICK_MS } from './unreached.ts';
import { viewOf } from './view.ts';

export interface OneShard {
  readonly scheduler: ClusterScheduler;
  readonly server: ClusterServer;
  readonly answers: HttpAnswers;
  /** Closes all connections; who waits is told to ask the next scheduler. */
  close(): void;
}

export interface ShardHost {
  /** Of this node. */
  readonly name: string;
  readonly clock: Clock;
  readonly log: Log;
}

export function openOneShard(limits: ClusterLimits, { name, clock, log }: ShardHost): OneShard {
  const scheduler = new ClusterScheduler(limits, warnOfEpochs(log));
  const server = new ClusterServer(scheduler.shard, scheduler.control, {
    name,
    life: newLife(),
    limits: LINK_LIMITS,
    clock,
    log,
  });
  const metrics = new Metrics();
  clusterMetrics(scheduler.control, metrics, () => viewOf(scheduler));
  const rate = new Rate(clock.nowUs());
  const stopSweeping = clock.every(SWEEP_MS, () => {
    rate.look(scheduler.shard.grantCount, clock.nowUs());
    scheduler.sweep();
  });
  const stopTicking = clock.every(TICK_MS, () => scheduler.tick());
  return {
    scheduler,
    server,
    answers: {
      view: async () => ({ ...viewOf(scheduler), grantsPerSecond: rate.perSecond }),
      metrics: async () => metrics.text(),
    },
    close: () => {
      stopSweeping();
      stopTicking();
      server.close();
    },
  };
}

/** For the log: this scheduler's epoch has become later than another's. */
export function warnOfEpochs(log: Log): (greeting: Greeting, epoch: number) => void {
  return ({ name, epoch }, renewed) =>
    log.warn({ node: name, epoch, renewed }, 'a node has seen an epoch of another scheduler');
}
