/**
 * Memory of the workers, MB. A lease reserves what its function asks; what instances keep warm between leases is the
 * agent's own matter, and it evicts them for a lease. Where an agent had no memory for a lease after all, it is
 * believed: until it says otherwise the worker's cap is one MB less than what it refused.
 *
 * Workers are named by their home. Budget: the home's record of words.ts. Allocates nothing. Checked by bench/schedule.ts.
 */
import { word, type Words } from './words.ts';

const { STRIDE_LOG2, FREE, CAP, TOTAL } = word;
const UNCAPPED = 0x7fffffff;

export class Workers {
  readonly #words: Words;

  constructor(words: Words) {
    this.#words = words;
  }

  add(home: number, memoryMb: number): void {
    this.#words[(home << STRIDE_LOG2) + FREE] = memoryMb;
    this.#words[(home << STRIDE_LOG2) + CAP] = UNCAPPED;
    this.#words[(home << STRIDE_LOG2) + TOTAL] = memoryMb;
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
