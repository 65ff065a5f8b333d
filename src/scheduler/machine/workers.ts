/**
 * Memory of the workers, MB. A lease reserves what its function asks; what instances keep warm between leases is the
 * agent's own matter, and it evicts them for a lease. Where an agent had no memory for a lease after all, it is
 * believed: until it says otherwise the worker's cap is one MB less than what it refused. A worker that is passed over has
 * a cap below nothing, which its own word does not lift.
 *
 * Workers are named by their home. Budget: the home's record of words.ts. Allocates nothing. Checked by bench/schedule.ts.
 */
import { assert } from '../../base/assert.ts';
import { globalWord, type Place } from './memory.ts';
import type { SharedInt32 } from './shared.ts';
import { word, type Words } from './words.ts';

const { STRIDE_LOG2, FREE, CAP, TOTAL } = word;
const { WORKER_COUNT, MEMORY_MB_MAX, MEMORY_MB_MAX_OF } = globalWord;
const WORD_CORES = 32;
const UNCAPPED = 0x7fffffff;
const PASSED_OVER = -1;

export class Workers {
  readonly #words: Words;
  readonly #homes: SharedInt32;
  readonly #workerOfHome: SharedInt32;
  readonly #globals: SharedInt32;
  readonly #isShared: boolean;

  constructor({ memory, isShared }: Place) {
    this.#words = memory.words;
    this.#homes = memory.homes;
    this.#workerOfHome = memory.workerOfHome;
    this.#globals = memory.globals;
    this.#isShared = isShared;
  }

  get count(): number {
    return this.#globals[WORKER_COUNT]!;
  }

  /** The most memory that any worker has in all. */
  get memoryMbMax(): number {
    return this.#globals[MEMORY_MB_MAX]!;
  }

  /** Answers the worker's index. */
  add(home: number, memoryMb: number, coreCount: number): number {
    this.#words[(home << STRIDE_LOG2) + FREE] = memoryMb;
    this.#words[(home << STRIDE_LOG2) + CAP] = UNCAPPED;
    this.#words[(home << STRIDE_LOG2) + TOTAL] = memoryMb;
    const worker = Atomics.add(this.#globals, WORKER_COUNT, 1);
    assert(worker < this.#homes.length, `there may be only ${this.#homes.length} workers`);
    this.#homes[worker] = home;
    this.#workerOfHome[home] = worker;
    this.#raiseTo(MEMORY_MB_MAX, memoryMb);
    for (let count = Math.min(coreCount, WORD_CORES); count >= 0; count--)
      this.#raiseTo(MEMORY_MB_MAX_OF + count, Math.max(memoryMb, 1));
    return worker;
  }

  /** The most memory of those that have so many cores in a word; 0: none has. */
  memoryMbMaxOf(coreCount: number): number {
    return this.#globals[MEMORY_MB_MAX_OF + coreCount]!;
  }

  homeOf(worker: number): number {
    assert(worker >= 0 && worker < this.count, `worker ${worker}: no such`);
    return this.#homes[worker]!;
  }

  workerOf(home: number): number {
    return this.#workerOfHome[home]!;
  }

  /** False: there is too little now, and nothing changed. One thread alone has looked before. */
  reserve(home: number, memoryMb: number): boolean {
    if (this.#isShared) return this.#reserve(home << STRIDE_LOG2, memoryMb, true);
    this.#words[(home << STRIDE_LOG2) + FREE]! -= memoryMb;
    return true;
  }

  /** The same, whatever the cap says. */
  reserveBeyondCap(home: number, memoryMb: number): boolean {
    if (this.#isShared) return this.#reserve(home << STRIDE_LOG2, memoryMb, false);
    return this.reserve(home, memoryMb);
  }

  unreserve(home: number, memoryMb: number): void {
    if (this.#isShared) Atomics.add(this.#words, (home << STRIDE_LOG2) + FREE, memoryMb);
    else this.#words[(home << STRIDE_LOG2) + FREE]! += memoryMb;
  }

  /** The agent refused a lease of this size. */
  lowerCap(home: number, memoryMb: number): void {
    const at = (home << STRIDE_LOG2) + CAP;
    let cap = this.#words[at]!;
    while (memoryMb - 1 < cap) {
      const seen = Atomics.compareExchange(this.#words, at, cap, memoryMb - 1);
      if (seen === cap) return;
      cap = seen;
    }
  }

  liftCap(home: number): void {
    const at = (home << STRIDE_LOG2) + CAP;
    let cap = this.#words[at]!;
    while (cap !== PASSED_OVER) {
      const seen = Atomics.compareExchange(this.#words, at, cap, UNCAPPED);
      if (seen === cap) return;
      cap = seen;
    }
  }

  /** Nothing fits there from now on; or whatever fits, and what it had no memory for it may be asked again. */
  passOver(home: number, isPassed: boolean): void {
    Atomics.store(this.#words, (home << STRIDE_LOG2) + CAP, isPassed ? PASSED_OVER : UNCAPPED);
  }

  isPassedOver(home: number): boolean {
    return this.#words[(home << STRIDE_LOG2) + CAP] === PASSED_OVER;
  }

  /** What a request could get now. */
  free(home: number): number {
    const at = home << STRIDE_LOG2;
    return Math.min(this.#words[at + FREE]!, this.#words[at + CAP]!);
  }

  /** Not by a lease. */
  unreserved(home: number): number {
    return this.#words[(home << STRIDE_LOG2) + FREE]!;
  }

  /** What a request could get if no lease reserved anything. */
  capacity(home: number): number {
    const at = home << STRIDE_LOG2;
    return Math.min(this.#words[at + TOTAL]!, this.#words[at + CAP]!);
  }

  total(home: number): number {
    return this.#words[(home << STRIDE_LOG2) + TOTAL]!;
  }

  reserved(home: number): number {
    const at = home << STRIDE_LOG2;
    return this.#words[at + TOTAL]! - this.#words[at + FREE]!;
  }

  #raiseTo(index: number, value: number): void {
    let max = this.#globals[index]!;
    while (value > max) {
      const seen = Atomics.compareExchange(this.#globals, index, max, value);
      if (seen === max) return;
      max = seen;
    }
  }

  #reserve(at: number, memoryMb: number, isCapped: boolean): boolean {
    let free = this.#words[at + FREE]!;
    let cap = isCapped ? this.#words[at + CAP]! : UNCAPPED;
    // Plain loads may not decide that there is too little.
    if (free < memoryMb || cap < memoryMb) {
      free = Atomics.load(this.#words, at + FREE);
      if (isCapped) cap = Atomics.load(this.#words, at + CAP);
    }
    while (free >= memoryMb && cap >= memoryMb) {
      const seen = Atomics.compareExchange(this.#words, at + FREE, free, free - memoryMb);
      if (seen === free) return true;
      free = seen;
    }
    return false;
  }
}
