/**
 * What one resident's coming, going, sleeping or waking changes of who is where: the same as `Places.settle` makes of it, without a look at all the others.
 *
 * What makes it small: whoever had a core before the event and is still among the first has a claim to that one, so it stays, unless the core's own resident
 * has come or woken there, or a sleeper that has the foreground there. The chosen, those first, change by one at one end. So one resident at most
 * has to find another core, and what has to be looked at again are the few cores that somebody has come to or left.
 *
 * Only where all is known (`Placed.isKnown`) and nobody is spare. Nothing is allocated.
 */
import { assert } from '../../../base/assert.ts';
import { Level } from './actions.ts';
import { type Placed, PREFERENCE_COUNT } from './placed.ts';

const NONE = -1;
/** Cores that an event can change: its resident's, one that is given up, one that is found, and those of who waits for it. With room to spare. */
const TOUCHED_MAX = 16;

export class Changes {
  readonly #placed: Placed;
  /** The cores to be looked at again, ascending, and the residents that may go to the background, in their order; each once. */
  readonly #cores = new Int32Array(TOUCHED_MAX);
  readonly #seats = new Int32Array(TOUCHED_MAX);
  #coreCount = 0;
  #seatCount = 0;
  /** Who is chosen and has no core. */
  #unplaced = NONE;

  constructor(placed: Placed) {
    this.#placed = placed;
  }

  /** It is about to leave. */
  forget(seat: number, core: number): void {
    const { top, front, isKnown } = this.#placed;
    this.#coreCount = 0;
    if (isKnown) this.#leave(seat, core);
    if (top[core] === seat) top[core] = NONE;
    if (front[core] === seat) front[core] = NONE;
  }

  /** Whoever was forgotten is gone. */
  ofLeft(nowUs: number): void {
    this.#seatCount = 0;
    this.#finish(nowUs);
  }

  /** False: it takes a look at all others, and nothing changed. */
  ofSeat(seat: number, newcomer: number, nowUs: number): boolean {
    const { residents, isChosen, toCore } = this.#placed;
    this.#coreCount = 0;
    this.#seatCount = 0;
    const isAwake = residents.isAsleep[seat] === 0;
    if (residents.isFixed[seat] === 1) {
      this.#changeOwner(seat, isAwake);
    } else if (isAwake === (isChosen[seat] === 1 || this.#placed.waits(seat))) {
      this.#touch(toCore[seat]!);
    } else if (isAwake) {
      if (!this.#come(seat, newcomer, nowUs)) return false;
    } else {
      this.#leave(seat, toCore[seat]!);
      if (this.#placed.waits(seat)) this.#placed.setWaits(seat, false, nowUs);
    }
    this.#finish(nowUs);
    return true;
  }

  /** It sleeps or ends. */
  #leave(seat: number, core: number): void {
    const placed = this.#placed;
    const { front, awakeCount, isChosen, isShared } = placed;
    this.#touch(core);
    if (front[core] === seat) {
      front[core] = NONE;
      awakeCount[core]!--;
      if (isChosen[seat] === 0) placed.leftCount += isShared[core]!;
      else placed.chosenCount--;
      isChosen[seat] = 0;
    } else if (placed.waits(seat)) {
      awakeCount[core]!--;
      placed.waitingCount--;
    }
  }

  #changeOwner(core: number, isAwake: boolean): void {
    const placed = this.#placed;
    const before = placed.front[core]!;
    if (!isAwake) {
      if (before === core) this.#leave(core, core);
      return this.#touch(core);
    }
    this.#touch(core);
    if (before === core) return;
    placed.leftCount -= placed.isShared[core]!;
    placed.front[core] = core;
    if (before === NONE) placed.awakeCount[core]!++;
    else this.#unplace(before);
  }

  /** One that has no core of its own begins or wakes. */
  #come(seat: number, newcomer: number, nowUs: number): boolean {
    const placed = this.#placed;
    const { order, residents, awakeCount, toCore } = placed;
    if (placed.chosenCount >= placed.leftCount) {
      const last = this.#lastChosen();
      if (last === NONE || !order.precedes(seat, last)) {
        // Those who come after it have no say in where it waits.
        if (seat === newcomer && order.seats[order.count - 1] !== seat) return false;
        const core = seat === newcomer ? placed.leastAwake(false) : residents.core[seat]!;
        toCore[seat] = core;
        awakeCount[core]!++;
        placed.waitingCount++;
        placed.setWaits(seat, true, nowUs);
        this.#note(seat);
        this.#touch(core);
        return true;
      }
      this.#giveUp(last, nowUs);
    }
    this.#note(seat);
    this.#choose(seat, newcomer);
    return true;
  }

