/**
 * Netlink, spoken by hand: messages are built as buffers, sent through a socket, and answered before `send` returns.
 * That is how the kernel works through them: in the context of the sender, one after the other. So nothing here ever waits,
 * and an answer that is not there after `send` was lost (the kernel was short of memory) and counts as an error.
 *
 *   0         4       6       8          12          16
 *   ┌─────────┬───────┬───────┬──────────┬───────────┬────────────────┬──────────────────────
 *   │ length  │ type  │ flags │ sequence │ port (0)  │ header of the  │ attributes: length u16,
 *   │ u32     │ u16   │ u16   │ u32      │ u32       │ type           │ type u16, body, padding
 *   └─────────┴───────┴───────┴──────────┴───────────┴────────────────┴──────────────────────
 *
 * In the byte order of the machine, which is little-endian on every machine that Perch runs on; netfilter's numbers are
 * big-endian.
 */
import { closeSync } from 'node:fs';
import { assert } from '../../base/assert.ts';
import type { Libc } from '../sandbox/libc.ts';

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const EAGAIN = -11;
const ENOBUFS = -105;

const HEADER_BYTES = 16;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const TYPE_MASK = 0x3fff;
const NESTED = 0x8000;
/** The kernel gives a dump out in pieces of at most 32 KB. */
const RECEIVE_BYTES = 65_536;

export const NETLINK_ROUTE = 0;
export const NETLINK_NETFILTER = 12;

const REQUEST = 1;
const ACKNOWLEDGE = 4;
export const EXCLUSIVE = 0x200;
const DUMP = 0x300;
export const CREATE = 0x400;
export const APPEND = 0x800;

/** What is asked, and what comes back. */
export interface Message {
  readonly type: number;
  /** REQUEST goes without saying. */
  readonly flags: number;
  /** The header of the type, and attributes. */
  readonly body: Buffer;
}

export class NetlinkSocket {
  readonly #libc: Libc;
  readonly #descriptor: number;
  readonly #received = Buffer.alloc(RECEIVE_BYTES);
  #sequence = 0;

  constructor(libc: Libc, descriptor: number) {
    this.#libc = libc;
    this.#descriptor = descriptor;
  }

