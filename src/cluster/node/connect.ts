/** Connections to other nodes: mutual TLS, and closed at once where the other side is not who is wanted. */
import { Agent, request } from 'node:https';
import type { Duplex } from 'node:stream';
import { connect, type TLSSocket } from 'node:tls';
import type { Clock } from '../../base/clock.ts';
import { parseJson } from '../../base/json.ts';
import { LIMITS } from '../../base/limits.ts';
import type { Identity } from '../identity/join-file.ts';
import type { Role } from '../identity/names.ts';
import { Refusal } from '../identity/refusal.ts';
import { clientOptions, type Peer, peerOf } from '../identity/tls.ts';
import { ALPN } from './listener.ts';

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** As it is written: HOST:PORT, [IPv6]:PORT. */
export function addressText({ host, port }: Address): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** The connections that a node has made, so that those to nodes whose certificates were taken back can be ended. */
export class Dialled {
  readonly #peers = new Map<TLSSocket, Peer>();

  add(socket: TLSSocket, peer: Peer): void {
    this.#peers.set(socket, peer);
    socket.once('close', () => this.#peers.delete(socket));
  }

  dismiss(revoked: ReadonlySet<string>): void {
    for (const [socket, { fingerprint }] of this.#peers) if (revoked.has(fingerprint)) socket.destroy();
  }
}

/** As whom this node dials, and whom it takes for whom it dialled. */
export interface Dialling {
  readonly identity: Identity;
  readonly roles: readonly Role[];
  readonly revoked: () => ReadonlySet<string>;
  readonly clock: Clock;
  /** Keeps them while they last. */
  readonly dialled?: Dialled;
  /** The one node that is meant; absent: any that has a role of those. */
  readonly name?: string;
}

/**
 * A connection that is on its way: what is written waits, what goes wrong is its 'error'. Nothing is read from one who is refused.
 */
export function connectNode(dialling: Dialling, { host, port }: Address, speaks: keyof typeof ALPN): TLSSocket {
  const { identity, roles, revoked, clock, dialled, name } = dialling;
  const socket = connect({ ...clientOptions(identity), host, port, ALPNProtocols: [ALPN[speaks]] });
  // Node's HTTP does so on connections that it makes itself; without it some answers take 40 ms more.
  socket.setNoDelay(true);
  const stopWaiting = clock.every(LIMITS.handshakeTimeoutMs, () => {
    socket.destroy(new Error(new Refusal('silent').message));
  });
  socket.once('close', stopWaiting);
  socket.prependOnceListener('secureConnect', () => {
    stopWaiting();
    const found = peerOf(socket, { identity, roles, revoked: revoked(), nowMs: clock.wallMs() });
    if (found instanceof Refusal) socket.destroy(new Error(found.message));
    else if (name !== undefined && name !== found.name)
      socket.destroy(new Error(`${found.name} is at ${host}:${port}, and not ${name}`));
    else dialled?.add(socket, found);
  });
  return socket;
}

/** For node:https: requests to nodes, over connections that stay. The host and port of a request are the node's. */
export function nodeAgent(dialling: Dialling): Agent {
  const agent = new Agent({ keepAlive: true, maxSockets: LIMITS.nodeConnectionsMax });
  agent.createConnection = ({ host, port }): Duplex =>
    connectNode(dialling, { host: String(host), port: Number(port) }, 'http');
  return agent;
}

const ANSWER_BYTES_MAX = 64 * 1024 * 1024;

/** What a node says at this path; null where it cannot be reached in time, or says something else. */
export function getJson<T>(
  agent: Agent,
  { host, port, path }: Address & { readonly path: string },
  timeoutMs: number = LIMITS.handshakeTimeoutMs,
): Promise<T | null> {
  return new Promise((resolve) => {
    const signal = AbortSignal.timeout(timeoutMs);
    const asked = request({ agent, host, port, path, signal }, (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > ANSWER_BYTES_MAX) asked.destroy();
        else chunks.push(chunk);
      });
      response.on('error', () => resolve(null));
      response.on('end', () =>
        resolve(
          response.statusCode === 200
            ? ((parseJson(Buffer.concat(chunks).toString('utf8')) ?? null) as T | null)
            : null,
        ),
      );
    });
    asked.on('error', () => resolve(null));
    asked.end();
  });
}
