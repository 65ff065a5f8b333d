/**
 * A TCP server that sends back what comes: the least that an answer over a connection costs. Arguments: the address
 * (127.0.0.1 without) and a join file, with which it speaks TLS as nodes do. Prints its port.
 */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { readAnyJoinFile } from '../../../src/cluster/identity/join-file.ts';
import { serverOptions } from '../../../src/cluster/identity/tls.ts';

const [address = '127.0.0.1', joinFile] = process.argv.slice(2);

function sendBack(socket: Socket): void {
  socket.setNoDelay(true);
  socket.on('data', (chunk) => socket.write(chunk));
  socket.on('error', () => undefined);
}

function make(): Server {
  if (joinFile === undefined) return createServer(sendBack);
  const identity = readAnyJoinFile(joinFile);
  if (typeof identity === 'string') throw new Error(identity);
  return createTlsServer(serverOptions(identity), sendBack);
}

const server = make();
server.listen(0, address, () => console.log(JSON.stringify({ port: (server.address() as AddressInfo).port })));
process.once('SIGTERM', () => process.exit());
