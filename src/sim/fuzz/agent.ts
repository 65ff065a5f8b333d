/**
 * A worker's agent in virtual time: the shipped machines of worker and sharing, put together as worker/agent/agent.ts and core-sharing.ts do it, over
 * processes that are a plain model. It is also the judge: what it sees run on a core runs there.
 */
import { assert } from '../../base/assert.ts';
import { coresOf, normalMask } from '../../base/core-mask.ts';
import type { Agent } from '../../worker/agent/agent.ts';
import type { Invocation as AgentInvocation, InvocationRecord, Lease } from '../../worker/agent/contract.ts';
import { extraSeatCountOf, spareSeatCountOf } from '../../worker/agent/sharing-setting.ts';
import { type ActionHandler, type Ending, Ending as EndingKind, SlotState } from '../../worker/machine/actions.ts';
import { Sharing, type SharingActionHandler } from '../../worker/machine/sharing.ts';
import { WorkerMachine } from '../../worker/machine/worker.ts';
import type { AgentPort, Described } from '../../worker/node/ports.ts';
import type { Random } from '../engine/random.ts';
import type { FunctionSpec, Shares, WorkerSpec } from './case.ts';
import type { Functions } from './functions.ts';
import type { Invocation } from './invocation.ts';
import { Lending, type Resident } from './lending.ts';
import { Processes } from './processes.ts';
import { type Run, Runs } from './runs.ts';

const TICK_US = 10_000;
const SHARING_TICK_US = 1000;
const LEND_AFTER_US = 1000;
const QUANTUM_US = 2000;
/** So long a seat is open for the next step of a chain at most: until a tick sees to it. */
const FOLLOWED_US: number = LEND_AFTER_US + 2 * SHARING_TICK_US;
const INIT_TIMEOUT_US = 300_000;
const CODE_TIMEOUT_US = 500_000;
const CELL_MEMORY_MB = 60;
const VERSION_COUNT = 12;
const NONE = -1;
const EMPTY = Buffer.alloc(0);

export interface AgentEvents {
  released(seat: number, sequence: number, warm: boolean): void;
  openSeat(seat: number): void;
  closeSeat(seat: number): void;
  warmed(version: number): void;
  evicted(version: number): void;
  memoryAvailable(): void;
}

export interface AgentDoors {
  readonly random: Random;
  readonly functions: Functions;
  readonly shares: Shares;
  readonly invocations: ReadonlyMap<string, Invocation>;
  readonly nowUs: () => number;
  /** None once its worker is dead. */
  readonly later: (delayUs: number, what: () => void) => void;
}

export class SimulatedAgent implements AgentPort, Pick<Agent, 'assign'> {
  readonly machine: WorkerMachine;
  readonly sharing: Sharing;
  readonly seatCount: number;
  readonly #spec: WorkerSpec;
  readonly #doors: AgentDoors;
  readonly #events: AgentEvents;
  readonly #processes: Processes;
  readonly #runs: Runs;
  readonly #specs: FunctionSpec[] = [];
  /** By core: its operator has withdrawn it. */
  readonly #isOut: boolean[] = [];
  readonly #lending: Lending;
  /** When work ended last that another seat's invocation goes on with. */
  #followedUs = -Infinity;
  /** By seat, from the assignment to the release: what holds it. */
  readonly #bySeat: (Run | null)[];
  readonly #results: (() => void)[] = [];
  #isTicking = false;
  #isSharingTicking = false;
  #isStopping = false;

