/**
 * A latency histogram with one bucket for each power of two of microseconds, from 1 µs to about 2,200 s: constant
 * work and no allocation to record, 32 counters to keep. Coarse on purpose; benchmarks keep exact samples instead.
 */
const BUCKET_COUNT = 32;

export class Histogram {
  readonly #counts = new Float64Array(BUCKET_COUNT);
  #sumUs = 0;
  #count = 0;

  record(us: number): void {
    const whole = us < 1 ? 1 : us > 0x7fff_ffff ? 0x7fff_ffff : us | 0;
    // The bucket k holds what is above 2^(k-1) and at most 2^k.
    const bucket = 32 - Math.clz32(whole - 1);
    this.#counts[bucket]!++;
    this.#sumUs += us;
    this.#count++;
  }

  get count(): number {
    return this.#count;
  }

  get sumUs(): number {
    return this.#sumUs;
  }

  /** Upper bound of bucket `index`, microseconds. */
  static boundUs(index: number): number {
    return 2 ** index;
  }

  static get bucketCount(): number {
    return BUCKET_COUNT;
  }

  countIn(index: number): number {
    return this.#counts[index]!;
  }
}
