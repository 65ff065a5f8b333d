/** A scheduler of a worker's model: what it believes, and grants. */
import { coresOf } from '../../../src/base/core-mask.ts';
import { isAfter } from '../../../src/wire/cluster/sequence.ts';
import type { Lease, LeaseName } from '../../../src/worker/node/ports.ts';

export const CORES = 3;
export const EXTRA = 2;
export const SEATS = CORES + EXTRA;
const FIRST_EXTRA = 32;
/** As the schedulers number what the agent calls the seat. */
export const placeOf = (seat: number): number => (seat < CORES ? seat : seat - CORES + FIRST_EXTRA);
export const seatOf = (place: number): number => (place < CORES ? place : place - FIRST_EXTRA + CORES);
/** One life of a scheduler. Once the worker has joined it grants, whether that follows it still or not. */
export class ModelScheduler {
  readonly epoch: number;
  readonly firstCore: number;
  readonly sequences: number[];
  /** What it believes to be leased, by the global core of the lead. */
  readonly held = new Map<number, { sequence: number; mask: number }>();
  readonly indexes = new Map<string, number>();
  /** Cores that it may grant. */
  joined = false;
  /** By seat; cores are. */
  isOpen: boolean[] = [];
  resumes = true;
  #announced: LeaseName[] = [];

  constructor(epoch: number, firstCore: number, sequence: number) {
    this.epoch = epoch;
    this.firstCore = firstCore;
    this.sequences = Array.from({ length: SEATS }, () => sequence);
  }

  /** Of several cores, if so many are idle: from this one on. */
  grant(local: number, asked: number): LeaseName | null {
    const held = [...this.held].flatMap(([core, { mask }]) => coresOf(core - this.firstCore, mask).map(seatOf));
    const isFree = (own: number): boolean =>
      own >= local && !held.includes(own) && (own < CORES || this.isOpen[own] === true);
    const idle = this.sequences.map((_, own) => own).filter(isFree);
    // An extra seat is granted alone.
    const count = local < CORES ? asked : 1;
    const cores = idle.filter((own) => count === 1 || own < CORES).slice(0, count);
    if (!this.joined || cores[0] !== local || cores.length < count) return null;
    let last = this.sequences[local]!;
    for (const own of cores) if (isAfter(this.sequences[own]!, last)) last = this.sequences[own]!;
    const sequence = (last + 1) & 0x0fffffff;
    for (const own of cores) this.sequences[own] = sequence;
    const mask = count === 1 ? 0 : cores.reduce((bits, own) => bits | (1 << own), 0);
    const core = this.firstCore + placeOf(local);
    this.held.set(core, { sequence, mask });
    return { epoch: this.epoch, core, sequence, mask };
  }

  /** The worker greets: whatever it had is over until it says otherwise. */
  place(): number {
    this.joined = false;
    this.isOpen = [];
    this.held.clear();
    this.#announced = [];
    let floor = this.sequences[0]!;
    for (const each of this.sequences) if (isAfter(each, floor)) floor = each;
    this.sequences.fill(floor);
    return floor;
  }

  indexOf(key: string): number {
    if (!this.indexes.has(key)) {
      const used = new Set(this.indexes.values());
      let index = 0;
      while (used.has(index)) index++;
      this.indexes.set(key, index);
    }
    return this.indexes.get(key)!;
  }

  hearHeld(lease: LeaseName): void {
    if (!this.joined) this.#announced.push(lease);
  }

  hearLast(): void {
    this.joined = true;
    for (const { core, sequence, mask } of this.#announced) {
      if (!this.resumes) continue;
      this.held.set(core, { sequence, mask });
      for (const own of coresOf(core - this.firstCore, mask)) this.sequences[seatOf(own)] = sequence;
    }
  }

  hearEnd({ core, sequence }: Lease): void {
    if (this.held.get(core)?.sequence === sequence) this.held.delete(core);
  }
}
