/**
 * The way of one invocation behind the HTTP face of a gateway in a cluster: a core is asked of the scheduler over one
 * connection, payload and lease go to the core's worker over another. What is decided, the machine decides; here are the
 * requests themselves, their frames, and the ends that they come to.
 *
 * Hot path: a handful of small objects for each invocation; frames are registers that are used again and again.
 */
import { randomInt } from 'node:crypto';
import { waitFor } from '../../base/clock.ts';
import { coreCountOf } from '../../base/core-mask.ts';
import { LIMITS } from '../../base/limits.ts';
import { UserError } from '../../base/errors.ts';
import { sleepsOnBits } from '../../cluster/sleeps-on.ts';
import { encodeVersion } from '../../cluster/version-body.ts';
import { functionKey, versionKey } from '../../cluster/version-key.ts';
import { coresOf, hasOwnSeat } from '../../store/settings.ts';
import type { FunctionVersion } from '../../store/store.ts';
import { AssignFrame, type ResultFrame, ResultKind } from '../../wire/cluster/body-frames.ts';
import type { CountFrame } from '../../wire/cluster/small-frames.ts';
import type { CopyState, ProvisionedState } from '../../worker/agent/contract.ts';
import { type FunctionUse, functionUses, type WorkerSharing, workerSharing } from '../overview.ts';
import type { CoreView, Dispatch, InvokeRequest, InvokeResult } from '../platform.ts';
import { Provisioning } from '../provisioning.ts';
import { refuseBadPayload, Refusals } from '../refusals.ts';
import { noteResult, reservedOf, VersionTable } from '../versions.ts';
import { WaitingLine } from '../waiting-line.ts';
import { CoreUses } from './core-uses.ts';
import { coreViewsOf, workersOfPage } from './core-views.ts';
import { GatewayCounters, gatewayGauges } from './gateway-metrics.ts';
import { type HeldLease, mayTakeOver } from './handing-on.ts';
import { GatewayMachine } from './machine/gateway-machine.ts';
import type { Lease, RequestRefusal } from './machine/ports.ts';
import { heldBy, knowledgeOf, lostOf, notePeer, type Pending, type VersionUse, waitsSinceUs } from './pending.ts';
import { notStartedError, resultOf } from './results.ts';
import { SchedulerLine, type VersionName } from './scheduler-line.ts';
import type { GatewayNodeDoors, GatewayNodeSetting } from './setting.ts';
import { WorkerLines } from './worker-lines.ts';
import { askSharing } from './worker-sharing.ts';

const TICK_MS = 250;
/** How often it is looked for invocations that their workers have not answered in time. */
const LOOK_MS = 5000;
/** Beside the function's own time: for its code, its initialisation, and the way. */
const ANSWER_GRACE_MS = LIMITS.codeTimeoutMs + LIMITS.initTimeoutMs + LIMITS.linkSilenceMs;
const LIFE_END = 2 ** 32 - 1;
const EMPTY: Buffer = Buffer.alloc(0);
const NOTHING_KNOWN: CopyState = {
  copyable: null,
  reasons: [],
  zygote: 'none',
  lacks: '',
  failure: '',
  waiting: 0,
};
const NOT_PROVISIONED: ProvisionedState = { allocated: 0, available: 0, failed: null };
const PROVISION_FAILED =
  'A worker could not make its instances ready; the log of the function or of the worker says why.';

function ticks(ms: number): number {
  return Math.ceil(ms / TICK_MS);
}

export class ClusterDispatcher implements Dispatch {
  readonly #setting: GatewayNodeSetting;
  readonly #doors: GatewayNodeDoors;
  readonly #machine: GatewayMachine;
  readonly #scheduler: SchedulerLine;
  readonly #workers: WorkerLines;
  readonly #versions: VersionTable;
  readonly #uses: (VersionUse | null)[] = [];
  readonly #pending: (Pending | null)[] = [];
  readonly #refusals: Refusals;
  readonly #line = new WaitingLine<Pending>();
  readonly #counters: GatewayCounters;
  readonly #coreUses = new CoreUses();
  readonly #assignFrame = new AssignFrame();
  /** While a result is told: the lease that its worker keeps for what comes next. */
  #held: HeldLease | null = null;
  #provisioning: Provisioning | null = null;
  #stopTicking: () => void = () => {};

