/**
 * The sharing machine: who of those that a server has admitted runs on which of its cores, and in the foreground or the
 * background; and how many more the scheduler may send. One machine for the whole server. Pure; the agent is its shell.
 *
 * An invocation has a *seat*: its core's own (0 to coreCount − 1), or an extra one above. From `began` to `ended` it is a
 * resident, awake or asleep, on one core. docs/decisions/012-sharing-cores.md says who goes first under each policy;
 * sharing/places.ts places them, sharing/open-seats.ts opens and closes extra seats and releases.
 *
 * Invariants, asserted in `checkInvariants` and checked by properties:
 * - exclusive: a core has at most one resident in the foreground, awake or asleep, and one where anybody is;
 * - work-conserving: nobody who is awake shares a core with somebody awake while a core that both may use has none;
 * - hints only yield: to say that it sleeps never improves a resident's place, and what it says and takes back gains nothing;
 * - who is spare keeps neither a core nor a seat from anybody who is not, but for what is said in sharing/open-seats.ts;
 * - one `release` for each `began`, at its end or later; a kept lease goes when no borrower is left for it;
 * - who is alone (`isDedicated`, several cores) is alone on its cores, and in the foreground, awake or asleep. Where each
 *   core of the server is so, who has none is in the background on one of them.
 *
 * Hot path: with `lend` or `dedicated` and all extra seats empty, `began`, `slept`, `woke` and `ended` of a core's own
 * seat are constant work and no `place`. Otherwise an event looks at the few cores that it changes (sharing/changes.ts), and reads through cores or residents
 * only to find one; with a new order of `preempt`, spare residents, or other cores to share, it looks at all of them. Nothing is allocated.
 */
import { assert } from '../../base/assert.ts';
import { isLedBy, isSeveral, lowestCore, withoutLowest } from '../../base/core-mask.ts';
import { Level, SharingActions } from './sharing/actions.ts';
import { checkSharing } from './sharing/invariants.ts';
import { OpenSeats, type SharingLimits } from './sharing/open-seats.ts';
import { nextServiceUs, Order, serviceOf } from './sharing/order.ts';
import { Placed } from './sharing/placed.ts';
import { Places } from './sharing/places.ts';
import { Residents, type ResidentSharing, SeatState } from './sharing/residents.ts';

export { Level, SharingActions, type SharingActionHandler } from './sharing/actions.ts';
export type { SharingLimits, SharingPolicy } from './sharing/open-seats.ts';
export type { ResidentSharing } from './sharing/residents.ts';

const NONE = -1;
/** So soon the next step of a chain is there, but on a busy machine. */
const FOLLOWED_US = 10_000;

export class Sharing {
  /** What the shell has to do; it drains this after each event, and once at the start: seats may be open from then on. */
  readonly actions: SharingActions;
  readonly #limits: SharingLimits;
  readonly #residents: Residents;
  readonly #order: Order;
  readonly #placed: Placed;
  readonly #places: Places;
  readonly #seats: OpenSeats;
  /** `preempt`: when the order is looked at again; nobody waits: never. */
  #lookUs = Infinity;
  #isOrderNew = false;
  /** By seat: before that its service cannot be another one. */
  readonly #serviceDueUs: Float64Array;

  constructor(limits: SharingLimits) {
    const { coreCount, extraSeatCount } = limits;
    assert(coreCount > 0 && extraSeatCount >= 0, `${coreCount} cores and ${extraSeatCount} extra seats`);
    assert(limits.perCore >= 1, `${limits.perCore} for each core`);
    assert(limits.quantumUs > 0, `a quantum of ${limits.quantumUs} µs`);
    const seatCount = coreCount + extraSeatCount;
    this.#limits = limits;
    // An event can touch every seat, with a place, an open or close and a release; reports re-enter while they are carried out.
    this.actions = new SharingActions(seatCount * 8 + 64);
    this.#residents = new Residents(coreCount, seatCount);
    this.#serviceDueUs = new Float64Array(seatCount);
    this.#order = new Order(this.#residents);
    this.#placed = new Placed(this.#residents, this.#order, this.actions);
    this.#places = new Places(this.#placed);
    this.#seats = new OpenSeats(limits, this.#residents, this.#placed, this.actions);
    this.#seats.adjust(NONE);
  }

