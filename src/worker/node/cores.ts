/**
 * The worker's cores and the leases that they hold. A core has a local index here, and a global one elsewhere: that of the
 * range which the scheduler has given, and which may be another one with the next scheduler. Its extra seats, which have leases as cores have,
 * follow the cores here and are words of their own there (base/seats.ts). They are closed until the agent opens them.
 *
 * For each core, `last` is the sequence after which leases are taken: of its last lease, of the last one that was fenced,
 * or the floor that the scheduler named when it welcomed the worker.
 *
 * A lease of several cores is named by its lead, the lowest of them, and has one sequence, which comes after the last of each.
 */
import { assert } from '../../base/assert.ts';
import { isAfter } from '../../wire/cluster/sequence.ts';
import { coresOf, isLedBy, normalMask } from '../../base/core-mask.ts';
import { placeOfSeat, seatAt, type SeatRange, seatsOfWord, seatWordCountOf } from '../../base/seats.ts';
import type { OwnVersion } from './own-versions.ts';
import type { LeaseName, Word } from './ports.ts';

const WORD_CORES = 32;

/** What a scheduler answers to this worker's HELLO. */
export interface Welcome {
  readonly epoch: number;
  readonly firstCore: number;
  /** Those of the worker's that it knows of: all or, where it knows of none at all, 0. */
  readonly extraSeatCount: number;
  /** Only leases after this sequence are good. */
  readonly floor: number;
}

export class Cores {
  /** Without the extra seats. */
  readonly count: number;
  /** What the scheduler knows of. */
  #range: SeatRange;
  /** Global index of the first; meaningless before the first welcome. */
  firstCore = 0;
  /** Of cores; an extra seat is none. */
  busyCount = 0;
  /** By extra seat. 1: there is a use for it. */
  readonly #isOpen: Uint8Array;
  readonly #version: (OwnVersion | null)[];
  /** Of the lease that it holds, the lead; meaningless on an idle one. */
  readonly #lead: Int32Array;
  /** On a lead: all cores of its lease, as bits of its word; 0: itself alone. */
  readonly #mask: Int32Array;
  readonly #epoch: Uint32Array;
  readonly #sequence: Int32Array;
  readonly #last: Int32Array;
  /** 1: it was busy when the worker was welcomed, and has had no lease since. */
  readonly #mayResume: Uint8Array;
  /** Then it takes what comes after this too. */
  readonly #resumeFrom: Int32Array;
  /** No more leases are wanted; those on their way are taken. */
  isWithdrawn = false;

  constructor(coreCount: number, extraSeatCount: number) {
    const count = coreCount + extraSeatCount;
    this.count = coreCount;
    this.#range = { coreCount, extraSeatCount };
    this.#isOpen = new Uint8Array(extraSeatCount);
    this.#version = new Array<OwnVersion | null>(count).fill(null);
    this.#lead = new Int32Array(count);
    this.#mask = new Int32Array(count);
    this.#epoch = new Uint32Array(count);
    this.#sequence = new Int32Array(count);
    this.#last = new Int32Array(count);
    this.#mayResume = new Uint8Array(count);
    this.#resumeFrom = new Int32Array(count);
  }

