/**
 * The scheduler of a cluster without TLS: the shipped server behind bare TCP, to tell what TLS costs from what the
 * scheduler does. Arguments: port, cores, workers. Who connects says first who it is: its name and role, a line end.
 * Prints one JSON line when it listens, as `perch scheduler --json` does.
 */
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { realClock } from '../../../src/base/clock.ts';
import { isRole } from '../../../src/cluster/identity/names.ts';
import { openOneShard } from '../../../src/scheduler/server/one-shard.ts';
import { schedulerLimits } from '../../../src/scheduler/server/open.ts';
import { createLog } from '../../../src/telemetry/log.ts';

const BACKLOG = 4096;
const LINE_END = 10;

const [port, coreCountMax, workerCountMax] = process.argv.slice(2).map(Number);
const limits = schedulerLimits({
  coreCountMax: coreCountMax!,
  workerCountMax: workerCountMax!,
  clock: realClock,
  shards: 1,
});
const log = createLog('warn');
const { scheduler, server } = openOneShard(limits, { name: 'scheduler', clock: realClock, log });

function greet(socket: Socket): void {
  socket.once('data', (chunk: Buffer) => {
    const end = chunk.indexOf(LINE_END);
    const [name = '', role = ''] = chunk.toString('latin1', 0, end).split(' ');
    socket.pause();
    if (end + 1 < chunk.length) socket.unshift(chunk.subarray(end + 1));
    server.accept(socket, { name, roles: isRole(role) ? [role] : [] });
    socket.resume();
  });
}

const listener = createServer(greet);
listener.listen({ port: port!, host: '127.0.0.1', backlog: BACKLOG }, () => {
  const { port: at } = listener.address() as AddressInfo;
  console.log(JSON.stringify({ port: at, epoch: scheduler.epoch }));
});
process.once('SIGTERM', () => process.exit());
