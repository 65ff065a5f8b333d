/**
 * The interfaces that lead beyond the server, and their forwarding. A bridge or a virtual cable without a gateway leads to
 * containers and machines on this same server: no way out for an instance.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { readLink, type Route } from './links.ts';
import type { NetlinkSocket } from './netlink.ts';
import { isLinkIndex } from './numbering.ts';

const LOOPBACK_INDEX = 1;
const LOCAL_KINDS: ReadonlySet<string> = new Set(['bridge', 'veth', 'dummy', 'tun', 'ifb']);
/** More would make the rules long for nobody's good. */
const UPLINK_COUNT_MAX = 16;

export interface Uplink {
  readonly index: number;
  readonly name: string;
  readonly mtu: number;
}

export function findUplinks(socket: NetlinkSocket, routes: readonly Route[]): readonly Uplink[] {
  const gateways = new Map<number, boolean>();
  for (const { unicast, hops } of routes) {
    for (const { linkIndex, gateway } of unicast ? hops : []) {
      if (linkIndex === LOOPBACK_INDEX || isLinkIndex(linkIndex)) continue;
      gateways.set(linkIndex, gateway || gateways.get(linkIndex) === true);
    }
  }
  const found: Uplink[] = [];
  for (const [index, gateway] of [...gateways].toSorted(([a], [b]) => a - b)) {
    const link = readLink(socket, index);
    if (link !== undefined && (gateway || !LOCAL_KINDS.has(link.kind)))
      found.push({ index, name: link.name, mtu: link.mtu });
  }
  return found.slice(0, UPLINK_COUNT_MAX);
}

/** An answer that arrives is forwarded to an instance only if the interface it arrives at forwards. */
export function isForwarding(name: string): boolean {
  try {
    return readFileSync(fileOf(name), 'latin1').trim() === '1';
  } catch {
    return false;
  }
}

/** False where it cannot be changed, or the interface is gone. */
export function setForwarding(name: string, on: boolean): boolean {
  try {
    writeFileSync(fileOf(name), on ? '1' : '0');
    return true;
  } catch {
    return false;
  }
}

function fileOf(name: string): string {
  return `/proc/sys/net/ipv4/conf/${name}/forwarding`;
}
