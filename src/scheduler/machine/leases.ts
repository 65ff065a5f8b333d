/**
 * Who holds each core. A lease is named (epoch, core, sequence): the core's sequence goes up by one at each grant, so
 * that a late release of an earlier lease names nobody. Two words a core:
 *
 *   word 0   [ sequence: 28 bits, wraps | state: 4 bits     ]
 *   word 1   [ request: lower 16 bits   | version: 16 bits  ]
 *
 * State 15: the core is free; 14: it is out of the platform; 13: it belongs to a lease of several cores, which is in the words of its lead, the
 * lowest of them, and `masks` has a bit there for each; below: it is held, and these are the upper bits of the request. So the
 * first word alone says whether the core is held, and of several who end a lease one wins that word. The second is written by who owns
 * the core, before the first. A core comes round to the same sequence after 268 million leases
 * (at one a millisecond, after three days), so a release would have to be exactly that late to be believed.
 *
 * Budget: 8 bytes a core. A decision in random order is a cache miss here; at 640,000 cores 5 MB still fit where the
 * processor's address translation reaches, and 10 MB (16 bytes a core) did not: a miss then cost 4 times as much.
 * Allocates nothing. Checked by bench/schedule.ts.
 */
import { lowestCore, withoutLowest } from '../../base/core-mask.ts';
import { isAfter } from '../../wire/cluster/sequence.ts';
import type { Place } from './memory.ts';
import type { SharedInt32 } from './shared.ts';

export const SEQUENCE_MASK = 0x0fffffff;
export const LEASE_FREE = 15;
const FREE = 15;
const OUT = 14;
const BESIDE = 13;
const STATE_MASK = 15;

/** Requests are below this. */
export const REQUEST_COUNT_MAX: number = BESIDE << 16;

export class Leases {
  readonly #words: SharedInt32;
  /** Of each lead, the cores of its lease; only of versions that ask for several, and there 0 stands for the lead alone. */
  readonly #masks: SharedInt32;
  readonly #isShared: boolean;

  constructor({ memory, isShared }: Place) {
    this.#words = memory.leases;
    this.#masks = memory.masks;
    this.#isShared = isShared;
  }

