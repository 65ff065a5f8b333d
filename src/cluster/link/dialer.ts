/**
 * Keeps a connection to another node: dials, and dials again whenever it ends, until it is stopped. The wait before the
 * next attempt doubles with each that failed, and is spread by a random half, so that the nodes that lost the same one do
 * not come back at the same moment. A connection that lasted longer than the longest wait begins anew with the shortest.
 *
 * One that knows no more than an older version of the protocol says so by closing; it is dialled in that one then, and in the newest again once
 * that connection has ended.
 */
import type { Duplex } from 'node:stream';
import type { Clock } from '../../base/clock.ts';
import { CloseReason, isSpoken, WIRE_VERSION } from '../../wire/cluster-frame.ts';
import type { Direction } from '../../wire/cluster/directions.ts';
import type { HelloFrame } from '../../wire/cluster/large-frames.ts';
import { type Closing, FrameLink, type LinkSetting } from './link.ts';

export interface DialerDelays {
  readonly minMs: number;
  readonly maxMs: number;
}

export interface DialerDoors {
  readonly clock: Clock;
  /** 0 <= x < 1. */
  readonly random: () => number;
  /** A connection that may be on its way still; what goes wrong is told as its 'error'. */
  readonly connect: () => Duplex;
}

export interface DialerEvents {
  /** What this side says of itself in the next attempt; a frame of its own each time. */
  setting(): LinkSetting;
  /** As in `LinkEvents`, with the link that it is about. */
  greeted(peer: HelloFrame, link: FrameLink): Direction | CloseReason;
  opened(link: FrameLink): void;
  /** `retryMs`: until the next attempt; -1: there is none, since it was stopped. */
  closed(closing: Closing, retryMs: number): void;
}

export class Dialer {
  readonly #doors: DialerDoors;
  readonly #delays: DialerDelays;
  readonly #events: DialerEvents;
  #link: FrameLink | null = null;
  #attempts = 0;
  /** Of the protocol, for the next attempt. */
  #version: number = WIRE_VERSION;
  #openedUs = -1;
  #stopped = false;
  #stopWaiting: () => void = () => {};

  constructor(delays: DialerDelays, doors: DialerDoors, events: DialerEvents) {
    this.#delays = delays;
    this.#doors = doors;
    this.#events = events;
  }

  /** The connection, if it is open. */
  get link(): FrameLink | null {
    return this.#link?.isOpen === true ? this.#link : null;
  }

  start(): void {
    this.#openedUs = -1;
    const setting = this.#events.setting();
    setting.hello.version = this.#version;
    const link: FrameLink = new FrameLink(this.#doors.connect(), setting, {
      greeted: (peer) => this.#events.greeted(peer, link),
      opened: () => {
        this.#version = WIRE_VERSION;
        this.#openedUs = this.#doors.clock.nowUs();
        this.#events.opened(link);
      },
      closed: (closing) => this.#closed(closing),
    });
    this.#link = link;
  }

  /** Closes what there is, and dials no more. */
  stop(): void {
    this.#stopped = true;
    this.#stopWaiting();
    this.#link?.close(CloseReason.stopping);
  }

  #closed(closing: Closing): void {
    this.#link = null;
    if (closing.byPeer && closing.reason === CloseReason.version)
      this.#version = isSpoken(this.#version - 1) ? this.#version - 1 : WIRE_VERSION;
    const openUs = this.#openedUs < 0 ? 0 : this.#doors.clock.nowUs() - this.#openedUs;
    if (openUs >= this.#delays.maxMs * 1000) this.#attempts = 0;
    if (this.#stopped) return this.#events.closed(closing, -1);
    const delayMs = dialDelayMs(this.#attempts++, this.#delays, this.#doors.random());
    this.#stopWaiting = this.#doors.clock.every(delayMs, () => {
      this.#stopWaiting();
      this.start();
    });
    this.#events.closed(closing, delayMs);
  }
}

/** Before attempt 1, 2, …: between half of the doubled delay and all of it. */
export function dialDelayMs(attempts: number, { minMs, maxMs }: DialerDelays, random: number): number {
  const wholeMs = Math.min(maxMs, minMs * 2 ** Math.min(attempts, 30));
  return wholeMs / 2 + (wholeMs / 2) * random;
}
