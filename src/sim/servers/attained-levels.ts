/**
 * Foreground–background in the limit of short time slices, on the cores of one server: those that have had least go first, and where the
 * cores do not suffice for all that have had equally much, these share what is left of them.
 *
 * A job of several cores has a thread for each, all of which have had as much: it counts as many times, and is full where each has a core.
 *
 * So jobs lie in three bands, by what they have attained:
 *
 *   full      each thread has a core of its own; in the order of what they have attained, coreCount threads at most
 *   shared    more threads than cores are left over: all have attained the same, and share these cores
 *   waiting   levels that get nothing; those of one level have attained the same. The last one is next
 *
 * Everything changes only when a job ends, or when a level below reaches the one above it, and then both are one. Time here is the
 * server's own (`clockUs`), in which a job with cores of its own attains 1 in 1.
 */
import { assert } from '../../base/assert.ts';
import type { CoresWanted } from './cores-wanted.ts';
import { JobHeap } from './job-heap.ts';

/** Jobs that have attained the same, by how much they will have attained at the end of their phase. */
class Level {
  attainedUs: number;
  readonly jobs = new JobHeap();
  threadCount = 0;

  constructor(attainedUs: number) {
    this.attainedUs = attainedUs;
  }
}

export class AttainedLevels {
  readonly #coreCount: number;
  readonly #cores: CoresWanted;
  #clockUs = 0;
  /** Times that lie closer together than this are one. */
  #closeUs = 1e-6;
  #threadCount = 0;
  /** Jobs that are full, and their threads. */
  #fullCount = 0;
  #fullThreads = 0;
  /** What it had attained when the clock was 0, were it always full. One place more than there are cores, for a moment. */
  readonly #offsetsUs: Float64Array;
  /** When its phase ends, if it stays full. */
  readonly #endsUs: Float64Array;
  readonly #jobs: Int32Array;
  #shared: Level | null = null;
  readonly #waiting: Level[] = [];
  /** Of the job that came out last. */
  lastAttainedUs = 0;
  lastLeftUs = 0;

  constructor(coreCount: number, cores: CoresWanted) {
    this.#coreCount = coreCount;
    this.#cores = cores;
    this.#offsetsUs = new Float64Array(coreCount + 1);
    this.#endsUs = new Float64Array(coreCount + 1);
    this.#jobs = new Int32Array(coreCount + 1);
  }

  /** Of all jobs. */
  get threadCount(): number {
    return this.#threadCount;
  }

