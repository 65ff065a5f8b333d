/**
 * Who is at the other end of a connection from this same machine. Instances share the host's network for now, and a
 * function must not reach the API that deploys functions: its connections are told by the user that its sandbox runs
 * as. The kernel knows that user (socket-owner.ts); it is asked once a connection.
 *
 * When in doubt, no: a local peer whose socket is not in the table, or belongs to nobody any more (a client that
 * sent its request and was gone before we looked), could be anybody.
 */
import { isIPv4 } from 'node:net';
import type { Socket } from 'node:net';
import { findOwner } from './socket-owner.ts';

export interface UidRange {
  readonly from: number;
  readonly to: number;
}

/** True if the connection may not talk to us. */
export function isRefusedPeer(socket: Socket, range: UidRange): boolean {
  const { remoteAddress, remotePort, localAddress, localPort } = socket;
  // Gone already: nothing will come of it.
  if (remoteAddress === undefined || remotePort === undefined) return true;
  if (localAddress === undefined || localPort === undefined) return true;
  const peer = { address: plainAddress(remoteAddress), port: remotePort };
  const owner = findOwner(peer, { address: plainAddress(localAddress), port: localPort });
  if (owner === null) return isLoopback(remoteAddress) || remoteAddress === localAddress;
  return owner.orphaned || (owner.uid >= range.from && owner.uid <= range.to);
}

function plainAddress(address: string): string {
  return address.startsWith('::ffff:') ? address.slice(7) : address;
}

export function isLoopback(host: string): boolean {
  const address = plainAddress(host);
  return address === '::1' || address === 'localhost' || (isIPv4(address) && address.startsWith('127.'));
}
