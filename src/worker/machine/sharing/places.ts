/**
 * Who is on which core, and how. `settle` works it out anew from the order, and tells the shell what has changed.
 *
 * The awake resident that a core is for is its *front*. Residents with a core of their own are the front of that one
 * while they are awake; the first of the others, as many as cores are left, are the fronts of those. All others wait.
 *
 * At most one resident of a core, awake or asleep, is in the foreground: its *top*. It is the front, but for one case:
 *
 *     core 0      holder     asleep, its threads block     top, foreground
 *                 borrower   awake, alone here             front, background
 *
 * so that the kernel gives the core back by itself the moment that the holder's threads wake, before anybody has told
 * us. That is worth more than a priority over nobody. It is not done for a sleeper that polls, or whose sleep is only
 * its own word: its threads would take the core from the front for nothing. Nor, without a core of one's own, where
 * somebody waits on the core, who would share it with the front.
 *
 * All who are not *spare* are placed first, as if the spare ones were not there, so whatever spare ones do changes nothing for anybody
 * else. Then they have what is left, in the same way, and the foreground only where nobody else is, asleep or awake.
 *
 * Rejected: to change as little as possible at each event. The cases (a sleeper that wakes, a core that is
 * withdrawn, a holder that comes where a borrower is) multiply, and a walk over the residents of a server costs less than a
 * system call. Nothing is allocated.
 */
import { Level, type SharingActions } from './actions.ts';
import type { Order } from './order.ts';
import type { Residents } from './residents.ts';
import { SeatState } from './residents.ts';

const NONE = -1;

/** Who may keep the core on which it is: first who is in the foreground there, then its front, then anybody. */
const Claim = { top: 0, front: 1, any: 2 } as const;
type Claim = (typeof Claim)[keyof typeof Claim];

export class Places {
  readonly front: Int32Array;
  readonly top: Int32Array;
  /** Withdrawn by the operator: nobody is moved there. */
  readonly isOut: Uint8Array;
  /** All of it is one resident's. */
  readonly isTaken: Uint8Array;
  /** How many are awake and are no core's front. */
  waitingCount = 0;

  readonly #residents: Residents;
  readonly #order: Order;
  readonly #actions: SharingActions;
  /** The cores that several may be on; their count. */
  readonly #isShared: Uint8Array;
  #sharedCount = 0;
  readonly #waitedUs: Float64Array;
  /** Since when it waits; -1: it does not. */
  readonly #waitsSinceUs: Float64Array;
  readonly #frontBefore: Int32Array;
  readonly #awakeCount: Int32Array;
  readonly #isChosen: Uint8Array;
  /** The chosen that have no core yet, and where in the order they end. */
  #unplacedCount = 0;
  #chosenEnd = 0;
  /** Shared cores that nobody is chosen for. */
  #leftCount = 0;
  readonly #toCore: Int32Array;
  readonly #topBefore: Int32Array;
  /** Somebody is there who is not spare. */
  readonly #hasOthers: Uint8Array;

  constructor(residents: Residents, order: Order, actions: SharingActions) {
    const { coreCount, seatCount } = residents;
    this.#residents = residents;
    this.#order = order;
    this.#actions = actions;
    this.front = new Int32Array(coreCount).fill(NONE);
    this.top = new Int32Array(coreCount).fill(NONE);
    this.isOut = new Uint8Array(coreCount);
    this.isTaken = new Uint8Array(coreCount);
    this.#isShared = new Uint8Array(coreCount);
    this.#frontBefore = new Int32Array(coreCount);
    this.#awakeCount = new Int32Array(coreCount);
    this.#isChosen = new Uint8Array(seatCount);
    this.#toCore = new Int32Array(seatCount);
    this.#topBefore = new Int32Array(coreCount);
    this.#hasOthers = new Uint8Array(coreCount);
    this.#waitedUs = new Float64Array(seatCount);
    this.#waitsSinceUs = new Float64Array(seatCount).fill(NONE);
  }

  /** How long it has been awake with no core, since it began. */
  waitedUs(seat: number, nowUs: number): number {
    const sinceUs = this.#waitsSinceUs[seat]!;
    return this.#waitedUs[seat]! + (sinceUs === NONE ? 0 : nowUs - sinceUs);
  }

  /** Cores that are not withdrawn and are no single resident's. */
  get inCount(): number {
    let count = 0;
    for (let core = 0; core < this.front.length; core++) {
      if (this.isTaken[core] === 0 && this.isOut[core] === 0) count++;
    }
    return count;
  }

  /** Somebody new is on the seat. */
  began(seat: number): void {
    this.#waitedUs[seat] = 0;
    this.#waitsSinceUs[seat] = NONE;
  }

  /** Nobody is on the seat any more. */
  forget(seat: number, core: number): void {
    if (this.top[core] === seat) this.top[core] = NONE;
    if (this.front[core] === seat) this.front[core] = NONE;
  }

