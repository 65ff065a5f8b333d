/**
 * The one port at which a node is reached by the others: mutual TLS, and behind it frames or HTTP, as the side that dials
 * asks by ALPN. Who comes has been judged (identity/tls.ts) before anything of it is read.
 */
import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import type { Clock } from '../../base/clock.ts';
import { LIMITS } from '../../base/limits.ts';
import type { Log } from '../../telemetry/log.ts';
import type { Identity } from '../identity/join-file.ts';
import type { Role } from '../identity/names.ts';
import { Refusal, RefusalLog } from '../identity/refusal.ts';
import { acceptPeers, type Peer, serverOptions } from '../identity/tls.ts';

/** What is spoken on a connection; without ALPN it is frames. */
export const ALPN = { frames: 'perch/1', http: 'http/1.1' } as const;

export interface ListenerOptions {
  readonly identity: Identity;
  /** Who may come: one of these. */
  readonly roles: readonly Role[];
  readonly revoked: () => ReadonlySet<string>;
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Others listen on the same port: the kernel spreads connections among them. */
  readonly reusePort?: boolean;
  readonly clock: Clock;
  readonly log: Log;
  /** Absent: such connections are closed. */
  readonly frames?: (socket: TLSSocket, peer: Peer) => void;
  readonly http?: (request: IncomingMessage, response: ServerResponse, peer: Peer) => void;
  /** So many may be in their handshakes; with one more, the oldest of them is closed. */
  readonly strangersMax?: number;
  /** A connection of HTTP on which nothing moves for so long is closed: its node may be gone without a word. */
  readonly httpSilenceMs?: number;
}

export interface Listener {
  readonly port: number;
  /** Closes the connections of nodes whose certificates were taken back. */
  dismiss(revoked: ReadonlySet<string>): void;
  /** Takes no more connections; resolves when those there were have ended. Those of HTTP, and those that have not said who they are, are ended by this. */
  close(): Promise<void>;
}

/** Throws what listening throws. */
export async function openListener(options: ListenerOptions): Promise<Listener> {
  const { identity, roles, revoked, clock, log } = options;
  const peers = new Map<TLSSocket, Peer>();
  const http = options.http === undefined ? null : httpServer(options, peers);
  const server = createServer({ ...serverOptions(identity), ALPNProtocols: [ALPN.frames, ALPN.http] });
  const refusals = new RefusalLog(log);
  const strangers = new Map<string, Socket>();
  const { strangersMax = LIMITS.strangersMax } = options;
  // Who only knocks cannot fill the memory, nor keep nodes out: those are done with it long before they are the oldest.
  const dropOldest = (): void => {
    const [name, socket] = strangers.entries().next().value!;
    strangers.delete(name);
    refusals.add(new Refusal('crowded'), socket.remoteAddress ?? 'unknown', clock.wallMs());
    socket.destroy();
  };
  server.on('connection', (socket: Socket) => {
    const name = endOf(socket);
    strangers.set(name, socket);
    socket.once('close', () => strangers.delete(name));
    if (strangers.size > strangersMax) dropOldest();
  });
  acceptPeers(server, { identity, roles, revoked, clock, log: refusals }, (socket, peer) => {
    strangers.delete(endOf(socket));
    peers.set(socket, peer);
    socket.once('close', () => peers.delete(socket));
    socket.setNoDelay(true);
    const isHttp = socket.alpnProtocol === ALPN.http;
    if (isHttp && http !== null) http.emit('connection', socket);
    else if (!isHttp && options.frames !== undefined) options.frames(socket, peer);
    else {
      socket.on('error', () => undefined);
      socket.destroy();
    }
  });
  const { host, port, reusePort = false } = options;
  server.listen({ host, port, reusePort, backlog: LIMITS.listenBacklog });
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    dismiss: (fingerprints) => {
      for (const [socket, { fingerprint }] of peers) if (fingerprints.has(fingerprint)) socket.destroy();
    },
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const socket of peers.keys()) if (socket.alpnProtocol === ALPN.http) socket.destroy();
      for (const socket of strangers.values()) socket.destroy();
      await closed;
    },
  };
}

/** The other end of a connection, whether TLS has begun on it or not. */
function endOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

function httpServer({ http: answer, httpSilenceMs }: ListenerOptions, peers: ReadonlyMap<TLSSocket, Peer>): Server {
  const server = createHttpServer((request, response) => {
    const peer = peers.get(request.socket as TLSSocket);
    if (peer === undefined) request.socket.destroy();
    else answer!(request, response, peer);
  });
  // Node's limits for the head and the whole of a request hold only for servers that listen themselves.
  server.timeout = httpSilenceMs ?? LIMITS.httpSilenceMs;
  return server;
}