  constructor(setting: GatewayNodeSetting, doors: GatewayNodeDoors) {
    this.#setting = setting;
    this.#doors = doors;
    const { clock, random, log, metrics } = doors;
    this.#refusals = new Refusals(metrics);
    this.#counters = new GatewayCounters(metrics);
    const self = { name: setting.name, life: randomInt(1, LIFE_END) };
    this.#scheduler = new SchedulerLine(
      self,
      { address: setting.scheduler, clock, random, log, connect: doors.dialScheduler },
      {
        nameOf: (version) => this.#nameOf(version),
        acceptedUs: (number) => waitsSinceUs(this.#pending[number]!),
        workerTold: (worker) => this.#workers.told(worker),
        provisioned: (version, frame) => this.#provisioned(version, frame),
      },
    );
    this.#machine = this.#makeMachine();
    this.#workers = new WorkerLines(
      self,
      { clock, random, log, connect: doors.dialWorker },
      {
        epoch: () => this.#scheduler.epoch,
        opened: (worker) => this.#machine.workerOpened(worker),
        closed: (worker, stopping) => this.#machine.workerClosed(worker, stopping),
        result: (worker, frame) => this.#result(worker, frame),
      },
    );
    this.#versions = this.#makeVersions();
    doors.store.onChange((functionName) => {
      const said = knowledgeOf(doors.store, functionName);
      if (said !== null) this.#workers.changeKnowledge(said);
    });
    gatewayGauges(this.#machine, metrics);
  }

