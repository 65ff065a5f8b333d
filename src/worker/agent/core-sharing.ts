/**
 * The shell of the sharing machine (machine/sharing.ts): pins residents where they have a place, puts them into the
 * background, tells the scheduler which extra seats are open, and when a lease is over.
 *
 * A lease's `core` is a seat: below `coreCount` a core's own, above an extra one.
 */
import { normalMask } from '../../base/core-mask.ts';
import type { Counter } from '../../telemetry/metrics.ts';
import type { Clock } from '../../base/clock.ts';
import { sharingOf } from '../../store/settings.ts';
import type { Hint } from '../machine/knowledge.ts';
import type { EventKind } from '../machine/rules.ts';
import { Level, Sharing, type SharingActionHandler } from '../machine/sharing.ts';
import type { SandboxTasks } from '../sandbox/contract.ts';
import type { Invocation, Lease } from './contract.ts';
import { HeadStarts } from './head-starts.ts';
import type { Instance } from './instance.ts';
import type { AgentDoors, AgentSetting } from './setting.ts';
import { extraSeatCountOf, isOrdered, NO_SHARING, sourcesOf, spareSeatCountOf } from './sharing-setting.ts';
import { Sleepers } from './sleepers.ts';
import { countResidents, type Place, type ResidentState, sharingInForce, type SharingInForce } from './sharing-view.ts';
import { Starvation } from './starvation.ts';
import type { Topology } from './topology.ts';

/** So long a holder sleeps before its core is lent: less would cost two switches for what is over by then. */
const LEND_AFTER_US = 1000;
const WAKE_US_MIN = 1000;
/** Who has had less CPU time than this goes before all who have had more, with `preempt`. */
const QUANTUM_US = 2000;

export interface Initialising {
  /** The seat is told to be elsewhere, or in the background or not. */
  place(seat: number): void;
  /** The seat's invocation, whatever it runs in, had no core for so long, though it wanted one. */
  waited(seat: number, us: number): void;
  /** What initialises as the seat runs; null: nothing does. */
  tasksOf(seat: number): SandboxTasks | null;
}

export interface SharingEvents {
  /** What the seat's invocation runs in. Null: nothing is there yet; `cpusOf` and `isBackground` say where it begins. */
  servantOf(seat: number): Instance | null;
  /** Of the invocation that the instance in the slot serves; -1: none. */
  seatOf(slot: number): number;
  /** When the seat's invocation began to run; 0: it has not. */
  startedUs(seat: number): number;
  /** Of those whose invocations nothing serves yet. */
  initialising(): Initialising;
  openSeat(seat: number): void;
  closeSeat(seat: number): void;
  released(seat: number, sequence: number, warm: boolean): void;
}

