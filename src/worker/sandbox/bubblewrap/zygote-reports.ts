/**
 * Takes a zygote's frames out of the bytes it sends (see wire/zygote-frame.ts). It is hostile once it has code: a kind or
 * a length out of order is a breach, reported once, after which nothing more is read.
 */
import { ZYGOTE_HEADER_BYTES, ZygoteKind } from '../../../wire/zygote-frame.ts';

const BODY_BYTES_MAX = 512 * 1024;
const KINDS: ReadonlySet<number> = new Set([
  ZygoteKind.cell,
  ZygoteKind.initialised,
  ZygoteKind.initError,
  ZygoteKind.uncopyable,
  ZygoteKind.exited,
  ZygoteKind.log,
]);

export interface ZygoteFrame {
  readonly kind: number;
  readonly copy: number;
  readonly body: Buffer;
}

export class ZygoteReports {
  readonly #frame: (frame: ZygoteFrame) => void;
  readonly #breach: (message: string) => void;
  /** A header, or the whole frame that it begins, as far as it has come; a frame may come in pieces of one byte. */
  #partial = Buffer.alloc(ZYGOTE_HEADER_BYTES);
  #filled = 0;
  #stopped = false;

  constructor(frame: (frame: ZygoteFrame) => void, breach: (message: string) => void) {
    this.#frame = frame;
    this.#breach = breach;
  }

  stop(): void {
    this.#stopped = true;
    this.#begin();
  }

  push(chunk: Buffer): void {
    for (let at = 0; at < chunk.length && !this.#stopped;) {
      const count = chunk.copy(this.#partial, this.#filled, at);
      at += count;
      this.#filled += count;
      if (this.#filled === this.#partial.length) this.#take(this.#partial);
    }
  }

  #begin(): void {
    this.#partial = Buffer.alloc(ZYGOTE_HEADER_BYTES);
    this.#filled = 0;
  }

  /** All that there was room for. */
  #take(bytes: Buffer): void {
    const bodyBytes = bytes.readUInt32LE(0);
    const kind = bytes[4]!;
    if (!KINDS.has(kind) || bodyBytes > BODY_BYTES_MAX) {
      this.stop();
      return this.#breach(`the zygote sent a frame of kind ${kind} with ${bodyBytes} bytes`);
    }
    const end = ZYGOTE_HEADER_BYTES + bodyBytes;
    if (bytes.length < end) {
      this.#partial = Buffer.allocUnsafe(end);
      bytes.copy(this.#partial);
      return;
    }
    this.#begin();
    this.#frame({ kind, copy: bytes.readUInt32LE(8), body: bytes.subarray(ZYGOTE_HEADER_BYTES) });
  }
}