  readonly #carryOut: ActionHandler = {
    start: (slot) => this.#processes.start(slot),
    boot: (slot) => this.#processes.boot(slot),
    adopt: (slot) => this.#processes.adopt(slot),
    fork: (slot, zygote) => this.#processes.fork(slot, zygote),
    take: (slot) => assert(this.#processes.has(slot), `slot ${slot} is taken, and nothing is there`),
    run: (slot, core) => this.#run(slot, core),
    complete: (core, _slot, ending) => this.#complete(core, ending),
    release: (core, sequence, warm) => this.#release(core, sequence, warm),
    kill: (slot, why) => this.#processes.kill(slot, why),
    freeze: (slot) => this.#processes.setFrozen(slot, true),
    thaw: (slot) => this.#processes.setFrozen(slot, false),
    warmed: (version) => this.#events.warmed(version),
    evicted: (version) => this.#events.evicted(version),
    roomAvailable: () => this.#events.memoryAvailable(),
  };
  readonly #place: SharingActionHandler = {
    place: (seat, core) => assert(this.#on(seat) !== null && core < this.#spec.coreCount, `seat ${seat} is placed`),
    openSeat: (seat) => this.#events.openSeat(seat),
    closeSeat: (seat) => this.#events.closeSeat(seat),
    release: (seat) => this.#released(seat),
  };

