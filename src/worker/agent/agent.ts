/**
 * The agent: the worker machine's shell. It starts and kills instances, cells and zygotes, pins each to the cores of its
 * lease, carries payloads to it and answers back, and says when a lease is over.
 *
 * Hot path: `assign` of a warm instance and the answer to it. One write and one read of a socket, one record; a
 * system call to pin only when the instance changes cores. Checked by `npm run bench -- invoke`.
 */
import { assert } from '../../base/assert.ts';
import { waitFor } from '../../base/clock.ts';
import type { Isolation } from '../../store/settings.ts';
import type { FunctionVersion } from '../../store/store.ts';
import { FrameKind } from '../../wire/instance-frame.ts';
import { type ActionHandler, type Ending, Kill, SlotState } from '../machine/actions.ts';
import { EventKind } from '../machine/rules.ts';
import { WorkerMachine } from '../machine/worker.ts';
import { runtimeOf } from '../runtimes/index.ts';
import type { ExitReason } from '../sandbox/contract.ts';
import { BusyCores } from './busy-cores.ts';
import type { Cell, CellEvents } from './cell.ts';
import { CoreSharing } from './core-sharing.ts';
import type {
  CopyState,
  Invocation,
  InvocationResult,
  Lease,
  ProvisionedState,
  Provisioner,
  StartKind,
  VersionTarget,
} from './contract.ts';
import { type Answer, Instance, type InstanceEvents } from './instance.ts';
import { InvocationLog } from './invocation-log.ts';
import { Launcher } from './launcher.ts';
import { PlatformCpus } from './platform-cpus.ts';
import { resultOf, type Running } from './results.ts';
import type { AgentDoors, AgentEvents, AgentLimits, AgentSetting } from './setting.ts';
import { errorText, exitError, uncopyableLine } from './report.ts';
import { sharingViewOf, type SharingView } from './sharing-view.ts';
import { type Resident, Starter } from './starter.ts';
import { AgentMetrics } from './agent-metrics.ts';
import { VersionBook } from './version-book.ts';
import { ZygotePlaces } from './zygote-places.ts';

/** Deadlines are looked at this often; a timeout is late by this at most. */
const TICK_MS = 10;
const NONE = -1;
const INITIALISING: readonly SlotState[] = [SlotState.starting, SlotState.readying, SlotState.initialising];

