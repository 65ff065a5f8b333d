/**
 * A connection between two nodes that carries frames (wire/cluster-frame.ts), over any duplex stream. It says HELLO and
 * WELCOME, writes what was sent once a turn, keeps the heartbeat, and ends in exactly one `closed`, with a reason.
 *
 *   opening ──HELLO, WELCOME──▶ open ──▶ closed
 *      └───────── refused, silent ──────────▲
 *
 * Nobody waits for ever: a side that says nothing, or does not read (it says what it has read in each batch), is closed
 * after the silence limit, and one that reads slowly when the backlog is full. Silence is counted in ticks of the clock on
 * which nothing had come, so that a node that was stopped for a while first reads what came meanwhile.
 */
import type { Duplex } from 'node:stream';
import { assert } from '../../base/assert.ts';
import type { Clock } from '../../base/clock.ts';
import { CloseReason, ClusterKind, FRAME_BYTES, type Role } from '../../wire/cluster-frame.ts';
import { FrameDecoder } from '../../wire/cluster/decoder.ts';
import { type Direction, mayDial } from '../../wire/cluster/directions.ts';
import {
  BATCH_BYTES,
  BatchBuffers,
  FrameEncoder,
  type OutBodyFrame,
  type OutFrame,
} from '../../wire/cluster/encoder.ts';
import { CloseFrame, type HelloFrame } from '../../wire/cluster/large-frames.ts';

export interface LinkLimits {
  readonly silenceMs: number;
  readonly beatMs: number;
  readonly backlogBytesMax: number;
}

export interface LinkSetting {
  /** What this side says of itself; its kind is HELLO where it dialled, WELCOME where it was dialled. Not shared between links. */
  readonly hello: HelloFrame;
  /** The role that was dialled; null: the other side dialled. */
  readonly dialled: Role | null;
  readonly limits: LinkLimits;
  readonly clock: Clock;
}

export interface Closing {
  /** A `CloseReason`; from the other side also one that only a later version knows. */
  readonly reason: number;
  /** The other side gave the reason, or is gone. */
  readonly byPeer: boolean;
  /** The kind of the frame that was wrong; 0: none. */
  readonly about: number;
  /** What the socket said; '' where it said nothing. */
  readonly message: string;
}

export interface LinkEvents {
  /**
   * What the other side says of itself. Answers how its frames are read, or why it is not wanted. Nothing can be sent yet;
   * where this side was dialled, its own `hello` goes as WELCOME after this, as it is then.
   */
  greeted(peer: HelloFrame): Direction | CloseReason;
  /** From now on frames can be sent. */
  opened(): void;
  /** Once, whatever happened, also if it was never open. Nothing is delivered after it. */
  closed(closing: Closing): void;
}

/** What is said on a connection, to whoever carries it. */
export type FrameSender = Pick<FrameLink, 'version' | 'send' | 'sendLater' | 'sendBody' | 'close'>;

/** A closed connection has so many ticks to send its last bytes. */
const LINGER_TICKS = 2;
const TICKS_PER_BEAT = 2;

/** Of all connections of the process: what they take turns in using. */
const BUFFERS = new BatchBuffers(BATCH_BYTES, 64);

type State = 'opening' | 'open' | 'closed';

export class FrameLink {
  readonly #duplex: Duplex;
  readonly #setting: LinkSetting;
  readonly #events: LinkEvents;
  readonly #decoder: FrameDecoder;
  readonly #encoder: FrameEncoder;
  readonly #silenceTicks: number;
  readonly #stopTicking: () => void;
  #state: State = 'opening';
  #tickCount = 0;
  #silentTicks = 0;
  #unreadTicks = 0;
  #lingerTicks = 0;
  /** As of the last tick. */
  #receivedBytes = 0;
  /** What the other side said that it has of what was sent. */
  #peerReceivedBytes = 0;
  #peerReceivedBefore = 0;

