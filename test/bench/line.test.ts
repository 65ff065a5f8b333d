/** The one connection of a benchmark, where its server closes it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { test } from 'node:test';
import { Line } from '../../bench/lib/cluster/line.ts';

test('a line that its server has closed says so when it is asked', async () => {
  const server = createServer((socket) => socket.end()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const line = await Line.open(socket);
  await once(socket, 'close');
  assert.ok(line.isClosed);
  await assert.rejects(line.echo(Buffer.from('x')), /closed before it was asked/);
  server.close();
});
