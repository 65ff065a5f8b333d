/** Clusters for tests: an authority in a folder of its own, identities, a listening node and those who knock. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import type net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import tls from 'node:tls';
import { realClock } from '../../../src/base/clock.ts';
import { Authority, addNode, initAuthority } from '../../../src/cluster/identity/authority.ts';
import type { Added, NewNode } from '../../../src/cluster/identity/authority.ts';
import { Identity, readAnyJoinFile } from '../../../src/cluster/identity/join-file.ts';
import type { Role } from '../../../src/cluster/identity/names.ts';
import { RefusalLog } from '../../../src/cluster/identity/refusal.ts';
import { acceptPeers, serverOptions } from '../../../src/cluster/identity/tls.ts';
import type { Peer } from '../../../src/cluster/identity/tls.ts';

export const DAY_MS = 86_400_000;

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'perch-cluster-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export interface TestCluster {
  readonly folder: string;
  readonly authority: Authority;
  /** Makes a join file; `nowMs` is the time of making. */
  add(
    name: string,
    roles: readonly Role[],
    more?: Partial<NewNode> & { nowMs?: number },
  ): Promise<Added & { out: string }>;
  identity(name: string, roles: readonly Role[], more?: Partial<NewNode> & { nowMs?: number }): Promise<Identity>;
}

export async function makeCluster(nowMs = Date.now()): Promise<TestCluster> {
  const folder = join(temporaryFolder(), 'authority');
  const authority = await initAuthority(folder, 'test', nowMs);
  assert.ok(authority instanceof Authority, JSON.stringify(authority));
  let count = 0;
  const cluster: TestCluster = {
    folder,
    authority,
    async add(name, roles, { nowMs: madeMs = nowMs, ...more } = {}) {
      const out = join(folder, '..', `${name}-${count++}.join`);
      const node: NewNode = { name, roles, addresses: [], days: undefined, renew: true, out, ...more };
      const added = await addNode(authority, node, madeMs);
      assert.ok('fingerprint' in added, JSON.stringify(added));
      return { ...added, out };
    },
    async identity(name, roles, more) {
      const identity = readAnyJoinFile((await cluster.add(name, roles, more)).out);
      assert.ok(identity instanceof Identity, typeof identity === 'string' ? identity : '');
      return identity;
    },
  };
  return cluster;
}

export interface Line {
  readonly reason: string;
  readonly remote: string;
  readonly leftOut?: number;
  readonly message: string;
}

export interface TestNode {
  readonly port: number;
  readonly server: tls.Server;
  readonly accepted: Peer[];
  readonly lines: Line[];
  /** The next line of the log that is not yet seen. */
  refusal(): Promise<Line>;
}

/** A node that takes workers and gateways, greets them with "hello" and echoes. */
export async function listen(
  identity: Identity,
  options: { revoked?: () => ReadonlySet<string>; roles?: readonly Role[]; handshakeTimeoutMs?: number } = {},
): Promise<TestNode> {
  const server = tls.createServer(serverOptions(identity, options.handshakeTimeoutMs));
  const accepted: Peer[] = [];
  const lines: Line[] = [];
  let seen = 0;
  const log = new RefusalLog({
    warn: (fields: object, message: string) => {
      lines.push({ ...(fields as Line), message });
      server.emit('test:line');
    },
  } as never);
  const roles = options.roles ?? ['worker', 'gateway'];
  acceptPeers(
    server,
    { identity, roles, revoked: options.revoked ?? (() => new Set()), clock: realClock, log },
    (socket, peer) => {
      accepted.push(peer);
      socket.on('error', () => undefined);
      socket.write('hello');
      socket.pipe(socket);
    },
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A test that failed leaves connections behind, and they would keep the process alive.
  const sockets = new Set<net.Socket>();
  server.on('connection', (socket: net.Socket) => sockets.add(socket));
  after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return {
    port: (server.address() as net.AddressInfo).port,
    server,
    accepted,
    lines,
    async refusal() {
      while (lines.length <= seen) await once(server, 'test:line');
      return lines[seen++] as Line;
    },
  };
}

/** Connects, waits for the greeting or the end. What was read, and the error if there was one. */
export function knock(
  options: tls.ConnectionOptions,
): Promise<{ text: string; error: Error | null; socket: tls.TLSSocket }> {
  return new Promise((resolve) => {
    let text = '';
    let error: Error | null = null;
    const socket = tls.connect({ host: '127.0.0.1', ...options });
    const end = (): void => {
      socket.destroy();
      resolve({ text, error, socket });
    };
    socket.on('data', (chunk) => {
      text += String(chunk);
      if (text === 'hello') end();
    });
    socket.on('error', (found) => (error = found));
    socket.on('close', end);
  });
}
