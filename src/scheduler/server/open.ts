/** The scheduler of a cluster, put together and listening. */
import type { Clock } from '../../base/clock.ts';
import { LIMITS } from '../../base/limits.ts';
import type { Identity } from '../../cluster/identity/join-file.ts';
import type { Log } from '../../telemetry/log.ts';
import { REQUEST_COUNT_MAX } from '../machine/leases.ts';
import type { ClusterLimits } from './cluster-scheduler.ts';
import { SWEEP_MS } from './collected.ts';
import { listen } from './listen.ts';
import { openOneShard } from './one-shard.ts';

export interface SchedulerOptions {
  readonly identity: Identity;
  readonly revoked: () => ReadonlySet<string>;
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly coreCountMax: number;
  readonly workerCountMax: number;
  readonly shards: number;
  readonly clock: Clock;
  readonly log: Log;
}

export interface RunningScheduler {
  readonly port: number;
  readonly epoch: number;
  /** Closes the connections of nodes whose certificates were taken back. */
  dismiss(revoked: ReadonlySet<string>): void;
  close(): Promise<void>;
}

/** One life of the process is one life of the scheduler, and no two begin within a second: the epoch is its start. */
export function schedulerLimits({
  coreCountMax,
  workerCountMax,
  clock,
  shards,
}: Pick<SchedulerOptions, 'coreCountMax' | 'workerCountMax' | 'clock' | 'shards'>): ClusterLimits {
  return {
    epoch: Math.floor(clock.wallMs() / 1000) >>> 0,
    coreCountMax: Math.ceil(coreCountMax / 32) * 32,
    workerCountMax,
    functionCountMax: LIMITS.functionVersionCountMax,
    versionCountMax: LIMITS.functionVersionCountMax,
    requestCountMax: Math.min(LIMITS.requestQueueMax + 2 * coreCountMax, Math.floor(REQUEST_COUNT_MAX / shards) - 1),
    queueMax: LIMITS.requestQueueMax,
    overtakeMax: LIMITS.overtakeMax,
    warmHintMax: LIMITS.warmHintMax,
    keptSweeps: LIMITS.versionKeptMs / SWEEP_MS,
    startSweeps: LIMITS.schedulerStartMs / SWEEP_MS,
  };
}

/** Throws what listening throws. */
export async function openScheduler(options: SchedulerOptions): Promise<RunningScheduler> {
  const { identity, clock, log } = options;
  const { scheduler, server, answers, close } = openOneShard(schedulerLimits(options), {
    name: identity.name,
    clock,
    log,
  });
  const listener = await listen(options, { accept: (socket, peer) => server.accept(socket, peer), answers });
  return {
    port: listener.port,
    epoch: scheduler.epoch,
    dismiss: (fingerprints) => listener.dismiss(fingerprints),
    close: async () => {
      const closed = listener.close();
      close();
      await closed;
    },
  };
}
