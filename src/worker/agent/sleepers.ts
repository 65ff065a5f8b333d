/**
 * What is known of who sleeps, and what comes of it: brings together what observers see, what operators and sleep plans say, and what
 * functions say of themselves (machine/knowledge.ts), tells sharing, and has those frozen that would burn their core meanwhile
 * (machine/doze.ts).
 *
 * Who is frozen is off its cores because of us, and what an observer makes of that is no news of the function: it counts for nothing, unless the
 * observer itself has said that it polls, and so knows.
 */
import type { Clock } from '../../base/clock.ts';
import type { Counter } from '../../telemetry/metrics.ts';
import { Doze, DOZE_LIMITS } from '../machine/doze.ts';
import { Belief, type Hint, Knowledge, KNOWLEDGE_LIMITS, type KnowledgeUser } from '../machine/knowledge.ts';
import { EventKind } from '../machine/rules.ts';
import type { Invocation } from './contract.ts';
import { DirectedSeats } from './directed-seats.ts';
import type { Instance } from './instance.ts';
import type { AgentDoors, AgentLimits } from './setting.ts';
import { SleepWatch } from './sleep-watch.ts';

/** By belief: what rules call it when an observer sees it. */
const SEEN_AS = [EventKind.woken, EventKind.blocked, EventKind.polling] as const;

const NOT_SEEN = -1;

export interface SleepersOptions {
  readonly seatCount: number;
  readonly limits: AgentLimits;
  /** Those that count where nothing is said of a function; bits. 0: nobody is asked. */
  readonly sources: number;
  /** The CPU time of every invocation counts for its place. */
  readonly countsService: boolean;
}

export interface SleepersEvents {
  /** What the seat's invocation runs in. Null: nothing is there yet. */
  servantOf(seat: number): Instance | null;
  /** Of the invocation that the instance in the slot serves; -1: none. */
  seatOf(slot: number): number;
  /** Sharing was told: where everybody is to run is carried out before anybody is thawed there. */
  place(): void;
  /** Something has changed by itself, and `nextTickUs` too. */
  changed(): void;
}

export class Sleepers {
  readonly #events: SleepersEvents;
  readonly #clock: Clock;
  readonly #knowledge: Knowledge;
  readonly #directed: DirectedSeats;
  readonly #watch: SleepWatch;
  readonly #doze: Doze;
  readonly #seatCount: number;
  readonly #metrics: Record<'freezes' | 'slices' | 'wakes' | 'believed' | 'refused' | 'rationed', Counter>;
  /** By seat: what is frozen since its function polls. */
  readonly #frozen: (Instance | null)[];
  readonly #thawedUs: Float64Array;
  /** By seat: it was stopped since it polls, and nobody made anything of it. Not again, until it is seen to do something else. */
  readonly #isDeclined: Uint8Array;
  /**
   * By version: it has polled while it said that it sleeps. From then on it may be stopped for that before its word is here, which on a busy
   * machine comes milliseconds later; without it, it goes on.
   */
  readonly #pollsAndSaysSo: Uint8Array;
  /** By seat: the CPU time that its invocation was last seen to have used, and when; NOT_SEEN: nobody wanted to know. */
  readonly #cpuUs: Float64Array;
  readonly #seenUs: Float64Array;
  readonly #countsService: boolean;
  /** By seat: its CPU time is looked at; and of how many that is so. */
  readonly #isInDoubt: Uint8Array;
  #doubtCount = 0;

