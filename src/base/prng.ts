/**
 * Random numbers from a seed: the same seed gives the same numbers, everywhere. Not for secrets.
 * xorshift32 (Marsaglia, 2003): period 2^32 - 1, one word of state, no allocation.
 */
export class Prng {
  #state: number;

  constructor(seed: number) {
    // 0 is the one state that the generator never leaves; the multiplication spreads neighbouring seeds.
    this.#state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) | 0 || 1;
  }

  /** A signed 32-bit integer, never 0. */
  int32(): number {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state;
    return state;
  }

  /** 0 … count-1; the bias is below count / 2^32. */
  below(count: number): number {
    return Math.floor((this.int32() >>> 0) * 2 ** -32 * count);
  }

  /** 0 <= x < 1, 32 bits. */
  unit(): number {
    return (this.int32() >>> 0) * 2 ** -32;
  }
}