  /**
   * Carries the messages out in order, the later ones even where an earlier one fails: 0, or the error of the first that failed.
   * The one at `acknowledged` (the last, as a rule) tells that all are done.
   */
  request(messages: readonly Message[], acknowledged: number = messages.length - 1): number {
    assert(acknowledged >= 0, 'there is something to carry out');
    const sequence = this.#sequence + 1 + acknowledged;
    const flagged = messages.map((each, index) => (index === acknowledged ? acknowledge(each) : each));
    const sent = this.#send(flagged);
    if (sent < 0) return sent;
    let firstError = 0;
    let done = false;
    while (!done) {
      const received = this.#receive((answer, of) => {
        const result = answer.type === NLMSG_ERROR ? answer.body.readInt32LE(0) : 0;
        if (firstError === 0) firstError = result;
        if (of === sequence) done = true;
      });
      // A framed batch that was refused as a whole is answered with errors alone.
      if (received === EAGAIN) return firstError === 0 ? ENOBUFS : firstError;
      if (received < 0) return received;
    }
    return firstError;
  }

  /** All that a question is answered with; or the error number it was refused with. */
  dump(question: Message): readonly Message[] | number {
    const sent = this.#send([{ ...question, flags: question.flags | DUMP }]);
    if (sent < 0) return sent;
    const answers: Message[] = [];
    let error = 0;
    let done = false;
    while (!done) {
      const received = this.#receive((answer) => {
        if (answer.type === NLMSG_ERROR) error = answer.body.readInt32LE(0);
        if (answer.type === NLMSG_ERROR || answer.type === NLMSG_DONE) done = true;
        else answers.push({ ...answer, body: Buffer.from(answer.body) });
      });
      if (received < 0) return received;
    }
    return error < 0 ? error : answers;
  }

  /** The one answer to a question about one thing, or the error number it was refused with. */
  ask(question: Message): Message | number {
    const sent = this.#send([question]);
    if (sent < 0) return sent;
    const answers: Message[] = [];
    const received = this.#receive((answer) => answers.push({ ...answer, body: Buffer.from(answer.body) }));
    const [answer] = answers;
    if (received < 0 || answer === undefined) return Math.min(received, ENOBUFS);
    return answer.type === NLMSG_ERROR ? answer.body.readInt32LE(0) : answer;
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  #send(messages: readonly Message[]): number {
    const encoded = messages.map(({ type, flags, body }) => {
      const header = Buffer.alloc(HEADER_BYTES);
      header.writeUInt32LE(HEADER_BYTES + body.length, 0);
      header.writeUInt16LE(type, 4);
      header.writeUInt16LE(flags | REQUEST, 6);
      header.writeUInt32LE(++this.#sequence, 8);
      return Buffer.concat([header, padded(body)]);
    });
    return this.#libc.send(this.#descriptor, Buffer.concat(encoded), 0);
  }

  /** The bodies that `take` gets are good until it returns. */
  #receive(take: (answer: Message, sequence: number) => void): number {
    const size = this.#libc.recv(this.#descriptor, this.#received, MSG_DONTWAIT);
    for (let at = 0; at + HEADER_BYTES <= size;) {
      const length = this.#received.readUInt32LE(at);
      assert(length >= HEADER_BYTES && at + length <= size, 'the kernel sends whole messages');
      const type = this.#received.readUInt16LE(at + 4);
      const flags = this.#received.readUInt16LE(at + 6);
      const body = this.#received.subarray(at + HEADER_BYTES, at + length);
      take({ type, flags, body }, this.#received.readUInt32LE(at + 8));
      at += align(length);
    }
    return size;
  }
}

/** In the network namespace of the caller, for good. A negative error number where the kernel has no such protocol. */
export function openNetlink(libc: Libc, protocol: number): NetlinkSocket | number {
  const descriptor = libc.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
  return descriptor < 0 ? descriptor : new NetlinkSocket(libc, descriptor);
}

export function attribute(type: number, ...parts: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(4);
  const body = parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
  header.writeUInt16LE(4 + body.length, 0);
  header.writeUInt16LE(type, 2);
  return padded(Buffer.concat([header, body]));
}

/** An attribute of attributes. */
export function nest(type: number, ...attributes: readonly Buffer[]): Buffer {
  return attribute(type | NESTED, ...attributes);
}

export function u32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32LE(value >>> 0, 0);
  return buffer;
}

export function u32be(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32BE(value >>> 0, 0);
  return buffer;
}

/** With the NUL that the kernel expects. */
export function text(value: string): Buffer {
  return Buffer.from(`${value}\0`, 'utf8');
}

/** The attributes of an answer by their type, from where the header of its type ends. */
export function attributesOf(body: Buffer, from: number): ReadonlyMap<number, Buffer> {
  const found = new Map<number, Buffer>();
  for (let at = from; at + 4 <= body.length;) {
    const length = body.readUInt16LE(at);
    if (length < 4) break;
    found.set(body.readUInt16LE(at + 2) & TYPE_MASK, body.subarray(at + 4, at + length));
    at += align(length);
  }
  return found;
}

export function textOf(value: Buffer | undefined): string {
  return value === undefined ? '' : value.toString('utf8').replace(/\0.*$/s, '');
}

function acknowledge(message: Message): Message {
  return { ...message, flags: message.flags | ACKNOWLEDGE };
}

function align(length: number): number {
  return (length + 3) & ~3;
}

function padded(body: Buffer): Buffer {
  const missing = align(body.length) - body.length;
  return missing === 0 ? body : Buffer.concat([body, Buffer.alloc(missing)]);
}
