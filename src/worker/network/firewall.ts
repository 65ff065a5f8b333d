/**
 * What instances may reach, as one table of nf_tables. All of it holds for the links of one network (they form a group)
 * and leaves the rest of the server's traffic as it is; a packet has to pass the tables of others too.
 *
 *   instance ──▶ prerouting ──▶ forward ──▶ postrouting ──▶ uplink
 *                    │             │             └ leaves with the server's address
 *                    │             └ not to what is refused, and to nothing but an uplink;
 *                    │               at most so many connections; nothing comes back but answers
 *                    └ IPv4 with its own source alone; nothing to an address of the server. Before others translate
 *                      addresses, since a published port of a container is one of the server's addresses until then
 */
import type { Refusal } from './contract.ts';
import * as nft from './expressions.ts';
import { groupOf, parseRange, type Range, rangeOf } from './numbering.ts';
import { attributesOf, type Message, type NetlinkSocket, textOf } from './netlink.ts';

const { Meta, Family, Protocol, ConnectionState, AddressType } = nft;

const RAW = -300;
const FILTER = 0;
const SOURCE_NAT = 100;
const DNS_PORT = 53;
const CONNECTIONS = 'connections';
const FORWARD_HOOK = 2;
/** Of a table or chain, as answers bring them. */
const HEADER_BYTES = 4;
const EOPNOTSUPP = -95;
const EINVAL = -22;

export interface FirewallSpec {
  readonly tableName: string;
  readonly comment: string;
  readonly tag: number;
  /** Kernel indexes of the interfaces that lead beyond the server. */
  readonly uplinks: readonly number[];
  /** Those of them that the platform made to forward: nothing else is forwarded between them. */
  readonly switched: readonly number[];
  readonly refusals: readonly Refusal[];
  /** IPv4 addresses that may be asked for names even where they are refused otherwise. */
  readonly nameservers: readonly string[];
  /** Tracked connections of one instance: the server's table of connections is finite. */
  readonly connectionCountMax: number;
}

export interface FoundTable {
  readonly name: string;
  readonly comment: string;
}

/** Puts the table there in one step, in the place of an earlier one of the same name. */
export class Firewall {
  readonly #socket: NetlinkSocket;
  #flags: number = nft.TABLE_OWNED | nft.TABLE_PERSISTENT;
  #installed = '';

  constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  /** 0, or an error number; then it is as it was before. */
  install(spec: FirewallSpec): number {
    const replaced = this.#installed !== '' && this.exists() ? [nft.removeTableMessage(this.#installed)] : [];
    const result = this.#carryOut([...replaced, ...nft.tableMessages(tableOf(spec, this.#flags))]);
    if (this.#flags !== 0 && (result === EOPNOTSUPP || result === EINVAL)) {
      this.#flags = 0;
      return this.install(spec);
    }
    if (result === 0) this.#installed = spec.tableName;
    return result;
  }

  /** False when somebody flushed all rules, as a restart of nftables.service does, and the kernel is older than 6.9. */
  exists(): boolean {
    return typeof this.#socket.ask(nft.tableQuestion(this.#installed)) !== 'number';
  }

  tables(): readonly FoundTable[] {
    const answers = this.#socket.dump(nft.tablesQuestion());
    if (typeof answers === 'number') return [];
    return answers.map(({ body }) => {
      const attributes = attributesOf(body, HEADER_BYTES);
      return { name: textOf(attributes.get(1)), comment: textOf(attributes.get(6)?.subarray(2)) };
    });
  }

  /** Tables of others whose chains drop what they do not know of what is forwarded: "ip filter FORWARD". */
  droppingChains(): readonly string[] {
    const answers = this.#socket.dump(nft.chainsQuestion());
    if (typeof answers === 'number') return [];
    return answers.flatMap(({ body }) => {
      const attributes = attributesOf(body, HEADER_BYTES);
      const hook = attributes.get(4);
      if (hook === undefined || attributesOf(hook, 0).get(1)?.readUInt32BE(0) !== FORWARD_HOOK) return [];
      if (attributes.get(5)?.readUInt32BE(0) !== 0) return [];
      const family = { 1: 'inet', 2: 'ip' }[body.readUInt8(0)];
      return family === undefined ? [] : [`${family} ${textOf(attributes.get(1))} ${textOf(attributes.get(3))}`];
    });
  }

  /** One of its own or a leftover. */
  remove(tableName: string): number {
    if (tableName === this.#installed) this.#installed = '';
    return this.#carryOut([nft.removeTableMessage(tableName)]);
  }

  /** Makes an empty table that nobody else can make until it is removed, or this process ends; an error number where somebody has it. */
  claim(tableName: string): number {
    return this.#carryOut([nft.claimMessage(tableName)]);
  }

  close(): void {
    this.#socket.close();
  }

  #carryOut(messages: readonly Message[]): number {
    return this.#socket.request(nft.framed(messages), messages.length);
  }
}

