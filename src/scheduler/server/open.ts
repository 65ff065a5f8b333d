/** The scheduler of a cluster, put together and listening: the machine, its server, and TLS in front of it. */
import type { Clock } from '../../base/clock.ts';
import { LIMITS } from '../../base/limits.ts';
import type { Identity } from '../../cluster/identity/join-file.ts';
import { LINK_LIMITS } from '../../cluster/link/limits.ts';
import { openListener } from '../../cluster/node/listener.ts';
import type { Log } from '../../telemetry/log.ts';
import { ClusterScheduler } from './cluster-scheduler.ts';
import { ClusterServer } from './cluster-server.ts';

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

/** Throws what listening throws. */
export async function openScheduler(options: SchedulerOptions): Promise<RunningScheduler> {
  const { identity, revoked, clock, log, coreCountMax, workerCountMax } = options;
  const scheduler = new ClusterScheduler({
    // One life of the process is one life of the scheduler, and no two begin within a second.
    epoch: Math.floor(clock.wallMs() / 1000) >>> 0,
    coreCountMax: Math.ceil(coreCountMax / 32) * 32,
    workerCountMax,
    functionCountMax: LIMITS.functionVersionCountMax,
    versionCountMax: LIMITS.functionVersionCountMax,
    requestCountMax: LIMITS.requestQueueMax + 2 * coreCountMax,
    queueMax: LIMITS.requestQueueMax,
    overtakeMax: LIMITS.overtakeMax,
    warmHintMax: LIMITS.warmHintMax,
  });
  const server = new ClusterServer(scheduler, { name: identity.name, limits: LINK_LIMITS, clock, log });
  const listener = await openListener({
    identity,
    roles: ['worker', 'gateway'],
    revoked,
    host: options.host,
    port: options.port,
    clock,
    log,
    frames: (socket, peer) => server.accept(socket, peer),
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
