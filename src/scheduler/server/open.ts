/** The scheduler of a cluster, put together and listening: the machine, its server, and TLS in front of it. */
import { once } from 'node:events';
import { createServer, type TLSSocket } from 'node:tls';
import type { AddressInfo } from 'node:net';
import type { Clock } from '../../base/clock.ts';
import { LIMITS } from '../../base/limits.ts';
import type { Identity } from '../../cluster/identity/join-file.ts';
import { RefusalLog } from '../../cluster/identity/refusal.ts';
import { acceptPeers, serverOptions } from '../../cluster/identity/tls.ts';
import { LINK_LIMITS } from '../../cluster/link/limits.ts';
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
  const sockets = new Map<TLSSocket, string>();
  const listener = createServer(serverOptions(identity));
  const door = { identity, roles: ['worker', 'gateway'] as const, revoked, clock, log: new RefusalLog(log) };
  acceptPeers(listener, door, (socket, peer) => {
    sockets.set(socket, peer.fingerprint);
    socket.once('close', () => sockets.delete(socket));
    server.accept(socket, peer);
  });
  listener.listen(options.port, options.host);
  await once(listener, 'listening');
  return {
    port: (listener.address() as AddressInfo).port,
    scheduler,
    dismiss: (fingerprints) => {
      for (const [socket, fingerprint] of sockets) if (fingerprints.has(fingerprint)) socket.destroy();
    },
    close: async () => {
      const closed = once(listener, 'close');
      listener.close();
      server.close();
      await closed;
    },
  };
}