export class Agent implements Provisioner {
  readonly #machine: WorkerMachine;
  readonly #doors: AgentDoors;
  readonly #limits: AgentLimits;
  readonly #events: AgentEvents;
  readonly #launcher: Launcher;
  readonly #book: VersionBook;
  readonly #starter: Starter;
  readonly #zygotes: ZygotePlaces;
  readonly #platformCpus: PlatformCpus;
  readonly #residents: (Resident | null)[];
  /** Those that have sent something since the last tick. */
  readonly #heard = new Set<Instance | Cell>();
  readonly #busy: BusyCores;
  readonly #sharing: CoreSharing;
  readonly #metrics: AgentMetrics;
  /** Results that the current actions came to, each beside its receiver; see #drain. */
  readonly #receivers: Invocation[] = [];
  readonly #results: InvocationResult[] = [];
  /** Ends the ticking; null while there is none. */
  #ticking: (() => void) | null = null;
  #stopping = false;
  #onEmpty: (() => void) | null = null;
  readonly #isStill = (slot: number): boolean => this.#sharing.isStill(slot);
  readonly #carryOut: ActionHandler = {
    start: (slot, core, versionIndex) => this.#start(slot, core, versionIndex),
    boot: (slot, kind) => this.#starter.boot(slot, kind),
    adopt: (slot, core, versionIndex) => this.#adopt(slot, core, versionIndex),
    fork: (slot, zygoteSlot, core) => this.#fork(slot, zygoteSlot, core),
    take: (slot, core) => this.#take(slot, core),
    run: (slot, core) => this.#run(slot, core),
    complete: (core, slot, ending) => this.#complete(core, slot, ending),
    release: (core, sequence, warm) => this.#release(core, sequence, warm),
    kill: (slot, why) => this.#kill(slot, why),
    freeze: (slot) => this.#residents[slot]!.freeze(),
    thaw: (slot, core) => this.#thaw(slot, core),
    warmed: (versionIndex) => this.#events.warmed(versionIndex),
    evicted: (versionIndex) => this.#events.evicted(versionIndex),
    roomAvailable: () => this.#events.memoryAvailable(),
  };
  readonly #instanceEvents: InstanceEvents = {
    heard: (instance) => this.#heard.add(instance),
    // It began where its zygote was, which may have been moved since it was forked.
    made: (instance) => this.#starter.placeFirst(instance),
    ready: (instance) => this.#onReady(instance),
    answer: (instance, answer) => this.#onAnswer(instance, answer),
    log: (instance, text, bytes) => this.#onLog(instance, this.#machine.coreOf(instance.slot), text, bytes),
    hint: (instance, hint) => this.#sharing.hint(this.#machine.coreOf(instance.slot), hint),
    lost: (instance) => this.#feed(() => this.#machine.lost(instance.slot)),
    broke: (instance, message) => this.#onBroke(instance, message),
    exited: (instance, reason) => this.#onExited(instance, reason),
  };
  readonly #cellEvents: CellEvents = {
    heard: (cell) => this.#heard.add(cell),
    booted: (cell) => this.#feed(() => this.#machine.booted(cell.slot, this.#doors.clock.nowUs())),
    initialised: (cell) => this.#onInitialised(cell),
    initFailed: (cell) => this.#onInitFailed(cell),
    uncopyable: (cell, reasons) => this.#onUncopyable(cell, reasons),
    log: (cell, text, bytes) => this.#onLog(cell, this.#machine.awaitingCore(cell.slot), text, bytes),
    broke: (cell, message) => this.#onBroke(cell, message),
    exited: (cell, reason) => this.#onExited(cell, reason),
  };

  constructor(setting: AgentSetting, doors: AgentDoors, events: AgentEvents) {
    const { topology, limits, account } = setting;
    this.#platformCpus = new PlatformCpus(topology);
    this.#limits = limits;
    this.#doors = doors;
    this.#events = events;
    this.#launcher = new Launcher(doors.backend, { ...limits, account });
    this.#book = new VersionBook(limits.versionCount, doors.codes, limits.slotCount);
    this.#residents = new Array<Resident | null>(limits.slotCount).fill(null);
    this.#sharing = new CoreSharing(setting, doors, {
      servantOf: (seat) => this.#servantOf(seat),
      seatOf: (slot) => this.#machine.coreOf(slot),
      startedUs: (seat) => this.#busy.at(seat)?.startedUs ?? 0,
      initialising: () => this.#zygotes,
      openSeat: (seat) => events.openSeat?.(seat),
      closeSeat: (seat) => events.closeSeat?.(seat),
      released: (seat, sequence, warm) => this.#released(seat, sequence, warm),
    });
    this.#busy = new BusyCores(this.#sharing.seatCount);
    this.#machine = new WorkerMachine({
      coreCount: this.#sharing.seatCount,
      slotCount: limits.slotCount,
      versionCount: limits.versionCount,
      memoryMb: limits.memoryMb,
      initTimeoutUs: limits.initTimeoutMs * 1000,
      codeTimeoutUs: limits.codeTimeoutMs * 1000,
      cellTargets: this.#launcher.cellUses.map(() => limits.cellCount),
      cellMemoryMb: limits.cellMemoryMb,
      copiesAheadMax: limits.copiesAheadMax,
    });
    this.#metrics = new AgentMetrics(doors.metrics, this.#machine, this.#launcher.cellUses);
    const own = { residents: this.#residents, launcher: this.#launcher, book: this.#book, metrics: this.#metrics };
    this.#starter = new Starter(
      { topology, limits },
      { ...doors, ...own },
      {
        instance: this.#instanceEvents,
        cell: this.#cellEvents,
        exited: (pending, reason) => this.#onExited(pending, reason),
        isDying: (slot) => this.#machine.stateOf(slot) === SlotState.dying,
        code: (slot, isHere) => this.#machine.code(slot, isHere, doors.clock.nowUs()),
        coreOf: (slot) => this.#machine.coreOf(slot),
        maskOf: (core) => this.#machine.maskOf(core),
        cpusOf: (seat) => this.#sharing.cpusOf(seat),
        isBackground: (seat) => this.#sharing.isBackground(seat),
        leadOf: (zygote) => this.#zygotes.leadOf(zygote),
      },
    );
    this.#zygotes = new ZygotePlaces(this.#machine, { ...own, sharing: this.#sharing, starter: this.#starter });
  }

  /** Makes the first stem cells. */
  start(): void {
    this.#sharing.start();
    this.#tick();
  }

  /** Before the version's first `assign` or `provision`. */
  setVersion(target: VersionTarget): void {
    const { versionIndex, fn, isolation } = target;
    const { kind, reasons } = this.#launcher.cellKindOf(fn, isolation);
    this.#book.set(target, reasons);
    this.#machine.setVersion(versionIndex, {
      memoryMb: fn.config.memoryMb,
      timeoutUs: fn.config.timeoutS * 1e6,
      fresh: isolation === 'fresh' && !runtimeOf(fn.config.runtime).alwaysFresh,
      cellKind: kind,
    });
  }

  /** Runs the invocation on the cores of its lease; its `done` is called exactly once. */
  assign(lease: Lease, invocation: Invocation): void {
    if (this.#stopping) return invocation.done({ kind: 'refused', why: 'stopping' });
    if (!this.#busy.mayBegin(lease)) return invocation.done({ kind: 'refused', why: 'stale-lease' });
    const nowUs = this.#doors.clock.nowUs();
    const running: Running = {
      lease,
      invocation,
      grantedUs: nowUs,
      log: new InvocationLog(invocation, this.#doors.logs, this.#limits),
      startedUs: 0,
      start: 'warm',
      initUs: 0,
      answer: null,
    };
    // It is there before the actions that look it up.
    this.#busy.begin(running);
    if (!this.#machine.assign(lease, invocation.versionIndex, nowUs)) {
      this.#busy.end(running);
      // The refusal first: that there is room may be among what was evicted for it, and would be forgotten.
      invocation.done({ kind: 'refused', why: 'no-memory' });
      return this.#drain();
    }
    this.#sharing.began(lease, invocation);
    if (this.#zygotes.place(lease.core)) running.start = 'cold';
    this.#drain();
  }

  dropVersion(versionIndex: number): void {
    this.#feed(() => this.#machine.dropVersion(versionIndex));
  }

  provision(versionIndex: number, count: number): void {
    this.#book.provision(versionIndex, count);
    this.#machine.provision(versionIndex, count);
    this.#drain();
  }

  want(versionIndex: number, count: number): void {
    this.#feed(() => this.#machine.want(versionIndex, count, this.#doors.clock.nowUs()));
  }

  provisionedState(versionIndex: number): ProvisionedState {
    return this.#book.provisionedState(versionIndex, this.#machine);
  }

  copyState(versionIndex: number): CopyState {
    return this.#book.copyState(versionIndex, this.#machine);
  }

  /** How cores are shared here, and who is where. */
  sharingView(): SharingView {
    return sharingViewOf(this.#sharing, this.#busy, this.#doors.clock.nowUs());
  }

  copyReasons(fn: FunctionVersion, isolation: Isolation): readonly string[] {
    return this.#launcher.cellKindOf(fn, isolation).reasons;
  }

  /** Resolves when nothing runs, or `graceMs` are over. What is assigned meanwhile runs too. */
  finish(graceMs: number): Promise<void> {
    const waiting = { everyMs: TICK_MS, graceMs, isDone: () => this.#busy.count === 0 };
    return new Promise((resolve) => waitFor(this.#doors.clock, waiting, resolve));
  }

  /** Takes no more, and kills what there is, with a result for what runs; resolves when every instance is gone. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const empty = new Promise<void>((resolve) => (this.#onEmpty = resolve));
    this.#machine.stop();
    this.#drain();
    if (this.#machine.residentCount > 0) await empty;
    this.#ticking?.();
    this.#ticking = null;
    this.#sharing.close();
  }

  /** For tests: everything that must hold between two events. */
  checkInvariants(): void {
    this.#machine.checkInvariants();
    this.#sharing.checkInvariants();
    assert(this.#receivers.length === 0 && this.#machine.actions.count === 0, 'something was left to do');
    this.#busy.checkInvariants((core) => this.#machine.slotOf(core) >= 0 || this.#sharing.isKept(core));
    const isTimed = this.#ticking !== null || this.#stopping;
    assert(isTimed || !this.#needsTicks, 'something runs or is to be frozen, and nobody looks at the time');
    for (const [slot, resident] of this.#residents.entries()) {
      const state = this.#machine.stateOf(slot);
      const empty = state === SlotState.free || state === SlotState.awaiting;
      assert((resident === null) === empty, `slot ${slot}: machine and agent disagree`);
    }
  }

  get residentCount(): number {
    return this.#machine.residentCount;
  }

  /** An event, and what the machine makes of it. */
  #feed(event: () => void): void {
    event();
    this.#drain();
  }

  /**
   * Carries out what the machine decided, and delivers the results after that: the next invocation is on its way to the
   * core before anybody spends time on the answer of the last one.
   */
  #drain(): void {
    if (!this.#machine.actions.drain(this.#carryOut)) return;
    if (this.#ticking === null) this.#keepTicking();
    if (this.#results.length === 0) return;
    const receivers = this.#receivers.splice(0);
    const results = this.#results.splice(0);
    for (let index = 0; index < results.length; index++) receivers[index]!.done(results[index]!);
  }

  /** Any event may leave something that waits for time: the end of a cell too, which is tried again later. */
  #keepTicking(): void {
    if (this.#stopping || !this.#needsTicks) return;
    this.#ticking = this.#doors.clock.every(TICK_MS, () => this.#tick());
  }

  get #needsTicks(): boolean {
    return this.#busy.count + this.#machine.awakeCount > 0;
  }

  #tick(): void {
    for (const resident of this.#heard) resident.tick();
    this.#heard.clear();
    const nowUs = this.#doors.clock.nowUs();
    this.#machine.tick(nowUs, this.#isStill);
    this.#sharing.tick(nowUs);
    this.#drain();
    this.#platformCpus.update(this.#busy.count, (core) => nowUs - (this.#busy.at(core)?.grantedUs ?? nowUs));
    if (this.#needsTicks) return;
    this.#ticking?.();
    this.#ticking = null;
  }

  // --- actions of the machine: what starts ------------------------------------------------------------------

  #start(slot: number, core: number, versionIndex: number): void {
    this.#noteStart(core, 'cold');
    this.#starter.start(slot, versionIndex);
  }

  #adopt(slot: number, core: number, versionIndex: number): void {
    this.#noteStart(core, 'cold');
    this.#starter.adopt(slot, versionIndex);
  }

  #fork(slot: number, zygoteSlot: number, core: number): void {
    const { initUs } = this.#starter.fork(slot, zygoteSlot, core);
    if (core === NONE) return;
    const running = this.#busy.on(core);
    running.initUs = initUs;
    // One that awaited its zygote has its start from then.
    if (running.start !== 'cold') running.start = 'copy';
  }

  #take(slot: number, core: number): void {
    this.#noteStart(core, this.#machine.zygoteOf(slot) === NONE ? 'cold' : 'copy');
    this.#starter.pin(this.#residents[slot]!, core);
  }

  #noteStart(core: number, start: StartKind): void {
    if (core !== NONE) this.#busy.on(core).start = start;
  }

  // --- actions of the machine: what runs and ends -----------------------------------------------------------

  #run(slot: number, core: number): void {
    const running = this.#busy.on(core);
    const instance = this.#residents[slot] as Instance;
    const { clock } = this.#doors;
    this.#starter.place(instance, core, this.#sharing.isBackground(core));
    running.startedUs = clock.nowUs();
    running.log.start();
    this.#sharing.event(core, EventKind.started);
    this.#sharing.runs(core, instance);
    instance.invoke(running.invocation, clock.wallMs() + running.invocation.fn.config.timeoutS * 1000);
  }

  /** Where it was before, another instance may run by now. */
  #thaw(slot: number, core: number): void {
    const resident = this.#residents[slot]!;
    this.#starter.place(resident, core, this.#sharing.isBackground(core));
    resident.thaw();
  }

  #complete(core: number, slot: number, ending: Ending): void {
    this.#sharing.leaves(core, slot);
    const running = this.#busy.on(core);
    const { clock } = this.#doors;
    const moment = { nowUs: clock.nowUs(), wallMs: clock.wallMs(), initTimeoutMs: this.#limits.initTimeoutMs };
    const result = resultOf(running, ending, this.#residents[slot] ?? null, moment);
    this.#metrics.ended(result, ending);
    this.#receivers.push(running.invocation);
    this.#results.push(result);
  }

  #release(core: number, sequence: number, warm: boolean): void {
    this.#sharing.ended(core, sequence, warm);
  }

  #released(core: number, sequence: number, warm: boolean): void {
    this.#busy.end(this.#busy.on(core));
    this.#events.released(core, sequence, warm);
  }

  /** Null: what the seat's invocation runs in is not there yet, or ends. */
  #servantOf(seat: number): Instance | null {
    const slot = this.#machine.slotOf(seat);
    const resident = slot < 0 ? null : this.#residents[slot]!;
    return resident instanceof Instance ? resident : null;
  }

  #kill(slot: number, why: Kill): void {
    const resident = this.#residents[slot]!;
    this.#metrics.killed(why);
    if (why === Kill.timedOut && resident.initUs === 0)
      this.#book.noteInitialised(slot, `it took longer than ${this.#limits.initTimeoutMs} ms`);
    if (why !== Kill.spent) return resident.kill();
    if (resident instanceof Instance) resident.answeredUs = this.#doors.clock.nowUs();
    resident.retire();
  }

  // --- what instances, cells and zygotes do -----------------------------------------------------------------

  #onReady(instance: Instance): void {
    const state = this.#machine.stateOf(instance.slot);
    if (state !== SlotState.starting && state !== SlotState.readying)
      return this.#onBroke(instance, 'it was ready before');
    const nowUs = this.#doors.clock.nowUs();
    instance.initUs = nowUs - instance.startedUs;
    this.#book.noteInitialised(instance.slot, '');
    if (instance.once) this.#metrics.copy.record(instance.initUs);
    this.#feed(() => this.#machine.ready(instance.slot, nowUs));
  }

  #onInitialised(cell: Cell): void {
    if (this.#machine.stateOf(cell.slot) !== SlotState.initialising) return;
    const nowUs = this.#doors.clock.nowUs();
    cell.noteInitialised(nowUs);
    this.#book.noteCopyable(cell.target!);
    this.#book.noteInitialised(cell.slot, '');
    this.#feed(() => this.#machine.initialised(cell.slot, cell.memoryMb(), nowUs));
  }

  #onInitFailed(cell: Cell): void {
    if (this.#machine.stateOf(cell.slot) === SlotState.initialising)
      this.#book.noteInitialised(cell.slot, errorText(cell.initError!));
    this.#feed(() => this.#machine.initFailed(cell.slot));
  }

  #onUncopyable(cell: Cell, reasons: readonly string[]): void {
    const { functionName } = cell;
    if (this.#machine.stateOf(cell.slot) !== SlotState.initialising) return;
    const shown = this.#book.noteUncopyable(cell.target!, reasons);
    this.#doors.logs.append(functionName, uncopyableLine(this.#doors.clock.wallMs(), functionName, shown));
    this.#doors.log.info({ function: functionName, reasons: shown }, 'a function cannot be copied');
    this.#feed(() => this.#machine.uncopyable(cell.slot, this.#doors.clock.nowUs()));
  }

  #onAnswer(instance: Instance, answer: Answer): void {
    const { slot } = instance;
    const core = this.#machine.coreOf(slot);
    const running = core < 0 ? null : this.#busy.on(core);
    const state = this.#machine.stateOf(slot);
    // Before it is ready it can only fail to become so; it was told no invocation yet.
    const isInit = state === SlotState.starting || state === SlotState.readying;
    const known = isInit === (answer.kind === FrameKind.initError) && answer.sequence === instance.sequence;
    const expected = running === null ? state === SlotState.readying : running.answer === null;
    if (!known || !expected) {
      return this.#onBroke(instance, `an answer to nothing: kind ${answer.kind}, sequence ${answer.sequence}`);
    }
    if (isInit) this.#book.noteInitialised(slot, errorText(answer.body));
    if (running !== null) running.answer = answer;
    this.#feed(() => this.#machine.answered(slot, answer.last && !instance.once));
  }

  /** `core`: of the invocation that it belongs to, or is initialised for; -1: none. */
  #onLog(resident: Instance | Cell, core: number, text: string, bytes: number): void {
    this.#metrics.logBytes.add(bytes);
    if (core >= 0) {
      if (!this.#busy.on(core).log.write(text, bytes)) this.#metrics.logDropped.add(bytes);
      return;
    }
    // Made ahead, or left behind by an invocation: the function's all the same, within the bound of one invocation.
    resident.loggedBytes += bytes;
    const fits = resident.loggedBytes <= this.#limits.logBytesPerInvocationMax;
    if (fits && resident.functionName !== '') this.#doors.logs.append(resident.functionName, text);
    else this.#metrics.logDropped.add(bytes);
  }

  #onBroke(resident: Instance | Cell, message: string): void {
    const { slot, functionName } = resident;
    this.#doors.log.warn({ function: functionName, slot, message }, 'an instance broke its protocol');
    this.#feed(() => this.#machine.broke(slot));
  }

  #onExited(resident: Resident, reason: ExitReason): void {
    const { slot } = resident;
    const entry = { function: resident.functionName, slot, reason };
    // What is killed while it starts has not failed to.
    if (reason.kind === 'start-failed' && !this.#stopping) this.#doors.log.error(entry, 'a sandbox did not start');
    else this.#doors.log.debug(entry, 'an instance ended');
    this.#metrics.exited(reason, resident instanceof Instance ? resident.answeredUs : 0, this.#doors.clock.nowUs());
    if (INITIALISING.includes(this.#machine.stateOf(slot))) {
      const { type, what } = exitError(reason);
      this.#book.noteInitialised(slot, `${type}: ${what}`);
    }
    this.#book.releaseCode(slot);
    this.#machine.exited(slot, this.#doors.clock.nowUs());
    this.#drain();
    // The slot may have another resident already.
    if (this.#residents[slot] === resident) this.#residents[slot] = null;
    if (this.#machine.residentCount === 0) this.#onEmpty?.();
  }
}
