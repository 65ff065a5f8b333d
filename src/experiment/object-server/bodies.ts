/**
 * Room for the bodies of objects, kept from burst to burst. A buffer for each would be garbage at the next burst, and the more of
 * them there are the more often V8 collects its heap: for 10 ms, on all cores of the functions, and in real time.
 */
const BLOCK_BYTES = 256 * 1024 * 1024;

export class Bodies {
  readonly #blocks: Buffer[] = [];
  /** Where the free room begins. */
  #block = 0;
  #offset = 0;

  /** Room for a body of at most 256 MB, which may hold anything; it is the taker's until `clear`. */
  take(bytes: number): Buffer {
    if (this.#offset + bytes > BLOCK_BYTES) {
      this.#block++;
      this.#offset = 0;
    }
    const block = (this.#blocks[this.#block] ??= Buffer.allocUnsafeSlow(BLOCK_BYTES));
    this.#offset += bytes;
    return block.subarray(this.#offset - bytes, this.#offset);
  }

  /** All that was taken is given back. */
  clear(): void {
    this.#block = 0;
    this.#offset = 0;
  }
}