function tableOf(spec: FirewallSpec, flags: number): nft.Table {
  const range = rangeOf(spec.tag);
  const group = groupOf(spec.tag);
  const incoming = nft.meta(Meta.incomingGroup, group);
  const notWithin = nft.meta(Meta.outgoingGroup, group, true);
  const translated = [...isIpv4(), ...nft.source(range.address, range.length), ...notWithin, nft.masquerade];
  return {
    name: spec.tableName,
    comment: spec.comment,
    flags,
    counters: [CONNECTIONS],
    chains: [
      {
        name: 'prerouting',
        type: 'filter',
        hook: nft.Hook.prerouting,
        priority: RAW,
        rules: [
          [...incoming, ...nft.meta(Meta.family, Family.ipv6), nft.drop],
          [...incoming, ...nft.spoofed(), nft.drop],
          ...refuse(...incoming, ...nft.destinationType(AddressType.local)),
        ],
      },
      // Broadcasts, and what was redirected to the server on its way.
      { name: 'input', type: 'filter', hook: nft.Hook.input, priority: FILTER, rules: [[...incoming, nft.drop]] },
      { name: 'forward', type: 'filter', hook: nft.Hook.forward, priority: FILTER, rules: forwardRules(spec) },
      { name: 'postrouting', type: 'nat', hook: nft.Hook.postrouting, priority: SOURCE_NAT, rules: [translated] },
    ],
  };
}

function forwardRules(spec: FirewallSpec): nft.Expression[][] {
  const range = rangeOf(spec.tag);
  const group = groupOf(spec.tag);
  const incoming = nft.meta(Meta.incomingGroup, group);
  const outgoing = nft.meta(Meta.outgoingGroup, group);
  const answers = nft.connectionState(ConnectionState.established | ConnectionState.related);
  return [
    [...incoming, ...answers, nft.accept],
    // Would leave untranslated.
    [...incoming, ...nft.connectionState(ConnectionState.invalid), nft.drop],
    [...incoming, ...nft.connectionsOver(spec.connectionCountMax, CONNECTIONS), nft.drop],
    ...spec.nameservers.flatMap((address) => dnsRules(incoming, parsed(address))),
    ...spec.refusals.flatMap((refusal) => refusalRules(incoming, refusal)),
    ...spec.uplinks.map((index) => [...incoming, ...nft.meta(Meta.outgoingIndex, index), nft.accept]),
    // Other instances, containers and machines of this server.
    ...refuse(...incoming),
    [...outgoing, ...answers, nft.accept],
    // Nothing else comes in; and what is for an instance that is gone does not leave by the default route.
    [...isIpv4(), ...nft.destination(range.address, range.length), nft.drop],
    ...spec.switched.flatMap((from) =>
      spec.switched.map((to) => [...nft.meta(Meta.incomingIndex, from), ...nft.meta(Meta.outgoingIndex, to), nft.drop]),
    ),
  ];
}

function dnsRules(incoming: nft.Expression[], { address, length }: Range): nft.Expression[][] {
  return [Protocol.udp, Protocol.tcp].map((protocol) => [
    ...incoming,
    ...isIpv4(),
    ...nft.destination(address, length),
    ...nft.meta(Meta.protocol, protocol),
    ...nft.destinationPort(DNS_PORT),
    nft.accept,
  ]);
}

function refusalRules(incoming: nft.Expression[], refusal: Refusal): nft.Expression[][] {
  const { address, length } = parsed(refusal.range);
  const to = [...incoming, ...isIpv4(), ...nft.destination(address, length)];
  if (refusal.port === undefined) return refuse(...to);
  const port = nft.destinationPort(refusal.port);
  return [Protocol.tcp, Protocol.udp].flatMap((protocol) =>
    refuse(...to, ...nft.meta(Meta.protocol, protocol), ...port),
  );
}

/** To be told at once is better than to wait for a timeout, which is billed. */
function refuse(...matches: readonly nft.Expression[]): nft.Expression[][] {
  return [
    [...matches, ...nft.meta(Meta.protocol, Protocol.tcp), nft.reset],
    [...matches, nft.reject],
  ];
}

function isIpv4(): nft.Expression[] {
  return nft.meta(Meta.family, Family.ipv4);
}

function parsed(range: string): Range {
  const result = parseRange(range);
  if (result === undefined) throw new Error(`not an IPv4 address or range: ${range}`);
  return result;
}