  constructor(
    { seatCount, limits, sources, countsService }: SleepersOptions,
    doors: AgentDoors,
    user: KnowledgeUser,
    events: SleepersEvents,
  ) {
    this.#events = events;
    this.#clock = doors.clock;
    this.#seatCount = seatCount;
    this.#countsService = countsService;
    const { metrics } = doors;
    this.#metrics = {
      freezes: metrics.counter('perch_sharing_freezes_total'),
      slices: metrics.counter('perch_sharing_thaws_total', 'slice'),
      wakes: metrics.counter('perch_sharing_thaws_total', 'awake'),
      believed: metrics.counter('perch_sharing_hints_total', 'believed'),
      refused: metrics.counter('perch_sharing_hints_total', 'refused'),
      rationed: metrics.counter('perch_sharing_hints_total', 'rationed'),
    };
    const isAsked = sources !== 0;
    this.#knowledge = new Knowledge({ ...KNOWLEDGE_LIMITS, seatCount }, user);
    const door = isAsked ? (doors.knowledge ?? null) : null;
    this.#directed = new DirectedSeats({ seatCount, sources, knowledge: this.#knowledge, door, log: doors.log });
    this.#watch = new SleepWatch(
      { ...limits, mayStop: (slot) => this.#mayStop(events.seatOf(slot)) },
      isAsked ? (doors.observe ?? null) : null,
      {
        slept: (slot, atUs) => this.#observed(events.seatOf(slot), Belief.blocked, atUs),
        polls: (slot, atUs) => this.#observed(events.seatOf(slot), Belief.polls, atUs),
        woke: (slot, atUs) => this.#observed(events.seatOf(slot), Belief.awake, atUs),
        sent: (slot) => this.event(events.seatOf(slot), EventKind.sent),
        received: (slot) => this.event(events.seatOf(slot), EventKind.received),
      },
    );
    this.#doze = new Doze(
      { ...DOZE_LIMITS, seatCount },
      { freeze: (seat) => this.#freeze(seat), thaw: (seat) => this.#thaw(seat) },
    );
    this.#frozen = new Array<Instance | null>(seatCount).fill(null);
    this.#thawedUs = new Float64Array(seatCount).fill(-Infinity);
    this.#isDeclined = new Uint8Array(seatCount);
    this.#pollsAndSaysSo = new Uint8Array(limits.versionCount);
    this.#cpuUs = new Float64Array(seatCount);
    this.#seenUs = new Float64Array(seatCount);
    this.#isInDoubt = new Uint8Array(seatCount);
    this.#directed.follow(
      () => this.#clock.nowUs(),
      () => this.#reviewAll(),
    );
  }

  /** After sharing has heard of it. */
  began(seat: number, { fn, sleepsOn }: Invocation): void {
    this.#knowledge.began(seat, this.#directed.began(seat, fn.functionName, sleepsOn));
    this.#isDeclined[seat] = 0;
    this.#thawedUs[seat] = -Infinity;
    this.#cpuUs[seat] = 0;
    this.#seenUs[seat] = NOT_SEEN;
  }

  /** The instance begins with the invocation of the seat. */
  runs(seat: number, instance: Instance): void {
    this.#watch.runs(instance, this.#directed.wantsTraffic(seat));
    this.#review(seat);
  }

  /** What the invocation on the seat was seen to do. -1: nobody is there. */
  event(seat: number, kind: EventKind): void {
    if (seat < 0) return;
    const nowUs = this.#clock.nowUs();
    if (kind === EventKind.received) this.#knowledge.received(seat, nowUs);
    this.#directed.event(seat, kind, nowUs);
    this.#review(seat);
    this.#events.changed();
  }

  /** What the function on the seat says of itself. */
  hint(seat: number, hint: Hint): void {
    const counts = this.#knowledge.hint(seat, hint, this.#clock.nowUs());
    this.#metrics[counts ? 'believed' : this.#knowledge.isRationed(seat) ? 'rationed' : 'refused'].add();
    const servant = this.#events.servantOf(seat);
    if (servant !== null && this.#knowledge.isHinted(seat)) this.#watch.waits(servant);
    this.#review(seat);
  }

  /** The seat's invocation has its result, from what is in the slot. */
  leaves(seat: number, slot: number): void {
    this.#doze.wakes(seat);
    this.#watch.leave(slot);
  }

  /** Before sharing hears of it. */
  ended(seat: number): void {
    this.#knowledge.ended(seat);
    this.#directed.ended(seat);
    this.#doze.wakes(seat);
    this.#doubt(seat, false);
  }

  /**
   * Looks at whoever runs on the seat, for `runUs` so far. Answers the CPU time that it was seen to use for its invocation, µs; 0 where
   * nobody needs to know.
   */
  follow(seat: number, servant: Instance, runUs: number): number {
    this.#watch.follow(servant, runUs);
    const isWanted = this.#knowledge.wantsUsage(seat);
    const cpuUs = isWanted || this.#countsService ? this.#watch.cpuUs(servant) : 0;
    this.#noteUsage(seat, isWanted, cpuUs);
    this.#review(seat);
    return cpuUs;
  }

  /** What it used before somebody wanted to know is not known. */
  #noteUsage(seat: number, isWanted: boolean, cpuUs: number): void {
    const nowUs = this.#clock.nowUs();
    const seenUs = this.#seenUs[seat]!;
    if (isWanted && seenUs !== NOT_SEEN) this.#knowledge.usage(seat, cpuUs - this.#cpuUs[seat]!, nowUs - seenUs, nowUs);
    this.#cpuUs[seat] = cpuUs;
    this.#seenUs[seat] = isWanted ? nowUs : NOT_SEEN;
  }

  /** The times of rules and of the frozen are looked at. */
  tick(nowUs: number): void {
    this.#directed.tick(nowUs);
    this.#reviewAll();
    this.#doze.tick(nowUs);
  }

  /** Whether its CPU time is to be looked at with each tick. */
  isInDoubt(seat: number): boolean {
    return this.#isInDoubt[seat] === 1;
  }

  /** When it wants a tick; Infinity: none. */
  get nextTickUs(): number {
    return this.#doubtCount > 0 ? 0 : Math.min(this.#doze.nextTickUs, this.#directed.nextTickUs);
  }

  /** It polls, and is stopped but for the slices of doze.ts. */
  isDozing(seat: number): boolean {
    return this.#doze.isDozing(seat);
  }

  get observer(): SleepWatch['observer'] {
    return this.#watch.observer;
  }

  /** See SleepWatch. */
  isStill(slot: number): boolean {
    return this.#watch.isStill(slot);
  }

  close(): void {
    this.#watch.close();
  }

  #observed(seat: number, belief: Belief, atUs: number): void {
    if (seat < 0 || this.#isByUs(seat, belief, atUs)) return;
    const nowUs = this.#clock.nowUs();
    this.#knowledge.observed(seat, belief, nowUs);
    this.#directed.event(seat, SEEN_AS[belief], nowUs);
    const isPoller = belief === Belief.polls;
    this.#isDeclined[seat] = isPoller && !this.#knowledge.polls(seat) ? 1 : 0;
    if (isPoller && this.#knowledge.isHinted(seat)) this.#pollsAndSaysSo[this.#versionOf(seat)] = 1;
    this.#review(seat);
    // In a slice, that one is over.
    if (isPoller && this.#doze.isDozing(seat)) this.#doze.dozes(seat, nowUs);
    this.#events.changed();
  }

  /** It sleeps since it is frozen, or runs since it is thawed; which may be told after that is over. */
  #isByUs(seat: number, belief: Belief, atUs: number): boolean {
    if (belief === Belief.polls || this.#knowledge.isSeenToPoll(seat)) return false;
    return this.#doze.isDozing(seat) || (belief === Belief.blocked && atUs <= this.#thawedUs[seat]!);
  }

  #reviewAll(): void {
    for (let seat = 0; seat < this.#seatCount; seat++) this.#review(seat);
    this.#events.changed();
  }

  /** What is believed of the seat may be something else now: whether it is frozen, and what its observer is asked. */
  #review(seat: number): void {
    const slot = this.#events.servantOf(seat)?.slot ?? -1;
    // Of a lease of several cores, its lead is asked.
    if (
      slot >= 0 &&
      this.#events.seatOf(slot) === seat &&
      this.#watch.ask(slot, this.#mayStop(seat), this.#wantsTraffic(seat))
    )
      this.#knowledge.observed(seat, Belief.awake, this.#clock.nowUs());
    this.#events.place();
    const mayFreeze = this.#watch.seesInput;
    this.#doubt(seat, mayFreeze && this.#knowledge.isInDoubt(seat));
    if (!mayFreeze || !this.#knowledge.polls(seat)) this.#doze.wakes(seat);
    else if (!this.#doze.isDozing(seat)) this.#doze.dozes(seat, this.#clock.nowUs());
  }

  #mayStop(seat: number): boolean {
    if (seat < 0) return false;
    const isNews = this.#isDeclined[seat] === 0;
    const isExpected = isNews && this.#pollsAndSaysSo[this.#versionOf(seat)] === 1;
    return this.#knowledge.mayStop(seat, isNews && this.#directed.wantsPolling(seat), isExpected);
  }

  #versionOf(seat: number): number {
    return this.#events.servantOf(seat)?.versionIndex ?? -1;
  }

  #wantsTraffic(seat: number): boolean {
    return this.#directed.wantsTraffic(seat) || this.#knowledge.isHinted(seat);
  }

  #doubt(seat: number, isInDoubt: boolean): void {
    if ((this.#isInDoubt[seat] === 1) === isInDoubt) return;
    this.#isInDoubt[seat] = isInDoubt ? 1 : 0;
    this.#doubtCount += isInDoubt ? 1 : -1;
    const servant = this.#events.servantOf(seat);
    // What it uses from now on counts.
    if (isInDoubt && servant !== null && this.#seenUs[seat] === NOT_SEEN)
      this.#noteUsage(seat, true, this.#watch.cpuUs(servant));
  }

  /**
   * Whom the observer has stopped stays so: that costs less than the freezer, which wakes every thread of the sandbox twice. Where there is no
   * freezer nothing else is done: it is in the background, and no more.
   */
  #freeze(seat: number): void {
    const resident = this.#events.servantOf(seat);
    this.#frozen[seat] = resident;
    if (resident === null) return;
    this.#metrics.freezes.add();
    if (!this.#watch.hold(resident.slot)) resident.freeze();
  }

  /** Whom it froze, whoever is on the seat by now. */
  #thaw(seat: number): void {
    const resident = this.#frozen[seat]!;
    this.#frozen[seat] = null;
    this.#thawedUs[seat] = this.#clock.nowUs();
    if (resident === null) return;
    // In a slice it still dozes.
    this.#metrics[this.#doze.isDozing(seat) ? 'slices' : 'wakes'].add();
    this.#watch.letGo(resident.slot);
    resident.thaw();
  }
}
