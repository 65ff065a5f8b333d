/**
 * Connections between the nodes of a fuzzed cluster. They carry the frames of the wire as bytes, to the shipped lines at either end, which take them
 * for links of sockets (cluster/link/link.ts).
 *
 * What holds of them is what holds of a connection: what is said arrives in its order, after a while, or not at all from some point on; each side
 * hears of the end in its own time, and what one side says meanwhile goes nowhere. A node that dies says nothing any more.
 */
import { assert } from '../../base/assert.ts';
import type { FrameSender } from '../../cluster/link/link.ts';
import { CloseReason, FRAME_BYTES, padded, WIRE_VERSION } from '../../wire/cluster-frame.ts';
import type { Direction } from '../../wire/cluster/directions.ts';
import type { OutBodyFrame, OutFrame } from '../../wire/cluster/encoder.ts';
import { HelloFrame } from '../../wire/cluster/large-frames.ts';
import { Span } from '../../wire/cluster/span.ts';
import type { Random } from '../engine/random.ts';
import type { History } from './history.ts';
import type { VirtualTime } from './time.ts';
import { exponentialOf } from './waits.ts';

export interface Ended {
  readonly reason: CloseReason;
  readonly byPeer: boolean;
}

/** What a node says to one that dials it: a reason against it, or how it goes on. */
export interface Accepted {
  readonly welcome: HelloFrame;
  readonly direction: Direction;
  /** WELCOME is on its way: from now on it can send. */
  opened(): void;
  closed(ended: Ended): void;
}

export interface Dialled {
  /** How what comes is read, or why the other side is not wanted. */
  greeted(welcome: HelloFrame): Direction | CloseReason;
  opened(): void;
  /** Once, whether or not it was ever open. */
  closed(ended: Ended): void;
}

export type Acceptor = (end: LinkEnd, hello: HelloFrame) => Accepted | CloseReason;

export interface NetSetting {
  readonly delayUs: number;
  /** Of all frames, such as are late; and by how much at most. */
  readonly lateShare: number;
  readonly lateUs: number;
}

interface Coming {
  readonly serial: number;
  readonly what: () => void;
}

/** One side of a connection. */
export class LinkEnd implements FrameSender {
  readonly version = WIRE_VERSION;
  readonly node: string;
  readonly id: number;
  peer: LinkEnd | null = null;
  direction: Direction | null = null;
  onClosed: (ended: Ended) => void = () => {};
  isClosed = false;
  /** Nothing that is said on it arrives. */
  isDead = false;
  inbox: Coming[] = [];
  lastUs = 0;
  serial = 0;
  readonly #net: Net;

  constructor(net: Net, node: string, id: number) {
    this.#net = net;
    this.node = node;
    this.id = id;
  }

  send(frame: OutFrame): void {
    const span = new Span(Buffer.alloc(FRAME_BYTES[frame.kind]!));
    frame.write(span, 0);
    this.#net.carry(this, frame.kind, span);
  }

  sendLater(frame: OutFrame): void {
    this.send(frame);
  }

  sendBody(frame: OutBodyFrame): void {
    const { headBytes, payload } = frame;
    const span = new Span(Buffer.alloc(padded(headBytes + payload.length)));
    frame.write(span, 0);
    payload.copy(span.bytes, headBytes);
    this.#net.carry(this, frame.kind, span);
  }

  close(reason: CloseReason, about = 0): void {
    assert(
      reason !== CloseReason.breach,
      `${this.peer!.node} said to ${this.node} what cannot be, in a frame of kind ${about}`,
    );
    if (this.isClosed) return;
    this.#net.end(this);
    this.#net.sayEnd(this.peer!, { reason, byPeer: true }, 0);
    this.onClosed({ reason, byPeer: false });
  }
}

export class Net {
  readonly #time: VirtualTime;
  readonly #random: Random;
  readonly #setting: NetSetting;
  readonly #history: History;
  readonly #ends: LinkEnd[] = [];
  readonly #open = new Set<LinkEnd>();
  readonly #acceptors = new Map<string, Acceptor>();
  /** Pairs of nodes that do not reach each other, as `a|b`. */
  readonly #apart = new Set<string>();
  readonly #arrives: number;
  #endCount = 0;

  constructor(time: VirtualTime, random: Random, setting: NetSetting, history: History) {
    this.#time = time;
    this.#random = random;
    this.#setting = setting;
    this.#history = history;
    this.#arrives = time.engine.kind((id, serial) => this.#arrive(id, serial));
  }

  listen(node: string, acceptor: Acceptor): void {
    this.#acceptors.set(node, acceptor);
  }

