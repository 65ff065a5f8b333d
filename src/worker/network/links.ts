/** What is asked of the kernel about links, addresses, routes and neighbours, as messages (rtnetlink). */
import {
  attribute,
  attributesOf,
  CREATE,
  EXCLUSIVE,
  type Message,
  nest,
  type NetlinkSocket,
  text,
  textOf,
  u32,
} from './netlink.ts';

const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const RTM_GETLINK = 18;
const RTM_NEWADDR = 20;
const RTM_NEWROUTE = 24;
const RTM_GETROUTE = 26;
const RTM_NEWNEIGH = 28;

const AF_UNSPEC = 0;
const AF_INET = 2;
const AF_INET6 = 10;

const IFF_UP = 1;
const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_LINKINFO = 18;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const IFLA_AF_SPEC = 26;
const IFLA_GROUP = 27;
const IFLA_NET_NS_FD = 28;
const VETH_INFO_PEER = 1;
const IFLA_INET_CONF = 1;
const IFLA_INET6_ADDR_GEN_MODE = 8;
const IN6_ADDR_GEN_MODE_NONE = 1;
const IPV4_DEVCONF_FORWARDING = 1;

const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;

const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_MULTIPATH = 9;
const RTA_VIA = 18;
const RT_TABLE_MAIN = 254;
const RTPROT_STATIC = 4;
const RT_SCOPE_UNIVERSE = 0;
const RT_SCOPE_LINK = 253;
const RTN_UNICAST = 1;
const RTN_LOCAL = 2;
const RTNH_F_ONLINK = 4;

const NDA_DST = 1;
const NDA_LLADDR = 2;
const NUD_PERMANENT = 0x80;

const LOOPBACK_INDEX = 1;
const LINK_HEADER_BYTES = 16;
const ROUTE_HEADER_BYTES = 12;
const NEXT_HOP_BYTES = 8;
/** The only interface of a new namespace besides its loopback. */
const PEER_INDEX = 2;

/**
 * The two ends of a link have fixed hardware addresses, the same for every instance: no two links share a medium, and
 * a function learns nothing from its own.
 */
const HOST_MAC = Buffer.from([0x02, 0x50, 0x45, 0x52, 0x43, 0x48]);
const PEER_MAC = Buffer.from([0x06, 0x50, 0x45, 0x52, 0x43, 0x48]);

export interface LinkSpec {
  readonly name: string;
  readonly index: number;
  readonly group: number;
  /** An instance's IPv4 address. */
  readonly address: number;
}

export interface Cable {
  readonly link: LinkSpec;
  /** Largest packet, bytes: no more than what its way out takes. */
  readonly mtu: number;
}

export interface Route {
  /** First address and length of the prefix. */
  readonly address: number;
  readonly length: number;
  /** Interfaces that it leads through, and whether each leads on to a gateway. */
  readonly hops: readonly { readonly linkIndex: number; readonly gateway: boolean }[];
  readonly unicast: boolean;
  /** To an address of the server itself. */
  readonly local: boolean;
}

/** Host side: the pair with its far end in the namespace, and the way to the instance. No ARP: neighbours are given. */
export function connectMessages({ link, mtu }: Cable, namespaceDescriptor: number): Message[] {
  const size = attribute(IFLA_MTU, u32(mtu));
  const peer = [linkHeader(PEER_INDEX), attribute(IFLA_IFNAME, text('eth0')), attribute(IFLA_ADDRESS, PEER_MAC), size];
  const inNamespace = attribute(IFLA_NET_NS_FD, u32(namespaceDescriptor));
  const pair = nest(
    IFLA_LINKINFO,
    attribute(IFLA_INFO_KIND, text('veth')),
    nest(IFLA_INFO_DATA, attribute(VETH_INFO_PEER, ...peer, inNamespace)),
  );
  const names = [attribute(IFLA_IFNAME, text(link.name)), attribute(IFLA_GROUP, u32(link.group)), size];
  const forwarding = nest(IFLA_INET_CONF, attribute(IPV4_DEVCONF_FORWARDING, u32(1)));
  return [
    {
      type: RTM_NEWLINK,
      flags: CREATE | EXCLUSIVE,
      body: Buffer.concat([linkHeader(link.index), ...names, attribute(IFLA_ADDRESS, HOST_MAC), pair]),
    },
    ...raiseMessages(link.index, nest(AF_INET, forwarding)),
    route({ address: link.address, length: 32, linkIndex: link.index }),
    neighbour(link.index, link.address, PEER_MAC),
  ];
}

