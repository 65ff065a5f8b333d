/**
 * Answers of any length to readers of almost any speed: what is sent is made when there is room for it, so a slow reader costs no
 * memory; one that has not taken what was written last, a slice, after `linkSilenceMs` is closed.
 */
import type { ServerResponse } from 'node:http';
import type { Clock } from '../../base/clock.ts';
import { LIMITS } from '../../base/limits.ts';

export class PacedWriter {
  readonly #response: ServerResponse;
  readonly #clock: Clock;

  constructor(response: ServerResponse, clock: Clock) {
    this.#response = response;
    this.#clock = clock;
  }

  get isOpen(): boolean {
    return !this.#response.destroyed && !this.#response.writableEnded;
  }

  /** False once the reader is gone. */
  async send(chunks: Iterable<string | Buffer>): Promise<boolean> {
    for (const chunk of chunks) {
      if (!this.isOpen) return false;
      if (!this.#response.write(chunk)) await this.#drained();
    }
    return this.isOpen;
  }

  #drained(): Promise<void> {
    const response = this.#response;
    return new Promise((resolve) => {
      const stopWaiting = this.#clock.every(LIMITS.linkSilenceMs, () => response.destroy());
      const end = (): void => {
        stopWaiting();
        response.off('drain', end).off('close', end);
        resolve();
      };
      response.on('drain', end).on('close', end);
    });
  }
}

/** Without a copy, and small enough that a reader at 200 kbit/s takes one in time. */
export function* slices(bytes: Buffer): Iterable<Buffer> {
  for (let at = 0; at < bytes.length; at += SLICE_BYTES) yield bytes.subarray(at, at + SLICE_BYTES);
}

const SLICE_BYTES = 64 * 1024;
