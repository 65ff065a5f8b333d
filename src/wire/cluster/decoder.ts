/**
 * Takes frames out of the bytes of one connection, and hands each to the method of the receiver that its direction names.
 * What cannot be a frame, or not here, is one fault; nothing after it is read, and nothing of the batch after it acted upon.
 *
 * Budget: no allocation for a frame of fixed size, but one view for each chunk. A frame that ends in a later chunk is put
 * together in a buffer of 256 bytes; one that says its length, in one of its own, once its length is known to be allowed.
 */
import { CloseReason, ClusterKind, FRAME_BYTES, HEADER_BYTES, KIND_END, padded, isSpoken } from '../cluster-frame.ts';
import { BODY_BYTES_MAX, type BodyKind } from './body-frames.ts';
import type { Direction } from './directions.ts';
import { CloseFrame, HelloFrame } from './large-frames.ts';
import { Span } from './span.ts';

export interface Fault {
  readonly reason: CloseReason;
  /** The kind of the frame; 0 where there was none. */
  readonly kind: number;
}

export interface DecoderEvents {
  /** The first frame. Answers how those after it are read; null: not at all. */
  opened(hello: HelloFrame): Direction | null;
  /** The start of a batch: what the other side has received of what was sent to it, modulo 2^32. */
  batch(received: number): void;
  /** The other side closes; nothing is read any more. */
  closed(frame: CloseFrame): void;
  fault(fault: Fault): void;
}

/** Kinds below this belong to the connection itself. */
const OWN_KINDS_END = 16;
const LARGEST_FIXED = 256;
// Constants of this module are folded into the code, imported ones are not.
const HEADER = HEADER_BYTES;
/** A batch is a buffer of frames, of which the last may be one that says its length. */
const BATCH_BYTES_MAX = 128 * 1024 + Math.max(...Object.values(BODY_BYTES_MAX));

const NO_KIND = new Int16Array(KIND_END);
/** One for all connections on which the same kinds come. */
const HOT_TABLES: Int16Array[] = [NO_KIND];

function hotBytesOf(frames: Direction['frames']): Int16Array {
  const table = new Int16Array(KIND_END);
  for (let kind = 0; kind < KIND_END; kind++)
    if (frames[kind] !== undefined) table[kind] = Math.max(FRAME_BYTES[kind]!, 0);
  const known = HOT_TABLES.find((each) => each.every((bytes, kind) => bytes === table[kind]));
  if (known === undefined) HOT_TABLES.push(table);
  return known ?? table;
}

export class FrameDecoder {
  readonly #events: DecoderEvents;
  /** HELLO where the other side dialled, WELCOME where this one did. */
  readonly #openingKind: number;
  readonly #hello: HelloFrame;
  readonly #close = new CloseFrame();
  #direction: Direction | null = null;
  #stopped = false;
  /** By kind: the size of those that come this way and have only one; else 0. */
  #hotBytes: Int16Array = NO_KIND;
  /** What of the present batch has not been read. */
  #batchLeft = 0;
  #batchNumber = 0;
  #receivedBytes = 0;
  /** A frame that began in an earlier chunk: `#need` bytes, of which `#have` are there. 0: none. */
  #small: Span | null = null;
  #partial: Span | null = null;
  #have = 0;
  #need = 0;

  constructor(openingKind: typeof ClusterKind.hello | typeof ClusterKind.welcome, events: DecoderEvents) {
    this.#openingKind = openingKind;
    this.#hello = new HelloFrame(openingKind);
    this.#events = events;
  }

  /** All that was pushed, modulo 2^32. */
  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  push(chunk: Buffer): void {
    if (this.#stopped || chunk.length === 0) return;
    this.#receivedBytes = (this.#receivedBytes + chunk.length) >>> 0;
    const from = this.#have === 0 ? 0 : this.#completePartial(chunk);
    if (!this.#stopped && from < chunk.length) this.#read(new Span(chunk), from);
  }

  /** No more will come. */
  end(): void {
    if (!this.#stopped && (this.#have > 0 || this.#batchLeft > 0)) this.#fail(CloseReason.truncated, 0);
  }

  /** From now on nothing is handed on, nor kept. */
  stop(): void {
    this.#stopped = true;
    this.#have = 0;
    this.#partial = null;
  }

  #read(span: Span, from: number): void {
    const { bytes } = span;
    const end = bytes.length;
    let at = from;
    while (end - at >= HEADER) {
      const kind = bytes[at]!;
      let size = this.#hotBytes[kind]!;
      if (size > 0 && size <= this.#batchLeft && size <= end - at) {
        this.#batchLeft -= size;
        this.#hand(span, at, kind);
      } else {
        size = this.#sizeAt(span, at);
        if (size === 0) return;
        if (end - at < size) return this.#keep(span, at, size);
        this.#take(span, at, size);
      }
      if (this.#stopped) return;
      at += size;
    }
    if (at < end) this.#keep(span, at, HEADER);
  }

  /** The whole length of the frame that begins here; 0: it is a fault. */
  #sizeAt(span: Span, at: number): number {
    const kind = span.bytes[at]!;
    const direction = this.#direction;
    const isOwn = kind < OWN_KINDS_END;
    if (!isOwn && (direction === null || direction.frames[kind] === undefined)) return this.#failKind(kind);
    let size = FRAME_BYTES[kind]!;
    if (size <= 0) {
      size = size === 0 ? this.#failKind(kind) : this.#bodySize(span, at, kind as BodyKind);
      if (size === 0) return 0;
    }
    if (kind !== ClusterKind.batch && size > this.#batchLeft) return this.#failOutsideBatch(kind);
    return size;
  }

  /** 0: it is a fault. */
  #bodySize(span: Span, at: number, kind: BodyKind): number {
    const bytes = span.view.getUint32(at + 4, true);
    if (bytes > BODY_BYTES_MAX[kind]) return this.#fail(CloseReason.oversized, kind);
    if (bytes < -FRAME_BYTES[kind]!) return this.#fail(CloseReason.malformed, kind);
    return padded(bytes);
  }

  #take(span: Span, at: number, size: number): void {
    const kind = span.bytes[at]!;
    if (kind < OWN_KINDS_END) return this.#takeOwn(span, at, kind);
    this.#batchLeft -= size;
    this.#hand(span, at, kind);
  }

  #hand(span: Span, at: number, kind: number): void {
    const direction = this.#direction!;
    if (direction.frames[kind]!.read(span, at)) direction.deliver(kind);
    else this.#fail(CloseReason.malformed, kind);
  }

