/** The scheduler of a cluster, put together and listening: the machine, its server, and TLS in front of it. */
import type { Clock } from '../../base/clock.ts';
import { LIMITS } from '../../base/limits.ts';
import type { Identity } from '../../cluster/identity/join-file.ts';
import { LINK_LIMITS } from '../../cluster/link/limits.ts';
import { openListener } from '../../cluster/node/listener.ts';
import type { Log } from '../../telemetry/log.ts';
import { Metrics } from '../../telemetry/metrics.ts';
import { REQUEST_COUNT_MAX } from '../machine/leases.ts';
import { type ClusterLimits, ClusterScheduler } from './cluster-scheduler.ts';
import { ClusterServer } from './cluster-server.ts';
import { SWEEP_MS } from './collected.ts';
import { answerHttp } from './http.ts';
import { clusterMetrics } from './scheduler-metrics.ts';

export interface SchedulerOptions {
  readonly identity: Identity;
  readonly revoked: () => ReadonlySet<string>;
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly coreCountMax: number;
  readonly workerCountMax: number;
  readonly clock: Clock;
  readonly log: Log;
}

export interface RunningScheduler {
  readonly port: number;
  readonly scheduler: ClusterScheduler;
  /** Closes the connections of nodes whose certificates were taken back. */
  dismiss(revoked: ReadonlySet<string>): void;
  close(): Promise<void>;
}

/** One life of the process is one life of the scheduler, and no two begin within a second: the epoch is its start. */
export function schedulerLimits({
  coreCountMax,
  workerCountMax,
  clock,
}: Pick<SchedulerOptions, 'coreCountMax' | 'workerCountMax' | 'clock'>): ClusterLimits {
  return {
    epoch: Math.floor(clock.wallMs() / 1000) >>> 0,
    coreCountMax: Math.ceil(coreCountMax / 32) * 32,
    workerCountMax,
    functionCountMax: LIMITS.functionVersionCountMax,
    versionCountMax: LIMITS.functionVersionCountMax,
    requestCountMax: Math.min(LIMITS.requestQueueMax + 2 * coreCountMax, REQUEST_COUNT_MAX),
    queueMax: LIMITS.requestQueueMax,
    overtakeMax: LIMITS.overtakeMax,
    warmHintMax: LIMITS.warmHintMax,
    keptSweeps: LIMITS.versionKeptMs / SWEEP_MS,
    startSweeps: LIMITS.schedulerStartMs / SWEEP_MS,
  };
}

/** Throws what listening throws. */
export async function openScheduler(options: SchedulerOptions): Promise<RunningScheduler> {
  const { identity, revoked, clock, log, coreCountMax, workerCountMax } = options;
  const scheduler = new ClusterScheduler(schedulerLimits({ coreCountMax, workerCountMax, clock }));
  const metrics = new Metrics();
  clusterMetrics(scheduler, metrics);
  const server = new ClusterServer(scheduler, { name: identity.name, limits: LINK_LIMITS, clock, log, metrics });
  const answers = { view: () => server.view(), metrics: () => metrics.text() };
  const listener = await openListener({
    identity,
    // One that is a scheduler may read, and has no frames to say.
    roles: ['worker', 'gateway', 'scheduler'],
    revoked,
    host: options.host,
    port: options.port,
    clock,
    log,
    frames: (socket, peer) => server.accept(socket, peer),
    http: (request, response) => answerHttp(answers, request, response),
  });
  return {
    port: listener.port,
    scheduler,
    dismiss: (fingerprints) => listener.dismiss(fingerprints),
    close: async () => {
      const closed = listener.close();
      server.close();
      await closed;
    },
  };
}
