/** The port of a scheduler, or of one shard of several: TLS, and behind it frames or HTTP. */
import type { TLSSocket } from 'node:tls';
import { type Listener, type ListenerOptions, openListener } from '../../cluster/node/listener.ts';
import type { AcceptedPeer } from './cluster-server.ts';
import { answerHttp, type HttpAnswers } from './http.ts';

export type ListenSetting = Pick<
  ListenerOptions,
  'identity' | 'revoked' | 'host' | 'port' | 'reusePort' | 'clock' | 'log'
>;

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
