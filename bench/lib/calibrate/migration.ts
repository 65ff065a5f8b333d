/**
 * `migrateUs` is an assumption: Perch never moves a running invocation to another server. It is the least that such a move can take, with nothing
 * but its memory moved, all of it once: the private memory of a warm Node instance over what TCP on loopback carries.
 */
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { Worker } from 'node:worker_threads';
import { perchServer } from '../servers.ts';
import { type MeasuredCosts, spreadOf } from './spread.ts';

const SOURCE = `import { readFileSync } from 'node:fs';
export const handler = async () => {
  const kb = (name) => Number(new RegExp(name + ': *([0-9]+) kB').exec(readFileSync('/proc/self/smaps_rollup', 'utf8'))[1]);
  return kb('Private_Clean') + kb('Private_Dirty');
};`;
const ROUNDS = 15;
const CHUNK_BYTES = 256 * 1024;
/** Reads all that comes, and says so with a byte. */
const SINK = `const { workerData } = require('node:worker_threads');
const { connect } = require('node:net');
const socket = connect(workerData.port, '127.0.0.1');
let left = workerData.bytes;
socket.on('data', (chunk) => { left -= chunk.length; if (left <= 0) { left += workerData.bytes; socket.write('x'); } });`;

export async function migrationCosts({ smoke }: { readonly smoke: boolean }): Promise<MeasuredCosts> {
  const bytes = await privateBytes();
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const sink = new Worker(SINK, { eval: true, workerData: { port, bytes } });
  const [socket] = (await once(server, 'connection')) as [Socket];
  const timesUs: number[] = [];
  try {
    for (let round = 0; round < (smoke ? 2 : ROUNDS); round++) timesUs.push(await sendUs(socket, bytes));
  } finally {
    socket.destroy();
    server.close();
    await sink.terminate();
  }
  return { migrateUs: spreadOf(timesUs) };
}

async function privateBytes(): Promise<number> {
  const perch = await perchServer();
  try {
    const url = await perch.deploy('memory', SOURCE);
    let kb = NaN;
    for (let call = 0; call < 3; call++)
      kb = (await (await fetch(url, { method: 'POST', body: '{}' })).json()) as number;
    if (!(kb > 0)) throw new Error(`an instance says that it has ${kb} KB of its own`);
    return kb * 1024;
  } finally {
    await perch.stop();
  }
}

async function sendUs(socket: Socket, bytes: number): Promise<number> {
  const chunk = Buffer.alloc(CHUNK_BYTES, 1);
  const startMs = performance.now();
  const arrived = once(socket, 'data');
  for (let left = bytes; left > 0; left -= CHUNK_BYTES)
    if (!socket.write(left < CHUNK_BYTES ? chunk.subarray(0, left) : chunk)) await once(socket, 'drain');
  await arrived;
  return (performance.now() - startMs) * 1000;
}