export class CoreSharing {
  readonly seatCount: number;
  readonly inForce: SharingInForce;
  /** Whether it matters who sleeps. */
  readonly #isShared: boolean;
  readonly #machine: Sharing;
  readonly #sleepers: Sleepers;
  readonly #starvation: Starvation;
  readonly #headStarts: HeadStarts;
  readonly #topology: Topology;
  readonly #everywhere: readonly number[];
  readonly #clock: Clock;
  readonly #metrics: Record<'guests' | 'headStarts' | 'foreground' | 'background' | 'waitedS', Counter>;
  readonly #events: SharingEvents;
  /** By seat, of a lease that is over and may be kept a while. */
  readonly #sequences: Uint32Array;
  readonly #isWarm: Uint8Array;
  /** By seat: what its chain had used before. */
  readonly #beforeUs: Float64Array;
  /** By seat: what the timeout of its invocation was told of. */
  readonly #waitedUs: Float64Array;
  /** By seat: a step of a chain, and not the last. */
  readonly #isFollowed: Uint8Array;
  /** When it wakes by itself next; Infinity: it does not. */
  #wakeUs = Infinity;
  #stopWaking: (() => void) | null = null;
  readonly #tasksOf = (seat: number): SandboxTasks | null => {
    const servant = this.#events.servantOf(seat);
    return servant === null ? this.#events.initialising().tasksOf(seat) : servant.tasks();
  };
  readonly #carryOut: SharingActionHandler = {
    place: (seat, core, level) => this.#place(seat, core, level),
    openSeat: (seat) => this.#events.openSeat(seat),
    closeSeat: (seat) => this.#events.closeSeat(seat),
    release: (seat) => this.#events.released(seat, this.#sequences[seat]!, this.#isWarm[seat] === 1),
  };

  constructor({ topology, limits, sharing = NO_SHARING }: AgentSetting, doors: AgentDoors, events: SharingEvents) {
    const coreCount = topology.cores.length;
    const extraSeatCount = extraSeatCountOf(sharing, coreCount);
    this.seatCount = coreCount + extraSeatCount;
    this.#isShared = isOrdered(sharing);
    this.#topology = topology;
    this.#everywhere = topology.cores.flat();
    this.#clock = doors.clock;
    this.#metrics = {
      guests: doors.metrics.counter('perch_sharing_guests_total'),
      headStarts: doors.metrics.counter('perch_sharing_head_starts_total'),
      foreground: doors.metrics.counter('perch_sharing_places_total', 'foreground'),
      background: doors.metrics.counter('perch_sharing_places_total', 'background'),
      waitedS: doors.metrics.counter('perch_sharing_waited_seconds_total'),
    };
    this.#events = events;
    this.#beforeUs = new Float64Array(this.seatCount);
    this.#waitedUs = new Float64Array(this.seatCount);
    this.#isFollowed = new Uint8Array(this.seatCount);
    this.#sequences = new Uint32Array(this.seatCount);
    this.#isWarm = new Uint8Array(this.seatCount);
    this.#starvation = new Starvation(this.seatCount);
    this.#headStarts = new HeadStarts(this.seatCount, (seat, instance) => this.#placeAt(seat, instance));
    const spareSeatCount = spareSeatCountOf(sharing, coreCount);
    const times = { lendAfterUs: LEND_AFTER_US, quantumUs: QUANTUM_US };
    this.#machine = new Sharing({ ...sharing, ...times, coreCount, extraSeatCount, spareSeatCount });
    this.#sleepers = new Sleepers(
      {
        seatCount: this.seatCount,
        limits,
        sources: this.#isShared ? sourcesOf(sharing) : 0,
        countsService: sharing.policy === 'preempt',
      },
      doors,
      this.#machine,
      {
        servantOf: (seat) => events.servantOf(seat),
        seatOf: (slot) => events.seatOf(slot),
        place: () => this.#machine.actions.drain(this.#carryOut),
        changed: () => this.#drain(),
      },
    );
    this.inForce = sharingInForce(sharing, this.#sleepers.observer);
    if (this.#isShared) doors.metrics.read('perch_sharing_residents', () => countResidents(this.#places()));
  }

  /** Seats may be open from now on. */
  start(): void {
    this.#drain();
  }

  began({ core, mask = 0 }: Lease, invocation: Invocation): void {
    const { fn, usedUs = 0 } = invocation;
    const nowUs = this.#clock.nowUs();
    const several = normalMask(mask);
    if (several === 0) this.#machine.began(core, nowUs, sharingOf(fn.config), usedUs);
    else this.#machine.beganSeveral(core, several, nowUs);
    if (core >= this.#topology.cores.length) this.#metrics.guests.add();
    this.#sleepers.began(core, invocation);
    this.#isFollowed[core] = invocation.isFollowed === true ? 1 : 0;
    this.#beforeUs[core] = usedUs;
    this.#waitedUs[core] = 0;
    this.#starvation.began(core);
    this.#drain();
  }

  /** The instance begins with the invocation of the seat. */
  runs(seat: number, instance: Instance): void {
    this.#sleepers.runs(seat, instance);
    if (!this.#isShared || !this.#machine.isBeforeOthers(seat)) return;
    if (!this.#headStarts.begin(seat, instance, this.#clock.nowUs())) return;
    this.#metrics.headStarts.add();
    this.#drain();
  }

  /** What the invocation on the seat was seen to do, for the rules of its operator. */
  event(seat: number, kind: EventKind): void {
    this.#sleepers.event(seat, kind);
  }

  /** Its `released` follows, now or later. */
  ended(seat: number, sequence: number, warm: boolean): void {
    this.#sequences[seat] = sequence;
    this.#isWarm[seat] = warm ? 1 : 0;
    this.#sleepers.ended(seat);
    this.#machine.ended(seat, this.#clock.nowUs(), this.#isFollowed[seat] === 1);
    this.#drain();
  }

  /** What the function on the seat says of itself. */
  hint(seat: number, hint: Hint): void {
    if (seat < 0) return;
    this.#sleepers.hint(seat, hint);
    this.#drain();
  }

  /** The seat's invocation has its result, from what is in the slot. */
  leaves(seat: number, slot: number): void {
    this.#headStarts.end(seat);
    this.#sleepers.leaves(seat, slot);
  }

  tick(nowUs: number): void {
    if (!this.#isShared) return;
    for (let seat = 0; seat < this.seatCount; seat++) this.#follow(seat, nowUs);
    this.#lookAgain(nowUs);
    // What is believed may be too old by now.
    this.#sleepers.tick(nowUs);
    this.#drain();
  }

  /** Whether it is known of an idle instance that nothing runs in it. */
  isStill(slot: number): boolean {
    return this.#isShared && this.#sleepers.isStill(slot);
  }

  close(): void {
    this.#stopWaking?.();
    this.#stopWaking = null;
    // What waits for a tick: a seat may be open for a step that does not come any more.
    this.#machine.tick(this.#clock.nowUs() + LEND_AFTER_US);
    this.#machine.actions.drain(this.#carryOut);
    this.#sleepers.close();
  }

  /** The CPUs of the seat's resident; the same array for the same core. */
  cpusOf(seat: number): readonly number[] {
    if (!this.#machine.isHeld(seat)) return this.#topology.cores[seat] ?? this.#everywhere;
    const core = this.#machine.coreOf(seat);
    return core < 0 ? this.#everywhere : this.#topology.cores[core]!;
  }

  isBackground(seat: number): boolean {
    return seat >= 0 && this.#machine.isHeld(seat) && this.#machine.levelOf(seat) === Level.background;
  }

  /** Its invocation has its result, and its lease is not over. */
  isKept(seat: number): boolean {
    return this.#machine.isKept(seat);
  }

  /** Of the seat that a lease is named by. Null: nobody is there, or it is asked of nobody who sleeps. */
  placeOf(seat: number): Place | null {
    if (!this.#isShared) return null;
    if (this.#machine.isKept(seat)) return { state: 'kept', core: -1, foreground: -1 };
    if (!this.#machine.isHeld(seat)) return null;
    const core = this.#machine.coreOf(seat);
    return { state: this.#stateOf(seat, core), core, foreground: this.#machine.foregroundOf(core) };
  }

  checkInvariants(): void {
    this.#machine.checkInvariants();
  }

  #stateOf(seat: number, core: number): ResidentState {
    if (this.#sleepers.isDozing(seat)) return 'frozen';
    if (this.#machine.isAsleep(seat)) return 'asleep';
    return this.#machine.frontOf(core) === seat ? 'running' : 'waiting';
  }

  /** Of each lease one. */
  *#places(): Iterable<Place> {
    for (let seat = 0; seat < this.seatCount; seat++) {
      const place = this.placeOf(seat);
      if (place !== null) yield place;
    }
  }

  #follow(seat: number, nowUs: number): void {
    const servant = this.#events.servantOf(seat);
    if (!this.#machine.isHeld(seat)) return;
    const startedUs = this.#events.startedUs(seat);
    if (servant !== null && startedUs > 0) {
      const cpuUs = this.#sleepers.follow(seat, servant, nowUs - startedUs);
      this.#machine.used(seat, this.#beforeUs[seat]! + cpuUs, nowUs);
    }
    const waitedUs = this.#machine.waitedUs(seat, nowUs);
    const moreUs = waitedUs - this.#waitedUs[seat]! + this.#starvedUs(seat, nowUs, waitedUs);
    this.#waitedUs[seat] = waitedUs;
    if (moreUs <= 0) return;
    this.#events.initialising().waited(seat, moreUs);
    this.#metrics.waitedS.add(moreUs / 1e6);
  }

  /** In the foreground nobody is behind others. */
  #starvedUs(seat: number, nowUs: number, waitedUs: number): number {
    if (this.#machine.levelOf(seat) !== Level.background) return 0;
    return this.#starvation.moreUs(seat, this.#tasksOf, nowUs, waitedUs);
  }

  #lookAgain(nowUs: number): void {
    for (let seat = 0; seat < this.seatCount; seat++) if (this.#sleepers.isInDoubt(seat)) this.#follow(seat, nowUs);
    if (this.#machine.nextTickUs <= nowUs) {
      this.#followFronts(nowUs);
      this.#machine.tick(nowUs);
    }
    if (this.#sleepers.nextTickUs <= nowUs) this.#sleepers.tick(nowUs);
    this.#headStarts.tick(nowUs);
    this.#drain();
  }

  /** Those that cores are for, where somebody may go before them by now: in the agent's own ticks it would be seen ten milliseconds late. */
  #followFronts(nowUs: number): void {
    for (let core = 0; core < this.#topology.cores.length; core++) {
      const seat = this.#machine.frontOf(core);
      if (seat >= 0 && this.#machine.isServiceDue(seat, nowUs)) this.#follow(seat, nowUs);
    }
  }

  #drain(): void {
    this.#machine.actions.drain(this.#carryOut);
    const nextTickUs = Math.min(this.#machine.nextTickUs, this.#sleepers.nextTickUs, this.#headStarts.nextTickUs);
    if (nextTickUs !== Infinity) this.#wakeAt(nextTickUs);
  }

  /** What it wants to be ticked for comes sooner than the agent's own ticks. */
  #wakeAt(tickUs: number): void {
    const nowUs = this.#clock.nowUs();
    const wakeUs = Math.max(tickUs, nowUs + WAKE_US_MIN);
    if (wakeUs >= this.#wakeUs) return;
    this.#stopWaking?.();
    this.#wakeUs = wakeUs;
    this.#stopWaking = this.#clock.every(Math.ceil((wakeUs - nowUs) / 1000), () => this.#wake());
  }

  #wake(): void {
    this.#stopWaking?.();
    this.#stopWaking = null;
    this.#wakeUs = Infinity;
    this.#lookAgain(this.#clock.nowUs());
  }

  #place(seat: number, core: number, level: Level): void {
    const resident = this.#events.servantOf(seat);
    if (resident === null) return this.#events.initialising().place(seat);
    this.#metrics[level === Level.background ? 'background' : 'foreground'].add();
    resident.place(core < 0 ? this.#everywhere : this.#topology.cores[core]!, level === Level.background);
  }

  /** Where the seat's resident is, or was, when it left. */
  #placeAt(seat: number, instance: Instance): void {
    instance.place(this.cpusOf(seat), this.isBackground(seat));
  }
}
