/**
 * The worker's cores and the leases that they hold. A core has a local index here, and a global one elsewhere: that of the
 * range which the scheduler has given, and which may be another one with the next scheduler.
 *
 * For each core, `last` is the sequence after which leases are taken: of its last lease, of the last one that was fenced,
 * or the floor that the scheduler named when it welcomed the worker.
 */
import { assert } from '../../base/assert.ts';
import { isAfter } from '../../wire/cluster/sequence.ts';
import type { OwnVersion } from './own-versions.ts';
import type { LeaseName, Word } from './ports.ts';

const WORD_CORES = 32;

export class Cores {
  readonly count: number;
  /** Global index of the first; meaningless before the first welcome. */
  firstCore = 0;
  busyCount = 0;
  readonly #version: (OwnVersion | null)[];
  readonly #epoch: Uint32Array;
  readonly #sequence: Int32Array;
  readonly #last: Int32Array;
  /** 1: it was busy when the worker was welcomed, and has had no lease since. */
  readonly #mayResume: Uint8Array;
  /** No more leases are wanted; those on their way are taken. */
  isWithdrawn = false;

  constructor(count: number) {
    this.count = count;
    this.#version = new Array<OwnVersion | null>(count).fill(null);
    this.#epoch = new Uint32Array(count);
    this.#sequence = new Int32Array(count);
    this.#last = new Int32Array(count);
    this.#mayResume = new Uint8Array(count);
  }

  /** -1: it is none of this worker's. */
  localOf(core: number): number {
    const local = core - this.firstCore;
    return local >= 0 && local < this.count ? local : -1;
  }

  versionOf(local: number): OwnVersion | null {
    return this.#version[local] ?? null;
  }

  nameOf(local: number): LeaseName {
    return { epoch: this.#epoch[local]!, core: this.firstCore + local, sequence: this.#sequence[local]! };
  }

  isAfterLast(local: number, sequence: number): boolean {
    if (isAfter(sequence, this.#last[local]!)) return true;
    return this.#mayResume[local] === 1 && isAfter(sequence, this.#sequence[local]!);
  }

  holds(local: number, sequence: number): boolean {
    return this.#version[local] !== null && this.#sequence[local] === sequence;
  }

  begin(local: number, { epoch, sequence }: Omit<LeaseName, 'core'>, version: OwnVersion): void {
    assert(this.#version[local] === null, `core ${local} is leased twice`);
    this.#version[local] = version;
    this.#epoch[local] = epoch;
    this.#sequence[local] = sequence;
    this.#last[local] = sequence;
    this.#mayResume[local] = 0;
    this.busyCount++;
  }

  end(local: number, sequence: number): OwnVersion {
    const version = this.#version[local] ?? null;
    assert(version !== null && this.#sequence[local] === sequence, `core ${local} does not hold the lease ${sequence}`);
    this.#version[local] = null;
    this.busyCount--;
    return version;
  }

  /** From now on leases up to this one are refused. */
  fence(local: number, sequence: number): void {
    if (!this.isAfterLast(local, sequence)) return;
    this.#last[local] = sequence;
    this.#mayResume[local] = 0;
  }

  /**
   * A scheduler has given this range. What may still be on its way from before has a sequence up to `floor`; on a core that
   * is busy, up to that of its lease. A core that is busy goes on from its lease if the scheduler takes that over, and from
   * the floor if it does not: what comes after either of the two is taken.
   */
  welcomed(firstCore: number, floor: number): void {
    this.firstCore = firstCore;
    this.#last.fill(floor);
    for (let local = 0; local < this.count; local++) this.#mayResume[local] = this.#version[local] === null ? 0 : 1;
  }

  get wordCount(): number {
    return Math.ceil(this.count / WORD_CORES);
  }

  word(index: number): Word {
    const first = index * WORD_CORES;
    let busy = 0;
    let withdrawn = 0;
    for (let bit = 0; bit < WORD_CORES && first + bit < this.count; bit++) {
      if (this.#version[first + bit] !== null) busy |= 1 << bit;
      if (this.isWithdrawn) withdrawn |= 1 << bit;
    }
    return { firstCore: this.firstCore + first, busy, withdrawn, last: index === this.wordCount - 1 };
  }

  /** Local indexes of those of a word that hold a lease. */
  *busyOf(word: number): Iterable<number> {
    const end = Math.min((word + 1) * WORD_CORES, this.count);
    for (let local = word * WORD_CORES; local < end; local++) if (this.#version[local] !== null) yield local;
  }
}