  /** What changed is one resident with a core of its own, and nobody is without. Constant work. */
  settleOwner(core: number): void {
    const { level, isAsleep, yields } = this.#residents;
    const owner = this.#residents.ownerOf(core);
    this.front[core] = NONE;
    this.top[core] = NONE;
    if (owner === NONE) return;
    if (isAsleep[owner] === 0) this.front[core] = owner;
    if (level[owner] !== Level.foreground && yields[owner] === 0) this.#place(owner, core, Level.foreground);
    if (level[owner] === Level.foreground) this.top[core] = owner;
  }

  /** `newcomer`: who has just come, and has no place to keep; -1: nobody. */
  settle(newcomer: number, nowUs: number): void {
    this.#frontBefore.set(this.front);
    this.front.fill(NONE);
    this.#awakeCount.fill(0);
    this.#hasOthers.fill(0);
    this.waitingCount = 0;
    this.#countShared();
    this.#leftCount = this.#sharedCount - this.#setOwners();
    const { count, firstSpare } = this.#order;
    this.#forgetSpareTops();
    this.#settlePart(0, firstSpare, newcomer, nowUs);
    for (let core = 0; core < this.top.length; core++) this.top[core] = this.#isJoined(core) ? NONE : this.#topOf(core);
    if (firstSpare < count) {
      this.#settlePart(firstSpare, count, newcomer, nowUs);
      this.#setSpareTops();
    }
    // Who goes to the background goes first, so that no core has two of the foreground for the time of a few calls.
    this.#tellBackground();
    this.#tellForeground();
  }

