/**
 * Takes the frames of one instance out of the bytes it sends (see wire/instance-frame.ts). The instance is hostile:
 * a kind or a length out of order is a breach of protocol, reported once, after which nothing more is read. The same
 * goes for what its reader finds out of order in the frames: it stops this one, also in the middle of a chunk.
 *
 * Budget: a frame that arrives whole in one chunk, which is nearly all of them, is handed on without a copy.
 */
import { FRAME_HEADER_BYTES, FrameKind } from '../../wire/instance-frame.ts';

export interface FrameHandler {
  frame(kind: FrameKind, last: boolean, sequence: number, body: Buffer): void;
  breach(message: string): void;
}

export interface FrameLimits {
  readonly responseBytesMax: number;
  readonly logBytesMax: number;
}

const EMPTY = Buffer.alloc(0);
const FLAG_LAST = 1;

export class FrameReader {
  readonly #handler: FrameHandler;
  readonly #limits: FrameLimits;
  /** Start of a header that a chunk ended in. */
  #head = EMPTY;
  /** Header and body of a frame that spans chunks; filled up to #filled. */
  #partial: Buffer | null = null;
  #filled = 0;
  #stopped = false;

  constructor(handler: FrameHandler, limits: FrameLimits) {
    this.#handler = handler;
    this.#limits = limits;
  }

  push(chunk: Buffer): void {
    if (this.#stopped) return;
    let rest = this.#head.length === 0 ? chunk : Buffer.concat([this.#head, chunk]);
    this.#head = EMPTY;
    while (rest.length > 0 && !this.#stopped) rest = this.#partial === null ? this.#begin(rest) : this.#fill(rest);
  }

  /** From now on nothing is handed on, nor kept. */
  stop(): void {
    this.#stopped = true;
    this.#head = EMPTY;
    this.#partial = null;
  }

  /** Reads a frame from its start; returns what follows it. */
  #begin(bytes: Buffer): Buffer {
    if (bytes.length < FRAME_HEADER_BYTES) {
      this.#head = Buffer.from(bytes);
      return EMPTY;
    }
    const bodyBytes = bytes.readUInt32LE(0);
    const max = this.#bytesMax(bytes[4]!);
    if (bodyBytes > max) {
      this.stop();
      this.#handler.breach(
        max < 0
          ? `frame of unknown kind ${bytes[4]}`
          : `frame of kind ${bytes[4]} with ${bodyBytes} bytes, at most ${max}`,
      );
      return EMPTY;
    }
    const end = FRAME_HEADER_BYTES + bodyBytes;
    if (bytes.length >= end) {
      this.#emit(bytes, end);
      return bytes.subarray(end);
    }
    this.#partial = Buffer.allocUnsafe(end);
    this.#filled = 0;
    return this.#fill(bytes);
  }

  #fill(bytes: Buffer): Buffer {
    const partial = this.#partial!;
    const count = Math.min(bytes.length, partial.length - this.#filled);
    bytes.copy(partial, this.#filled, 0, count);
    this.#filled += count;
    if (this.#filled === partial.length) {
      this.#partial = null;
      this.#emit(partial, partial.length);
    }
    return bytes.subarray(count);
  }

  #emit(bytes: Buffer, end: number): void {
    const last = (bytes[5]! & FLAG_LAST) !== 0;
    this.#handler.frame(bytes[4] as FrameKind, last, bytes.readUInt32LE(8), bytes.subarray(FRAME_HEADER_BYTES, end));
  }

  /** -1: no such kind. */
  #bytesMax(kind: number): number {
    switch (kind) {
      case FrameKind.ready:
      case FrameKind.made:
      case FrameKind.sleeping:
      case FrameKind.awake:
        return 0;
      case FrameKind.log:
        return this.#limits.logBytesMax;
      case FrameKind.response:
      case FrameKind.error:
      case FrameKind.initError:
      case FrameKind.badPayload:
        return this.#limits.responseBytesMax;
      default:
        return -1;
    }
  }
}
