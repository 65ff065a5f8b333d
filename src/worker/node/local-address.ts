/** Where others on the way to an address reach this machine: the local address that the kernel would dial from. Nothing is sent. */
import { createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';

/** '' where that is not known: the name has no address, or there is no way to it. */
export function localAddressTowards(host: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
    const end = (address: string): void => {
      socket.close();
      resolve(address);
    };
    socket.once('error', () => end(''));
    socket.connect(port, host, () => end(socket.address().address));
  });
}
