/**
 * Room for one more: a slot and memory, at the cost of what the keep-alive rule gives up first.
 *
 * For a lease may go: idle and readying instances but for as many as are provisioned, zygotes without copies, and, after all these,
 * stem cells. Memory is there as soon as its holder is killed; a slot only once it is
 * gone, and the same holds for a zygote whose copies have to go first.
 *
 * For a stem cell, which no lease waits for, go idle instances and zygotes that are worth less than it, and nothing of a
 * provisioned version.
 */
import { Kill, SlotState } from './actions.ts';
import type { Leases } from './leases.ts';
import type { Slots } from './slots.ts';
import type { Versions } from './versions.ts';

const NONE = -1;

export const Fit = {
  now: 0,
  /** Once something that is on its way out is gone. */
  later: 1,
  /** Not before a lease ends, even with everything gone that may go. */
  never: 2,
} as const;
export type Fit = (typeof Fit)[keyof typeof Fit];

export class Room {
  readonly #memoryMb: number;
  readonly #slots: Slots;
  readonly #versions: Versions;
  readonly #leases: Leases;
  /** 1 for zygotes that have a copy which holds a lease; only within `everFits`. */
  readonly #needed: Uint8Array;

  constructor(memoryMb: number, slots: Slots, versions: Versions, leases: Leases) {
    this.#memoryMb = memoryMb;
    this.#slots = slots;
    this.#versions = versions;
    this.#leases = leases;
    this.#needed = new Uint8Array(slots.count);
  }

  /** A slot is free, and so is this much memory. */
  isFree(memoryMb: number): boolean {
    return this.#slots.freeCount > 0 && this.#slots.residentMb + memoryMb <= this.#memoryMb;
  }

  /** Evicts until there is a free slot and memory, but never the slot `keep`. Nothing changes where it can never fit. */
  make(memoryMb: number, keep: number): Fit {
    if (this.isFree(memoryMb)) return Fit.now;
    if (!this.everFits(memoryMb, keep)) return Fit.never;
    while (this.#slots.residentMb + memoryMb > this.#memoryMb) {
      if (!this.#evictOne(keep)) return Fit.later;
    }
    if (this.#slots.freeCount > 0) return Fit.now;
    // One that is on its way out is enough: whoever is refused asks again when it is gone.
    if (this.#slots.dyingCount === 0) this.#evictOne(keep);
    return Fit.later;
  }

  /** The same for a stem cell of this priority. `later`: it has the memory, and a slot once something is gone. */
  makeForCell(memoryMb: number, priority: number): Fit {
    if (this.isFree(memoryMb)) return Fit.now;
    const slots = this.#slots;
    let lessMb = 0;
    for (let slot = 0; slot < slots.count; slot++) {
      if (this.#isWorthLess(slot, priority)) lessMb += slots.memoryMb[slot]!;
    }
    if (slots.residentMb + memoryMb - lessMb > this.#memoryMb) return Fit.never;
    if (slots.freeCount === 0) {
      const isOut = slots.dyingCount > 0 || this.#evictWorthLess(priority);
      return isOut ? Fit.later : Fit.never;
    }
    while (slots.residentMb + memoryMb > this.#memoryMb && this.#evictWorthLess(priority));
    return Fit.now;
  }

  #isWorthLess(slot: number, priority: number): boolean {
    const { state, version, children, keepAlive } = this.#slots;
    const mayGo = state[slot] === SlotState.idle || (state[slot] === SlotState.zygote && children[slot] === 0);
    if (!mayGo || this.#versions.provisioned[version[slot]!]! > 0) return false;
    return keepAlive.priority(slot) < priority;
  }

  /** The one that goes first. */
  #evictWorthLess(priority: number): boolean {
    const { count, keepAlive } = this.#slots;
    let found = NONE;
    for (let slot = 0; slot < count; slot++) {
      if (!this.#isWorthLess(slot, priority)) continue;
      if (found === NONE || keepAlive.priority(slot) < keepAlive.priority(found)) found = slot;
    }
    if (found !== NONE) this.#evict(found);
    return found !== NONE;
  }

  /** Whether it would fit with everything gone that may go, now or once its copies are gone. */
  everFits(memoryMb: number, keep: number): boolean {
    const { state, zygote, children, memoryMb: memoryOf, count } = this.#slots;
    const versions = this.#versions;
    const needed = this.#needed.fill(0);
    if (keep !== NONE) needed[keep] = 1;
    let heldMb = 0;
    let heldCount = 0;
    for (let slot = 0; slot < count; slot++) {
      if (!this.#holdsLease(slot)) continue;
      heldMb += memoryOf[slot]!;
      heldCount++;
      if (zygote[slot] !== NONE) needed[zygote[slot]!] = 1;
    }
    for (let index = 0; index < versions.provisionedCount; index++) {
      const version = versions.provisionedAt(index);
      const kept = versions.ahead[version]! - Math.max(0, versions.spareCount(version));
      heldMb += kept * versions.memoryMb[version]!;
      heldCount += kept;
      const parent = versions.zygote[version]!;
      if (kept > 0 && parent !== NONE && children[parent]! > 0) needed[parent] = 1;
    }
    for (let slot = 0; slot < count; slot++) {
      if (needed[slot] === 0 || state[slot] === SlotState.dying) continue;
      heldMb += memoryOf[slot]!;
      heldCount++;
    }
    return heldMb + memoryMb <= this.#memoryMb && heldCount < count;
  }

  #holdsLease(slot: number): boolean {
    const state = this.#slots.state[slot];
    return state === SlotState.starting || state === SlotState.awaiting || state === SlotState.busy;
  }

  #evictOne(keep: number): boolean {
    const slots = this.#slots;
    const { keepAlive } = slots;
    let found = NONE;
    let cell = NONE;
    for (let slot = 0; slot < slots.count; slot++) {
      const state = slots.state[slot];
      if (state === SlotState.booting || state === SlotState.cell) {
        if (slot !== keep) cell = slot;
      } else if (this.#mayGo(slot, keep)) {
        if (found === NONE || keepAlive.priority(slot) < keepAlive.priority(found)) found = slot;
      }
    }
    if (found !== NONE) this.#evict(found);
    else if (cell !== NONE) slots.kill(cell, Kill.evicted);
    return found !== NONE || cell !== NONE;
  }

  #evict(slot: number): void {
    const version = this.#slots.version[slot]!;
    this.#slots.keepAlive.evicted(slot);
    this.#slots.kill(slot, Kill.evicted);
    this.#leases.noteCold(version);
  }

  #mayGo(slot: number, keep: number): boolean {
    switch (this.#slots.state[slot]) {
      case SlotState.idle:
      case SlotState.readying:
        return this.#versions.spareCount(this.#slots.version[slot]!) > 0;
      case SlotState.initialising:
      case SlotState.zygote:
        return slot !== keep && this.#slots.children[slot] === 0;
      default:
        return false;
    }
  }
}