  /** From now on it looks for the scheduler. */
  start(): void {
    const { clock, store } = this.#doors;
    this.#scheduler.start(this.#machine);
    const stopTicking = clock.every(TICK_MS, () => this.#machine.tick());
    const stopLooking = clock.every(LOOK_MS, () => this.#breakOffOverdue());
    this.#stopTicking = () => {
      stopTicking();
      stopLooking();
    };
    if (!this.#setting.hasStore) return;
    const provisioner = {
      provision: (version: number, count: number) => this.#machine.provision(version, count),
      provisionedState: (version: number) => this.#uses[version]!.provisioned,
    };
    this.#provisioning = new Provisioning(store, this.#versions, provisioner, clock);
  }

  stop(): void {
    this.#provisioning?.stop();
  }

  /** Resolves when nothing waits or runs, at the latest after this time. */
  finish(graceMs: number): Promise<void> {
    const waiting = { everyMs: TICK_MS / 10, graceMs, isDone: () => this.isIdle };
    return new Promise((resolve) => waitFor(this.#doors.clock, waiting, resolve));
  }

  /** Ends all connections. What waits or runs still is answered: its worker may run it to its end. */
  close(): void {
    this.#stopTicking();
    const nowUs = this.#doors.clock.nowUs();
    for (const [number, pending] of this.#pending.entries()) {
      if (pending === null || pending.isOver) continue;
      pending.isOver = true;
      this.#line.remove(pending);
      if (this.#machine.assignedTo(number) < 0) this.#refusals.refuse(pending.done, 'stopping');
      else pending.done(lostOf(pending, 'The gateway stopped before the function had answered', nowUs));
    }
    this.#scheduler.stop();
    this.#workers.stop();
  }

  get isIdle(): boolean {
    return this.#machine.isIdle;
  }

  invoke(request: InvokeRequest, done: (result: InvokeResult) => void): () => void {
    const acceptedUs = this.#doors.clock.nowUs();
    if (request.goesOn !== true) this.#line.comes(acceptedUs, this.#giveUp);
    const entry = this.#versions.entryOf(request.fn);
    if (entry instanceof UserError) return this.#refusals.version(done, entry);
    const number = this.#machine.accept(entry.index);
    if (number === 'queue-full') return this.#refusals.refuse(done, number);
    const pending: Pending = {
      number,
      older: null,
      newer: null,
      isInLine: false,
      request,
      entry,
      done,
      acceptedUs,
      isOver: false,
      assignedUs: 0,
      core: 0,
      lead: 0,
      mask: 0,
      shard: -1,
      line: 0,
      memoryMb: 0,
      following: [],
    };
    this.#pending[number] = pending;
    this.#versions.use(entry);
    this.#ready(pending);
    if (request.goesOn !== true) this.#line.add(pending);
    this.#begin(pending);
    return () => void this.#withdraw(pending);
  }

  provisionedState(fn: FunctionVersion): ProvisionedState {
    if (this.#provisioning !== null) return this.#provisioning.stateOf(fn) ?? NOT_PROVISIONED;
    const entry = this.#versions.find(fn);
    return entry === null ? NOT_PROVISIONED : this.#uses[entry.index]!.provisioned;
  }

  /** Of the worker that answered an invocation of it last: others may have it in another state. */
  async copyState(fn: FunctionVersion): Promise<CopyState> {
    const entry = this.#versions.find(fn);
    const use = entry === null ? null : this.#uses[entry.index];
    for (const peer of use?.peers ?? []) {
      const place = this.#workers.placeOf(peer);
      const state = place === null ? null : await this.#doors.askWorker(place, `/copies/${use!.key}`);
      if (state !== null) return state as CopyState;
    }
    return NOTHING_KNOWN;
  }

  uses(): FunctionUse[] {
    const requests = this.#pending.flatMap((pending, number) =>
      pending === null || pending.isOver
        ? []
        : [{ entry: pending.entry, isRunning: this.#machine.assignedTo(number) >= 0 }],
    );
    return functionUses(this.#versions.entries(), requests);
  }

  /** Of the workers that there are. */
  get coreCount(): number {
    let count = 0;
    for (const { told, coreCount } of this.#machine.workers()) if (told) count += coreCount;
    return count;
  }

  /** The cores of the workers that there are, and what of this gateway's runs on them: those after `after`, `max` at most. */
  async coreViews(after: number, max: number): Promise<CoreView[]> {
    const workers = workersOfPage(this.#machine.workers(), { after, max });
    const shared = workers.filter(({ extraSeatCount }) => extraSeatCount > 0);
    const sharing = await askSharing(shared, this.#workers, this.#doors.askWorker);
    const pending = this.#pending.filter((each) => each !== null);
    const running = Map.groupBy(pending, ({ number }) => this.#machine.assignedTo(number));
    const nowUs = this.#doors.clock.nowUs();
    return coreViewsOf({ workers, running, sharing, uses: this.#coreUses, nowUs }, { after, max });
  }

  async sharing(): Promise<WorkerSharing[]> {
    const workers = [...this.#machine.workers()];
    const views = await askSharing(workers, this.#workers, this.#doors.askWorker);
    return workers.flatMap(({ id, name }) => {
      const view = views.get(id);
      return view === undefined ? [] : [workerSharing(name, view)];
    });
  }

  /** For tests: everything that must hold between two events. */
  checkInvariants(): void {
    this.#machine.checkInvariants();
  }

  // ---- made once

  #makeMachine(): GatewayMachine {
    const limits = {
      requestCountMax: LIMITS.gatewayRequestCountMax,
      unaskedMax: LIMITS.requestQueueMax,
      versionCountMax: LIMITS.functionVersionCountMax,
      coreEnd: LIMITS.clusterCoreEnd,
      schedulerWaitTicks: ticks(LIMITS.schedulerWaitMs),
      connectTicks: ticks(LIMITS.workerConnectMs),
      lostTicks: ticks(LIMITS.lostRequestRestMs),
      untoldTicks: ticks(LIMITS.schedulerWaitMs),
    };
    const machine: GatewayMachine = new GatewayMachine(limits, {
      scheduler: this.#scheduler,
      workers: {
        dial: (worker) => {
          this.#coreUses.begin(worker, this.#doors.clock.nowUs());
          this.#workers.dial(worker, machine.workerOf(worker)!.name);
        },
        hangUp: (worker) => this.#workers.hangUp(worker),
        setVersion: (worker, version, index, epoch) => this.#setVersion(worker, version, { index, epoch }),
        assign: (worker, number, index, lease) => this.#assign(worker, number, index, lease),
      },
      events: {
        refused: (number, why) => this.#refused(number, why),
        lost: (number, worker) => this.#lost(number, worker),
        freed: (number) => this.#freed(number),
        returned: (why) => this.#counters.unstarted(why),
      },
    });
    return machine;
  }

  #makeVersions(): VersionTable {
    const { store, admission } = this.#doors;
    const { accountId } = this.#setting;
    return new VersionTable(store, LIMITS.functionVersionCountMax, {
      refuse: (fn) => admission.refuseVersion(fn),
      added: (entry) => {
        const key = versionKey(accountId, entry.fn, entry.isolation);
        const ofFunction = functionKey(accountId, entry.fn.functionName);
        this.#uses[entry.index] = { entry, key, functionKey: ofFunction, peers: [], provisioned: NOT_PROVISIONED };
        this.#machine.addVersion(entry.index, key);
      },
      retired: (entry) => {
        this.#machine.removeVersion(entry.index);
        this.#uses[entry.index] = null;
      },
      concurrency: (_index, max, functionName) =>
        this.#machine.setConcurrency(functionKey(accountId, functionName), max ?? -1),
    });
  }

  // ---- versions

  #nameOf(version: number): VersionName {
    const { entry, key, functionKey: ofFunction } = this.#uses[version]!;
    const concurrency = reservedOf(this.#doors.store, entry.fn.functionName) ?? -1;
    const { config } = entry.fn;
    const asks = { memoryMb: config.memoryMb, coreCount: coresOf(config), isDedicated: hasOwnSeat(config) };
    return { key, functionKey: ofFunction, ...asks, concurrency };
  }

  #setVersion(worker: number, version: number, named: { index: number; epoch: number }): void {
    const { entry, key, peers } = this.#uses[version]!;
    const addresses = peers.map((peer) => this.#workers.addressOf(peer)).filter((address) => address !== '');
    const payload = encodeVersion({ fn: entry.fn, isolation: entry.isolation, peers: addresses });
    this.#workers.setVersion(worker, { version: named.index, epoch: named.epoch, key, payload });
    const said = knowledgeOf(this.#doors.store, entry.fn.functionName);
    if (said !== null) this.#workers.tellKnowledge(worker, said);
  }

  #provisioned(version: number, { second, third, flag }: CountFrame): void {
    const failed = flag === 1 ? PROVISION_FAILED : null;
    this.#uses[version]!.provisioned = { allocated: second, available: third, failed };
  }

  // ---- requests

  /** On the core of the step before it, if that has been kept for it; else it is asked for. */
  #begin(pending: Pending): void {
    const { number, request, entry } = pending;
    const held = this.#held;
    const isReserved = (name: string): boolean => reservedOf(this.#doors.store, name) !== null;
    if (held !== null && mayTakeOver(held, request, entry, isReserved)) {
      Object.assign(pending, { line: held.line, memoryMb: held.memoryMb });
      this.#held = null;
      if (this.#machine.beginOn(number, held.worker, held)) return this.#counters.tookOver.add();
      this.#held = held;
    }
    // Who comes again is not counted against a reserved concurrency.
    if (request.sinceUs !== undefined && !isReserved(request.fn.functionName)) this.#machine.comesAgain(number);
    this.#machine.begin(number);
  }

  /** What comes next, and after that. Their own requests will say what is wrong with them. */
  #ready(pending: Pending): void {
    const { next, afterNext } = pending.request;
    for (const fn of [next, afterNext]) {
      const entry = fn === undefined ? null : this.#versions.entryOf(fn);
      if (entry === null || entry instanceof UserError) return;
      this.#versions.use(entry);
      pending.following.push(entry);
      if (fn === next) this.#machine.ready(pending.number, entry.index);
      else this.#machine.name(entry.index);
    }
  }

  #assign(worker: number, number: number, index: number, lease: Lease): void {
    const pending = this.#pending[number]!;
    const { request, acceptedUs } = pending;
    const nowUs = this.#doors.clock.nowUs();
    pending.assignedUs = nowUs;
    this.#line.remove(pending);
    pending.core = lease.core;
    pending.lead = lease.core - this.#machine.workerOf(worker)!.firstCore;
    pending.mask = lease.mask;
    pending.shard = lease.shard;
    if (!this.#machine.tookOver(number))
      Object.assign(pending, { line: this.#machine.line, memoryMb: request.fn.config.memoryMb });
    const frame = this.#assignFrame;
    this.#putChain(frame, pending, worker);
    frame.tail = request.tail;
    frame.version = index;
    frame.core = lease.core;
    frame.mask = lease.mask;
    frame.sequence = lease.sequence;
    frame.epoch = lease.epoch;
    frame.request = number;
    frame.queuedUs = nowUs - acceptedUs;
    frame.timeoutMs = request.fn.config.timeoutS * 1000;
    frame.shard = lease.shard;
    frame.requestId = request.requestId;
    frame.clientContext = request.clientContext;
    frame.traceId = request.traceId;
    frame.invokedArn = request.invokedArn;
    frame.payload = request.payload;
    this.#workers.assign(worker, frame);
    frame.payload = EMPTY;
    this.#coreUses.used(worker, pending, nowUs);
  }

  /** A worker that speaks version 1 of the protocol knows nothing of it. */
  #putChain(frame: AssignFrame, { number, request }: Pending, worker: number): void {
    const isKnown = this.#workers.versionOf(worker) > 1;
    const next = this.#machine.readiedIndex(number);
    frame.follows = this.#machine.tookOver(number);
    frame.next = isKnown && next >= 0 ? next : null;
    frame.usedUs = isKnown ? (request.usedUs ?? 0) : 0;
    frame.sleepsOn = isKnown ? sleepsOnBits(request.sleepsOn ?? []) : 0;
  }

  #result(worker: number, frame: ResultFrame): void {
    const pending = this.#pending[frame.request] ?? null;
    const held = frame.kept === 1 && pending !== null ? heldBy(worker, frame, pending) : null;
    if (!this.#machine.answered(worker, frame)) {
      if (frame.kept === 1) this.#workers.letGo(worker, frame);
      return;
    }
    pending!.isOver = true;
    this.#held = held;
    this.#tell(worker, frame, pending!);
    // What comes next has been asked for by now, and goes before those who came later.
    const isLeft = this.#held === held;
    this.#held = null;
    if (frame.kept === 1 && (held === null || isLeft)) this.#workers.letGo(worker, frame);
  }

  #tell(worker: number, frame: ResultFrame, pending: Pending): void {
    const { done, entry, mask } = pending;
    noteResult(entry, frame.runUs);
    if (this.#line.isStanding) this.#line.ends(this.#doors.clock.nowUs(), this.#giveUp);
    this.#coreUses.ended(worker, pending, this.#doors.clock.nowUs());
    if (frame.result === ResultKind.notStarted) return void this.#refusals.version(done, notStartedError(frame));
    if (frame.result === ResultKind.badPayload) return refuseBadPayload(done, frame.payload.toString('utf8'));
    const use = this.#uses[entry.index];
    if (use?.entry === entry && use.peers[0] !== worker) notePeer(use, worker);
    done(resultOf(frame, coreCountOf(mask)));
  }

  readonly #giveUp = (pending: Pending): void => {
    if (this.#withdraw(pending)) this.#refusals.refuse(pending.done, 'late');
  };

  /** False: it runs, or is over. */
  #withdraw(pending: Pending): boolean {
    const { number } = pending;
    if (this.#pending[number] !== pending || pending.isOver || !this.#machine.withdraw(number)) return false;
    pending.isOver = true;
    this.#line.remove(pending);
    return true;
  }

  /** A worker ends what takes too long, and says so; one that does not is not well. */
  #breakOffOverdue(): void {
    const nowUs = this.#doors.clock.nowUs();
    const overdue = new Set<number>();
    for (const [number, pending] of this.#pending.entries()) {
      const worker = this.#machine.assignedTo(number);
      if (pending === null || pending.isOver || worker < 0) continue;
      const allowedMs = pending.entry.fn.config.timeoutS * 1000 + ANSWER_GRACE_MS;
      if (nowUs - pending.assignedUs > allowedMs * 1000) overdue.add(worker);
    }
    for (const worker of overdue) this.#workers.breakOff(worker);
  }

  #refused(number: number, why: RequestRefusal): void {
    const pending = this.#pending[number]!;
    pending.isOver = true;
    this.#line.remove(pending);
    this.#refusals.refuse(pending.done, why);
  }

  #lost(number: number, worker: number): void {
    const pending = this.#pending[number]!;
    const name = this.#workers.nameOf(worker);
    this.#counters.lost.add();
    noteResult(pending.entry, 0);
    pending.isOver = true;
    pending.done(lostOf(pending, `The worker ${name} was lost while it ran the function`, this.#doors.clock.nowUs()));
  }

  #freed(number: number): void {
    const { entry, following } = this.#pending[number]!;
    this.#pending[number] = null;
    for (const each of [entry, ...following]) this.#versions.unuse(each);
  }
}
