/** Where others on the way to an address reach this machine: the local address that the kernel would dial from. Nothing is sent to it. */
import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';

/** '' where that is not known: the name has no address, or there is no way to any. */
export async function localAddressTowards(host: string, port: number): Promise<string> {
  const addresses = await lookup(host, { all: true }).catch(() => []);
  for (const { address, family } of addresses) {
    const found = await localAddressOf(family === 6 ? 'udp6' : 'udp4', address, port);
    if (found !== '') return found;
  }
  return '';
}

function localAddressOf(type: 'udp4' | 'udp6', address: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = createSocket(type);
    const end = (found: string): void => {
      socket.close();
      resolve(found);
    };
    socket.once('error', () => end(''));
    socket.connect(port, address, () => end(socket.address().address));
  });
}
