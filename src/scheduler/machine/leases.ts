/**
 * Who holds each core. A lease is named (epoch, core, sequence): the core's sequence goes up by one at each grant, so
 * that a late release of an earlier lease names nobody.
 *
 *   word 0   sequence, 32 bits, wraps
 *   word 1   tag of the version: generation and index (see versions.ts)
 *   word 2   function (upper 16 bits) and the memory reserved in MB (lower 16)
 *   word 3   request; -1: not leased; bit 30: the core is to be withdrawn when it is released
 *
 * The record says all that a release needs, so that neither the request nor the version has to be looked up, and a
 * version may be removed and its index used again while leases of it run.
 *
 * Budget: 16 bytes a core, one cache line a decision (at 640,000 cores in random order the cache misses are most of
 * a decision's cost). Allocates nothing. Checked by bench/schedule.ts.
 */
import { sharedInt32, type SharedInt32 } from './shared.ts';

const STRIDE = 4;
const SEQUENCE = 0;
const TAG = 1;
const FUNCTION_MEMORY = 2;
const REQUEST = 3;
const PENDING = 1 << 30;

export const REQUEST_COUNT_MAX = PENDING;

export class Leases {
  readonly #records: SharedInt32;

  constructor(coreCountMax: number, firstSequence: number) {
    this.#records = sharedInt32(coreCountMax * STRIDE);
    for (let core = 0; core < coreCountMax; core++) {
      this.#records[core * STRIDE + SEQUENCE] = firstSequence;
      this.#records[core * STRIDE + REQUEST] = -1;
    }
  }

  /** Answers the sequence of the new lease. */
  begin(core: number, request: number, tag: number, functionMemory: number): number {
    const at = core * STRIDE;
    const sequence = (this.#records[at + SEQUENCE]! + 1) | 0;
    this.#records[at + SEQUENCE] = sequence;
    this.#records[at + TAG] = tag;
    this.#records[at + FUNCTION_MEMORY] = functionMemory;
    this.#records[at + REQUEST] = request;
    return sequence;
  }

  end(core: number): void {
    this.#records[core * STRIDE + REQUEST] = -1;
  }

  /** Is this the lease that the core has now? */
  holds(core: number, sequence: number): boolean {
    const at = core * STRIDE;
    return this.#records[at + REQUEST]! >= 0 && this.#records[at + SEQUENCE] === (sequence | 0);
  }

  isLeased(core: number): boolean {
    return this.#records[core * STRIDE + REQUEST]! >= 0;
  }

  isPending(core: number): boolean {
    const request = this.#records[core * STRIDE + REQUEST]!;
    return request >= 0 && (request & PENDING) !== 0;
  }

  setPending(core: number, pending: boolean): void {
    const at = core * STRIDE + REQUEST;
    this.#records[at] = pending ? this.#records[at]! | PENDING : this.#records[at]! & ~PENDING;
  }

  /** The holder; -1 if the core is not leased. */
  request(core: number): number {
    const request = this.#records[core * STRIDE + REQUEST]!;
    return request < 0 ? -1 : request & ~PENDING;
  }

  sequence(core: number): number {
    return this.#records[core * STRIDE + SEQUENCE]!;
  }

  tag(core: number): number {
    return this.#records[core * STRIDE + TAG]!;
  }

  functionMemory(core: number): number {
    return this.#records[core * STRIDE + FUNCTION_MEMORY]!;
  }
}
