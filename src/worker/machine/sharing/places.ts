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
 * somebody waits on the core, who would share it with the front. Where all sleep, who has the foreground keeps it; else the core's own
 * resident has it, or the first in the order, whatever was said: in the background for nobody, other programs would have its CPU.
 *
 * All who are not *spare* are placed first, as if the spare ones were not there, so whatever spare ones do changes nothing for anybody
 * else. Then they have what is left, in the same way, and the foreground only where nobody else is, asleep or awake.
 *
 * `settle` looks at everybody. Most events change one resident, and then changes.ts, which looks only at what that changes, comes to the same; the
 * rare ones (a core that is withdrawn, a new order, residents that are alone or spare) come here. So there is one place that says what holds, and
 * the properties compare the two after each event.
 */
import { Level } from './actions.ts';
import { Changes } from './changes.ts';
import type { Placed } from './placed.ts';

const NONE = -1;

/** Who may keep the core on which it is: first who is in the foreground there, then its front, then anybody. */
const Claim = { top: 0, front: 1, any: 2 } as const;
type Claim = (typeof Claim)[keyof typeof Claim];

export class Places {
  readonly #placed: Placed;
  readonly #changes: Changes;
  readonly #frontBefore: Int32Array;
  /** The chosen that have no core yet, and where in the order they end. */
  #unplacedCount = 0;
  #chosenEnd = 0;
  /** Shared cores that nobody is chosen for. */
  #freeCount = 0;
  readonly #topBefore: Int32Array;
  /** Somebody is there who is not spare. */
  readonly #hasOthers: Uint8Array;

  constructor(placed: Placed) {
    const { coreCount } = placed.residents;
    this.#placed = placed;
    this.#changes = new Changes(placed);
    this.#frontBefore = new Int32Array(coreCount);
    this.#topBefore = new Int32Array(coreCount);
    this.#hasOthers = new Uint8Array(coreCount);
  }

  /** Nobody is on the seat any more; one of the three that follow comes next. */
  forget(seat: number, core: number): void {
    this.#changes.forget(seat, core);
  }

  /** What changed is one resident with a core of its own, and nobody is without. Constant work. */
  settleOwner(core: number): void {
    const { front, top, isShared, awakeCount, residents } = this.#placed;
    const owner = residents.ownerOf(core);
    if (front[core] !== NONE) this.#placed.leftCount += isShared[core]!;
    front[core] = NONE;
    top[core] = NONE;
    awakeCount[core] = 0;
    if (owner === NONE) return;
    if (residents.isAsleep[owner] === 0) {
      front[core] = owner;
      awakeCount[core] = 1;
      this.#placed.leftCount -= isShared[core]!;
    }
    this.#placed.tell(owner, core, Level.foreground);
    top[core] = owner;
  }

  /** What changed is one resident. `newcomer`: it has just come, and has no place to keep; else -1. */
  settleSeat(seat: number, newcomer: number, nowUs: number): void {
    if (!this.#isEasy || !this.#changes.ofSeat(seat, newcomer, nowUs)) this.settle(newcomer, nowUs);
  }

  /** What changed is that one has left. */
  settleLeft(nowUs: number): void {
    if (this.#isEasy) this.#changes.ofLeft(nowUs);
    else this.settle(NONE, nowUs);
  }

  /** Whatever has changed, if anything has. */
  settleAny(nowUs: number): void {
    if (!this.#isEasy) this.settle(NONE, nowUs);
  }

  get #isEasy(): boolean {
    return this.#placed.isKnown && this.#placed.order.firstSpare === this.#placed.order.count;
  }

  /** All places, anew. `newcomer`: who has just come, and has no place to keep; -1: nobody. */
  settle(newcomer: number, nowUs: number): void {
    const placed = this.#placed;
    const { front, top } = placed;
    this.#frontBefore.set(front);
    front.fill(NONE);
    placed.awakeCount.fill(0);
    this.#hasOthers.fill(0);
    placed.waitingCount = 0;
    placed.chosenCount = 0;
    this.#countShared();
    placed.leftCount = placed.sharedCount - this.#setOwners();
    this.#freeCount = placed.leftCount;
    const { count, firstSpare } = placed.order;
    this.#forgetSpareTops();
    this.#settlePart(0, firstSpare, newcomer, nowUs);
    for (let core = 0; core < top.length; core++)
      top[core] = placed.isJoined(core) ? NONE : placed.topOf(core, firstSpare);
    if (firstSpare < count) {
      this.#settlePart(firstSpare, count, newcomer, nowUs);
      this.#setSpareTops();
    }
    // Who goes to the background goes first, so that no core has two of the foreground for the time of a few calls.
    this.#tellBackground();
    this.#tellForeground();
    placed.isKnown = firstSpare === count && placed.sharedCount > 0;
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
    const { top: tops, residents } = this.#placed;
    for (let core = 0; core < tops.length; core++) {
      const top = tops[core]!;
      const isSpare = top !== NONE && residents.isSpare[top] === 1;
      this.#topBefore[core] = isSpare ? top : NONE;
      if (isSpare) tops[core] = NONE;
    }
  }

  #setSpareTops(): void {
    const { top } = this.#placed;
    for (let core = 0; core < top.length; core++) {
      if (this.#hasOthers[core] === 1 || this.#placed.isJoined(core)) continue;
      top[core] = this.#topBefore[core]!;
      top[core] = this.#placed.topOf(core, this.#placed.order.count);
    }
  }

  /** With every core withdrawn, who is still here is somewhere all the same. */
  #countShared(): void {
    const { inCount, isTaken, isOut, isShared } = this.#placed;
    let count = 0;
    for (let core = 0; core < isShared.length; core++) {
      isShared[core] = isTaken[core] === 0 && (isOut[core] === 0 || inCount === 0) ? 1 : 0;
      count += isShared[core]!;
    }
    this.#placed.sharedCount = count;
  }

  /** Returns how many shared cores are used up by it. */
  #setOwners(): number {
    const { residents, toCore, isShared } = this.#placed;
    let usedCount = 0;
    for (let core = 0; core < residents.coreCount; core++) {
      const owner = residents.ownerOf(core);
      if (owner === NONE) continue;
      toCore[owner] = core;
      this.#hasOthers[core] = 1;
      if (residents.isAsleep[owner] === 1) continue;
      this.#setFront(core, owner);
      usedCount += isShared[core]!;
    }
    return usedCount;
  }

