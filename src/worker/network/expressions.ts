/**
 * Rules of nf_tables as messages: what `nft` compiles its text to, written down directly, so that no tool is needed at run
 * time. `nft list ruleset` shows what becomes of it. A rule is a list of expressions: each loads a register, compares it
 * (and ends the rule where the comparison fails), or acts.
 */
import { assert } from '../../base/assert.ts';
import { APPEND, attribute, CREATE, EXCLUSIVE, type Message, nest, text, u32, u32be } from './netlink.ts';

const NFNL_SUBSYS_NFTABLES = 10;
const NFNL_MSG_BATCH_BEGIN = 16;
const NFNL_MSG_BATCH_END = 17;
const NFPROTO_INET = 1;

const NFT_MSG_NEWTABLE = 0;
const NFT_MSG_GETTABLE = 1;
const NFT_MSG_DELTABLE = 2;
const NFT_MSG_NEWCHAIN = 3;
const NFT_MSG_GETCHAIN = 4;
const NFT_MSG_NEWRULE = 6;
const NFT_MSG_NEWSET = 9;

const REGISTER = 1;
const VERDICT_REGISTER = 0;

export const Hook = { prerouting: 0, input: 1, forward: 2, postrouting: 4 } as const;
export const Meta = {
  incomingIndex: 4,
  outgoingIndex: 5,
  family: 15,
  protocol: 16,
  incomingGroup: 21,
  outgoingGroup: 22,
} as const;
export const ConnectionState = { invalid: 1, established: 2, related: 4 } as const;
/** Types of address, as routes have them. */
export const AddressType = { local: 2 } as const;
export const Family = { ipv4: 2, ipv6: 10 } as const;
export const Protocol = { tcp: 6, udp: 17 } as const;

/** The addresses of one network. */
const COUNTED_ADDRESSES_MAX = 4096;

const Comparison = { equal: 0, unequal: 1 } as const;

export type Expression = Buffer;

interface Chain {
  readonly name: string;
  readonly type: 'filter' | 'nat';
  readonly hook: number;
  /** Lower ones come first; as in nft: raw -300, filter 0, srcnat 100. */
  readonly priority: number;
  readonly rules: readonly (readonly Expression[])[];
}

export interface Table {
  readonly name: string;
  readonly comment: string;
  /** What the kernel shall do to keep it whole: TABLE_OWNED, TABLE_PERSISTENT; 0 for older ones. */
  readonly flags: number;
  /** Names of sets for `connectionsOver`. */
  readonly counters: readonly string[];
  readonly chains: readonly Chain[];
}

/** Nobody but the owner's socket changes it, `nft flush ruleset` passes it over (Linux 5.12) … */
export const TABLE_OWNED = 2;
/** … and it stays when its owner dies (Linux 6.9). */
export const TABLE_PERSISTENT = 4;

export function meta(key: number, value: number, differs = false): Expression[] {
  const load = expression('meta', attribute(1, u32be(REGISTER)), attribute(2, u32be(key)));
  // Two of them are single bytes.
  const isByte = key === Meta.family || key === Meta.protocol;
  return [load, compare(isByte ? Buffer.from([value]) : u32(value), differs)];
}

/** The packet's source would not be routed back to where it came from. */
export function spoofed(): Expression[] {
  const FIB_OIF = 1;
  const SOURCE_AND_INTERFACE = 1 | 8;
  return [fib(FIB_OIF, SOURCE_AND_INTERFACE), compare(u32(0))];
}

/** What the destination is to the server. */
export function destinationType(type: number): Expression[] {
  const FIB_ADDRESS_TYPE = 3;
  const DESTINATION = 2;
  return [fib(FIB_ADDRESS_TYPE, DESTINATION), compare(u32(type))];
}

/** IPv4 alone: to be preceded by `meta(Meta.family, Family.ipv4)`. */
export function source(address: number, length: number): Expression[] {
  return inRange(12, address, length);
}

export function destination(address: number, length: number): Expression[] {
  return inRange(16, address, length);
}

/** Of TCP or UDP: to be preceded by `meta(Meta.protocol, …)`. */
export function destinationPort(port: number): Expression[] {
  const value = Buffer.alloc(2);
  value.writeUInt16BE(port, 0);
  return [payload(2, 2, 2), compare(value)];
}

/** The connection is in one of these states. */
export function connectionState(states: number): Expression[] {
  const load = expression('ct', attribute(1, u32be(REGISTER)), attribute(2, u32be(0)));
  return [load, mask(u32(states)), compare(u32(0), true)];
}

/** The source (IPv4) has more than so many connections; the set keeps count of each. To be asked of new ones alone. */
export function connectionsOver(limit: number, setName: string): Expression[] {
  const over = [attribute(1, text('connlimit')), nest(2, attribute(1, u32be(limit)), attribute(2, u32be(1)))];
  const ADD = 0;
  const set = [attribute(1, text(setName)), attribute(3, u32be(ADD)), attribute(4, u32be(REGISTER))];
  return [payload(1, 12, 4), expression('dynset', ...set, nest(7, ...over))];
}

export const accept: Expression = verdict(1);
export const drop: Expression = verdict(0);
/** TCP alone: a reset, so that the caller learns at once, as ECONNREFUSED. */
export const reset: Expression = expression('reject', attribute(1, u32be(1)), attribute(2, Buffer.from([0])));
/** ICMP "administratively prohibited", EHOSTUNREACH to the caller; the kernel sends no more than some a second. */
export const reject: Expression = expression('reject', attribute(1, u32be(2)), attribute(2, Buffer.from([3])));
export const masquerade: Expression = expression('masq');

