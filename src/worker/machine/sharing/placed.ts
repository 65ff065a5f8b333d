/**
 * Who is on which core of a server, and how: what places.ts works out anew and changes.ts changes, and what both of them need to know of it.
 *
 * While it `isKnown`, all of it is what `Places.settle` would make of it, so an event has to look only at what it changes.
 */
import type { Level, SharingActions } from './actions.ts';
import type { Order } from './order.ts';
import { type Residents, SeatState } from './residents.ts';

const NONE = -1;
/** Which of the free cores is best: one whose seat is kept, where no holder comes; then one where it would have the foreground; then any. */
export const PREFERENCE_COUNT = 3;

export class Placed {
  readonly residents: Residents;
  readonly order: Order;
  readonly front: Int32Array;
  readonly top: Int32Array;
  /** Withdrawn by the operator: nobody is moved there. */
  readonly isOut: Uint8Array;
  /** All of it is one resident's. */
  readonly isTaken: Uint8Array;
  /** Cores that are not withdrawn and are no single resident's. */
  inCount: number;
  /** The cores that several may be on; their count. */
  readonly isShared: Uint8Array;
  sharedCount = 0;
  /** Shared cores that have no owner who is awake. */
  leftCount = 0;
  /** Of those in the order: who is awake and among the first, as many as cores are left. */
  readonly isChosen: Uint8Array;
  chosenCount = 0;
  /** How many are awake and are no core's front. */
  waitingCount = 0;
  /** Where each is, or is to be. */
  readonly toCore: Int32Array;
  /** By core. */
  readonly awakeCount: Int32Array;
  isKnown = false;

  readonly #actions: SharingActions;
  readonly #waitedUs: Float64Array;
  /** Since when it waits; -1: it does not. */
  readonly #waitsSinceUs: Float64Array;

  constructor(residents: Residents, order: Order, actions: SharingActions) {
    const { coreCount, seatCount } = residents;
    this.residents = residents;
    this.order = order;
    this.#actions = actions;
    this.front = new Int32Array(coreCount).fill(NONE);
    this.top = new Int32Array(coreCount).fill(NONE);
    this.isOut = new Uint8Array(coreCount);
    this.isTaken = new Uint8Array(coreCount);
    this.inCount = coreCount;
    this.isShared = new Uint8Array(coreCount);
    this.awakeCount = new Int32Array(coreCount);
    this.isChosen = new Uint8Array(seatCount);
    this.toCore = new Int32Array(seatCount);
    this.#waitedUs = new Float64Array(seatCount);
    this.#waitsSinceUs = new Float64Array(seatCount).fill(NONE);
  }

  setOut(core: number, isOut: number): void {
    this.#countIn(core, -1);
    this.isOut[core] = isOut;
    this.#countIn(core, 1);
  }

  setTaken(core: number, isTaken: number): void {
    this.#countIn(core, -1);
    this.isTaken[core] = isTaken;
    this.#countIn(core, 1);
  }

  #countIn(core: number, change: number): void {
    this.isKnown = false;
    if (this.isTaken[core] === 0 && this.isOut[core] === 0) this.inCount += change;
  }

  /** Somebody new is on the seat. */
  began(seat: number): void {
    this.#waitedUs[seat] = 0;
    this.#waitsSinceUs[seat] = NONE;
    this.isChosen[seat] = 0;
  }

  /** How long it has been awake with no core, since it began. */
  waitedUs(seat: number, nowUs: number): number {
    const sinceUs = this.#waitsSinceUs[seat]!;
    return this.#waitedUs[seat]! + (sinceUs === NONE ? 0 : nowUs - sinceUs);
  }

  waits(seat: number): boolean {
    return this.#waitsSinceUs[seat] !== NONE;
  }

  setWaits(seat: number, waits: boolean, nowUs: number): void {
    this.#waitedUs[seat] = this.waitedUs(seat, nowUs);
    this.#waitsSinceUs[seat] = waits ? nowUs : NONE;
  }

  /** Whether it suits somebody who has to be moved, at that preference. */
  isFree(core: number, preference: number): boolean {
    if (this.isShared[core] === 0 || this.front[core] !== NONE) return false;
    if (preference === 0) return this.residents.state[core] === SeatState.kept;
    const top = this.top[core]!;
    return preference > 1 || top === NONE || this.residents.yields[top] === 1;
  }

  /** The core with the fewest awake. `avoids`: those where it would run beneath a sleeper. */
  leastAwake(avoids: boolean): number {
    let found = NONE;
    let fewest = Infinity;
    for (let core = 0; core < this.front.length; core++) {
      if (this.isShared[core] === 0 && this.sharedCount > 0) continue;
      const count = this.awakeCount[core]! + (avoids && this.isBeneath(core) ? this.residents.seatCount : 0);
      if (count >= fewest) continue;
      found = core;
      fewest = count;
    }
    return found;
  }

  /** Somebody who is not spare runs there in the background, since a sleeper has the foreground. */
  isBeneath(core: number): boolean {
    const front = this.front[core]!;
    return front !== NONE && this.residents.isSpare[front] === 0 && this.top[core] !== front;
  }

  /** It is one more core of a resident that is alone on several; who found no other is here all the same. */
  isJoined(core: number): boolean {
    return this.residents.state[core] === SeatState.joined;
  }

  /**
   * Who is to be in the foreground of the core; -1: nobody is there. Who has no core of its own counts if it is in the order before `orderEnd`.
   */
  topOf(core: number, orderEnd: number): number {
    const { isAsleep, yields } = this.residents;
    const front = this.front[core]!;
    const owner = this.residents.ownerOf(core);
    const isOwnerAsleep = owner !== NONE && owner !== front;
    if (isOwnerAsleep && yields[owner] === 0) return owner;
    const before = this.top[core]!;
    const staysAsleep = before !== NONE && isAsleep[before] === 1 && this.toCore[before] === core;
    if (front === NONE) {
      if (staysAsleep) return before;
      return isOwnerAsleep ? owner : this.#firstOn(core, orderEnd);
    }
    if (!staysAsleep || isOwnerAsleep || front === owner) return front;
    const givesWay = yields[before] === 1 || this.awakeCount[core]! > 1 || this.order.precedes(front, before);
    return givesWay ? front : before;
  }

  /** Of those that have no core of their own; -1: none of them is there. */
  #firstOn(core: number, orderEnd: number): number {
    const { seats } = this.order;
    for (let at = 0; at < orderEnd; at++) if (this.toCore[seats[at]!] === core) return seats[at]!;
    return NONE;
  }

  tell(seat: number, core: number, level: Level): void {
    if (this.residents.core[seat] === core && this.residents.level[seat] === level) return;
    this.residents.core[seat] = core;
    this.residents.level[seat] = level;
    this.#actions.place(seat, core, level);
  }
}
