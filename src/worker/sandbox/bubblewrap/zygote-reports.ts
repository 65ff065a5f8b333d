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
  #rest: Buffer = Buffer.alloc(0);
  #stopped = false;

  constructor(frame: (frame: ZygoteFrame) => void, breach: (message: string) => void) {
    this.#frame = frame;
    this.#breach = breach;
  }

  stop(): void {
    this.#stopped = true;
    this.#rest = Buffer.alloc(0);
  }

  push(chunk: Buffer): void {
    if (this.#stopped) return;
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (bytes.length >= ZYGOTE_HEADER_BYTES && !this.#stopped) {
      const end = this.#endOf(bytes);
      if (end > bytes.length) break;
      this.#frame({ kind: bytes[4]!, copy: bytes.readUInt32LE(8), body: bytes.subarray(ZYGOTE_HEADER_BYTES, end) });
      bytes = bytes.subarray(end);
    }
    this.#rest = this.#stopped ? Buffer.alloc(0) : bytes;
  }

  /** Where the first frame ends; beyond everything after a breach. */
  #endOf(bytes: Buffer): number {
    const bodyBytes = bytes.readUInt32LE(0);
    const kind = bytes[4]!;
    if (KINDS.has(kind) && bodyBytes <= BODY_BYTES_MAX) return ZYGOTE_HEADER_BYTES + bodyBytes;
    this.stop();
    this.#breach(`the zygote sent a frame of kind ${kind} with ${bodyBytes} bytes`);
    return Infinity;
  }
}