  /** -1: it is none of this worker's. */
  localOf(core: number): number {
    return seatAt(this.#range, core - this.firstCore);
  }

  get extraSeatCount(): number {
    return this.#isOpen.length;
  }

  /** What the agent says of an extra seat. Answers its word; -1: the scheduler knows it so already, or not at all. */
  setOpen(local: number, isOpen: boolean): number {
    const extra = local - this.count;
    assert(extra >= 0 && extra < this.#isOpen.length, `${local} is no extra seat`);
    const was = this.#isOpen[extra] === 1;
    this.#isOpen[extra] = isOpen ? 1 : 0;
    const isTold = !this.isWithdrawn && this.#range.extraSeatCount > 0 && was !== isOpen;
    return isTold ? Math.floor(placeOfSeat(this.#range, local) / WORD_CORES) : -1;
  }

  openCount(): number {
    return this.isWithdrawn ? 0 : this.#isOpen.reduce((sum, each) => sum + each, 0);
  }

  versionOf(local: number): OwnVersion | null {
    return this.#version[local] ?? null;
  }

  /** Of the lease that it leads. */
  nameOf(local: number): LeaseName {
    const mask = this.#mask[local]!;
    const core = this.firstCore + placeOfSeat(this.#range, local);
    return { epoch: this.#epoch[local]!, core, sequence: this.#sequence[local]!, mask };
  }

  /** All cores of it are this worker's, idle, and may have this sequence. `local` is its lead. */
  mayBegin(local: number, sequence: number, mask: number): boolean {
    if (mask === 0) return this.#isFor(local, sequence);
    const cores = coresOf(local, mask);
    return isLedBy(local, mask) && cores.every((core) => core < this.count && this.#isFor(core, sequence));
  }

  /** `local` leads this lease. */
  holds(local: number, sequence: number): boolean {
    return this.#version[local] !== null && this.#lead[local] === local && this.#sequence[local] === sequence;
  }

  begin(local: number, { epoch, sequence, mask }: Omit<LeaseName, 'core'>, version: OwnVersion): void {
    assert(this.mayBegin(local, sequence, mask), `core ${local} cannot have the lease ${sequence}`);
    this.#mask[local] = normalMask(mask);
    for (const core of coresOf(local, mask)) {
      this.#version[core] = version;
      this.#lead[core] = local;
      this.#epoch[core] = epoch;
      this.#sequence[core] = sequence;
      this.#last[core] = sequence;
      this.#resumeFrom[core] = sequence;
      this.#mayResume[core] = 0;
      if (core < this.count) this.busyCount++;
    }
  }

  /** The lease goes on with another version. Answers the one before. */
  hand(local: number, version: OwnVersion): OwnVersion {
    const before = this.#version[local] ?? null;
    assert(before !== null && this.#lead[local] === local, `core ${local} leads no lease to be handed on`);
    for (const core of coresOf(local, this.#mask[local]!)) this.#version[core] = version;
    return before;
  }

  sequenceOf(local: number): number {
    return this.#sequence[local]!;
  }

  end(local: number, sequence: number): OwnVersion {
    assert(this.holds(local, sequence), `core ${local} does not hold the lease ${sequence}`);
    const version = this.#version[local]!;
    for (const core of coresOf(local, this.#mask[local]!)) {
      this.#version[core] = null;
      if (core < this.count) this.busyCount--;
    }
    return version;
  }

  #isAfterLast(local: number, sequence: number): boolean {
    if (isAfter(sequence, this.#last[local]!)) return true;
    return this.#mayResume[local] === 1 && isAfter(sequence, this.#resumeFrom[local]!);
  }

  #isFor(local: number, sequence: number): boolean {
    return local < this.#version.length && this.#version[local] === null && this.#isAfterLast(local, sequence);
  }

  /** From now on leases up to this one are refused. */
  fence(local: number, sequence: number): void {
    if (isAfter(sequence, this.#last[local]!)) this.#last[local] = sequence;
    if (isAfter(sequence, this.#resumeFrom[local]!)) this.#resumeFrom[local] = sequence;
  }

  /**
   * A scheduler has given this range. What may still be on its way from before has a sequence up to `floor`. A core that is busy
   * goes on from its lease if the scheduler takes that over, and from the floor if it does not: what comes after either is taken, but
   * for what this scheduler had fenced.
   */
  welcomed({ firstCore, extraSeatCount, floor }: Welcome, isNewEpoch: boolean): void {
    this.firstCore = firstCore;
    this.#range = { coreCount: this.count, extraSeatCount };
    this.#last.fill(floor);
    for (let local = 0; local < this.#version.length; local++) {
      this.#mayResume[local] = this.#version[local] === null ? 0 : 1;
      if (isNewEpoch) this.#resumeFrom[local] = this.#sequence[local]!;
    }
  }

  /** As the scheduler numbers them: of cores, then of extra seats. */
  get wordCount(): number {
    return seatWordCountOf(this.#range);
  }

  word(index: number): Word {
    let busy = 0;
    let withdrawn = 0;
    for (const local of this.#localsOf(index)) {
      const bit = 1 << (placeOfSeat(this.#range, local) % WORD_CORES);
      if (this.#version[local] !== null) busy |= bit;
      if (this.isWithdrawn || (local >= this.count && this.#isOpen[local - this.count] === 0)) withdrawn |= bit;
    }
    return { firstCore: this.firstCore + index * WORD_CORES, busy, withdrawn, last: index === this.wordCount - 1 };
  }

  /** Local indexes of those of a word that lead a lease. */
  *leadsOf(word: number): Iterable<number> {
    for (const local of this.#localsOf(word))
      if (this.#version[local] !== null && this.#lead[local] === local) yield local;
  }

  #localsOf(word: number): readonly number[] {
    const bits = seatsOfWord(this.#range, word);
    if (bits === 0) return [];
    return coresOf(word * WORD_CORES, bits).map((at) => seatAt(this.#range, at));
  }
}
