/**
 * Puts frames into batches, and gives each batch to a sink in one piece: when told to (once a turn), or when its buffer is
 * full. While a batch is on its way the next one fills, so a slow connection gets few large writes and not many small ones.
 *
 *   buffer   ┌───────┬───────┬───────┬─ ─ ─ ─
 *            │ BATCH │ frame │ frame │           BATCH is written last, when it is known what follows it
 *            └───────┴───────┴───────┴─ ─ ─ ─
 *
 * A payload of more than a few kilobytes is not copied: its batch ends with it, as a write of its own.
 *
 * Budget: no allocation for a frame; a closure and at most one buffer for each write. Large buffers are used again once the
 * sink is done with them; a connection that says little, as most of many do, has small ones. More than `backlogBytesMax` on the way: the sink is told once, and nothing is taken any more.
 */
import { ClusterKind, HEADER_BYTES, padded } from '../cluster-frame.ts';
import { assert } from '../../base/assert.ts';
import { BODY_BYTES_MAX, type BodyKind } from './body-frames.ts';
import { Span } from './span.ts';

/** A register of fixed size; its kind says how large it is. */
export interface OutFrame {
  readonly kind: ClusterKind;
  write(span: Span, at: number): void;
}

/** One that says its length; `write` writes all but the payload. */
export interface OutBodyFrame extends OutFrame {
  readonly kind: BodyKind;
  readonly headBytes: number;
  readonly payload: Buffer;
}

export interface ByteSink {
  /** There is something to flush, and there was not. */
  ready(): void;
  /** The parts belong together. `done`, later: their bytes are on their way. */
  write(parts: readonly Buffer[], done: () => void): void;
  /** Too much is on its way: the connection is to be closed. */
  overflow(): void;
}

/**
 * Batch buffers that nobody uses. A connection has one only between a frame that is put and the end of its write, so many
 * connections that say little share few.
 */
export class BatchBuffers {
  readonly bytes: number;
  readonly #keptMax: number;
  readonly #free: Span[] = [];

  constructor(bytes: number, keptMax: number) {
    this.bytes = bytes;
    this.#keptMax = keptMax;
  }

  take(): Span {
    return this.#free.pop() ?? new Span(Buffer.allocUnsafeSlow(this.bytes));
  }

  /** For what says little at a time, as heartbeats are: a part of one of Node's own slabs. Not to be given back. */
  takeSmall(): Span {
    return new Span(Buffer.allocUnsafe(SMALL_BYTES));
  }

  giveBack(span: Span): void {
    if (span.bytes.length === this.bytes && this.#free.length < this.#keptMax) this.#free.push(span);
  }
}

/** Enough for what opens a connection. */
const SMALL_BYTES = 512;
/** Payloads up to this are copied into the batch. */
const COPIED_BYTES_MAX = 8 * 1024;
// A constant of this module is folded into the code, an imported one is not.
const HEADER = HEADER_BYTES;
const ZEROS = Buffer.alloc(HEADER_BYTES);
/** Enough for the largest head that a body frame has, and the frames before it cannot be in the way for long. */
export const BATCH_BYTES = 64 * 1024;

export class FrameEncoder {
  readonly #sink: ByteSink;
  readonly #batchBytes: number;
  readonly #backlogBytesMax: number;
  readonly #buffers: BatchBuffers;
  /** The buffer that fills; null: nothing was put since the last flush. */
  #span: Span | null = null;
  #at = 0;
  /** Of the buffer that fills. */
  #limit = 0;
  /** The sink was not told yet of what was put. */
  #waits = false;
  /** A buffer is small at first where the last batch was. */
  #wasLarge = false;
  #batchNumber = 0;
  #writesOnWay = 0;
  #bytesOnWay = 0;
  #sentBytes = 0;
  #stopped = false;
  /** What the next batch says was received from the other side; its owner keeps it right. */
  receivedBytes = 0;

  constructor(sink: ByteSink, buffers: BatchBuffers, backlogBytesMax: number) {
    this.#sink = sink;
    this.#buffers = buffers;
    this.#batchBytes = buffers.bytes;
    this.#backlogBytesMax = backlogBytesMax;
  }

  /** All that was given to the sink, modulo 2^32. */
  get sentBytes(): number {
    return this.#sentBytes;
  }

  /** What was put or is on its way. */
  get backlogBytes(): number {
    return this.#bytesOnWay + this.#at;
  }