/** All of it, as one message for each table, chain and rule. */
export function tableMessages(table: Table): Message[] {
  const named = attribute(1, text(table.name));
  const comment = attribute(6, userText(table.comment));
  const messages = [create(NFT_MSG_NEWTABLE, CREATE, named, attribute(2, u32be(table.flags)), comment)];
  for (const [index, name] of table.counters.entries()) messages.push(counterMessage(named, name, index + 1));
  for (const chain of table.chains) {
    const hook = nest(4, attribute(1, u32be(chain.hook)), attribute(2, u32be(chain.priority)));
    const name = attribute(3, text(chain.name));
    messages.push(create(NFT_MSG_NEWCHAIN, CREATE, named, name, hook, attribute(7, text(chain.type))));
    for (const rule of chain.rules) {
      const expressions = nest(4, ...rule);
      messages.push(create(NFT_MSG_NEWRULE, CREATE | APPEND, named, attribute(2, text(chain.name)), expressions));
    }
  }
  return messages;
}

/** An empty table of this socket, which goes with it. Refused where there is one of this name. */
export function claimMessage(name: string): Message {
  return create(NFT_MSG_NEWTABLE, CREATE | EXCLUSIVE, attribute(1, text(name)), attribute(2, u32be(TABLE_OWNED)));
}

export function removeTableMessage(name: string): Message {
  return create(NFT_MSG_DELTABLE, 0, attribute(1, text(name)));
}

/** All or none are carried out. The one to be acknowledged is the last but one. */
export function framed(messages: readonly Message[]): Message[] {
  const body = Buffer.from([0, 0, 0, NFNL_SUBSYS_NFTABLES]);
  return [{ type: NFNL_MSG_BATCH_BEGIN, flags: 0, body }, ...messages, { type: NFNL_MSG_BATCH_END, flags: 0, body }];
}

export function tablesQuestion(): Message {
  return create(NFT_MSG_GETTABLE, 0);
}

export function tableQuestion(name: string): Message {
  return create(NFT_MSG_GETTABLE, 0, attribute(1, text(name)));
}

/** Of all families. */
export function chainsQuestion(): Message {
  return { ...create(NFT_MSG_GETCHAIN, 0), body: Buffer.alloc(4) };
}

/** A set of IPv4 addresses (nft's type 7) that rules add to. */
function counterMessage(tableName: Buffer, name: string, id: number): Message {
  const EVALUATED = 0x20;
  const key = [attribute(4, u32be(7)), attribute(5, u32be(4))];
  const size = nest(9, attribute(1, u32be(COUNTED_ADDRESSES_MAX)));
  const flags = attribute(3, u32be(EVALUATED));
  return create(
    NFT_MSG_NEWSET,
    CREATE,
    tableName,
    attribute(2, text(name)),
    flags,
    ...key,
    size,
    attribute(10, u32be(id)),
  );
}

function create(type: number, flags: number, ...attributes: readonly Buffer[]): Message {
  const header = Buffer.from([NFPROTO_INET, 0, 0, 0]);
  return { type: (NFNL_SUBSYS_NFTABLES << 8) | type, flags, body: Buffer.concat([header, ...attributes]) };
}

function expression(name: string, ...attributes: readonly Buffer[]): Expression {
  return nest(1, attribute(1, text(name)), nest(2, ...attributes));
}

function compare(value: Buffer, differs = false): Expression {
  const comparison = differs ? Comparison.unequal : Comparison.equal;
  const data = nest(3, attribute(1, value));
  return expression('cmp', attribute(1, u32be(REGISTER)), attribute(2, u32be(comparison)), data);
}

function mask(bits: Buffer): Expression {
  const registers = [attribute(1, u32be(REGISTER)), attribute(2, u32be(REGISTER)), attribute(3, u32be(bits.length))];
  return expression(
    'bitwise',
    ...registers,
    nest(4, attribute(1, bits)),
    nest(5, attribute(1, Buffer.alloc(bits.length))),
  );
}

function fib(result: number, flags: number): Expression {
  return expression('fib', attribute(1, u32be(REGISTER)), attribute(2, u32be(result)), attribute(3, u32be(flags)));
}

/** Bytes of the packet: base 1 is the network header, 2 the transport header. */
function payload(base: number, offset: number, length: number): Expression {
  const where = [attribute(2, u32be(base)), attribute(3, u32be(offset)), attribute(4, u32be(length))];
  return expression('payload', attribute(1, u32be(REGISTER)), ...where);
}

function inRange(offset: number, address: number, length: number): Expression[] {
  const bits = length === 0 ? 0 : (0xffff_ffff << (32 - length)) >>> 0;
  return [payload(1, offset, 4), mask(u32be(bits)), compare(u32be(address & bits))];
}

function verdict(code: number): Expression {
  const data = nest(2, nest(2, attribute(1, u32be(code))));
  return expression('immediate', attribute(1, u32be(VERDICT_REGISTER)), data);
}

/** What the kernel takes, less the type, the length and the NUL. */
export const COMMENT_BYTES_MAX = 253;

/** As nft writes comments: type, length, text. */
function userText(comment: string): Buffer {
  const bytes = text(comment);
  assert(bytes.length <= COMMENT_BYTES_MAX + 1, 'the comment fits');
  return Buffer.concat([Buffer.from([0, bytes.length]), bytes]);
}