  #takeOwn(span: Span, at: number, kind: number): void {
    if (kind === ClusterKind.batch) return this.#beginBatch(span, at);
    this.#batchLeft -= FRAME_BYTES[kind]!;
    if (kind === ClusterKind.close) {
      if (!this.#close.read(span, at)) return void this.#fail(CloseReason.malformed, kind);
      this.stop();
      return this.#events.closed(this.#close);
    }
    if (this.#direction !== null) return void this.#fail(CloseReason.replayed, kind);
    if (kind !== this.#openingKind) return void this.#fail(CloseReason.outOfRole, kind);
    if (!this.#hello.read(span, at)) return void this.#fail(CloseReason.malformed, kind);
    if (!isSpoken(this.#hello.version)) return void this.#fail(CloseReason.version, kind);
    this.#direction = this.#events.opened(this.#hello);
    if (this.#direction === null) return this.stop();
    this.#hotBytes = hotBytesOf(this.#direction.frames);
  }

  #beginBatch({ view }: Span, at: number): void {
    const bytes = view.getUint32(at + 4, true);
    if (this.#batchLeft !== 0) return void this.#fail(CloseReason.malformed, ClusterKind.batch);
    if (view.getUint32(at, true) !== ClusterKind.batch || bytes % HEADER_BYTES !== 0) {
      return void this.#fail(CloseReason.malformed, ClusterKind.batch);
    }
    if (bytes > BATCH_BYTES_MAX) return void this.#fail(CloseReason.oversized, ClusterKind.batch);
    if (view.getUint32(at + 8, true) !== this.#batchNumber)
      return void this.#fail(CloseReason.replayed, ClusterKind.batch);
    this.#batchNumber = (this.#batchNumber + 1) >>> 0;
    this.#batchLeft = bytes;
    this.#events.batch(view.getUint32(at + 12, true));
  }

  // ---- frames that end in a later chunk

  #keep(span: Span, at: number, size: number): void {
    // What says its length has a payload, which its receiver may keep: it is in a buffer of its own. A header is small still.
    const isSmall = size === HEADER || FRAME_BYTES[span.bytes[at]!]! > 0;
    const partial = isSmall ? this.#smallSpan() : new Span(Buffer.allocUnsafeSlow(size));
    this.#partial = partial;
    this.#need = size;
    this.#have = span.bytes.copy(partial.bytes, 0, at);
  }

  /** Most connections never need it. */
  #smallSpan(): Span {
    this.#small ??= new Span(Buffer.alloc(LARGEST_FIXED));
    return this.#small;
  }

  /** Answers where in the chunk the next frame begins. */
  #completePartial(chunk: Buffer): number {
    let from = this.#fill(chunk, 0);
    if (this.#have < this.#need) return from;
    if (this.#need === HEADER_BYTES) {
      const size = this.#sizeAt(this.#partial!, 0);
      if (size === 0) return from;
      if (size > HEADER_BYTES) {
        this.#keep(new Span(this.#partial!.bytes.subarray(0, HEADER_BYTES)), 0, size);
        from = this.#fill(chunk, from);
        if (this.#have < this.#need) return from;
      }
    }
    const partial = this.#partial!;
    const size = this.#need;
    this.#have = 0;
    this.#partial = null;
    this.#take(partial, 0, size);
    return from;
  }

  #fill(chunk: Buffer, from: number): number {
    const copied = chunk.copy(this.#partial!.bytes, this.#have, from, from + this.#need - this.#have);
    this.#have += copied;
    return from + copied;
  }

  // ---- faults

  #failKind(kind: number): 0 {
    if (FRAME_BYTES[kind] === 0) return this.#fail(CloseReason.malformed, kind);
    return this.#fail(this.#direction === null ? CloseReason.beforeHello : CloseReason.outOfRole, kind);
  }

  #failOutsideBatch(kind: number): 0 {
    return this.#fail(CloseReason.malformed, kind);
  }

  #fail(reason: CloseReason, kind: number): 0 {
    this.stop();
    this.#events.fault({ reason, kind });
    return 0;
  }
}