/** Inside the namespace: its loopback up. The kernel adds 127.0.0.1 and ::1 itself. */
export function loopbackMessages(): Message[] {
  return [{ type: RTM_NEWLINK, flags: 0, body: linkHeader(LOOPBACK_INDEX, IFF_UP) }];
}

/** Inside the namespace: the far end up, with its address and the way out by a gateway that is but a name for the link. */
export function insideMessages(address: number, gateway: number): Message[] {
  return [
    ...raiseMessages(PEER_INDEX),
    {
      type: RTM_NEWADDR,
      flags: CREATE | EXCLUSIVE,
      body: Buffer.concat([
        addressHeader(PEER_INDEX),
        attribute(IFA_LOCAL, ipv4(address)),
        attribute(IFA_ADDRESS, ipv4(address)),
      ]),
    },
    neighbour(PEER_INDEX, gateway, HOST_MAC),
    route({ address: 0, length: 0, linkIndex: PEER_INDEX, gateway }),
  ];
}

/** Removes both ends of a pair. */
export function removeMessage(linkIndex: number): Message {
  return { type: RTM_DELLINK, flags: 0, body: linkHeader(linkIndex) };
}

export function removeGroupMessage(group: number): Message {
  return { type: RTM_DELLINK, flags: 0, body: Buffer.concat([linkHeader(0), attribute(IFLA_GROUP, u32(group))]) };
}

/** Of IPv4, in all tables; or an error number. */
export function readRoutes(socket: NetlinkSocket): readonly Route[] | number {
  const header = Buffer.alloc(ROUTE_HEADER_BYTES);
  header.writeUInt8(AF_INET, 0);
  const answers = socket.dump({ type: RTM_GETROUTE, flags: 0, body: header });
  return typeof answers === 'number' ? answers : answers.map(({ body }) => routeOf(body));
}

export interface FoundLink {
  readonly name: string;
  /** As in 'bridge'; '' for hardware. */
  readonly kind: string;
  readonly mtu: number;
}

/** Undefined where it is gone. */
export function readLink(socket: NetlinkSocket, index: number): FoundLink | undefined {
  const answer = socket.ask({ type: RTM_GETLINK, flags: 0, body: linkHeader(index) });
  if (typeof answer === 'number') return undefined;
  const attributes = attributesOf(answer.body, LINK_HEADER_BYTES);
  const info = attributes.get(IFLA_LINKINFO);
  const kind = info === undefined ? '' : textOf(attributesOf(info, 0).get(IFLA_INFO_KIND));
  const mtu = attributes.get(IFLA_MTU)?.readUInt32LE(0) ?? 0;
  return { name: textOf(attributes.get(IFLA_IFNAME)), kind, mtu };
}

function routeOf(body: Buffer): Route {
  const attributes = attributesOf(body, ROUTE_HEADER_BYTES);
  const linkIndex = attributes.get(RTA_OIF)?.readUInt32LE(0);
  const gateway = attributes.has(RTA_GATEWAY) || attributes.has(RTA_VIA);
  return {
    address: attributes.get(RTA_DST)?.readUInt32BE(0) ?? 0,
    length: body.readUInt8(1),
    unicast: body.readUInt8(7) === RTN_UNICAST,
    local: body.readUInt8(7) === RTN_LOCAL,
    hops: linkIndex === undefined ? nextHops(attributes.get(RTA_MULTIPATH)) : [{ linkIndex, gateway }],
  };
}