  constructor(spec: WorkerSpec, doors: AgentDoors, events: AgentEvents) {
    const { coreCount, policy, perCore, slotCount } = spec;
    const setting = { policy, perCore };
    const extraSeatCount = extraSeatCountOf(setting, coreCount);
    const spareSeatCount = spareSeatCountOf(setting, coreCount);
    this.#spec = spec;
    this.#doors = doors;
    this.#events = events;
    this.seatCount = coreCount + extraSeatCount;
    this.#bySeat = new Array<Run | null>(this.seatCount).fill(null);
    const times = { lendAfterUs: LEND_AFTER_US, quantumUs: QUANTUM_US };
    this.sharing = new Sharing({ ...setting, ...times, coreCount, extraSeatCount, spareSeatCount });
    const isOut = (core: number): boolean => this.#isOut[core] === true;
    this.#lending = new Lending({ spec, sharing: this.sharing, seatCount: this.seatCount, isOut });
    this.machine = new WorkerMachine({
      coreCount: this.seatCount,
      slotCount: Math.max(slotCount, this.seatCount),
      versionCount: VERSION_COUNT,
      memoryMb: spec.agentMemoryMb,
      initTimeoutUs: INIT_TIMEOUT_US,
      codeTimeoutUs: CODE_TIMEOUT_US,
      cellTargets: [spec.cellCount],
      cellMemoryMb: CELL_MEMORY_MB,
      copiesAheadMax: 2,
    });
    const later = (delayUs: number, event: () => void): void => doors.later(delayUs, () => this.#feed(event));
    const nowUs = (): number => doors.nowUs();
    const common = { machine: this.machine, random: doors.random, slowness: spec.slowness, nowUs, later };
    this.#processes = new Processes({
      ...common,
      shares: doors.shares,
      exited: (slot) => this.#feed(() => this.machine.exited(slot, nowUs())),
    });
    this.#runs = new Runs({
      ...common,
      sharing: this.sharing,
      isOn: (run) => this.#bySeat[run.seat] === run,
      exit: (slot) => this.#processes.exit(slot),
    });
  }

  start(): void {
    this.#feed(() => this.machine.tick(this.#doors.nowUs()));
  }

  /** Whether anything holds a seat. */
  get isBusy(): boolean {
    return this.#bySeat.some((run) => run !== null);
  }

  /** Seats that are held. */
  get heldCount(): number {
    return this.#bySeat.reduce((sum, run) => sum + (run === null ? 0 : 1), 0);
  }

  get residentCount(): number {
    return this.machine.residentCount;
  }

  /** Takes no more, and kills what there is; it is over once nothing is left. */
  stop(): void {
    this.#isStopping = true;
    this.#feed(() => this.machine.stop());
  }

  /** What waits for a tick: a lease may be kept for a borrower that has gone. */
  close(): void {
    this.#feed(() => this.sharing.tick(this.#doors.nowUs() + LEND_AFTER_US));
  }

  /** The operator has withdrawn the core, or returned it. */
  setOut(core: number, isOut: boolean): void {
    this.#isOut[core] = isOut;
    this.#feed(() => this.sharing.setOut(core, isOut, this.#doors.nowUs()));
  }

  /** Something that was started ends by itself. */
  endNth(number: number): void {
    const slot = this.#processes.nth(number);
    if (slot >= 0) this.#feed(() => this.#processes.exit(slot));
  }

  // ---- what the node asks

  setVersion(number: number, { key }: Described): void {
    const spec = this.#doors.functions.specOf(key);
    const { memoryMb, timeoutUs, isFresh, isForkable } = spec;
    this.#specs[number] = spec;
    this.machine.setVersion(number, { memoryMb, timeoutUs, fresh: isFresh, cellKind: isForkable ? 0 : NONE });
  }

  dropVersion(number: number): void {
    this.#feed(() => this.machine.dropVersion(number));
  }

  provision(number: number, count: number): void {
    this.#feed(() => this.machine.provision(number, count));
  }

  want(number: number, count: number): void {
    this.#feed(() => this.machine.want(number, count, this.#doors.nowUs()));
  }

  provisionedState(number: number): { allocated: number; available: number; failed: string | null } {
    return {
      allocated: this.machine.provisionedCount(number),
      available: this.machine.provisionedReady(number),
      failed: this.machine.provisionedFailed(number) ? 'it failed' : null,
    };
  }

  // ---- what a gateway asks

  assign(lease: Lease, asked: AgentInvocation): void {
    const { core, mask = 0 } = lease;
    if (this.#isStopping) return asked.done({ kind: 'refused', why: 'stopping' });
    const seats = coresOf(core, mask);
    for (const seat of seats) {
      assert(seat < this.seatCount, `seat ${seat} is granted, and is not there`);
      const isAlone = mask !== 0 || this.#specs[asked.versionIndex]!.sharing === 'dedicated';
      assert(
        !isAlone || seat < this.#spec.coreCount,
        `seat ${seat} is no core, and granted to who wants one of its own`,
      );
      assert(this.#bySeat[seat] === null, `granted twice: seat ${seat} holds lease ${this.#bySeat[seat]?.sequence}`);
    }
    const invocation = this.#doors.invocations.get(asked.requestId)!;
    const run: Run = { seat: core, seats, sequence: lease.sequence, asked, invocation, slot: NONE, ...Runs.fresh() };
    for (const seat of seats) this.#bySeat[seat] = run;
    const nowUs = this.#doors.nowUs();
    if (!this.machine.assign(lease, asked.versionIndex, nowUs)) {
      this.#clear(run);
      asked.done({ kind: 'refused', why: 'no-memory' });
      return this.#drain();
    }
    invocation.runs();
    const several = normalMask(mask);
    if (several !== 0) this.sharing.beganSeveral(core, several, nowUs);
    else this.sharing.began(core, nowUs, this.#specs[asked.versionIndex]!.sharing, asked.usedUs ?? 0);
    this.sharing.actions.drain(this.#place);
    this.#drain();
  }

  // ---- for the checks

  pending(): string[] {
    return this.#bySeat.flatMap((run, seat) =>
      run === null || run.seat !== seat
        ? []
        : [
            `seat ${seat} holds lease ${run.sequence} of ${run.invocation.name}${run.isCompleted ? ', which has its result' : ''}`,
          ],
    );
  }

  /** A core that is withdrawn, or an extra seat without a use. */
  isClosed(seat: number): boolean {
    return seat < this.#spec.coreCount ? this.#isOut[seat] === true : !this.sharing.isOpen(seat);
  }

  check(): void {
    const { machine, sharing } = this;
    machine.checkInvariants();
    sharing.checkInvariants();
    assert(machine.actions.count === 0 && sharing.actions.count === 0, 'something was left to do');
    this.#processes.check(Math.max(this.#spec.slotCount, this.seatCount));
    for (let seat = 0; seat < this.seatCount; seat++) {
      const isHeld = machine.slotOf(seat) >= 0 || sharing.isKept(seat);
      assert(
        (this.#bySeat[seat] !== null) === isHeld,
        `seat ${seat}: the agent and its machines disagree who holds it`,
      );
    }
    this.#runs.check(this.#spec.coreCount);
    const isFollowed = this.#doors.nowUs() - this.#followedUs <= FOLLOWED_US;
    this.#lending.check(this.#residents(), isFollowed ? 1 : 0);
  }

  // ---- within

  /** An event, and what the machines make of it. */
  #feed(event: () => void): void {
    event();
    this.#drain();
  }

  #drain(): void {
    if (!this.machine.actions.drain(this.#carryOut)) return;
    this.sharing.actions.drain(this.#place);
    this.#keepTicking();
    for (const result of this.#results.splice(0)) result();
  }

  #keepTicking(): void {
    if (!this.#isTicking && (this.isBusy || this.machine.awakeCount > 0)) {
      this.#isTicking = true;
      this.#doors.later(TICK_US, () => this.#tick());
    }
    if (this.#isSharingTicking || this.sharing.nextTickUs === Infinity) return;
    this.#isSharingTicking = true;
    this.#doors.later(SHARING_TICK_US, () => {
      this.#isSharingTicking = false;
      this.#feed(() => {
        if (this.sharing.nextTickUs <= this.#doors.nowUs()) this.sharing.tick(this.#doors.nowUs());
      });
    });
  }

  #tick(): void {
    const nowUs = this.#doors.nowUs();
    this.#isTicking = false;
    this.machine.tick(nowUs);
    this.#runs.follow(nowUs);
    this.sharing.tick(nowUs);
    this.#drain();
  }

  #on(seat: number): Run | null {
    return this.#bySeat[seat] ?? null;
  }

  #run(slot: number, core: number): void {
    const run = this.#on(core);
    assert(run !== null && !run.isCompleted, `seat ${core}: what has no lease runs`);
    const spec = this.#specs[run.asked.versionIndex]!;
    this.#processes.run(slot, spec.isFresh);
    this.#runs.begin(run, slot);
  }

  #complete(core: number, ending: Ending): void {
    const run = this.#on(core);
    assert(run !== null && !run.isCompleted, `seat ${core} has a second result`);
    run.isCompleted = true;
    this.#runs.end(run);
    const kind = ending === EndingKind.answered ? 'response' : 'error';
    const result = { kind, payload: EMPTY, record: recordOf(run), tail: '' } as const;
    this.#results.push(() => run.asked.done(result));
  }

  #release(core: number, sequence: number, warm: boolean): void {
    const run = this.#on(core);
    assert(
      run !== null && run.sequence === sequence,
      `seat ${core} is released for lease ${sequence}, and has another`,
    );
    assert(run.isCompleted, `seat ${core} is released before its result`);
    run.isWarm = warm;
    if (run.slot >= 0 && this.machine.stateOf(run.slot) === SlotState.idle) this.#processes.rests(run.slot);
    const isFollowed = run.asked.isFollowed === true;
    if (isFollowed) this.#followedUs = this.#doors.nowUs();
    const isReleased = this.sharing.ended(core, this.#doors.nowUs(), isFollowed);
    this.sharing.actions.drain(this.#place);
    const isShared = run.seats.length === 1 && core < this.#spec.coreCount;
    if (isReleased && isShared && !isFollowed) this.#lending.checkReleased(core, this.#residents());
  }

  /** Who has a seat, each once. */
  #residents(): Resident[] {
    return this.#bySeat.flatMap((run, seat) => {
      if (run === null || run.seat !== seat) return [];
      return [{ seat, seats: run.seats, sharing: this.#specs[run.asked.versionIndex]!.sharing }];
    });
  }

  #released(seat: number): void {
    const run = this.#on(seat);
    assert(run !== null, `seat ${seat} is released twice`);
    this.#clear(run);
    this.#events.released(seat, run.sequence, run.isWarm);
  }

  #clear(run: Run): void {
    for (const seat of run.seats) this.#bySeat[seat] = null;
  }
}

function recordOf({ seat, seats }: Run): InvocationRecord {
  const times = { queuedUs: 0, startUs: 0, initUs: 0, runUs: 1, billedMs: 1, memoryPeakMb: 1 };
  return { core: seat, coreCount: seats.length, start: 'warm', queuedAt: -1, ...times };
}
