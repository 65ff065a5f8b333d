import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import test from 'node:test';
import { isRefusedPeer } from '../../src/gateway/peer.ts';

const RANGE = { from: 1_900_000_000, to: 1_900_001_023 };

/** Connects, and stays until the server answers. */
const WAITING = `require('net').connect({host: process.argv[1], port: +process.argv[2]}).on('data', () => process.exit(0))`;
/** Sends what it has and is gone, leaving the server's answer unread. */
const GONE = `
import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2]))); s.sendall(b'x'); s.close()`;

const canSwitchUser = process.getuid?.() === 0 && spawnSync('setpriv', ['--version']).status === 0;
const skip = canSwitchUser ? false : 'NOT TESTED: connections of function users are refused (needs root and setpriv)';

interface Client {
  readonly host: string;
  readonly uid: number;
  readonly command: readonly string[];
  readonly listenOn: string;
}

/** What the server makes of a connection that a process of that user opened. */
async function refused(client: Client, whenMs = 0): Promise<boolean> {
  const server = createServer();
  server.listen(0, client.listenOn);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const user = ['--reuid', String(client.uid), '--regid', String(client.uid), '--clear-groups'];
  const child = spawn('setpriv', [...user, ...client.command, client.host, String(port)], { stdio: 'inherit' });
  const exited = once(child, 'exit');
  const [socket] = await once(server, 'connection');
  // To see a client that is gone, wait until it is.
  if (whenMs > 0) await exited;
  const result = isRefusedPeer(socket, RANGE);
  socket.end('bye');
  await exited;
  server.close();
  return result;
}

const node = [process.execPath, '-e', WAITING];

test('a function user is refused, its neighbours are not', { skip }, async () => {
  const at = { host: '127.0.0.1', listenOn: '127.0.0.1', command: node };
  assert.equal(await refused({ ...at, uid: RANGE.from }), true);
  assert.equal(await refused({ ...at, uid: RANGE.to }), true);
  assert.equal(await refused({ ...at, uid: RANGE.to + 1 }), false);
  assert.equal(await refused({ ...at, uid: 0 }), false);
});

test('over IPv6 too, and over both at once', { skip }, async () => {
  for (const uid of [RANGE.from + 7, 12_345]) {
    const isRefused = uid >= RANGE.from;
    assert.equal(await refused({ host: '::1', listenOn: '::1', command: node, uid }), isRefused);
    assert.equal(await refused({ host: '127.0.0.1', listenOn: '::', command: node, uid }), isRefused);
    assert.equal(await refused({ host: '::ffff:127.0.0.1', listenOn: '127.0.0.1', command: node, uid }), isRefused);
  }
});

test('who was gone before we looked is refused: it could be anybody', { skip }, async () => {
  const python = ['/usr/bin/python3', '-c', GONE];
  if (spawnSync(python[0] ?? '', ['--version']).status !== 0) return;
  assert.equal(await refused({ host: '127.0.0.1', listenOn: '127.0.0.1', command: python, uid: RANGE.from }, 1), true);
});