  #choose(seat: number, newcomer: number): void {
    const placed = this.#placed;
    const { residents, isShared, front, awakeCount } = placed;
    placed.isChosen[seat] = 1;
    placed.chosenCount++;
    const here = residents.core[seat]!;
    const isHereShared = here !== NONE && isShared[here] === 1;
    if (isHereShared && front[here] === NONE) return this.#setFront(here, seat);
    const isTop = isHereShared && seat !== newcomer && residents.level[seat] === Level.foreground;
    const before = isTop ? front[here]! : NONE;
    if (before === NONE || before === residents.ownerOf(here)) return this.#unplace(seat);
    awakeCount[here]!--;
    this.#setFront(here, seat);
    this.#unplace(before);
  }

  /** It is not among the first any more: it stays where it is, and waits. */
  #giveUp(seat: number, nowUs: number): void {
    const placed = this.#placed;
    const core = placed.toCore[seat]!;
    placed.isChosen[seat] = 0;
    placed.chosenCount--;
    placed.waitingCount++;
    placed.setWaits(seat, true, nowUs);
    this.#touch(core);
    if (seat === this.#unplaced) {
      this.#unplaced = NONE;
      placed.awakeCount[core]!++;
    } else {
      placed.front[core] = NONE;
    }
  }

  #finish(nowUs: number): void {
    this.#balance(nowUs);
    if (this.#unplaced !== NONE) this.#findCore(this.#unplaced);
    this.#setTops();
    this.#tell();
  }

  /** As many are chosen as there are cores left. */
  #balance(nowUs: number): void {
    const placed = this.#placed;
    while (placed.chosenCount > placed.leftCount) this.#giveUp(this.#lastChosen(), nowUs);
    while (placed.chosenCount < placed.leftCount && placed.waitingCount > 0) {
      const seat = this.#firstWaiting();
      const core = placed.toCore[seat]!;
      placed.waitingCount--;
      placed.setWaits(seat, false, nowUs);
      placed.awakeCount[core]!--;
      this.#touch(core);
      this.#note(seat);
      this.#choose(seat, seat);
    }
  }

  #findCore(seat: number): void {
    const coreCount = this.#placed.front.length;
    this.#unplaced = NONE;
    for (let preference = 0; preference < PREFERENCE_COUNT; preference++) {
      for (let core = 0; core < coreCount; core++) {
        if (this.#placed.isFree(core, preference)) return this.#setFront(core, seat);
      }
    }
    assert(false, `seat ${seat} has no core, and is among the first`);
  }

  #lastChosen(): number {
    const { order, isChosen, chosenCount } = this.#placed;
    if (chosenCount === 0) return NONE;
    let at = order.count - 1;
    while (isChosen[order.seats[at]!] === 0) at--;
    return order.seats[at]!;
  }

  #firstWaiting(): number {
    const { order } = this.#placed;
    let at = 0;
    while (!this.#placed.waits(order.seats[at]!)) at++;
    return order.seats[at]!;
  }

  #unplace(seat: number): void {
    assert(this.#unplaced === NONE, 'two have to find a core after one event');
    this.#unplaced = seat;
    this.#note(seat);
  }

  #setFront(core: number, seat: number): void {
    const { front, toCore, awakeCount } = this.#placed;
    front[core] = seat;
    toCore[seat] = core;
    awakeCount[core]!++;
    this.#touch(core);
  }

  #setTops(): void {
    const placed = this.#placed;
    const { top, residents } = placed;
    for (let at = 0; at < this.#coreCount; at++) {
      const core = this.#cores[at]!;
      const before = top[core]!;
      top[core] = placed.isJoined(core) ? NONE : placed.topOf(core, placed.order.count);
      if (before !== NONE && before !== top[core] && residents.isFixed[before] === 0) this.#note(before);
    }
  }

  /** In the order of `Places.settle`. */
  #tell(): void {
    const placed = this.#placed;
    const { residents, top, toCore } = placed;
    for (let at = 0; at < this.#coreCount; at++) {
      const core = this.#cores[at]!;
      const owner = residents.ownerOf(core);
      if (owner !== NONE && top[core] !== owner) placed.tell(owner, core, Level.background);
    }
    for (let at = 0; at < this.#seatCount; at++) {
      const seat = this.#seats[at]!;
      const core = toCore[seat]!;
      if (top[core] !== seat) placed.tell(seat, core, Level.background);
    }
    for (let at = 0; at < this.#coreCount; at++) {
      const core = this.#cores[at]!;
      if (top[core] !== NONE) placed.tell(top[core]!, core, Level.foreground);
    }
  }

  #touch(core: number): void {
    const cores = this.#cores;
    let at = this.#coreCount;
    while (at > 0 && cores[at - 1]! > core) at--;
    if (at > 0 && cores[at - 1] === core) return;
    assert(this.#coreCount < TOUCHED_MAX, 'one event changes more cores than it can');
    cores.copyWithin(at + 1, at, this.#coreCount++);
    cores[at] = core;
  }

  #note(seat: number): void {
    const seats = this.#seats;
    const { order } = this.#placed;
    let at = this.#seatCount;
    while (at > 0 && order.precedes(seat, seats[at - 1]!)) at--;
    if (at > 0 && seats[at - 1] === seat) return;
    assert(this.#seatCount < TOUCHED_MAX, 'one event moves more residents than it can');
    seats.copyWithin(at + 1, at, this.#seatCount++);
    seats[at] = seat;
  }
}