  constructor(duplex: Duplex, setting: LinkSetting, events: LinkEvents) {
    const { hello, dialled, limits, clock } = setting;
    const isDialler = dialled !== null;
    assert(hello.kind === (isDialler ? ClusterKind.hello : ClusterKind.welcome), 'HELLO is for the side that dials');
    this.#duplex = duplex;
    this.#setting = setting;
    this.#events = events;
    this.#decoder = new FrameDecoder(isDialler ? ClusterKind.welcome : ClusterKind.hello, {
      opened: (peer) => this.#greeted(peer),
      batch: (received) => this.#acknowledged(received),
      closed: ({ reason, about }) => this.#end({ reason, byPeer: true, about, message: '' }, null),
      fault: ({ reason, kind }) => this.close(reason, kind),
    });
    this.#encoder = new FrameEncoder(
      {
        ready: () => void setImmediate(() => this.#flush()),
        write: (parts, done) => this.#write(parts, done),
        overflow: () => this.#fail(CloseReason.backlog, false),
      },
      BUFFERS,
      limits.backlogBytesMax,
    );
    const tickMs = limits.beatMs / TICKS_PER_BEAT;
    this.#silenceTicks = Math.ceil(limits.silenceMs / tickMs);
    this.#stopTicking = clock.every(tickMs, () => this.#tick());
    this.#listen();
    if (isDialler) this.#encoder.put(hello, FRAME_BYTES[hello.kind]);
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  /** Of the protocol, once it is open: what both sides speak. */
  get version(): number {
    return this.#setting.hello.version;
  }

  /** What was sent and is not yet on its way. */
  get backlogBytes(): number {
    return this.#encoder.backlogBytes;
  }

  /** Only once open; what is sent after the end goes nowhere. The frame is the sender's again at once. */
  send(frame: OutFrame): void {
    assert(this.#state !== 'opening', 'a frame is sent before the connection is open');
    this.#encoder.put(frame, FRAME_BYTES[frame.kind]);
  }

  /** The same for what is not urgent: it goes with what is sent next, or the next heartbeat. */
  sendLater(frame: OutFrame): void {
    assert(this.#state !== 'opening', 'a frame is sent before the connection is open');
    this.#encoder.putLater(frame, FRAME_BYTES[frame.kind]);
  }

  /** The same; the payload must not change any more. */
  sendBody(frame: OutBodyFrame): void {
    assert(this.#state !== 'opening', 'a frame is sent before the connection is open');
    this.#encoder.putBody(frame);
  }

  /** What was sent before goes first. `about`: the kind of the frame that was wrong. */
  close(reason: CloseReason, about = 0): void {
    this.#end({ reason, byPeer: false, about, message: '' }, reason);
  }

  #listen(): void {
    const duplex = this.#duplex;
    // Batches are whole: there is nothing to wait for before they are sent.
    (duplex as Partial<{ setNoDelay(on: boolean): void }>).setNoDelay?.(true);
    duplex.on('data', (chunk: Buffer) => this.#onData(chunk));
    duplex.on('end', () => {
      this.#decoder.end();
      this.#fail(CloseReason.lost, true);
    });
    duplex.on('error', (error) => this.#fail(CloseReason.lost, true, error.message));
    duplex.on('close', () => {
      this.#fail(CloseReason.lost, true);
      this.#stopTicking();
    });
  }

  #onData(chunk: Buffer): void {
    if (this.#state === 'closed') return;
    this.#decoder.push(chunk);
    this.#encoder.receivedBytes = this.#decoder.receivedBytes;
  }

  #greeted(peer: HelloFrame): Direction | null {
    const { hello, dialled } = this.#setting;
    const fits = dialled === null ? mayDial(peer.role, hello.role) : peer.role === dialled;
    // Who was dialled speaks as the other side does; who dialled is not answered in what it has not said that it speaks.
    if (dialled !== null && peer.version > hello.version) return this.#refuse(CloseReason.version, peer.kind);
    hello.version = Math.min(hello.version, peer.version);
    const answer = fits ? this.#events.greeted(peer) : CloseReason.outOfRole;
    if (typeof answer === 'number') this.close(answer, fits ? 0 : peer.kind);
    if (typeof answer === 'number' || this.#state === 'closed') return null;
    this.#state = 'open';
    if (dialled === null) this.#encoder.put(hello, FRAME_BYTES[hello.kind]);
    this.#events.opened();
    return this.#isClosed ? null : answer;
  }

  #refuse(reason: CloseReason, about: number): null {
    this.close(reason, about);
    return null;
  }

  /** The other side has read that much; more than was sent it cannot have. */
  #acknowledged(received: number): void {
    const last = this.#peerReceivedBytes;
    if ((received - last) >>> 0 > (this.#encoder.sentBytes - last) >>> 0) {
      return this.close(CloseReason.malformed, ClusterKind.batch);
    }
    this.#peerReceivedBytes = received;
  }

  #flush(): void {
    if (this.#state !== 'closed') this.#encoder.flush();
  }

  #write(parts: readonly Buffer[], done: () => void): void {
    const duplex = this.#duplex;
    const last = parts.length - 1;
    if (last > 0) duplex.cork();
    for (let index = 0; index < last; index++) duplex.write(parts[index]);
    duplex.write(parts[last], (error) => {
      if (error === null || error === undefined) done();
    });
    if (last > 0) duplex.uncork();
  }

  #tick(): void {
    this.#tickCount++;
    if (this.#state === 'closed') {
      if (++this.#lingerTicks < LINGER_TICKS) return;
      this.#stopTicking();
      this.#duplex.destroy();
      return;
    }
    // What trickles in does not make an opening longer.
    const hasCome = this.#decoder.receivedBytes !== this.#receivedBytes && this.#state === 'open';
    this.#receivedBytes = this.#decoder.receivedBytes;
    this.#silentTicks = hasCome ? 0 : this.#silentTicks + 1;
    const isRead =
      this.#peerReceivedBytes !== this.#peerReceivedBefore || this.#peerReceivedBytes === this.#encoder.sentBytes;
    this.#peerReceivedBefore = this.#peerReceivedBytes;
    this.#unreadTicks = isRead ? 0 : this.#unreadTicks + 1;
    if (this.#silentTicks >= this.#silenceTicks) return this.close(CloseReason.silent);
    if (this.#unreadTicks >= this.#silenceTicks) return this.close(CloseReason.unread);
    if (this.#state === 'open' && this.#tickCount % TICKS_PER_BEAT === 0) this.#encoder.beat();
  }

  get #isClosed(): boolean {
    return this.#state === 'closed';
  }

  /** Ends it without a word: there is nobody to hear it, or no room. */
  #fail(reason: CloseReason, byPeer: boolean, message = ''): void {
    this.#end({ reason, byPeer, about: 0, message }, null);
    this.#duplex.destroy();
  }

  /** `said`: the reason that the other side is told; null: none. */
  #end(closing: Closing, said: CloseReason | null): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#decoder.stop();
    if (said !== null) {
      const frame = new CloseFrame();
      frame.reason = said;
      frame.about = closing.about;
      this.#encoder.put(frame);
      this.#encoder.flushNow();
    }
    this.#encoder.stop();
    this.#duplex.end();
    this.#events.closed(closing);
  }
}
