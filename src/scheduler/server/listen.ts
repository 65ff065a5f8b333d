/** The port of a scheduler, or of one shard of several: TLS, and behind it frames or HTTP. */
import type { TLSSocket } from 'node:tls';
import type { Clock } from '../../base/clock.ts';
import type { Identity } from '../../cluster/identity/join-file.ts';
import { type Listener, openListener } from '../../cluster/node/listener.ts';
import type { Log } from '../../telemetry/log.ts';
import type { AcceptedPeer } from './cluster-server.ts';
import { answerHttp, type HttpAnswers } from './http.ts';

export interface ListenSetting {
  readonly identity: Identity;
  readonly revoked: () => ReadonlySet<string>;
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Others of this process listen on the same port. */
  readonly reusePort?: boolean;
  readonly clock: Clock;
  readonly log: Log;
}

interface Listening {
  accept(socket: TLSSocket, peer: AcceptedPeer): void;
  readonly answers: HttpAnswers;
}

/** Throws what listening throws. */
export function listen(setting: ListenSetting, listening: Listening): Promise<Listener> {
  const { identity, revoked, host, port, reusePort = false, clock, log } = setting;
  return openListener({
    identity,
    // One that is a scheduler may read, and has no frames to say.
    roles: ['worker', 'gateway', 'scheduler'],
    revoked,
    host,
    port,
    reusePort,
    clock,
    log,
    frames: (socket, peer) => listening.accept(socket, peer),
    http: (request, response) => answerHttp(listening.answers, request, response),
  });
}
