/**
 * Memory of the workers, MB. A lease reserves what its function asks; what instances keep warm between leases is the
 * agent's own matter, and it evicts them for a lease. Where an agent had no memory for a lease after all, it is
 * believed: until it says otherwise the worker's cap is one MB less than what it refused.
 *
 * Workers are named by their home. Budget: the home's record of words.ts. Allocates nothing. Checked by bench/schedule.ts.
 */
import { assert } from '../../base/assert.ts';
import { sharedInt32, type SharedInt32 } from './shared.ts';
import { word, type Words, wordCountOf } from './words.ts';

const { STRIDE_LOG2, FREE, CAP, TOTAL } = word;
const UNCAPPED = 0x7fffffff;

export class Workers {
  readonly #words: Words;
  /** The home of each worker, and back. */
  readonly #homes: SharedInt32;
  readonly #workerOfHome: SharedInt32;
  #count = 0;
  /** The most memory that any worker has in all. */
  memoryMbMax = 0;

  constructor(words: Words, workerCountMax: number) {
    this.#words = words;
    this.#homes = sharedInt32(workerCountMax);
    this.#workerOfHome = sharedInt32(wordCountOf(words));
  }

  add(worker: number, home: number, memoryMb: number): void {
    this.#count = worker + 1;
    this.#homes[worker] = home;
    this.#workerOfHome[home] = worker;
    this.memoryMbMax = Math.max(this.memoryMbMax, memoryMb);
    this.#words[(home << STRIDE_LOG2) + FREE] = memoryMb;
    this.#words[(home << STRIDE_LOG2) + CAP] = UNCAPPED;
    this.#words[(home << STRIDE_LOG2) + TOTAL] = memoryMb;
  }

  homeOf(worker: number): number {
    assert(worker >= 0 && worker < this.#count, `worker ${worker}: no such`);
    return this.#homes[worker]!;
  }

  workerOf(home: number): number {
    return this.#workerOfHome[home]!;
  }

  reserve(home: number, memoryMb: number): void {
    this.#words[(home << STRIDE_LOG2) + FREE]! -= memoryMb;
  }

  unreserve(home: number, memoryMb: number): void {
    this.#words[(home << STRIDE_LOG2) + FREE]! += memoryMb;
  }

  /** The agent refused a lease of this size. */
  lowerCap(home: number, memoryMb: number): void {
    const at = (home << STRIDE_LOG2) + CAP;
    this.#words[at] = Math.min(this.#words[at]!, memoryMb - 1);
  }

  liftCap(home: number): void {
    this.#words[(home << STRIDE_LOG2) + CAP] = UNCAPPED;
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
}
