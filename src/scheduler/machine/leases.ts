/**
 * Who holds each core. A lease is named (epoch, core, sequence): the core's sequence goes up by one at each grant, so
 * that a late release of an earlier lease names nobody. Two words a core:
 *
 *   word 0   [ sequence: 28 bits, wraps | request: upper 4 bits ]
 *   word 1   [ request: lower 16 bits   | version: 16 bits      ]
 *
 * All ones as request: the core is not leased. A core comes round to the same sequence after 268 million leases
 * (at one a millisecond, after three days), so a release would have to be exactly that late to be believed.
 *
 * Budget: 8 bytes a core. A decision in random order is a cache miss here; at 640,000 cores 5 MB still fit where the
 * processor's address translation reaches, and 10 MB (16 bytes a core) did not: a miss then cost 4 times as much.
 * Allocates nothing. Checked by bench/schedule.ts.
 */
import { sharedInt32, type SharedInt32 } from './shared.ts';

export const SEQUENCE_MASK = 0x0fffffff;
const NOBODY = 0xfffff;

/** Requests are below this. */
export const REQUEST_COUNT_MAX = NOBODY;

export class Leases {
  readonly #words: SharedInt32;

  constructor(coreCountMax: number, firstSequence: number) {
    this.#words = sharedInt32(coreCountMax * 2);
    for (let core = 0; core < coreCountMax; core++) {
      this.#words[core << 1] = (firstSequence << 4) | (NOBODY >>> 16);
      this.#words[(core << 1) + 1] = NOBODY << 16;
    }
  }

  /** Answers the sequence of the new lease. */
  begin(core: number, request: number, version: number): number {
    const sequence = ((this.#words[core << 1]! >>> 4) + 1) & SEQUENCE_MASK;
    this.#words[core << 1] = (sequence << 4) | (request >>> 16);
    this.#words[(core << 1) + 1] = (request << 16) | version;
    return sequence;
  }

  /** A lease that was granted before this scheduler's time, or before its worker was away. */
  resume(core: number, request: number, version: number, sequence: number): void {
    this.#words[core << 1] = (sequence << 4) | (request >>> 16);
    this.#words[(core << 1) + 1] = (request << 16) | version;
  }

  /** The core, which is not leased, begins its next lease with the sequence after this one. */
  setSequence(core: number, sequence: number): void {
    this.#words[core << 1] = (sequence << 4) | (NOBODY >>> 16);
  }

  end(core: number): void {
    this.#words[core << 1]! |= NOBODY >>> 16;
    this.#words[(core << 1) + 1]! |= NOBODY << 16;
  }

  /** Is this the lease that the core has now? */
  holds(core: number, sequence: number): boolean {
    return this.#words[core << 1]! >>> 4 === sequence && this.isLeased(core);
  }

  isLeased(core: number): boolean {
    return this.#requestBits(core) !== NOBODY;
  }

  /** The request that the lease was granted to; -1 if the core is not leased. */
  request(core: number): number {
    const request = this.#requestBits(core);
    return request === NOBODY ? -1 : request;
  }

  sequence(core: number): number {
    return this.#words[core << 1]! >>> 4;
  }

  /** The version that holds the core, or did last. */
  version(core: number): number {
    return this.#words[(core << 1) + 1]! & 0xffff;
  }

  /** Reads the records of these cores, and nothing else: a loop so short that many misses overlap. */
  touch(cores: Int32Array, first: number, end: number): number {
    const words = this.#words;
    let all = 0;
    for (let i = first; i < end; i++) all ^= words[cores[i]! << 1]!;
    return all;
  }

  #requestBits(core: number): number {
    return ((this.#words[core << 1]! & 0xf) << 16) | (this.#words[(core << 1) + 1]! >>> 16);
  }
}
