/** The port of a node, and who comes to it and then says nothing. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import pino from 'pino';
import { realClock } from '../../src/base/clock.ts';
import { connectNode } from '../../src/cluster/node/connect.ts';
import { type Listener, openListener } from '../../src/cluster/node/listener.ts';
import { makeCluster } from './identity/cluster.ts';

const HOST = '127.0.0.1';
const SILENCE_MS = 100;
const cluster = await makeCluster();
const identity = await cluster.identity('box', ['gateway', 'worker']);
const revoked = (): ReadonlySet<string> => new Set();

function open(httpSilenceMs?: number): Promise<Listener> {
  return openListener({
    identity,
    roles: ['gateway'],
    revoked,
    host: HOST,
    port: 0,
    clock: realClock,
    log: pino({ level: 'silent' }),
    http: (request, response) => void request.on('end', () => response.end()).resume(),
    ...(httpSilenceMs !== undefined && { httpSilenceMs }),
  });
}

for (const part of ['GET / HT', 'POST / HTTP/1.1\r\nhost: box\r\ncontent-length: 1000\r\n\r\nhalf of it']) {
  test(`a request that does not go on after ${JSON.stringify(part)} is ended`, async () => {
    const listener = await open(SILENCE_MS);
    const dialling = { identity, roles: ['gateway'] as const, revoked, clock: realClock };
    const socket = connectNode(dialling, { host: HOST, port: listener.port }, 'http');
    socket.on('error', () => undefined);
    socket.write(part);
    await once(socket, 'close');
    await listener.close();
  });
}

test('one who has not said who it is does not keep the port open', async () => {
  const listener = await open();
  const [silent, gone] = [connect(listener.port, HOST), connect(listener.port, HOST)];
  for (const socket of [silent, gone]) socket.on('error', () => undefined);
  await Promise.all([once(silent, 'connect'), once(gone, 'connect')]);
  gone.destroy();
  const closed = once(silent, 'close');
  await Promise.all([listener.close(), closed]);
});

test('so many may be on their way in; with one more the oldest is closed, and nobody who was let in', async () => {
  const lines: { readonly reason?: string }[] = [];
  const listener = await openListener({
    identity,
    roles: ['gateway'],
    revoked,
    host: HOST,
    port: 0,
    strangersMax: 2,
    clock: realClock,
    log: { warn: (line: object) => lines.push(line) } as never,
    http: (_request, response) => void response.end('here'),
  });
  const at = { host: HOST, port: listener.port };
  const node = connectNode({ identity, roles: ['gateway'], revoked, clock: realClock }, at, 'http');
  node.on('error', () => undefined);
  const ask = async (): Promise<void> => {
    node.write('GET / HTTP/1.1\r\nhost: box\r\n\r\n');
    await once(node, 'data');
  };
  await ask();
  const knock = async (): Promise<Socket> => {
    const socket = connect(at.port, HOST);
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    return socket;
  };
  const oldest = await knock();
  await knock();
  await knock();
  if (!oldest.closed) await once(oldest, 'close');
  assert.equal(lines[0]!.reason, 'crowded');
  await ask();
  node.destroy();
  await listener.close();
});

test('who was let in is not taken for a stranger', async () => {
  const listener = await open();
  const dialling = { identity, roles: ['gateway'] as const, revoked, clock: realClock };
  for (let count = 0; count < 20; count++) {
    const socket = connectNode(dialling, { host: HOST, port: listener.port }, 'http');
    socket.write('GET / HTTP/1.1\r\nhost: box\r\nconnection: close\r\n\r\n');
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    assert.match(chunk.toString(), /^HTTP\/1.1 200 OK/);
    socket.destroy();
  }
  await listener.close();
});
