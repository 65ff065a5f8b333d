/**
 * Memory of the workers, MB. A lease reserves what its function asks; what instances keep warm between leases is the
 * agent's own matter, and it evicts them for a lease. Where an agent had no memory for a lease after all, it is
 * believed: until it says otherwise the worker's cap is one MB less than what it refused.
 *
 * Budget: 16 bytes a worker, so one cache line a decision. Allocates nothing. Checked by bench/schedule.ts.
 */
import { sharedInt32, type SharedInt32 } from './shared.ts';

const STRIDE = 4;
const FREE = 0;
const CAP = 1;
const TOTAL = 2;
const UNCAPPED = 0x7fffffff;

export class Workers {
  readonly #records: SharedInt32;

  constructor(workerCountMax: number) {
    this.#records = sharedInt32(workerCountMax * STRIDE);
  }

  add(worker: number, memoryMb: number): void {
    this.#records[worker * STRIDE + FREE] = memoryMb;
    this.#records[worker * STRIDE + CAP] = UNCAPPED;
    this.#records[worker * STRIDE + TOTAL] = memoryMb;
  }

  reserve(worker: number, memoryMb: number): void {
    this.#records[worker * STRIDE + FREE]! -= memoryMb;
  }

  unreserve(worker: number, memoryMb: number): void {
    this.#records[worker * STRIDE + FREE]! += memoryMb;
  }

  /** The agent refused a lease of this size. */
  lowerCap(worker: number, memoryMb: number): void {
    const at = worker * STRIDE + CAP;
    this.#records[at] = Math.min(this.#records[at]!, memoryMb - 1);
  }

  liftCap(worker: number): void {
    this.#records[worker * STRIDE + CAP] = UNCAPPED;
  }

  /** What a request could get now. */
  free(worker: number): number {
    const at = worker * STRIDE;
    return Math.min(this.#records[at + FREE]!, this.#records[at + CAP]!);
  }

  /** What a request could get if no lease reserved anything. */
  capacity(worker: number): number {
    const at = worker * STRIDE;
    return Math.min(this.#records[at + TOTAL]!, this.#records[at + CAP]!);
  }

  total(worker: number): number {
    return this.#records[worker * STRIDE + TOTAL]!;
  }

  reserved(worker: number): number {
    const at = worker * STRIDE;
    return this.#records[at + TOTAL]! - this.#records[at + FREE]!;
  }
}
