/** The way out of one platform: its rules, its addresses, and the links to its instances. */
import { readFileSync } from 'node:fs';
import { assert } from '../../base/assert.ts';
import { ownName } from '../sandbox/identity.ts';
import { errorName, type Libc } from '../sandbox/libc.ts';
import type { NetworkOptions, Refusal } from './contract.ts';
import { COMMENT_BYTES_MAX } from './expressions.ts';
import { Firewall, type FirewallSpec, type FoundTable } from './firewall.ts';
import {
  connectMessages,
  insideMessages,
  loopbackMessages,
  readRoutes,
  removeGroupMessage,
  removeMessage,
} from './links.ts';
import type { Home } from './namespace.ts';
import { NETLINK_NETFILTER, type NetlinkSocket, openNetlink } from './netlink.ts';
import {
  addressText,
  chooseTag,
  groupOf,
  isLeftoverTable,
  LINK_COUNT_MAX,
  linkOf,
  rangeOf,
  tableName,
  tagOf,
} from './numbering.ts';
import { NumberPool } from './pool.ts';
import { ownAddresses, readResolver, type Resolver } from './resolver.ts';
import { inTurn } from './turn.ts';
import { findUplinks, isForwarding, setForwarding, type Uplink } from './uplinks.ts';

const EEXIST = -17;
const EBUSY = -16;
/** How many numbers are tried that an instance which is not quite gone still holds. */
const ATTEMPTS_MAX = 16;
/** Of one instance. More than its descriptors are worth, and too few to fill the server's table alone. */
const TRACKED_CONNECTIONS_MAX = 1024;

/** Of Ethernet; a smaller one where an uplink has less. */
const MTU_MAX = 1500;

/** What a function should not reach on any server. */
const BUILT_IN: readonly Refusal[] = [
  { range: '169.254.0.0/16', why: 'link-local: the metadata services of clouds hand out keys to whoever asks' },
  { range: '100.100.100.200', why: 'the metadata service of Alibaba Cloud' },
  { range: '168.63.129.16', why: 'the agent service of Azure' },
];

export interface Parts {
  readonly libc: Libc;
  readonly home: Home;
  readonly route: NetlinkSocket;
  readonly options: NetworkOptions;
}

/** An instance's part of it. */
export interface Link {
  readonly number: number;
  readonly address: string;
}

export class Outbound {
  readonly tag: number;
  readonly firewall: Firewall;
  readonly #parts: Parts;
  readonly #numbers: NumberPool;
  /**
   * Names of the interfaces that did not forward before the first platform of this server had them do so. All platforms know
   * them, and the last one to close puts them back.
   */
  readonly #switched = new Set<string>();
  #uplinks: readonly Uplink[] = [];
  #resolver: Resolver = { nameservers: [], settings: [] };
  #mtu = MTU_MAX;
  #installed = '';

  /** Use `openOutbound`. */
  constructor(parts: Parts, firewall: Firewall, tag: number) {
    this.#parts = parts;
    this.firewall = firewall;
    this.tag = tag;
    this.#numbers = new NumberPool(parts.options.addressCount ?? LINK_COUNT_MAX, parts.options.connectionCountMax);
  }

  get uplinks(): readonly Uplink[] {
    return this.#uplinks;
  }

  /** What instances ask for names. */
  get resolver(): Resolver {
    return this.#resolver;
  }

