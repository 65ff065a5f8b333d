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
 *
 * *Spare* residents are not in that account, nor in the count of any other policy: for each on a core's own seat one more extra
 * seat is open, from the moment in which it comes, and those on extra seats do not count. So they keep none from others, as
 * long as there are any. One that was opened so stays with its invocation when the spare one ends.
 */
import { assert } from '../../../base/assert.ts';
import { coreCountOf } from '../../../base/core-mask.ts';
import { type SharingActions } from './actions.ts';
import type { Placed } from './placed.ts';
import { type Residents, SeatState } from './residents.ts';
import { SlotList } from '../slot-list.ts';

const NONE = -1;
const DROWSY = 0;

export type SharingPolicy = 'dedicated' | 'lend' | 'packed' | 'preempt' | 'fair';

export interface SharingLimits {
  readonly coreCount: number;
  readonly extraSeatCount: number;
  /** So many of the extra seats are open only for what spare ones have of the others; absent: none. */
  readonly spareSeatCount?: number;
  readonly policy: SharingPolicy;
  /** `packed`, and `fair` where it is compared with it: how many are admitted for each core. */
  readonly perCore: number;
  /** `lend`: how long a holder sleeps before its core is lent. */
  readonly lendAfterUs: number;
  /** `preempt`: who has had less CPU time than this is new; from then on each doubling of it makes a difference in the order. */
  readonly quantumUs: number;
}

export class OpenSeats {
  readonly isOpen: Uint8Array;
  readonly #limits: SharingLimits;
  readonly #residents: Residents;
  readonly #placed: Placed;
  readonly #actions: SharingActions;
  /** Asleep, but not for long; the first of them is the next to be rested. Only with `lend`. */
  readonly #drowsy: SlotList;
  readonly #sleptUs: Float64Array;
  /** Has slept for `lendAfterUs`. */
  readonly #isRested: Uint8Array;
  #restedHolderCount = 0;
  #restlessBorrowerCount = 0;
  #keptCount = 0;
  /** Since when a seat stays open for who goes on with the work of its last; Infinity: none does. */
  #followedUs = Infinity;
  #heldExtraCount = 0;
  /** Spare ones, on seats of cores that are in; and on extra seats. */
  #spareCount = 0;
  #spareExtraCount = 0;
  #freeOpenCount = 0;
  /** No seat from this one on is open. */
  #openEnd = 0;

  constructor(limits: SharingLimits, residents: Residents, placed: Placed, actions: SharingActions) {
    this.#limits = limits;
    this.#residents = residents;
    this.#placed = placed;
    this.#actions = actions;
    this.isOpen = new Uint8Array(residents.seatCount);
    this.#drowsy = new SlotList(1, residents.seatCount);
    this.#sleptUs = new Float64Array(residents.seatCount);
    this.#isRested = new Uint8Array(residents.seatCount);
  }

