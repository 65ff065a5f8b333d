/**
 * Which user owns a TCP socket of this machine, by its two ends. The kernel is asked for that one socket over netlink
 * (sock_diag(7)): some microseconds, whatever number of sockets there is. Where that is not to be had, its whole table
 * is read from /proc/net/tcp, which takes tens of milliseconds on a machine with many connections.
 */
import { readFileSync } from 'node:fs';
import { isIPv4 } from 'node:net';
import { libc } from '../worker/sandbox/libc.ts';

export interface End {
  /** IPv4, or IPv6 that is no mapped IPv4. */
  readonly address: string;
  readonly port: number;
}

export interface Owner {
  readonly uid: number;
  /** No process holds the socket any more; its uid says nothing then. */
  readonly orphaned: boolean;
}

/** The owner of the socket whose own end is `own`; null if there is no such socket here. */
export function findOwner(own: End, other: End): Owner | null {
  const answer = askKernel(own, other);
  return answer === UNAVAILABLE ? searchTables(own, other) : answer;
}

// --- sock_diag: one message to the kernel, one back --------------------------------------------------------------------

const UNAVAILABLE = Symbol('no sock_diag on this machine');

const AF_INET = 2;
const AF_INET6 = 10;
const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
const NETLINK_SOCK_DIAG = 4;
const SOCK_DIAG_BY_FAMILY = 20;
const NLM_F_REQUEST = 1;
const NLMSG_ERROR = 2;
const IPPROTO_TCP = 6;
const MSG_DONTWAIT = 0x40;
const ENOENT = 2;

/*
 * Request: struct nlmsghdr, then struct inet_diag_req_v2. Answer: struct nlmsghdr, then struct inet_diag_msg.
 *
 *   0       4     6      8         12       16      17        18   20      24
 *   ┌───────┬─────┬──────┬─────────┬────────┬───────┬─────────┬────┬───────┬──────────────────────────────┐
 *   │ bytes │type │flags │sequence │ port id│family │protocol │ 0  │states │ ports, addresses, if, cookie │ 72 in all
 *   └───────┴─────┴──────┴─────────┴────────┴───────┴─────────┴────┴───────┴──────────────────────────────┘
 *   answer:                                 │family, state, timer, retrans │ the same 48 bytes at 20; uid at 80, inode at 84
 */
const REQUEST_BYTES = 72;
const ID_AT = 24;
const ANSWER_PORTS_AT = 20;
const UID_AT = 80;
const INODE_AT = 84;
const ANSWER_BYTES_MIN = 88;

const request = Buffer.alloc(REQUEST_BYTES);
const answer = Buffer.alloc(4096);
/** Opened at the first question; -1 before. */
let netlink = -1;
let sequence = 0;

function askKernel(own: End, other: End): Owner | null | typeof UNAVAILABLE {
  if (libc === undefined) return UNAVAILABLE;
  if (netlink < 0) netlink = libc.socket(AF_NETLINK, SOCK_RAW_CLOEXEC, NETLINK_SOCK_DIAG);
  if (netlink < 0 || !writeRequest(own, other)) return UNAVAILABLE;
  if (libc.send(netlink, request, 0) !== REQUEST_BYTES) return UNAVAILABLE;
  // The kernel answers within `send`. Answers to questions that were given up are thrown away.
  for (;;) {
    const bytes = libc.recv(netlink, answer, MSG_DONTWAIT);
    if (bytes < 20) return UNAVAILABLE;
    if (answer.readUInt32LE(8) === sequence) return readAnswer(bytes, own, other);
  }
}

function writeRequest(own: End, other: End): boolean {
  const from = addressBytes(own.address);
  const to = addressBytes(other.address);
  if (from === null || to?.length !== from.length) return false;
  sequence = (sequence + 1) >>> 0;
  request.fill(0);
  request.writeUInt32LE(REQUEST_BYTES, 0);
  request.writeUInt16LE(SOCK_DIAG_BY_FAMILY, 4);
  request.writeUInt16LE(NLM_F_REQUEST, 6);
  request.writeUInt32LE(sequence, 8);
  request[16] = from.length === 4 ? AF_INET : AF_INET6;
  request[17] = IPPROTO_TCP;
  request.writeUInt32LE(0xffff_ffff, 20);
  request.writeUInt16BE(own.port, ID_AT);
  request.writeUInt16BE(other.port, ID_AT + 2);
  request.set(from, ID_AT + 4);
  request.set(to, ID_AT + 20);
  // Any cookie.
  request.fill(0xff, ID_AT + 40, ID_AT + 48);
  return true;
}

function readAnswer(bytes: number, own: End, other: End): Owner | null | typeof UNAVAILABLE {
  const type = answer.readUInt16LE(4);
  if (type === NLMSG_ERROR) return answer.readInt32LE(16) === -ENOENT ? null : UNAVAILABLE;
  if (type !== SOCK_DIAG_BY_FAMILY || bytes < ANSWER_BYTES_MIN) return UNAVAILABLE;
  // A listening socket answers for a connection that is not there.
  const isThis =
    answer.readUInt16BE(ANSWER_PORTS_AT) === own.port && answer.readUInt16BE(ANSWER_PORTS_AT + 2) === other.port;
  if (!isThis) return null;
  return { uid: answer.readUInt32LE(UID_AT), orphaned: answer.readUInt32LE(INODE_AT) === 0 };
}

/** In network order; null for what Node would not have given us. */
function addressBytes(address: string): Uint8Array | null {
  if (isIPv4(address)) return Uint8Array.from(address.split('.'), Number);
  const [head = '', tail] = address.replace(/%.*$/, '').split('::');
  const groups = (text: string): number[] =>
    text
      .split(':')
      .filter(Boolean)
      .map((group) => Number.parseInt(group, 16));
  const first = groups(head);
  const last = groups(tail ?? '');
  const zeros = 8 - first.length - last.length;
  if (zeros < 0 || (tail === undefined && zeros !== 0)) return null;
  const all = [...first, ...new Array<number>(zeros).fill(0), ...last];
  return Uint8Array.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}

// --- the tables in /proc ---------------------------------------------------------------------------------------------

function searchTables(own: End, other: End): Owner | null {
  const end = `:${hexPort(own.port)}`;
  const otherEnd = `:${hexPort(other.port)}`;
  const wanted = addressForms(own.address);
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