  /** Looks at the server's routes and name servers again, and has the rules follow. '' or what failed. */
  refresh(): string {
    const { route, options } = this.#parts;
    const routes = readRoutes(route);
    if (typeof routes === 'number') return `the routes cannot be read: ${errorName(routes)}`;
    this.#uplinks = findUplinks(route, routes);
    this.#resolver = readResolver(ownAddresses(routes));
    this.#mtu = Math.min(MTU_MAX, ...this.#uplinks.map(({ mtu }) => mtu));
    for (const name of switchedBy(this.#others())) this.#switched.add(name);
    // Those that are gone, or that somebody else has switched off since.
    for (const name of this.#switched) if (!isForwarding(name)) this.#switched.delete(name);
    for (const { name } of this.#uplinks) {
      if (isForwarding(name)) continue;
      if (!setForwarding(name, true)) return `net.ipv4.conf.${name}.forwarding cannot be set`;
      this.#switched.add(name);
    }
    const spec: FirewallSpec = {
      tableName: tableName(ownName(), this.tag),
      comment: noteOf(this.#switched),
      tag: this.tag,
      uplinks: this.#uplinks.map(({ index }) => index),
      switched: this.#uplinks.filter(({ name }) => this.#switched.has(name)).map(({ index }) => index),
      refusals: [...BUILT_IN, ...(options.refusals ?? [])],
      nameservers: this.#resolver.nameservers,
      connectionCountMax: TRACKED_CONNECTIONS_MAX,
    };
    const wanted = JSON.stringify(spec);
    if (wanted === this.#installed && this.firewall.exists()) return '';
    const result = this.firewall.install(spec);
    if (result < 0) return `the rules cannot be installed: ${errorName(result)}`;
    this.#installed = wanted;
    return '';
  }

  /** A text says what failed; then nothing is left. */
  connect(namespaceDescriptor: number): Link | string {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const number = this.#numbers.take();
      if (number === undefined) return 'every address for instances is in use';
      const link = linkOf(this.tag, number);
      // A link lives as long as somebody has a descriptor of its namespace, so hostile code could hold those of all numbers.
      // Nobody who is connected has this one. Removing it stops this thread for 30 ms, so it is the last resort.
      if (attempt === ATTEMPTS_MAX - 1) this.#parts.route.request([removeMessage(link.index)]);
      const result = this.#parts.route.request(connectMessages({ link, mtu: this.#mtu }, namespaceDescriptor));
      if (result === EEXIST || result === EBUSY) {
        this.#numbers.give(number);
        continue;
      }
      const failure = result < 0 ? `the link: ${errorName(result)}` : this.#inside(link.address, namespaceDescriptor);
      if (failure === '') return { number, address: addressText(link.address) };
      this.#parts.route.request([removeMessage(link.index)]);
      this.#numbers.give(number);
      return failure;
    }
    return 'the namespace is connected already';
  }

  /** The link goes with its namespace, within moments of the last process; removing it here would stop this thread for 30 ms. */
  disconnect(link: Link): void {
    this.#numbers.give(link.number);
  }

  close(): void {
    // Who opens meanwhile would find the uplinks forwarding, and leave it at that.
    inTurn(this.firewall, () => this.remove());
    this.firewall.close();
  }

  /** All of it from the server, by whoever has its turn. */
  remove(): void {
    this.#parts.route.request([removeGroupMessage(groupOf(this.tag))]);
    if (this.#others().length === 0) for (const name of this.#switched) setForwarding(name, false);
    this.firewall.remove(tableName(ownName(), this.tag));
  }

  /** Tables of other platforms of this server that live. */
  #others(): readonly FoundTable[] {
    const own = tableName(ownName(), this.tag);
    return this.firewall.tables().filter(({ name }) => isLiveTable(name) && name !== own);
  }

  #inside(address: number, namespaceDescriptor: number): string {
    const socket = this.#parts.home.socketIn(namespaceDescriptor);
    if (typeof socket === 'number') return `the namespace: ${errorName(socket)}`;
    const gateway = rangeOf(this.tag).address;
    const result = socket.request([...loopbackMessages(), ...insideMessages(address, gateway)]);
    socket.close();
    return result < 0 ? `inside the namespace: ${errorName(result)}` : '';
  }
}

/** A text says why there can be none. */
export function openOutbound(parts: Parts): Outbound | string {
  assert(parts.options.connectionCountMax <= LINK_COUNT_MAX, 'there are enough addresses');
  const socket = openNetlink(parts.libc, NETLINK_NETFILTER);
  if (typeof socket === 'number') return `the kernel has no nf_tables (${errorName(socket)})`;
  const firewall = new Firewall(socket);
  const opened = inTurn(firewall, () => openWith(parts, firewall));
  if (typeof opened === 'string') firewall.close();
  return opened;
}

function openWith(parts: Parts, firewall: Firewall): Outbound | string {
  removeLeftovers(parts.route, firewall);
  const routes = readRoutes(parts.route);
  const taken = new Set(firewall.tables().flatMap(({ name }) => tagOf(name) ?? []));
  const tag = typeof routes === 'number' ? undefined : chooseTag(routes, taken);
  if (tag === undefined) {
    return 'every range of addresses for instances (below 10.192.0.0/10 and 100.64.0.0/10) is in use on this server';
  }
  const outbound = new Outbound(parts, firewall, tag);
  const failure = outbound.refresh();
  if (failure === '') return outbound;
  outbound.remove();
  return failure;
}

/** Of platform processes of this server that were killed: their links, their rules, the forwarding that they switched on. */
function removeLeftovers(route: NetlinkSocket, firewall: Firewall): void {
  const tables = firewall.tables();
  const needed = new Set(switchedBy(tables.filter(({ name }) => isLiveTable(name))));
  const leftovers = tables.filter(({ name }) => isLeftoverTable(name));
  for (const { name } of leftovers) {
    // The links first: an instance without rules could reach the server.
    route.request([removeGroupMessage(groupOf(tagOf(name) as number))]);
  }
  for (const uplink of switchedBy(leftovers)) if (!needed.has(uplink)) setForwarding(uplink, false);
  for (const { name } of leftovers) firewall.remove(name);
}

function isLiveTable(name: string): boolean {
  return tagOf(name) !== undefined && !isLeftoverTable(name);
}

/** As many names as a comment has room for: who comes after a killed platform leaves the others as they are. */
function noteOf(names: Iterable<string>): string {
  let note = '';
  for (const name of names) {
    const longer = note === '' ? name : `${note} ${name}`;
    if (Buffer.byteLength(longer) > COMMENT_BYTES_MAX) break;
    note = longer;
  }
  return note;
}

/** The interfaces that their platforms had forward. */
function switchedBy(tables: readonly FoundTable[]): readonly string[] {
  return tables.flatMap(({ comment }) => comment.split(' ')).filter((name) => name !== '');
}

/** Connections that the server can track, all together; 0 where it is unknown. */
export function trackedConnectionsMax(): number {
  try {
    return Number(readFileSync('/proc/sys/net/netfilter/nf_conntrack_max', 'latin1'));
  } catch {
    return 0;
  }
}