  #choose(begin: number, end: number, nowUs: number): void {
    const placed = this.#placed;
    this.#unplacedCount = 0;
    this.#chosenEnd = begin;
    for (let at = begin; at < end; at++) {
      const seat = placed.order.seats[at]!;
      placed.toCore[seat] = NONE;
      placed.isChosen[seat] = 0;
      const isAwake = placed.residents.isAsleep[seat] === 0;
      const waits = isAwake && this.#freeCount <= 0;
      if (waits !== placed.waits(seat)) placed.setWaits(seat, waits, nowUs);
      if (!isAwake) continue;
      if (this.#freeCount-- > 0) {
        placed.isChosen[seat] = 1;
        placed.chosenCount++;
        this.#unplacedCount++;
        this.#chosenEnd = at + 1;
      } else {
        placed.waitingCount++;
      }
    }
  }

  #claim(begin: number, claim: Claim, newcomer: number): void {
    const { order, residents, isChosen, isShared, toCore, front } = this.#placed;
    const { core, level } = residents;
    for (let at = begin; at < this.#chosenEnd && this.#unplacedCount > 0; at++) {
      const seat = order.seats[at]!;
      const here = core[seat]!;
      if (isChosen[seat] === 0 || toCore[seat] !== NONE || here === NONE) continue;
      if (isShared[here] === 0 || front[here] !== NONE) continue;
      if (claim !== Claim.any && seat === newcomer) continue;
      if (claim === Claim.top && level[seat] !== Level.foreground) continue;
      if (claim === Claim.front && this.#frontBefore[here] !== seat) continue;
      this.#setFront(here, seat);
      this.#unplacedCount--;
    }
  }

  /** The chosen that cannot stay get the cores that are left, those that suit best first. */
  #findCores(begin: number): void {
    const placed = this.#placed;
    const coreCount = placed.front.length;
    let cursor = 0;
    for (let at = begin; at < this.#chosenEnd && this.#unplacedCount > 0; at++) {
      const seat = placed.order.seats[at]!;
      if (placed.isChosen[seat] === 0 || placed.toCore[seat] !== NONE) continue;
      while (!placed.isFree(cursor % coreCount, Math.floor(cursor / coreCount))) cursor++;
      this.#setFront(cursor % coreCount, seat);
      this.#unplacedCount--;
    }
  }

  /**
   * Who waits or sleeps stays where it is, if it may; else it goes to the core with the fewest awake. One that is spare waits where
   * who runs is in the foreground, if there is such a core: elsewhere the kernel would share it between the two.
   */
  #placeOthers(begin: number, end: number, newcomer: number): void {
    const placed = this.#placed;
    const { isShared, residents } = placed;
    const { isAsleep, isSpare } = residents;
    for (let at = begin; at < end; at++) {
      const seat = placed.order.seats[at]!;
      if (placed.toCore[seat] !== NONE) continue;
      const isAwake = isAsleep[seat] === 0;
      const avoids = isAwake && isSpare[seat] === 1;
      const here = residents.core[seat]!;
      const isThere = here !== NONE && seat !== newcomer && (isShared[here] === 1 || placed.sharedCount === 0);
      const core = isThere && !(avoids && placed.isBeneath(here)) ? here : placed.leastAwake(avoids);
      placed.toCore[seat] = core;
      this.#hasOthers[core]! |= 1 - isSpare[seat]!;
      if (isAwake) placed.awakeCount[core]!++;
    }
  }

  #setFront(core: number, seat: number): void {
    const { residents, front, toCore, awakeCount } = this.#placed;
    this.#hasOthers[core]! |= 1 - residents.isSpare[seat]!;
    front[core] = seat;
    toCore[seat] = core;
    awakeCount[core] = 1;
  }

  #tellBackground(): void {
    const { residents, order, top, toCore } = this.#placed;
    for (let core = 0; core < top.length; core++) {
      const owner = residents.ownerOf(core);
      if (owner !== NONE && top[core] !== owner) this.#placed.tell(owner, core, Level.background);
    }
    for (let at = 0; at < order.count; at++) {
      const seat = order.seats[at]!;
      const core = toCore[seat]!;
      if (top[core] !== seat) this.#placed.tell(seat, core, Level.background);
    }
  }

  #tellForeground(): void {
    const { top: tops } = this.#placed;
    for (let core = 0; core < tops.length; core++) {
      const top = tops[core]!;
      if (top !== NONE) this.#placed.tell(top, core, Level.foreground);
    }
  }
}
