/**
 * Who is at the other end of a connection from this same machine. Instances share the host's network for now, and a
 * function must not reach the API that deploys functions: its connections are told by the user that its sandbox runs
 * as. The kernel's socket table has it; it is read once a connection.
 *
 * When in doubt, no: a local peer whose socket is not in the table, or belongs to nobody any more (a client that
 * sent its request and was gone before we looked), could be anybody.
 */
import { readFileSync } from 'node:fs';
import { isIPv4 } from 'node:net';
import type { Socket } from 'node:net';

export interface UidRange {
  readonly from: number;
  readonly to: number;
}

/** True if the connection may not talk to us. */
export function isRefusedPeer(socket: Socket, range: UidRange): boolean {
  const { remoteAddress, remotePort, localAddress, localPort } = socket;
  // Gone already: nothing will come of it.
  if (remoteAddress === undefined || remotePort === undefined || localPort === undefined) return true;
  const owner = findOwner(plainAddress(remoteAddress), remotePort, localPort);
  if (owner === null) return isLoopback(remoteAddress) || remoteAddress === localAddress;
  return owner.orphaned || (owner.uid >= range.from && owner.uid <= range.to);
}

interface Owner {
  readonly uid: number;
  /** No process holds the socket any more; its uid says nothing then. */
  readonly orphaned: boolean;
}

/** The owner of the socket that is the peer's end: our remote address and port are local to it. */
function findOwner(address: string, port: number, ourPort: number): Owner | null {
  const end = `:${hexPort(port)}`;
  const otherEnd = `:${hexPort(ourPort)}`;
  const wanted = addressForms(address);
  for (const file of ['/proc/net/tcp', '/proc/net/tcp6']) {
    for (const line of readLines(file)) {
      const columns = line.trim().split(/\s+/);
      const local = columns[1] ?? '';
      if (!local.endsWith(end) || !(columns[2] ?? '').endsWith(otherEnd)) continue;
      // An address in a form that we do not build (IPv6 but the loopback one) is told by its two ports alone.
      if (wanted !== null && !wanted.includes(local.slice(0, -end.length))) continue;
      return { uid: Number(columns[7]), orphaned: columns[9] === '0' };
    }
  }
  return null;
}

function readLines(file: string): readonly string[] {
  try {
    return readFileSync(file, 'latin1').split('\n').slice(1);
  } catch {
    // A machine without IPv6 has no second table.
    return [];
  }
}

/** As the kernel prints it: 32-bit words in the machine's order (little-endian on all that Perch runs on). */
function addressForms(address: string): readonly string[] | null {
  if (address === '::1') return ['00000000000000000000000001000000'];
  if (!isIPv4(address)) return null;
  const hex = address
    .split('.')
    .reverse()
    .map((byte) => Number(byte).toString(16).padStart(2, '0'))
    .join('')
    .toUpperCase();
  return [hex, `0000000000000000FFFF0000${hex}`];
}

function hexPort(port: number): string {
  return port.toString(16).padStart(4, '0').toUpperCase();
}

function plainAddress(address: string): string {
  return address.startsWith('::ffff:') ? address.slice(7) : address;
}

export function isLoopback(host: string): boolean {
  const address = plainAddress(host);
  return address === '::1' || address === 'localhost' || (isIPv4(address) && address.startsWith('127.'));
}
