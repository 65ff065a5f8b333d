/**
 * Which extra seats the scheduler may grant, and when the lease of a holder that has ended is released.
 *
 * With `lend` it is one account, of cores against borrowers:
 *
 *     balance = holders that have slept for a while + leases kept − borrowers that have not slept for a while
 *
 * A holder that ends while the balance is below zero leaves its core to a borrower: its lease is *kept*, or the
 * scheduler would grant the core to somebody new in front of the borrower. Above zero, leases that are kept are
 * released first; then so many extra seats are open and free. So there are never more grants out than cores for them, but
 * for those that were on their way when a holder woke.
 */
import { assert } from '../../../base/assert.ts';
import { coreCountOf } from '../../../base/core-mask.ts';
import { type SharingActions } from './actions.ts';
import type { Places } from './places.ts';
import { type Residents, SeatState } from './residents.ts';
import { SlotList } from '../slot-list.ts';

const NONE = -1;
const DROWSY = 0;

export type SharingPolicy = 'dedicated' | 'lend' | 'packed' | 'preempt' | 'fair';

export interface SharingLimits {
  readonly coreCount: number;
  readonly extraSeatCount: number;
  readonly policy: SharingPolicy;
  /** `packed`, and `fair` where it is compared with it: how many are admitted for each core. */
  readonly perCore: number;
  /** `lend`: how long a holder sleeps before its core is lent. */
  readonly lendAfterUs: number;
  /** `preempt`: how much CPU time makes a difference in the order. */
  readonly quantumUs: number;
}

export class OpenSeats {
  readonly isOpen: Uint8Array;
  readonly #limits: SharingLimits;
  readonly #residents: Residents;
  readonly #places: Places;
  readonly #actions: SharingActions;
  /** Asleep, but not for long; the first of them is the next to be rested. Only with `lend`. */
  readonly #drowsy: SlotList;
  readonly #sleptUs: Float64Array;
  /** Has slept for `lendAfterUs`. */
  readonly #isRested: Uint8Array;
  #restedHolderCount = 0;
  #restlessBorrowerCount = 0;
  #keptCount = 0;
  #heldExtraCount = 0;
  #freeOpenCount = 0;

  constructor(limits: SharingLimits, residents: Residents, places: Places, actions: SharingActions) {
    this.#limits = limits;
    this.#residents = residents;
    this.#places = places;
    this.#actions = actions;
    this.isOpen = new Uint8Array(residents.seatCount);
    this.#drowsy = new SlotList(1, residents.seatCount);
    this.#sleptUs = new Float64Array(residents.seatCount);
    this.#isRested = new Uint8Array(residents.seatCount);
  }