  /** Of the order, those from `begin` up to `end`, on what those before have left. */
  #settlePart(begin: number, end: number, newcomer: number, nowUs: number): void {
    this.#choose(begin, end, nowUs);
    this.#claim(begin, Claim.top, newcomer);
    this.#claim(begin, Claim.front, newcomer);
    this.#claim(begin, Claim.any, newcomer);
    this.#findCores(begin);
    this.#placeOthers(begin, end, newcomer);
  }

  #forgetSpareTops(): void {
    for (let core = 0; core < this.top.length; core++) {
      const top = this.top[core]!;
      const isSpare = top !== NONE && this.#residents.isSpare[top] === 1;
      this.#topBefore[core] = isSpare ? top : NONE;
      if (isSpare) this.top[core] = NONE;
    }
  }

  #setSpareTops(): void {
    for (let core = 0; core < this.top.length; core++) {
      if (this.#hasOthers[core] === 1 || this.#isJoined(core)) continue;
      this.top[core] = this.#topBefore[core]!;
      this.top[core] = this.#topOf(core);
    }
  }

  /** With every core withdrawn, who is still here is somewhere all the same. */
  #countShared(): void {
    const inCount = this.inCount;
    this.#sharedCount = 0;
    for (let core = 0; core < this.front.length; core++) {
      const isShared = this.isTaken[core] === 0 && (this.isOut[core] === 0 || inCount === 0);
      this.#isShared[core] = isShared ? 1 : 0;
      if (isShared) this.#sharedCount++;
    }
  }

  /** Returns how many shared cores are used up by it. */
  #setOwners(): number {
    let usedCount = 0;
    for (let core = 0; core < this.front.length; core++) {
      const owner = this.#residents.ownerOf(core);
      if (owner === NONE) continue;
      this.#toCore[owner] = core;
      this.#hasOthers[core] = 1;
      if (this.#residents.isAsleep[owner] === 1) continue;
      this.#setFront(core, owner);
      usedCount += this.#isShared[core]!;
    }
    return usedCount;
  }

  #choose(begin: number, end: number, nowUs: number): void {
    this.#unplacedCount = 0;
    this.#chosenEnd = begin;
    for (let at = begin; at < end; at++) {
      const seat = this.#order.seats[at]!;
      this.#toCore[seat] = NONE;
      this.#isChosen[seat] = 0;
      const isAwake = this.#residents.isAsleep[seat] === 0;
      const waits = isAwake && this.#leftCount <= 0;
      if (waits !== (this.#waitsSinceUs[seat] !== NONE)) this.#setWaits(seat, waits, nowUs);
      if (!isAwake) continue;
      if (this.#leftCount-- > 0) {
        this.#isChosen[seat] = 1;
        this.#unplacedCount++;
        this.#chosenEnd = at + 1;
      } else {
        this.waitingCount++;
      }
    }
  }

  #setWaits(seat: number, waits: boolean, nowUs: number): void {
    this.#waitedUs[seat] = this.waitedUs(seat, nowUs);
    this.#waitsSinceUs[seat] = waits ? nowUs : NONE;
  }

  #claim(begin: number, claim: Claim, newcomer: number): void {
    const { core, level } = this.#residents;
    for (let at = begin; at < this.#chosenEnd && this.#unplacedCount > 0; at++) {
      const seat = this.#order.seats[at]!;
      const here = core[seat]!;
      if (this.#isChosen[seat] === 0 || this.#toCore[seat] !== NONE || here === NONE) continue;
      if (this.#isShared[here] === 0 || this.front[here] !== NONE) continue;
      if (claim !== Claim.any && seat === newcomer) continue;
      if (claim === Claim.top && level[seat] !== Level.foreground) continue;
      if (claim === Claim.front && this.#frontBefore[here] !== seat) continue;
      this.#setFront(here, seat);
      this.#unplacedCount--;
    }
  }

  /**
   * The chosen that cannot stay get the cores that are left. Best is one whose seat is kept, where no holder comes;
   * then one that no sleeper has in the foreground; then any.
   */
  #findCores(begin: number): void {
    const coreCount = this.front.length;
    let cursor = 0;
    for (let at = begin; at < this.#chosenEnd && this.#unplacedCount > 0; at++) {
      const seat = this.#order.seats[at]!;
      if (this.#isChosen[seat] === 0 || this.#toCore[seat] !== NONE) continue;
      while (!this.#isFree(cursor % coreCount, Math.floor(cursor / coreCount))) cursor++;
      this.#setFront(cursor % coreCount, seat);
      this.#unplacedCount--;
    }
  }

  #isFree(core: number, preference: number): boolean {
    if (this.#isShared[core] === 0 || this.front[core] !== NONE) return false;
    if (preference === 0) return this.#residents.state[core] === SeatState.kept;
    return preference > 1 || this.top[core] === NONE;
  }

  /**
   * Who waits or sleeps stays where it is, if it may; else it goes to the core with the fewest awake. One that is spare waits where
   * who runs is in the foreground, if there is such a core: elsewhere the kernel would share it between the two.
   */
  #placeOthers(begin: number, end: number, newcomer: number): void {
    const { isAsleep, isSpare } = this.#residents;
    for (let at = begin; at < end; at++) {
      const seat = this.#order.seats[at]!;
      if (this.#toCore[seat] !== NONE) continue;
      const isAwake = isAsleep[seat] === 0;
      const avoids = isAwake && isSpare[seat] === 1;
      const here = this.#residents.core[seat]!;
      const isThere = here !== NONE && seat !== newcomer && (this.#isShared[here] === 1 || this.#sharedCount === 0);
      const core = isThere && !(avoids && this.#isBeneath(here)) ? here : this.#leastAwake(avoids);
      this.#toCore[seat] = core;
      this.#hasOthers[core]! |= 1 - isSpare[seat]!;
      if (isAwake) this.#awakeCount[core]!++;
    }
  }

  #leastAwake(avoids: boolean): number {
    let found = NONE;
    let fewest = Infinity;
    for (let core = 0; core < this.front.length; core++) {
      if (this.#isShared[core] === 0 && this.#sharedCount > 0) continue;
      const count = this.#awakeCount[core]! + (avoids && this.#isBeneath(core) ? this.#residents.seatCount : 0);
      if (count >= fewest) continue;
      found = core;
      fewest = count;
    }
    return found;
  }

  /** Somebody who is not spare runs there in the background, since a sleeper has the foreground. */
  #isBeneath(core: number): boolean {
    const front = this.front[core]!;
    return front !== NONE && this.#residents.isSpare[front] === 0 && this.top[core] !== front;
  }

  #setFront(core: number, seat: number): void {
    this.#hasOthers[core]! |= 1 - this.#residents.isSpare[seat]!;
    this.front[core] = seat;
    this.#toCore[seat] = core;
    this.#awakeCount[core] = 1;
  }

  /** It is one more core of a resident that is alone on several; who found no other is here all the same. */
  #isJoined(core: number): boolean {
    return this.#residents.state[core] === SeatState.joined;
  }

  /** Who is to be in the foreground of the core; -1: nobody. */
  #topOf(core: number): number {
    const { isAsleep, yields, level } = this.#residents;
    const front = this.front[core]!;
    const owner = this.#residents.ownerOf(core);
    if (owner !== NONE && owner !== front) {
      if (yields[owner] === 0) return owner;
      return front === NONE && level[owner] === Level.foreground ? owner : front;
    }
    const before = this.top[core]!;
    const staysAsleep = before !== NONE && isAsleep[before] === 1 && this.#toCore[before] === core;
    if (!staysAsleep) return front;
    if (front === NONE) return before;
    if (front === owner) return owner;
    const givesWay = yields[before] === 1 || this.#awakeCount[core]! > 1 || this.#order.precedes(front, before);
    return givesWay ? front : before;
  }

  #tellBackground(): void {
    for (let core = 0; core < this.front.length; core++) {
      const owner = this.#residents.ownerOf(core);
      if (owner !== NONE && this.top[core] !== owner) this.#tell(owner, core, Level.background);
    }
    for (let at = 0; at < this.#order.count; at++) {
      const seat = this.#order.seats[at]!;
      const core = this.#toCore[seat]!;
      if (this.top[core] !== seat) this.#tell(seat, core, Level.background);
    }
  }

  #tellForeground(): void {
    for (let core = 0; core < this.front.length; core++) {
      const top = this.top[core]!;
      if (top !== NONE) this.#tell(top, core, Level.foreground);
    }
  }

  #tell(seat: number, core: number, level: Level): void {
    if (this.#residents.core[seat] !== core || this.#residents.level[seat] !== level) this.#place(seat, core, level);
  }

  #place(seat: number, core: number, level: Level): void {
    this.#residents.core[seat] = core;
    this.#residents.level[seat] = level;
    this.#actions.place(seat, core, level);
  }
}
