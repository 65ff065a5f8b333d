/** Bare TCP in front of the shipped server. Who connects says first who it is: its name and role, a line end. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { isRole } from '../../../src/cluster/identity/names.ts';
import type { ClusterServer } from '../../../src/scheduler/server/cluster-server.ts';

const BACKLOG = 4096;
const LINE_END = 10;

export async function listenPlain(server: Pick<ClusterServer, 'accept'>, port: number): Promise<Server> {
  const listener = createServer((socket) => greet(server, socket));
  listener.listen({ port, host: '127.0.0.1', backlog: BACKLOG });
  await once(listener, 'listening');
  return listener;
}

export function portOf(listener: Server): number {
  return (listener.address() as AddressInfo).port;
}

function greet(server: Pick<ClusterServer, 'accept'>, socket: Socket): void {
  socket.once('data', (chunk: Buffer) => {
    const end = chunk.indexOf(LINE_END);
    const [name = '', role = ''] = chunk.toString('latin1', 0, end).split(' ');
    socket.pause();
    if (end + 1 < chunk.length) socket.unshift(chunk.subarray(end + 1));
    server.accept(socket, { name, roles: isRole(role) ? [role] : [] });
    socket.resume();
  });
}
