/** Connects to a node once and says who it is, or why not: for people who look for what is wrong. */
import { connect } from 'node:tls';
import { LIMITS } from '../../base/limits.ts';
import { ALPN } from '../node/listener.ts';
import type { Identity } from './join-file.ts';
import type { Role } from './names.ts';
import { Refusal } from './refusal.ts';
import type { Peer } from './tls.ts';
import { clientOptions, peerOf, refusalOf } from './tls.ts';

/** A node that refuses us closes the connection, after its handshake is done for us; it does so at once. */
const REFUSES_WITHIN_MS = 1000;

/** No connection at all; everything else is about certificates. */
const UNREACHABLE = /^(ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EADDRNOTAVAIL|EINVAL)$/;

export interface TryOptions {
  readonly host: string;
  readonly port: number;
  readonly identity: Identity;
  readonly roles: readonly Role[];
  readonly revoked: ReadonlySet<string>;
}

export function tryNode(options: TryOptions): Promise<Peer | Refusal | { readonly unreachable: string }> {
  const { host, port, identity, roles, revoked } = options;
  return new Promise((resolve) => {
    let peer: Peer | null = null;
    // HTTP is what every node answers on its port; the store's speaks no frames, and would close.
    const socket = connect({ ...clientOptions(identity), host, port, ALPNProtocols: [ALPN.http] });
    const end = (result: Peer | Refusal | { readonly unreachable: string }): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(result);
    };
    let timer = setTimeout(() => {
      end(socket.connecting ? { unreachable: 'ETIMEDOUT' } : new Refusal('silent'));
    }, LIMITS.handshakeTimeoutMs);
    socket.on('secureConnect', () => {
      const found = peerOf(socket, { identity, roles, revoked, nowMs: Date.now() });
      if (found instanceof Refusal) return end(found);
      peer = found;
      clearTimeout(timer);
      timer = setTimeout(() => end(found), REFUSES_WITHIN_MS);
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      const code = error.code ?? '';
      end(UNREACHABLE.test(code) ? { unreachable: code } : refusalOf(error, socket));
    });
    socket.on('end', () => end(new Refusal('closed-early', peer === null ? '' : 'its log says why')));
    socket.resume();
  });
}
