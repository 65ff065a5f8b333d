/**
 * For shells that have many releases or requests at hand, as frames come in buffers: called with some 128 of them before
 * the first is decided, these read what the decisions will read. No read depends on the one before, so the cache
 * misses of all of them overlap instead of following one another; with 640,000 cores that is a quarter of a decision.
 *
 * Nothing is changed, and indices that stand for nothing do no harm. The answers mean nothing; keep them, or the
 * compiler drops the reads. Allocates nothing. Checked by bench/schedule.ts.
 */
import type { Cores } from './cores.ts';
import type { Leases } from './leases.ts';
import type { Warm } from './warm.ts';

interface Parts {
  readonly cores: Cores;
  readonly leases: Leases;
  readonly warm: Warm;
}

const COUNT_MAX = 256;

export class LookAhead {
  readonly #parts: Parts;
  readonly #hints: Int32Array = new Int32Array(COUNT_MAX);

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** The cores `cores[first]` up to, not including, `cores[end]` are about to be released. */
  releases(cores: Int32Array, first: number, end: number): number {
    const { leases, cores: bitmap } = this.#parts;
    return leases.touch(cores, first, end) ^ bitmap.touch(cores, first, end);
  }

  /** These versions are about to be requested; at most 256 at a time. */
  requests(versions: Int32Array, first: number, end: number): number {
    const { leases, cores, warm } = this.#parts;
    const count = Math.min(end - first, COUNT_MAX);
    for (let i = 0; i < count; i++) this.#hints[i] = warm.peek(versions[first + i]!);
    return leases.touch(this.#hints, 0, count) ^ cores.touch(this.#hints, 0, count);
  }
}
