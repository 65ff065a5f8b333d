/** A server of the test, on whose connections functions wait until they are let go: they sleep, and are woken by nothing else. */
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';

/** Waits there if it is told of a port. It needs the network of the host. */
export const WAITER = `import net from 'node:net';
export const handler = async ({ port = 0 }) => {
  if (port > 0) await new Promise((resolve) => net.connect(port, '127.0.0.1').once('data', resolve));
  return 'done';
};`;

export interface WaitingRoom {
  readonly port: number;
  /** Whoever is there, or comes. */
  letGo(): void;
}

export async function waitingRoom(t: TestContext): Promise<WaitingRoom> {
  const sockets: net.Socket[] = [];
  let isOpen = false;
  const server = net.createServer((socket) => {
    socket.on('error', () => undefined);
    if (isOpen) socket.end('x');
    else sockets.push(socket);
  });
  const letGo = (): void => {
    isOpen = true;
    for (const socket of sockets.splice(0)) socket.end('x');
  };
  t.after(() => {
    letGo();
    server.close();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, letGo };
}
