/**
 * Grants on their way to the shell, in the order in which they were decided. The shell takes all of them after each
 * event; then the array is used from its start again, so that it stays in the cache.
 *
 *   [request, core, sequence, warm, mask] [request, core, sequence, warm, mask] ...
 *
 * Allocates nothing.
 */
import { assert } from '../../base/assert.ts';
import { sharedInt32, type SharedInt32 } from './shared.ts';

const STRIDE = 5;

/** Folded into the code, as an imported function is not. */
const ensure: (condition: boolean, message: string) => void = assert;

export class Actions {
  readonly #words: SharedInt32;
  #head = 0;
  #tail = 0;

  constructor(countMax: number) {
    this.#words = sharedInt32(countMax * STRIDE);
  }

  get count(): number {
    return (this.#tail - this.#head) / STRIDE;
  }

  push(request: number, core: number, sequence: number, warm: number): void {
    const at = this.#tail;
    ensure(at < this.#words.length, 'the grants of earlier events were never taken');
    this.#words[at] = request;
    this.#words[at + 1] = core;
    this.#words[at + 2] = sequence;
    this.#words[at + 3] = warm;
    this.#words[at + 4] = 0;
    this.#tail = at + STRIDE;
  }

  /** Of the grant that was pushed last. */
  setMask(mask: number): void {
    this.#words[this.#tail - 1] = mask;
  }

  /** Copies the next grant into `grant`; false if there is none. */
  take(grant: Grant): boolean {
    const at = this.#head;
    if (at === this.#tail) return false;
    grant.request = this.#words[at]!;
    grant.core = this.#words[at + 1]!;
    grant.sequence = this.#words[at + 2]!;
    grant.warm = this.#words[at + 3]!;
    grant.mask = this.#words[at + 4]!;
    this.#head = at + STRIDE;
    if (this.#head === this.#tail) {
      this.#head = 0;
      this.#tail = 0;
    }
    return true;
  }
}

/** A register for one grant, owned by the shell and used again for each. */
export class Grant {
  request = 0;
  core = 0;
  /** A signed 32-bit integer that wraps; compare it as it is. */
  sequence = 0;
  /** 1: the worker is believed to have a warm instance of the version; 0: not. */
  warm = 0;
  /** All cores of the lease, as bits of the word of `core`, its lead; 0: the lead alone. */
  mask = 0;
}
