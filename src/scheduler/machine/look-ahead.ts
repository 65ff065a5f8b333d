/**
 * For shells that have many releases at hand, as frames come in buffers: called with some 128 of them before the first
 * is decided, this reads what the decisions will read. No read depends on the one before, so the cache misses of all
 * of them overlap instead of following one another.
 *
 * Rejected: the same for requests. Their latest warm hint is often not the one that is taken, and finding out which
 * will be costs more than the misses.
 *
 * Nothing is changed, and indices that stand for nothing do no harm. The answers mean nothing; keep them, or the
 * compiler drops the reads. Allocates nothing. Checked by bench/schedule.ts.
 */
import type { Cores } from './cores.ts';
import type { Leases } from './leases.ts';

interface Parts {
  readonly cores: Cores;
  readonly leases: Leases;
}

export class LookAhead {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** The cores `cores[first]` up to, not including, `cores[end]` are about to be released. */
  releases(cores: Int32Array, first: number, end: number): number {
    const { leases, cores: bitmap } = this.#parts;
    return leases.touch(cores, first, end) ^ bitmap.touch(cores, first, end);
  }
}