  // --- what happens -------------------------------------------------------------------------------------------

  /**
   * An invocation runs on the seat from now on, awake. On a core's own seat the shell may take it that it is on that core and in the
   * foreground, and pins it there before it runs, unless a `place` says otherwise; on an extra seat a `place` always comes.
   * An extra seat may have been closed meanwhile: its resident is in the background until a core has nobody awake.
   *
   * `dedicated` counts on a core's own seat only; neither that nor `spare` does with `fair`, nor `spare` with `dedicated`.
   * `usedUs`: the CPU time that counts for it from the start, since it goes on with what others began. It has the place in the order
   * of who has just left the seat and was to be followed.
   */
  began(seat: number, nowUs: number, sharing: ResidentSharing = 'shared', usedUs = 0): void {
    const isOwn = this.#residents.isOwn(seat);
    assert(this.#residents.state[seat] === SeatState.free, `seat ${seat} is given to two`);
    const isAlone = sharing === 'dedicated' && isOwn && !this.#isFair;
    const isSpare = sharing === 'spare' && this.#isOrdered;
    const isFixed = isOwn && !isSpare && (isAlone || this.#hasOwners);
    this.#residents.add(seat, isFixed, isAlone, usedUs > 0 ? nowUs : Infinity);
    this.#residents.isSpare[seat] = isSpare ? 1 : 0;
    if (this.#limits.policy === 'preempt') {
      this.#residents.service[seat] = serviceOf(usedUs, this.#limits.quantumUs);
      this.#setServiceDue(seat, usedUs, nowUs);
    }
    this.#seats.began(seat);
    if (isAlone) this.#placed.setTaken(seat, 1);
    this.#enter(seat, nowUs);
  }

  /** An invocation that has several cores, named as its lease is: it is alone on them until it ends. The agent pins it. */
  beganSeveral(lead: number, mask: number, nowUs: number): void {
    assert(isSeveral(lead, mask) && isLedBy(lead, mask), `core ${lead} does not lead several in mask ${mask}`);
    const residents = this.#residents;
    for (let rest = mask; rest !== 0; rest = withoutLowest(rest)) {
      const core = lowestCore(lead, rest);
      assert(core < residents.coreCount, `no such core: ${core}`);
      assert(residents.state[core] === SeatState.free, `seat ${core} is given to two`);
      residents.state[core] = SeatState.joined;
      if (!this.#isFair) this.#placed.setTaken(core, 1);
    }
    residents.add(lead, !this.#isFair, !this.#isFair);
    residents.mask[lead] = mask;
    this.#enter(lead, nowUs);
  }

  /**
   * It makes no progress for now. `yields`: its threads may want the core all the same (it polls, or the function itself says
   * that it sleeps), so whoever comes takes the foreground from it. Without, the kernel has seen its threads
   * block: it stays in the foreground of a core of its own, and has it back when they wake, without us.
   */
  slept(seat: number, nowUs: number, yields = false): void {
    const residents = this.#residents;
    if (!residents.isHeld(seat)) return;
    if (residents.isAsleep[seat] === 1) return this.#setYields(seat, nowUs, yields);
    residents.isAsleep[seat] = 1;
    residents.yields[seat] = yields ? 1 : 0;
    this.#seats.slept(seat, nowUs);
    this.#settle(seat, NONE, nowUs);
  }

  woke(seat: number, nowUs: number): void {
    const residents = this.#residents;
    if (!residents.isHeld(seat) || residents.isAsleep[seat] === 0) return;
    this.#seats.woke(seat);
    residents.isAsleep[seat] = 0;
    residents.yields[seat] = 0;
    this.#settle(seat, NONE, nowUs);
    this.#seats.adjust(NONE);
  }

  /** The CPU time that the seat's invocation has had so far. It counts with `preempt`, at the next tick. */
  used(seat: number, cpuUs: number, nowUs: number): void {
    const residents = this.#residents;
    if (this.#limits.policy !== 'preempt' || !residents.isHeld(seat)) return;
    this.#setServiceDue(seat, cpuUs, nowUs);
    const service = serviceOf(cpuUs, this.#limits.quantumUs);
    // Counters of a cgroup may be read out of turn: service is never taken back.
    if (service <= residents.service[seat]! || residents.isFixed[seat] === 1) return;
    this.#order.remove(seat);
    residents.service[seat] = service;
    this.#order.add(seat);
    this.#isOrderNew = true;
    this.#placed.isKnown = false;
  }

  /**
   * The invocation has its result. True: its lease is released with this event; false: later, when a borrower is done.
   * `isFollowed`: another is to go on with its work at once, and was here before any borrower: the seat is released, and stays open for it for a moment,
   * as its place in the order does.
   */
  ended(seat: number, nowUs: number, isFollowed = false): boolean {
    const residents = this.#residents;
    assert(residents.isHeld(seat), `seat ${seat} ends and has nobody`);
    const isFixed = residents.isFixed[seat] === 1;
    const isReleased = this.#seats.ended(seat, isFollowed);
    if (!this.#isFair) this.#places.forget(seat, residents.core[seat]!);
    this.#leaveCores(seat);
    residents.remove(seat, isReleased ? SeatState.free : SeatState.kept, isFollowed ? nowUs + FOLLOWED_US : -Infinity);
    if (!isFixed && !this.#isFair) this.#order.remove(seat);
    if (isFixed && this.#order.count === 0) this.#places.settleOwner(seat);
    else if (!this.#isFair) this.#settleLeft(nowUs);
    this.#seats.adjust(residents.isOwn(seat) ? NONE : seat, isFollowed ? nowUs : NONE);
    if (isReleased) this.actions.release(seat);
    return isReleased;
  }

  /** Lends what has slept for long enough, and puts the order of `preempt` in force. Returns when it wants that again. */
  tick(nowUs: number): number {
    if (this.#seats.nextUs <= nowUs) {
      this.#seats.tick(nowUs);
      this.#seats.adjust(NONE);
    }
    if (this.#isOrderNew || this.#lookUs <= nowUs) {
      this.#lookUs = Infinity;
      this.#settleAll(nowUs);
    }
    return this.nextTickUs;
  }

  /** When it wants a tick, which an event may bring forward; Infinity: none. */
  get nextTickUs(): number {
    return Math.min(this.#lookUs, this.#seats.nextUs);
  }

  /**
   * The operator has withdrawn the core, or returned it: nobody is moved there, and who is there without its seat moves on,
   * unless there is no other core. A lease that is kept is released at once: the operator waits for it.
   */
  setOut(core: number, isOut: boolean, nowUs: number): void {
    if ((this.#placed.isOut[core] === 1) === isOut) return;
    this.#seats.setOut(core, isOut ? 1 : 0);
    this.#settleAll(nowUs);
    this.#seats.adjust(NONE);
  }

  // --- views --------------------------------------------------------------------------------------------------

  /** -1: it has all cores, or nobody is on the seat. */
  coreOf(seat: number): number {
    return this.#residents.core[seat]!;
  }

  levelOf(seat: number): Level {
    return this.#residents.level[seat] as Level;
  }

  /** It is in the foreground of a core on which others are, awake or not: who sleeps may have woken, and nobody has told so yet. */
  isBeforeOthers(seat: number): boolean {
    const core = this.coreOf(seat);
    return core >= 0 && this.#placed.top[core] === seat && this.#residents.hasOther(core, seat);
  }

  /** Whether the seat has a resident. */
  isHeld(seat: number): boolean {
    return this.#residents.isHeld(seat);
  }

  /** Its invocation has ended, and its lease is not released yet. */
  isKept(seat: number): boolean {
    return this.#residents.state[seat] === SeatState.kept;
  }

  isAsleep(seat: number): boolean {
    return this.#residents.isAsleep[seat] === 1;
  }

  /** Of an extra seat: the scheduler may grant it now, or when it is released. Those of the cores are always open here. */
  isOpen(seat: number): boolean {
    return this.#residents.isOwn(seat) || this.#seats.isOpen[seat] === 1;
  }

  /** The resident of the core that is in the foreground, awake or asleep; -1: nobody. */
  foregroundOf(core: number): number {
    return this.#placed.top[core]!;
  }

  /** The awake resident that the core is for, whatever its level; -1: nobody awake is there. */
  frontOf(core: number): number {
    return this.#placed.front[core]!;
  }

  /** How long its resident has been awake without a core so far: what its timeout does not count. */
  waitedUs(seat: number, nowUs: number): number {
    return this.#placed.waitedUs(seat, nowUs);
  }

  /** `preempt`: others wait, and the CPU time that the seat's invocation may have had by now would put some of them before it. */
  isServiceDue(seat: number, nowUs: number): boolean {
    return this.waitingCount > 0 && this.#limits.policy === 'preempt' && this.#serviceDueUs[seat]! <= nowUs;
  }

  /** How many are awake and wait for a core. */
  get waitingCount(): number {
    return this.#placed.waitingCount;
  }

  /** For tests: the next event works all places out anew, which has to come to the same as what it changes of them. */
  distrust(): void {
    this.#placed.isKnown = false;
  }

  checkInvariants(): void {
    this.#seats.check();
    // Between `used` and the next tick the places are still those of the old order.
    if (!this.#isFair && !this.#isOrderNew) checkSharing(this.#residents, this.#order, this.#placed);
  }

  // --- within -------------------------------------------------------------------------------------------------

  get #isFair(): boolean {
    return this.#limits.policy === 'fair';
  }

  /** Whether anybody may go before another one. */
  get #isOrdered(): boolean {
    return !this.#isFair && this.#limits.policy !== 'dedicated';
  }

  /** Whether who is on a core's own seat has that core. */
  get #hasOwners(): boolean {
    return this.#limits.policy === 'lend' || this.#limits.policy === 'dedicated';
  }

  #enter(seat: number, nowUs: number): void {
    const residents = this.#residents;
    this.#placed.began(seat);
    if (this.#isFair) {
      residents.core[seat] = NONE;
      this.actions.place(seat, NONE, Level.foreground);
    } else {
      if (residents.isFixed[seat] === 0) this.#order.add(seat);
      this.#settle(seat, seat, nowUs);
    }
    // A grant that was on its way, or a core that is one resident's alone, leaves less for others; a spare one leaves more.
    const changes = residents.isAlone[seat] === 1 || residents.isSpare[seat] === 1;
    if (!residents.isOwn(seat) || changes) this.#seats.adjust(NONE);
  }

  /** After a change of one resident. */
  #settle(seat: number, newcomer: number, nowUs: number): void {
    if (this.#isFair) return;
    if (this.#order.count === 0 && this.#residents.mask[seat] === 0) return this.#places.settleOwner(seat);
    this.#places.settleSeat(seat, newcomer, nowUs);
    this.#setLook(nowUs);
  }

  #settleLeft(nowUs: number): void {
    this.#places.settleLeft(nowUs);
    this.#setLook(nowUs);
  }

  #settleAll(nowUs: number): void {
    if (this.#isFair) return;
    this.#places.settleAny(nowUs);
    this.#setLook(nowUs);
  }

  #setServiceDue(seat: number, cpuUs: number, nowUs: number): void {
    this.#serviceDueUs[seat] = nowUs + nextServiceUs(cpuUs, this.#limits.quantumUs) - cpuUs;
  }

  #setLook(nowUs: number): void {
    this.#isOrderNew = false;
    if (this.#limits.policy !== 'preempt') return;
    if (this.#placed.waitingCount === 0) this.#lookUs = Infinity;
    else if (this.#lookUs === Infinity) this.#lookUs = nowUs + this.#limits.quantumUs;
  }

  /** Who says first that it sleeps may be seen to block later, and the other way round. */
  #setYields(seat: number, nowUs: number, yields: boolean): void {
    if ((this.#residents.yields[seat] === 1) === yields) return;
    this.#residents.yields[seat] = yields ? 1 : 0;
    this.#settle(seat, NONE, nowUs);
  }

  #leaveCores(seat: number): void {
    const { mask, state } = this.#residents;
    if (this.#residents.isAlone[seat] === 1) this.#placed.setTaken(seat, 0);
    for (let rest = mask[seat]!; rest !== 0; rest = withoutLowest(rest)) {
      const core = lowestCore(seat, rest);
      state[core] = SeatState.free;
      this.#placed.setTaken(core, 0);
    }
    mask[seat] = 0;
  }
}