  /** Frames and ends that have not arrived. */
  get inFlightCount(): number {
    let count = 0;
    for (const end of this.#open) count += end.inbox.length;
    return count;
  }

  connections(): readonly LinkEnd[] {
    return [...this.#open].filter(({ id }) => id % 2 === 0);
  }

  dial(from: string, to: string, hello: HelloFrame, dialled: Dialled): LinkEnd {
    const here = this.#makeEnd(from);
    const there = this.#makeEnd(to);
    here.peer = there;
    there.peer = here;
    here.onClosed = (ended) => dialled.closed(ended);
    const sent = Object.assign(new HelloFrame(hello.kind), hello);
    this.#put(there, () => this.#accept(there, sent, dialled), 0);
    return here;
  }

  #accept(there: LinkEnd, hello: HelloFrame, dialled: Dialled): void {
    const here = there.peer!;
    const acceptor = this.#acceptors.get(there.node);
    const isReached = acceptor !== undefined && !this.#apart.has(pairOf(here.node, there.node));
    const accepted = isReached ? acceptor(there, hello) : CloseReason.lost;
    if (typeof accepted === 'number') {
      this.end(there);
      return this.sayEnd(here, { reason: accepted, byPeer: true }, 0);
    }
    if (there.isClosed) return;
    there.direction = accepted.direction;
    there.onClosed = (ended) => accepted.closed(ended);
    const welcome = Object.assign(new HelloFrame(accepted.welcome.kind), accepted.welcome);
    this.#put(here, () => this.#greeted(here, welcome, dialled), 0);
    accepted.opened();
  }

  #greeted(here: LinkEnd, welcome: HelloFrame, dialled: Dialled): void {
    const direction = dialled.greeted(welcome);
    if (typeof direction === 'number') return here.close(direction);
    here.direction = direction;
    dialled.opened();
  }

  carry(from: LinkEnd, kind: number, span: Span): void {
    const to = from.peer!;
    if (from.isClosed || from.isDead) return;
    this.#put(to, () => this.#deliver(to, kind, span), 0);
  }

  /** It says and hears nothing any more. */
  end(end: LinkEnd): void {
    end.isClosed = true;
    end.inbox = [];
    this.#open.delete(end);
  }

  sayEnd(to: LinkEnd, ended: Ended, delayUs: number): void {
    const heard = (): void => {
      this.end(to);
      this.#history.add(() => `${to.node}: the connection to ${to.peer!.node} has ended, reason ${ended.reason}`);
      to.onClosed(ended);
    };
    if (!to.isClosed) this.#put(to, heard, delayUs);
  }

  /** The connection breaks; each side hears of it within `heardUs`. */
  cut(end: LinkEnd, heardUs: number): void {
    if (end.isDead) return;
    for (const each of [end, end.peer!]) this.#lose(each, heardUs);
  }

  /** All connections of the node end without a word from it, and nothing reaches it. */
  crash(node: string, heardUs: number): void {
    this.#acceptors.delete(node);
    for (const end of Array.from(this.#open)) {
      if (end.node !== node) continue;
      const isCut = end.isDead;
      this.end(end);
      if (!isCut) this.#lose(end.peer!, heardUs);
    }
  }

  setApart(a: string, b: string, isApart: boolean, heardUs: number): void {
    if (!isApart) return void this.#apart.delete(pairOf(a, b));
    this.#apart.add(pairOf(a, b));
    for (const end of this.connections()) if (pairOf(end.node, end.peer!.node) === pairOf(a, b)) this.cut(end, heardUs);
  }

  joinAll(): void {
    this.#apart.clear();
  }

  /** Of what is on its way to it, nothing or all arrives. */
  #lose(end: LinkEnd, heardUs: number): void {
    end.isDead = true;
    if (end.isClosed) return;
    if (this.#random.below(2) === 0) end.inbox = [];
    this.sayEnd(end, { reason: CloseReason.lost, byPeer: true }, this.#random.unit() * heardUs);
  }

  #makeEnd(node: string): LinkEnd {
    const end = new LinkEnd(this, node, this.#endCount++);
    this.#ends[end.id] = end;
    this.#open.add(end);
    return end;
  }

  #put(to: LinkEnd, what: () => void, moreUs: number): void {
    const { delayUs, lateShare, lateUs } = this.#setting;
    const random = this.#random;
    let takesUs = delayUs * exponentialOf(random) + moreUs;
    if (random.unit() < lateShare) takesUs += random.unit() * lateUs;
    to.lastUs = Math.max(to.lastUs, this.#time.nowUs() + takesUs);
    const serial = ++to.serial;
    to.inbox.push({ serial, what });
    this.#time.engine.at(to.lastUs, this.#arrives, to.id, serial);
  }

  #arrive(id: number, serial: number): void {
    const end = this.#ends[id]!;
    if (end.isClosed || end.inbox[0]?.serial !== serial) return;
    this.#time.owner = end.node;
    end.inbox.shift()!.what();
  }

  #deliver(to: LinkEnd, kind: number, span: Span): void {
    const { direction } = to;
    assert(direction !== null, `${to.node} is told something before it is connected`);
    const frame = direction.frames[kind];
    this.#history.frame(to.peer!.node, to.node, kind, span);
    assert(frame !== undefined && frame.read(span, 0), `${to.node} cannot read a frame of kind ${kind}`);
    direction.deliver(kind);
  }
}

function pairOf(a: string, b: string): string {
  return a < b ? `${a}|${b}` : `${b}|${a}`;
}
