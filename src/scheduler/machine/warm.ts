/**
 * Where instances of a version wait for their next invocation: for each version the cores on which its last ones ran,
 * the latest first, a fixed number of them. Warm is the worker, not the core: the instance can be pinned to any core
 * of its worker; its last core is only the first choice. Each hint stands for one instance, and may be stale.
 *
 * One record per version, a ring in which the latest pushes out the oldest:
 *
 *   [top, count, hint, hint, ...]
 *
 * Rejected: a list through all cores of all hints. It forgets nothing, but unlinking costs two cache misses per release.
 *
 * Budget: two cache lines a decision with 14 or 30 hints. Allocates nothing. Checked by bench/schedule.ts.
 */
import { sharedInt32, type SharedInt32 } from './shared.ts';

const TOP = 0;
const COUNT = 1;
const HINTS = 2;
const TAKE_TRIES = 4;

export class Warm {
  readonly #records: SharedInt32;
  readonly #strideLog2: number;
  readonly #hintMax: number;

  constructor(versionCountMax: number, hintMax: number) {
    this.#hintMax = hintMax;
    // A power of two, so that a version's record is found by a shift.
    this.#strideLog2 = 32 - Math.clz32(HINTS + hintMax - 1);
    this.#records = sharedInt32(versionCountMax << this.#strideLog2);
  }

  count(version: number): number {
    return this.#records[(version << this.#strideLog2) + COUNT]!;
  }

  push(version: number, core: number): void {
    const at = version << this.#strideLog2;
    let top = this.#records[at + TOP]! + 1;
    if (top === this.#hintMax) top = 0;
    this.#records[at + TOP] = top;
    this.#records[at + HINTS + top] = core;
    if (this.#records[at + COUNT]! < this.#hintMax) this.#records[at + COUNT]! += 1;
  }

  /** The latest hint; only where `count` is not 0. */
  peek(version: number): number {
    const at = version << this.#strideLog2;
    return this.#records[at + HINTS + this.#records[at + TOP]!]!;
  }

  drop(version: number): void {
    const at = version << this.#strideLog2;
    const top = this.#records[at + TOP]!;
    this.#records[at + TOP] = top === 0 ? this.#hintMax - 1 : top - 1;
    this.#records[at + COUNT]! -= 1;
  }

  /** Moves the latest hint behind the oldest: its worker is full now, the next request shall look elsewhere first. */
  sink(version: number): void {
    const at = version << this.#strideLog2;
    const top = this.#records[at + TOP]!;
    const below = top - this.#records[at + COUNT]!;
    // In a full ring that is the same place.
    const bottom = below < 0 ? below + this.#hintMax : below;
    this.#records[at + HINTS + bottom] = this.#records[at + HINTS + top]!;
    this.#records[at + TOP] = top === 0 ? this.#hintMax - 1 : top - 1;
  }

  /** Drops one of the latest hints, if it is to a core from `first` up to, not including, `end`; true if there was one. */
  take(version: number, first: number, end: number): boolean {
    const at = version << this.#strideLog2;
    const top = this.#records[at + TOP]!;
    const tries = Math.min(this.#records[at + COUNT]!, TAKE_TRIES);
    for (let i = 0; i < tries; i++) {
      const index = top >= i ? top - i : top - i + this.#hintMax;
      const core = this.#records[at + HINTS + index]!;
      if (core < first || core >= end) continue;
      this.#records[at + HINTS + index] = this.#records[at + HINTS + top]!;
      this.drop(version);
      return true;
    }
    return false;
  }

  /** Forgets every hint to a core from `first` up to, not including, `end`; the others keep their order. */
  forget(version: number, first: number, end: number): void {
    const at = version << this.#strideLog2;
    const count = this.#records[at + COUNT]!;
    let read = this.#records[at + TOP]! - count + 1;
    if (read < 0) read += this.#hintMax;
    let write = read;
    let kept = 0;
    for (let i = 0; i < count; i++) {
      const core = this.#records[at + HINTS + read]!;
      if (core < first || core >= end) {
        this.#records[at + HINTS + write] = core;
        write = write + 1 === this.#hintMax ? 0 : write + 1;
        kept++;
      }
      read = read + 1 === this.#hintMax ? 0 : read + 1;
    }
    this.#records[at + COUNT] = kept;
    this.#records[at + TOP] = write === 0 ? this.#hintMax - 1 : write - 1;
  }

  clear(version: number): void {
    this.#records[(version << this.#strideLog2) + COUNT] = 0;
  }
}