  began(seat: number): void {
    this.#count(seat, 1);
    if (this.#residents.isOwn(seat)) return;
    this.#heldExtraCount++;
    if (this.isOpen[seat] === 1) this.#freeOpenCount--;
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
    while (this.#drowsyUs <= nowUs) {
      const seat = this.#drowsy.tail(DROWSY);
      this.#drowsy.remove(DROWSY, seat);
      this.#setRested(seat, 1);
    }
  }

  get nextUs(): number {
    return Math.min(this.#drowsyUs, this.#followedUs + this.#limits.lendAfterUs);
  }

  get #drowsyUs(): number {
    const seat = this.#drowsy.tail(DROWSY);
    return seat === NONE ? Infinity : this.#sleptUs[seat]! + this.#limits.lendAfterUs;
  }

  /** The invocation on the seat is over. Returns what becomes of its lease; it is still counted as held. */
  ended(seat: number, isFollowed: boolean): boolean {
    const residents = this.#residents;
    if (residents.isAsleep[seat] === 1) this.woke(seat);
    this.#count(seat, -1);
    if (!residents.isOwn(seat)) {
      this.#heldExtraCount--;
      if (this.isOpen[seat] === 1) this.#freeOpenCount++;
      return true;
    }
    if (isFollowed || this.#limits.policy !== 'lend' || this.#placed.isOut[seat] === 1) return true;
    if (coreCountOf(residents.mask[seat]!) > 1 || this.#balance >= 0) return true;
    this.#keptCount++;
    return false;
  }

  /** The operator withdraws the core, or returns it: what its holder's sleep is worth changes, and who waits for its lease. */
  setOut(core: number, isOut: number): void {
    this.#count(core, -1);
    this.#placed.setOut(core, isOut);
    this.#count(core, 1);
    if (isOut === 1 && this.#residents.state[core] === SeatState.kept) this.#release(core);
  }

  /**
   * Releases what is kept for nobody, and opens and closes. `endedSeat` is closed first: it was not granted again yet. But where its work goes on,
   * as of `followedUs`, it stays open, until the next event or tick.
   */
  adjust(endedSeat: number, followedUs: number = NONE): void {
    while (this.#keptCount > 0 && this.#balance > 0) this.#release(this.#mostIdle());
    const { coreCount, seatCount } = this.#residents;
    const count = this.#wantedCount;
    const stays = followedUs === NONE ? NONE : endedSeat;
    this.#followedUs = stays === NONE ? Infinity : followedUs;
    if (endedSeat !== stays) this.#closeBeyond(count, endedSeat, endedSeat);
    while (this.#openEnd > coreCount && this.isOpen[this.#openEnd - 1] === 0) this.#openEnd--;
    this.#closeBeyond(count, coreCount, this.#openEnd - 1, stays);
    for (let seat = coreCount; this.#freeOpenCount < count && seat < seatCount; seat++) {
      if (this.#isFree(seat) && this.isOpen[seat] === 0) this.#open(seat);
    }
  }

  /** Of these seats, the last ones first, but for one. */
  #closeBeyond(count: number, first: number, last: number, but = NONE): void {
    for (let seat = last; this.#freeOpenCount > count && seat >= first; seat--) {
      if (seat !== but && this.#isFree(seat) && this.isOpen[seat] === 1) this.#close(seat);
    }
  }

  /** How many extra seats should be open and free. */
  get #wantedCount(): number {
    const { policy, perCore, extraSeatCount, spareSeatCount = 0 } = this.#limits;
    if (policy === 'dedicated') return 0;
    const most = extraSeatCount - spareSeatCount;
    const leftCount = extraSeatCount - this.#heldExtraCount;
    const othersCount = this.#heldExtraCount - this.#spareExtraCount;
    if (policy === 'lend') {
      return Math.max(0, Math.min(this.#balance, most + this.#spareCount - othersCount, leftCount));
    }
    const inCount = this.#placed.inCount;
    const admitted = Math.min(policy === 'preempt' && inCount > 0 ? most : (perCore - 1) * inCount, most);
    return Math.max(0, Math.min(admitted + this.#spareCount - othersCount, leftCount));
  }

  get #balance(): number {
    return this.#restedHolderCount + this.#keptCount + this.#spareCount - this.#restlessBorrowerCount;
  }

  #setRested(seat: number, isRested: number): void {
    this.#count(seat, -1);
    this.#isRested[seat] = isRested;
    this.#count(seat, 1);
  }

  #count(seat: number, change: number): void {
    if (!this.#residents.isHeld(seat)) return;
    const isRested = this.#isRested[seat] === 1;
    const isSpare = this.#residents.isSpare[seat] === 1;
    if (!this.#residents.isOwn(seat)) {
      if (isSpare) this.#spareExtraCount += change;
      else if (!isRested) this.#restlessBorrowerCount += change;
    } else if (this.#residents.isAlone[seat] === 0 && this.#placed.isOut[seat] === 0) {
      if (isSpare) this.#spareCount += change;
      else if (isRested) this.#restedHolderCount += change;
    }
  }

  /** The kept lease on whose core nobody is, as far as there is one: a new holder disturbs nobody there. */
  #mostIdle(): number {
    let found = NONE;
    for (let core = 0; core < this.#residents.coreCount; core++) {
      if (this.#residents.state[core] !== SeatState.kept) continue;
      if (this.#placed.front[core] === NONE) return core;
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
    this.#openEnd = Math.max(this.#openEnd, seat + 1);
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
    this.#checkOwn();
    this.#checkExtra();
  }

  #checkOwn(): void {
    const counts = { kept: 0, rested: 0, spare: 0 };
    const { state, isSpare, isAlone, coreCount } = this.#residents;
    for (let seat = 0; seat < coreCount; seat++) {
      const isRested = this.#checkedRested(seat);
      if (state[seat] === SeatState.kept) counts.kept++;
      if (state[seat] !== SeatState.held || isAlone[seat] === 1 || this.#placed.isOut[seat] === 1) continue;
      if (isSpare[seat] === 1) counts.spare++;
      else if (isRested) counts.rested++;
    }
    assert(counts.kept === this.#keptCount, 'leases kept');
    assert(counts.rested === this.#restedHolderCount, 'holders rested');
    assert(counts.spare === this.#spareCount, 'spare ones on seats of cores');
  }

  #checkExtra(): void {
    const counts = { held: 0, freeOpen: 0, restless: 0, spare: 0 };
    const { isSpare, coreCount, seatCount } = this.#residents;
    for (let seat = coreCount; seat < seatCount; seat++) {
      const isRested = this.#checkedRested(seat);
      if (!this.#residents.isHeld(seat)) {
        counts.freeOpen += this.isOpen[seat]!;
        continue;
      }
      counts.held++;
      if (isSpare[seat] === 1) counts.spare++;
      else if (!isRested) counts.restless++;
    }
    assert(counts.held === this.#heldExtraCount, 'extra seats held');
    assert(counts.freeOpen === this.#freeOpenCount, 'extra seats open and free');
    assert(counts.restless === this.#restlessBorrowerCount, 'borrowers that are not rested');
    assert(counts.spare === this.#spareExtraCount, 'spare ones on extra seats');
  }

  #checkedRested(seat: number): boolean {
    const isRested = this.#isRested[seat] === 1;
    assert(!isRested || this.#residents.isAsleep[seat] === 1, `seat ${seat} is rested and not asleep`);
    return isRested;
  }
}