  /** The core is owned. Answers the sequence of the new lease. */
  begin(core: number, request: number, version: number): number {
    const sequence = ((this.#words[core << 1]! >>> 4) + 1) & SEQUENCE_MASK;
    this.#hold(core, request, version, sequence);
    return sequence;
  }

  /**
   * The cores are owned. Answers the sequence of their lease, which is that of all of them, and comes after the last of each.
   * Who dies in the middle leaves cores that belong to no lead, which the reaper finds.
   */
  beginSeveral(lead: number, mask: number, request: number, version: number): number {
    let last = this.sequence(lead);
    for (let rest = withoutLowest(mask); rest !== 0; rest = withoutLowest(rest)) {
      const other = this.sequence(lowestCore(lead, rest));
      if (isAfter(other, last)) last = other;
    }
    const sequence = (last + 1) & SEQUENCE_MASK;
    this.#holdSeveral(lead, mask, sequence);
    this.#hold(lead, request, version, sequence);
    return sequence;
  }

  /** The lease, of a version that asks for several cores, has ended: all its cores are owned from now on. Answers the mask. */
  endSeveral(lead: number): number {
    const mask = this.#masks[lead]!;
    for (let rest = withoutLowest(mask); rest !== 0; rest = withoutLowest(rest)) this.endBeside(lowestCore(lead, rest));
    return mask;
  }

  /** The core belongs to a lease no more, and is owned. */
  endBeside(core: number): void {
    const free = this.#words[core << 1]! | FREE;
    if (this.#isShared) Atomics.store(this.#words, core << 1, free);
    else this.#words[core << 1] = free;
  }

  /** As `resume`, of a version that asks for several cores: before the lead is resumed, the others. */
  resumeBeside(lead: number, mask: number, sequence: number): boolean {
    for (let rest = withoutLowest(mask); rest !== 0; rest = withoutLowest(rest))
      if (!this.comeIn(lowestCore(lead, rest))) return false;
    this.#holdSeveral(lead, mask, sequence);
    return true;
  }

  /** Of a lead whose version asks for several cores: what its lease has; 0: the lead alone. */
  mask(lead: number): number {
    return this.#masks[lead]!;
  }

  /** A lease that was granted before this scheduler's time, or before its worker was away: the core, which is out, holds it. */
  resume(core: number, request: number, version: number, sequence: number): boolean {
    if (!this.comeIn(core)) return false;
    this.#hold(core, request, version, sequence);
    return true;
  }

  /** The core, which is not leased, begins its next lease with the sequence after this one. */
  setSequence(core: number, sequence: number): void {
    const seen = Atomics.load(this.#words, core << 1);
    if ((seen & STATE_MASK) < OUT) return;
    Atomics.compareExchange(this.#words, core << 1, seen, (sequence << 4) | (seen & STATE_MASK));
  }

  /** True: the lease was the core's present one and is over; who called owns the core. False: it was not, or another was faster. */
  end(core: number, sequence: number): boolean {
    const at = core << 1;
    let seen = this.#words[at]!;
    if (seen >>> 4 !== sequence || (seen & STATE_MASK) >= BESIDE) {
      if (!this.#isShared) return false;
      seen = Atomics.load(this.#words, at);
      if (seen >>> 4 !== sequence || (seen & STATE_MASK) >= BESIDE) return false;
    }
    if (this.#isShared) return Atomics.compareExchange(this.#words, at, seen, seen | FREE) === seen;
    this.#words[at] = seen | FREE;
    return true;
  }

  /** The core is owned, and goes out of the platform. */
  goOut(core: number): void {
    const out = (this.#words[core << 1]! & ~STATE_MASK) | OUT;
    if (this.#isShared) Atomics.store(this.#words, core << 1, out);
    else this.#words[core << 1] = out;
  }

  /** True: it was out, and who called owns it. */
  comeIn(core: number): boolean {
    const at = core << 1;
    const seen = this.#isShared ? Atomics.load(this.#words, at) : this.#words[at]!;
    if ((seen & STATE_MASK) !== OUT) return false;
    if (this.#isShared) return Atomics.compareExchange(this.#words, at, seen, seen | FREE) === seen;
    this.#words[at] = seen | FREE;
    return true;
  }

  /** Is this the lease that the core has now? */
  holds(core: number, sequence: number): boolean {
    const word = this.#words[core << 1]!;
    return word >>> 4 === sequence && (word & STATE_MASK) < BESIDE;
  }

  isLeased(core: number): boolean {
    return (this.#words[core << 1]! & STATE_MASK) < OUT;
  }

  /** Is the core the only one of a lease, or the lowest of several? */
  isLead(core: number): boolean {
    return (this.#words[core << 1]! & STATE_MASK) < BESIDE;
  }

  isOut(core: number): boolean {
    return (this.#words[core << 1]! & STATE_MASK) === OUT;
  }

  /** The request that the lease was granted to; -1 if the core is not leased, or not the lead of its lease. */
  request(core: number): number {
    const state = this.#words[core << 1]! & STATE_MASK;
    return state >= BESIDE ? -1 : (state << 16) | (this.#words[(core << 1) + 1]! >>> 16);
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

  #holdSeveral(lead: number, mask: number, sequence: number): void {
    this.#masks[lead] = mask;
    for (let rest = withoutLowest(mask); rest !== 0; rest = withoutLowest(rest))
      this.#words[lowestCore(lead, rest) << 1] = (sequence << 4) | BESIDE;
  }

  #hold(core: number, request: number, version: number, sequence: number): void {
    // Plainly: nobody acts upon the lease before he has heard of it from a frame that is written after this, and until then the word
    // says "free", which is to everybody else the same as owned.
    this.#words[(core << 1) + 1] = (request << 16) | version;
    this.#words[core << 1] = (sequence << 4) | (request >>> 16);
  }
}