  /** `bytes`: the size of its kind; given by those who know it, since this is hot. */
  put(frame: OutFrame, bytes: number = HEADER): void {
    let span = this.#span;
    if (span === null || this.#at + bytes > this.#limit) {
      span = this.#room(bytes);
      if (span === null) return;
    }
    frame.write(span, this.#at);
    this.#at += bytes;
  }

  /** The same for what is not urgent: it goes with what is put next, or the next beat. */
  putLater(frame: OutFrame, bytes: number = HEADER): void {
    const isFirst = this.#span === null;
    const span = isFirst ? this.#open(bytes) : this.#span;
    if (span === null) return;
    if ((!isFirst && !this.#waits) || this.#at + bytes > span.bytes.length) return this.put(frame, bytes);
    frame.write(span, this.#at);
    this.#at += bytes;
    // Whatever comes after it has to look for room.
    this.#limit = this.#at;
    this.#waits = true;
  }

  putBody(frame: OutBodyFrame): void {
    const { headBytes, payload } = frame;
    const bytes = headBytes + payload.length;
    assert(bytes <= BODY_BYTES_MAX[frame.kind], `a frame of kind ${frame.kind} with ${bytes} bytes`);
    const copied = payload.length <= COPIED_BYTES_MAX;
    const needed = copied ? padded(bytes) : headBytes;
    let span = this.#span;
    if (span === null || this.#at + needed > this.#limit) {
      span = this.#room(needed);
      if (span === null) return;
    }
    frame.write(span, this.#at);
    if (!copied) {
      this.#at += headBytes;
      return this.#send(payload, padded(bytes) - bytes);
    }
    span.bytes.set(payload, this.#at + headBytes);
    span.bytes.fill(0, this.#at + bytes, this.#at + needed);
    this.#at += needed;
  }

  /** Gives what was put to the sink, unless something is on its way still: then as soon as that is done. */
  flush(): void {
    if (this.#span !== null && this.#writesOnWay === 0) this.#send(null, 0);
  }

  /** Gives it at once, whatever is on its way. */
  flushNow(): void {
    if (this.#span !== null) this.#send(null, 0);
  }

  /** An empty batch, unless frames are about to go anyway. */
  beat(): void {
    if (this.#span === null) this.#open(0);
    this.flush();
  }

  /** From now on nothing is taken, nor given to the sink. */
  stop(): void {
    this.#stopped = true;
    if (this.#span !== null) this.#buffers.giveBack(this.#span);
    this.#span = null;
    this.#at = 0;
    this.#waits = false;
  }

  /** A buffer with room, `#at` behind its BATCH or what stands there; null: nothing is taken any more. */
  #room(bytes: number): Span | null {
    if (this.#stopped) return null;
    const span = this.#span;
    if (this.#waits) {
      this.#waits = false;
      this.#limit = span!.bytes.length;
      this.#sink.ready();
      if (this.#at + bytes <= this.#limit) return span;
    }
    if (span !== null && this.#limit < this.#batchBytes && this.#at + bytes <= this.#batchBytes)
      return this.#enlarge(span);
    if (span !== null) this.#send(null, 0);
    const opened = this.#open(bytes);
    if (opened !== null) this.#sink.ready();
    return opened;
  }

  #open(bytes: number): Span | null {
    if (this.#stopped) return null;
    if (this.#bytesOnWay > this.#backlogBytesMax) {
      this.stop();
      this.#sink.overflow();
      return null;
    }
    const isLarge = this.#wasLarge || HEADER_BYTES + bytes > SMALL_BYTES;
    this.#span = isLarge ? this.#buffers.take() : this.#buffers.takeSmall();
    this.#limit = this.#span.bytes.length;
    this.#at = HEADER_BYTES;
    return this.#span;
  }

  #enlarge(small: Span): Span {
    const large = this.#buffers.take();
    large.bytes.set(small.bytes.subarray(0, this.#at));
    this.#span = large;
    this.#limit = large.bytes.length;
    return large;
  }

  /** `payload`: the end of the batch's last frame; it and the zeros after it are not in the buffer. */
  #send(payload: Buffer | null, zeroCount: number): void {
    const span = this.#span!;
    const end = this.#at;
    const extra = payload === null ? 0 : payload.length + zeroCount;
    span.view.setUint32(0, ClusterKind.batch, true);
    span.view.setUint32(4, end - HEADER_BYTES + extra, true);
    span.view.setUint32(8, this.#batchNumber, true);
    span.view.setUint32(12, this.receivedBytes, true);
    this.#batchNumber = (this.#batchNumber + 1) >>> 0;
    this.#wasLarge = end > SMALL_BYTES;
    this.#waits = false;
    this.#span = null;
    this.#at = 0;
    this.#writesOnWay++;
    this.#bytesOnWay += end + extra;
    this.#sentBytes = (this.#sentBytes + end + extra) >>> 0;
    const parts = [span.bytes.subarray(0, end)];
    if (payload !== null) parts.push(payload);
    if (zeroCount > 0) parts.push(ZEROS.subarray(0, zeroCount));
    this.#sink.write(parts, () => this.#done(span, end + extra));
  }

  #done(span: Span, bytes: number): void {
    this.#writesOnWay--;
    this.#bytesOnWay -= bytes;
    this.#buffers.giveBack(span);
    if (!this.#stopped) this.flush();
  }
}
