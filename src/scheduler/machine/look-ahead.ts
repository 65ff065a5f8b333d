/**
 * For shells that have many releases at hand, as frames come in buffers: called with some 128 of them before the first
 * is decided, this reads what the decisions will read. No read depends on the one before, so the cache misses of all
 * of them overlap instead of following one another.
 *
 * Requests: the latest warm hint of each. It is often not the one that is taken, so one shard alone gains nothing; where several share
 * the words, each atomic operation waits for the stores before it, and a miss that is overlapped is worth more.
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

/** How many may be looked ahead at one time. */
const LOOK_AHEAD_MAX = 256;

export class LookAhead {
  readonly #parts: Parts;
  readonly #hints = new Int32Array(LOOK_AHEAD_MAX);

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** The cores `cores[first]` up to, not including, `cores[end]` are about to be released. */
  releases(cores: Int32Array, first: number, end: number): number {
    const { leases, cores: bitmap } = this.#parts;
    return leases.touch(cores, first, end) ^ bitmap.touch(cores, first, end);
  }

  /** The versions `versions[first]` up to, not including, `versions[end]` are about to be requested. */
  requests(versions: Int32Array, first: number, end: number): number {
    const { leases, cores: bitmap, warm } = this.#parts;
    const count = Math.min(end - first, LOOK_AHEAD_MAX);
    for (let i = 0; i < count; i++) this.#hints[i] = warm.peek(versions[first + i]!);
    return leases.touch(this.#hints, 0, count) ^ bitmap.touch(this.#hints, 0, count);
  }
}