  began(seat: number): void {
    if (this.#residents.isOwn(seat)) return;
    this.#heldExtraCount++;
    if (this.isOpen[seat] === 1) this.#freeOpenCount--;
    this.#count(seat, 1);
  }

  slept(seat: number, nowUs: number): void {
    if (this.#limits.policy !== 'lend') return;
    this.#sleptUs[seat] = nowUs;
    this.#drowsy.push(DROWSY, seat);
  }

  woke(seat: number): void {
    if (this.#limits.policy !== 'lend') return;
    if (this.#isRested[seat] === 0) return this.#drowsy.remove(DROWSY, seat);
    this.#setRested(seat, 0);
  }

  tick(nowUs: number): void {
    while (this.nextUs <= nowUs) {
      const seat = this.#drowsy.tail(DROWSY);
      this.#drowsy.remove(DROWSY, seat);
      this.#setRested(seat, 1);
    }
  }

  get nextUs(): number {
    const seat = this.#drowsy.tail(DROWSY);
    return seat === NONE ? Infinity : this.#sleptUs[seat]! + this.#limits.lendAfterUs;
  }

  /** The invocation on the seat is over. Returns what becomes of its lease; it is still counted as held. */
  ended(seat: number): boolean {
    const residents = this.#residents;
    if (residents.isAsleep[seat] === 1) this.woke(seat);
    if (!residents.isOwn(seat)) {
      this.#count(seat, -1);
      this.#heldExtraCount--;
      if (this.isOpen[seat] === 1) this.#freeOpenCount++;
      return true;
    }
    if (this.#limits.policy !== 'lend' || this.#places.isOut[seat] === 1) return true;
    if (coreCountOf(residents.mask[seat]!) > 1 || this.#balance >= 0) return true;
    this.#keptCount++;
    return false;
  }

  /** The operator withdraws the core, or returns it: what its holder's sleep is worth changes, and who waits for its lease. */
  setOut(core: number, isOut: number): void {
    this.#count(core, -1);
    this.#places.isOut[core] = isOut;
    this.#count(core, 1);
    if (isOut === 1 && this.#residents.state[core] === SeatState.kept) this.#release(core);
  }

  /** Releases what is kept for nobody, and opens and closes. `endedSeat` is closed first: it was not granted again yet. */
  adjust(endedSeat: number): void {
    while (this.#keptCount > 0 && this.#balance > 0) this.#release(this.#mostIdle());
    const count = Math.min(this.#wantedCount, this.#limits.extraSeatCount - this.#heldExtraCount);
    if (this.#freeOpenCount > count && endedSeat !== NONE && this.isOpen[endedSeat] === 1) this.#close(endedSeat);
    const { coreCount, seatCount } = this.#residents;
    for (let seat = seatCount - 1; this.#freeOpenCount > count && seat >= coreCount; seat--) {
      if (this.#isFree(seat) && this.isOpen[seat] === 1) this.#close(seat);
    }
    for (let seat = coreCount; this.#freeOpenCount < count && seat < seatCount; seat++) {
      if (this.#isFree(seat) && this.isOpen[seat] === 0) this.#open(seat);
    }
  }

  /** How many extra seats should be open and free. */
  get #wantedCount(): number {
    const { policy, perCore, extraSeatCount } = this.#limits;
    if (policy === 'dedicated') return 0;
    if (policy === 'lend') return Math.max(0, this.#balance);
    const inCount = this.#places.inCount;
    const most = policy === 'preempt' && inCount > 0 ? extraSeatCount : (perCore - 1) * inCount;
    return Math.max(0, Math.min(most, extraSeatCount) - this.#heldExtraCount);
  }

  get #balance(): number {
    return this.#restedHolderCount + this.#keptCount - this.#restlessBorrowerCount;
  }

  #setRested(seat: number, isRested: number): void {
    this.#count(seat, -1);
    this.#isRested[seat] = isRested;
    this.#count(seat, 1);
  }

  #count(seat: number, change: number): void {
    if (!this.#residents.isHeld(seat)) return;
    const isRested = this.#isRested[seat] === 1;
    if (!this.#residents.isOwn(seat)) {
      if (!isRested) this.#restlessBorrowerCount += change;
    } else if (isRested && this.#residents.isAlone[seat] === 0 && this.#places.isOut[seat] === 0) {
      this.#restedHolderCount += change;
    }
  }

  /** The kept lease on whose core nobody is, as far as there is one: a new holder disturbs nobody there. */
  #mostIdle(): number {
    let found = NONE;
    for (let core = 0; core < this.#residents.coreCount; core++) {
      if (this.#residents.state[core] !== SeatState.kept) continue;
      if (this.#places.front[core] === NONE) return core;
      if (found === NONE) found = core;
    }
    return found;
  }

  #release(core: number): void {
    this.#keptCount--;
    this.#residents.remove(core, SeatState.free);
    this.#actions.release(core);
  }

  #isFree(seat: number): boolean {
    return this.#residents.state[seat] === SeatState.free;
  }

  #open(seat: number): void {
    this.isOpen[seat] = 1;
    this.#freeOpenCount++;
    this.#actions.openSeat(seat);
  }

  #close(seat: number): void {
    this.isOpen[seat] = 0;
    this.#freeOpenCount--;
    this.#actions.closeSeat(seat);
  }

  /** What is counted is what is there; for tests. */
  check(): void {
    const counts = { held: 0, freeOpen: 0, kept: 0, rested: 0, restless: 0 };
    const residents = this.#residents;
    for (let seat = 0; seat < residents.seatCount; seat++) {
      const isHeld = residents.isHeld(seat);
      const isRested = this.#isRested[seat] === 1;
      assert(!isRested || residents.isAsleep[seat] === 1, `seat ${seat} is rested and not asleep`);
      if (residents.state[seat] === SeatState.kept) counts.kept++;
      if (residents.isOwn(seat)) {
        if (isRested && residents.isAlone[seat] === 0 && this.#places.isOut[seat] === 0) counts.rested++;
        continue;
      }
      if (isHeld) counts.held++;
      if (isHeld && !isRested) counts.restless++;
      if (!isHeld && this.isOpen[seat] === 1) counts.freeOpen++;
    }
    assert(counts.held === this.#heldExtraCount, 'extra seats held');
    assert(counts.freeOpen === this.#freeOpenCount, 'extra seats open and free');
    assert(counts.kept === this.#keptCount, 'leases kept');
    assert(counts.rested === this.#restedHolderCount, 'holders rested');
    assert(counts.restless === this.#restlessBorrowerCount, 'borrowers that are not rested');
  }
}