  /** One that has no core, or no whole one; of those the one that has had least. -1: there is none. */
  get spare(): number {
    return (this.#shared ?? this.#waiting.at(-1))?.jobs.leastJob ?? -1;
  }

  add(job: number, attainedUs: number, leftUs: number): void {
    if (this.#threadCount === 0) this.#clockUs = 0;
    this.#threadCount += this.#cores.of(job);
    const next = this.#shared ?? this.#waiting.at(-1);
    if (next === undefined || attainedUs < next.attainedUs - this.#closeUs) {
      this.#addFull(job, attainedUs - this.#clockUs, this.#clockUs + leftUs);
      this.#arrange();
      return;
    }
    // The levels that wait lie behind the shared one.
    if (Math.abs(attainedUs - next.attainedUs) <= this.#closeUs) this.#push(next, next.attainedUs + leftUs, job);
    else this.#addWaiting(job, attainedUs, leftUs);
    this.#arrange();
  }

  /** So much of its time has gone by, and not more than `nextUs` said. */
  advance(clockUs: number, closeUs: number): void {
    this.#closeUs = closeUs;
    this.#clockUs += clockUs;
    if (this.#shared !== null) this.#shared.attainedUs += clockUs * this.#sharedSpeed(this.#shared);
    this.#meet();
  }

  /** How much of its time goes by until something changes of itself. Infinity: nothing is there. */
  get nextUs(): number {
    let nextUs = Infinity;
    for (let at = 0; at < this.#fullCount; at++) {
      const leftUs = this.#endsUs[at]! - this.#clockUs;
      if (leftUs < nextUs) nextUs = leftUs;
    }
    const waiting = this.#waiting.at(-1);
    const shared = this.#shared;
    if (shared === null) {
      if (waiting !== undefined) nextUs = Math.min(nextUs, waiting.attainedUs - this.#highestFullUs);
      return Math.max(0, nextUs);
    }
    const speed = this.#sharedSpeed(shared);
    nextUs = Math.min(nextUs, (shared.jobs.leastUs - shared.attainedUs) / speed);
    nextUs = Math.min(nextUs, (shared.attainedUs - this.#highestFullUs) / (1 - speed));
    if (waiting !== undefined) nextUs = Math.min(nextUs, (waiting.attainedUs - shared.attainedUs) / speed);
    return Math.max(0, nextUs);
  }

  /** A job whose phase is over, taken out; -1: there is none. */
  takeEnded(): number {
    for (let at = 0; at < this.#fullCount; at++) {
      if (this.#endsUs[at]! <= this.#clockUs + this.#closeUs) return this.#takeFull(at);
    }
    const shared = this.#shared;
    if (shared === null || shared.jobs.leastUs > shared.attainedUs + this.#closeUs) return -1;
    this.lastAttainedUs = shared.jobs.leastUs;
    this.lastLeftUs = 0;
    const job = this.#pop(shared);
    this.#threadCount -= this.#cores.of(job);
    this.#arrange();
    return job;
  }

  take(job: number): void {
    const at = this.#jobs.subarray(0, this.#fullCount).indexOf(job);
    if (at >= 0) {
      this.#takeFull(at);
      return;
    }
    const level = this.#shared?.jobs.has(job) === true ? this.#shared : this.#waiting.find(({ jobs }) => jobs.has(job));
    assert(level !== undefined, 'a job is taken from a server where it is not');
    this.lastAttainedUs = level.attainedUs;
    this.lastLeftUs = Math.max(0, level.jobs.remove(job)! - level.attainedUs);
    level.threadCount -= this.#cores.of(job);
    this.#threadCount -= this.#cores.of(job);
    const waitsAt = this.#waiting.indexOf(level);
    if (waitsAt >= 0 && level.jobs.size === 0) this.#waiting.splice(waitsAt, 1);
    this.#arrange();
  }

  clear(): void {
    this.#threadCount = 0;
    this.#fullCount = 0;
    this.#fullThreads = 0;
    this.#shared = null;
    this.#waiting.length = 0;
  }

  /** What those at the head of the full ones have attained; less than anyone where there are none. */
  get #highestFullUs(): number {
    return this.#fullCount === 0 ? -Infinity : this.#offsetsUs[this.#fullCount - 1]! + this.#clockUs;
  }

  #sharedSpeed(shared: Level): number {
    return (this.#coreCount - this.#fullThreads) / shared.threadCount;
  }

  #addFull(job: number, offsetUs: number, endUs: number): void {
    let at = this.#fullCount++;
    this.#fullThreads += this.#cores.of(job);
    for (; at > 0 && this.#offsetsUs[at - 1]! > offsetUs; at--) this.#moveFull(at - 1, at);
    this.#offsetsUs[at] = offsetUs;
    this.#endsUs[at] = endUs;
    this.#jobs[at] = job;
  }

  #moveFull(from: number, to: number): void {
    this.#offsetsUs[to] = this.#offsetsUs[from]!;
    this.#endsUs[to] = this.#endsUs[from]!;
    this.#jobs[to] = this.#jobs[from]!;
  }

  #takeFull(at: number): number {
    const job = this.#jobs[at]!;
    const leftUs = Math.max(0, this.#endsUs[at]! - this.#clockUs);
    this.lastLeftUs = leftUs;
    this.lastAttainedUs = this.#offsetsUs[at]! + this.#clockUs;
    this.#fullCount--;
    this.#fullThreads -= this.#cores.of(job);
    for (let i = at; i < this.#fullCount; i++) this.#moveFull(i + 1, i);
    this.#threadCount -= this.#cores.of(job);
    this.#arrange();
    return job;
  }

  #addWaiting(job: number, attainedUs: number, leftUs: number): void {
    let at = this.#waiting.length;
    while (at > 0 && this.#waiting[at - 1]!.attainedUs < attainedUs - this.#closeUs) at--;
    const behind = this.#waiting[at - 1];
    if (behind !== undefined && Math.abs(behind.attainedUs - attainedUs) <= this.#closeUs) {
      this.#push(behind, behind.attainedUs + leftUs, job);
      return;
    }
    const level = new Level(attainedUs);
    this.#push(level, attainedUs + leftUs, job);
    this.#waiting.splice(at, 0, level);
  }

  /** After each change of who is there. */
  #arrange(): void {
    while (this.#fullThreads > this.#coreCount) {
      if (this.#shared !== null) this.#waiting.push(this.#shared);
      this.#shared = new Level(this.#highestFullUs);
      this.#lowerHighest(this.#shared);
    }
    const shared = this.#shared;
    if (shared !== null && this.#fullThreads === this.#coreCount) {
      if (shared.jobs.size > 0) this.#waiting.push(shared);
      this.#shared = null;
    }
    this.#raise();
  }

  /** Gives the cores that are left over to those that are next. */
  #raise(): void {
    for (;;) {
      this.#shared ??= this.#fullThreads < this.#coreCount ? (this.#waiting.pop() ?? null) : null;
      const shared = this.#shared;
      if (shared === null || shared.threadCount > this.#coreCount - this.#fullThreads) return;
      while (shared.jobs.size > 0) {
        const leftUs = shared.jobs.leastUs - shared.attainedUs;
        this.#addFull(this.#pop(shared), shared.attainedUs - this.#clockUs, this.#clockUs + leftUs);
      }
      this.#shared = null;
    }
  }

  /** Those full ones that have attained most go into the level, which has attained as much. */
  #lowerHighest(into: Level): void {
    const offsetUs = this.#offsetsUs[this.#fullCount - 1]!;
    while (this.#fullCount > 0 && this.#offsetsUs[this.#fullCount - 1]! >= offsetUs - this.#closeUs) {
      const last = --this.#fullCount;
      this.#fullThreads -= this.#cores.of(this.#jobs[last]!);
      this.#push(into, into.attainedUs + this.#endsUs[last]! - this.#clockUs, this.#jobs[last]!);
    }
  }

  /** Levels that have reached each other become one. */
  #meet(): void {
    const before = this.#shared;
    if (before === null) {
      const waiting = this.#waiting.at(-1);
      if (waiting === undefined || waiting.attainedUs - this.#highestFullUs > this.#closeUs) return;
      this.#waiting.pop();
      this.#shared = waiting;
    }
    const shared = this.#shared!;
    while (this.#fullCount > 0 && shared.attainedUs - this.#highestFullUs <= this.#closeUs) this.#lowerHighest(shared);
    for (;;) {
      const waiting = this.#waiting.at(-1);
      if (waiting === undefined || waiting.attainedUs - shared.attainedUs > this.#closeUs) break;
      this.#waiting.pop();
      this.#pour(waiting, shared);
    }
    this.#arrange();
  }

  #pour(from: Level, into: Level): void {
    while (from.jobs.size > 0) {
      const leftUs = from.jobs.leastUs - from.attainedUs;
      this.#push(into, into.attainedUs + leftUs, this.#pop(from));
    }
  }

  #push(level: Level, endUs: number, job: number): void {
    level.jobs.push(endUs, job);
    level.threadCount += this.#cores.of(job);
  }

  #pop(level: Level): number {
    const job = level.jobs.pop();
    level.threadCount -= this.#cores.of(job);
    return job;
  }
}
