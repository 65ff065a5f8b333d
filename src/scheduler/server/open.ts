/** The scheduler of a cluster, put together and listening. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { extname } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import { LIMITS } from '../../base/limits.ts';
import type { Identity } from '../../cluster/identity/join-file.ts';
import type { Log } from '../../telemetry/log.ts';
import { REQUEST_COUNT_MAX } from '../machine/leases.ts';
import type { ClusterLimits } from './cluster-scheduler.ts';
import { SWEEP_MS } from './collected.ts';
import { listen } from './listen.ts';
import { openOneShard } from './one-shard.ts';
import { Shards } from './threads/shards.ts';
import { tlsDoor } from './threads/tls-door.ts';

export interface SchedulerOptions {
  readonly identity: Identity;
  readonly revoked: () => ReadonlySet<string>;
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly coreCountMax: number;
  readonly workerCountMax: number;
  /** Each a thread, where there are several. */
  readonly shards: number;
  readonly clock: Clock;
  readonly log: Log;
  /** A thread has met a bug: the process is to end. */
  readonly failed: (error: Error) => void;
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
export function openScheduler(options: SchedulerOptions): Promise<RunningScheduler> {
  return options.shards === 1 ? openAlone(options) : openShards(options);
}

async function openAlone(options: SchedulerOptions): Promise<RunningScheduler> {
  const { identity, clock, log } = options;
  const one = openOneShard(schedulerLimits(options), { name: identity.name, clock, log });
  const listener = await listen(options, {
    accept: (socket, peer) => one.server.accept(socket, peer),
    answers: one.answers,
  }).catch((error: unknown) => {
    // It looks at its leases each second, and would keep the process.
    one.close();
    throw error;
  });
  return {
    port: listener.port,
    epoch: one.scheduler.epoch,
    dismiss: (fingerprints) => listener.dismiss(fingerprints),
    close: async () => {
      const closed = listener.close();
      one.close();
      await closed;
    },
  };
}

async function openShards(options: SchedulerOptions): Promise<RunningScheduler> {
  const { identity, revoked, host, port, clock, log, shards: shardCount, failed } = options;
  await probePort(host, port);
  const shards = await Shards.open({
    limits: schedulerLimits(options),
    shardCount,
    name: identity.name,
    clock,
    log,
    failed,
    // The platform runs from its TypeScript sources and from what they were built to.
    entry: new URL(`./threads/shard-thread${extname(import.meta.url)}`, import.meta.url),
    door: (known) =>
      tlsDoor(identity, { host, port: known === 0 ? port : known, revoked: [...revoked()], logLevel: log.level }),
  });
  return {
    port: shards.port,
    epoch: shards.control.epoch,
    dismiss: (fingerprints) => shards.revoke([...fingerprints]),
    close: () => shards.close(),
  };
}

/** The shards share their port with whoever else says so, which may be a scheduler that was started twice: so nobody may have it yet. */
async function probePort(host: string, port: number): Promise<void> {
  const probe = createServer().listen({ host, port });
  await once(probe, 'listening');
  probe.close();
  await once(probe, 'close');
}