function nextHops(multipath: Buffer | undefined): Route['hops'] {
  const hops: { linkIndex: number; gateway: boolean }[] = [];
  for (let at = 0; multipath !== undefined && at + NEXT_HOP_BYTES <= multipath.length;) {
    const length = multipath.readUInt16LE(at);
    if (length < NEXT_HOP_BYTES) break;
    const attributes = attributesOf(multipath.subarray(at, at + length), NEXT_HOP_BYTES);
    const gateway = attributes.has(RTA_GATEWAY) || attributes.has(RTA_VIA);
    hops.push({ linkIndex: multipath.readUInt32LE(at + 4), gateway });
    at += (length + 3) & ~3;
  }
  return hops;
}

/** Up, with settings by address family. No IPv6: not even the address that every interface gives itself once it is up. */
function raiseMessages(linkIndex: number, ...families: readonly Buffer[]): Message[] {
  const mode = attribute(IFLA_INET6_ADDR_GEN_MODE, Buffer.from([IN6_ADDR_GEN_MODE_NONE]));
  const settings = nest(IFLA_AF_SPEC, ...families, nest(AF_INET6, mode));
  return [
    { type: RTM_NEWLINK, flags: 0, body: Buffer.concat([linkHeader(linkIndex), settings]) },
    { type: RTM_NEWLINK, flags: 0, body: linkHeader(linkIndex, IFF_UP) },
  ];
}

function neighbour(linkIndex: number, address: number, mac: Buffer): Message {
  const header = Buffer.alloc(12);
  header.writeUInt8(AF_INET, 0);
  header.writeUInt32LE(linkIndex, 4);
  header.writeUInt16LE(NUD_PERMANENT, 8);
  const body = Buffer.concat([header, attribute(NDA_DST, ipv4(address)), attribute(NDA_LLADDR, mac)]);
  return { type: RTM_NEWNEIGH, flags: CREATE | EXCLUSIVE, body };
}

function route(to: { address: number; length: number; linkIndex: number; gateway?: number }): Message {
  const header = Buffer.alloc(ROUTE_HEADER_BYTES);
  header.writeUInt8(AF_INET, 0);
  header.writeUInt8(to.length, 1);
  header.writeUInt8(RT_TABLE_MAIN, 4);
  header.writeUInt8(RTPROT_STATIC, 5);
  header.writeUInt8(to.gateway === undefined ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE, 6);
  header.writeUInt8(RTN_UNICAST, 7);
  header.writeUInt32LE(to.gateway === undefined ? 0 : RTNH_F_ONLINK, 8);
  const attributes = [attribute(RTA_OIF, u32(to.linkIndex))];
  if (to.length > 0) attributes.push(attribute(RTA_DST, ipv4(to.address)));
  if (to.gateway !== undefined) attributes.push(attribute(RTA_GATEWAY, ipv4(to.gateway)));
  return { type: RTM_NEWROUTE, flags: CREATE | EXCLUSIVE, body: Buffer.concat([header, ...attributes]) };
}

function addressHeader(linkIndex: number): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt8(AF_INET, 0);
  header.writeUInt8(32, 1);
  header.writeUInt8(RT_SCOPE_UNIVERSE, 3);
  header.writeUInt32LE(linkIndex, 4);
  return header;
}

function linkHeader(index: number, flags = 0): Buffer {
  const header = Buffer.alloc(LINK_HEADER_BYTES);
  header.writeUInt8(AF_UNSPEC, 0);
  header.writeUInt32LE(index, 4);
  header.writeUInt32LE(flags, 8);
  // Which flags are meant.
  header.writeUInt32LE(flags, 12);
  return header;
}

function ipv4(address: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32BE(address >>> 0, 0);
  return buffer;
}
