/**
 * The way of one invocation behind the HTTP face: ask the scheduler for a core, hand payload and lease to the agent,
 * answer. What waits and what runs is found by small integers; the scheduler sees nothing else of a request.
 *
 * Exactly one result: a request has a place in `#pending` from its acceptance to its `done`, and leaves it once.
 *
 * Hot path, with `npm run bench -- invoke` to check it: a handful of small objects per invocation, no look-up by name.
 */
import { assert } from '../base/assert.ts';
import { lowestCore, withoutLowest } from '../base/core-mask.ts';
import type { Clock } from '../base/clock.ts';
import { UserError } from '../base/errors.ts';
import { type LocalScheduler, outcome, type Outcome } from '../scheduler/server/local.ts';
import { coresOf, hasOwnSeat, isolationOf } from '../store/settings.ts';
import type { FunctionVersion, Store } from '../store/store.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Agent } from '../worker/agent/agent.ts';
import type { CopyState, InvocationResult, ProvisionedState } from '../worker/agent/contract.ts';
import type { Admission } from './admission.ts';
import { type FunctionUse, functionUses } from './overview.ts';
import type { Dispatch, InvokeRequest, InvokeResult } from './platform.ts';
import { Provisioning } from './provisioning.ts';
import { refuseBadPayload, Refusals } from './refusals.ts';
import { noteResult, type VersionEntry, VersionTable } from './versions.ts';
import { type Waiter, WaitingLine } from './waiting-line.ts';

/** The scheduler's only shard, so far. */
const SHARD = 0;

/** An accepted request, until it has its result. */
interface Pending extends Waiter {
  readonly index: number;
  readonly request: InvokeRequest;
  readonly entry: VersionEntry;
  readonly done: (result: InvokeResult) => void;
  readonly acceptedUs: number;
  granted: boolean;
  /** The version that comes next, while this runs. */
  readied: VersionEntry | null;
  /** No core was free when it was asked for. */
  waited: boolean;
}

/** What a seat does now, for views. */
export interface SeatUse {
  entry: VersionEntry | null;
  requestId: string;
  sinceUs: number;
  invocationCount: number;
  /** Its invocation's result has not been told, and another step follows: the scheduler hears of its release after that. */
  isKept: boolean;
  release: { readonly sequence: number; readonly warm: boolean } | null;
}

export interface DispatcherOptions {
  /** Of the cores and, after them, the extra seats. */
  readonly seatCount: number;
  readonly requestCountMax: number;
  readonly versionCountMax: number;
  readonly epoch: number;
  /** What all instances may use together. */
  readonly memoryMb: number;
}

export interface DispatcherDoors {
  readonly store: Store;
  readonly scheduler: LocalScheduler;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly admission: Admission;
}

export class Dispatcher implements Dispatch {
  readonly #doors: DispatcherDoors;
  readonly #epoch: number;
  readonly #memoryMb: number;
  readonly #versions: VersionTable;
  readonly #pending: (Pending | null)[];
  readonly #freeIndexes: number[];
  readonly #seatUse: SeatUse[];
  /** By lead of a lease that there is: all its cores, as bits of the lead's word; 0: the lead alone. */
  readonly #masks: Int32Array;
  readonly #refusals: Refusals;
  readonly #line = new WaitingLine<Pending>();
  #agent: Agent | null = null;
  #provisioning: Provisioning | null = null;

  constructor(options: DispatcherOptions, doors: DispatcherDoors) {
    const { scheduler, metrics, store } = doors;
    this.#doors = doors;
    this.#epoch = options.epoch;
    this.#memoryMb = options.memoryMb;
    this.#pending = new Array<Pending | null>(options.requestCountMax).fill(null);
    this.#freeIndexes = Array.from({ length: options.requestCountMax }, (_, index) => index);
    this.#seatUse = Array.from({ length: options.seatCount }, () => ({
      entry: null,
      requestId: '',
      sinceUs: 0,
      invocationCount: 0,
      isKept: false,
      release: null,
    }));
    this.#masks = new Int32Array(options.seatCount);
    this.#versions = new VersionTable(store, options.versionCountMax, {
      refuse: (fn) => doors.admission.refuseVersion(fn),
      added: (entry) => {
        const { config } = entry.fn;
        const asks = { memoryMb: config.memoryMb, coreCount: coresOf(config), isDedicated: hasOwnSeat(config) };
        scheduler.setVersion(entry.index, entry.functionIndex, asks);
        this.#agent?.setVersion({ versionIndex: entry.index, fn: entry.fn, isolation: entry.isolation });
      },
      retired: (entry) => {
        this.#agent?.dropVersion(entry.index);
        scheduler.removeVersion(entry.index);
      },
      concurrency: (functionIndex, max) => scheduler.setConcurrency(functionIndex, max ?? -1),
    });
    this.#refusals = new Refusals(metrics);
    scheduler.onGrant((requestIndex, seat, sequence, mask) => this.#granted(requestIndex, seat, sequence, mask));
  }

  /** The agent is made after the dispatcher, since each tells the other something. */
  attach(agent: Agent): void {
    this.#agent = agent;
    const { store, scheduler, clock } = this.#doors;
    const provisioner = {
      provision(versionIndex: number, count: number): void {
        agent.provision(versionIndex, count);
        scheduler.provision(versionIndex, count);
      },
      provisionedState: (versionIndex: number) => agent.provisionedState(versionIndex),
    };
    this.#provisioning = new Provisioning(store, this.#versions, provisioner, clock);
  }

  /** Nothing is done by itself any more. */
  stop(): void {
    this.#provisioning?.stop();
  }

  provisionedState(fn: FunctionVersion): ProvisionedState {
    return this.#provisioning?.stateOf(fn) ?? { allocated: 0, available: 0, failed: null };
  }

  copyState(fn: FunctionVersion): CopyState {
    const entry = this.#versions.find(fn);
    if (entry !== null && this.#agent !== null) return this.#agent.copyState(entry.index);
    const { tags } = this.#doors.store.getFunction(fn.functionName) ?? {};
    const reasons = this.#agent?.copyReasons(fn, isolationOf(fn.config, tags)) ?? [];
    return { copyable: reasons.length > 0 ? false : null, reasons, zygote: 'none', lacks: '', failure: '', waiting: 0 };
  }

  /** `done` is called exactly once, perhaps before this returns. The function returned withdraws what still waits. */
  invoke(request: InvokeRequest, done: (result: InvokeResult) => void): () => void {
    const nowUs = this.#doors.clock.nowUs();
    if (request.goesOn !== true) this.#line.comes(nowUs, this.#giveUp);
    if (this.#freeIndexes.length === 0) return this.#refusals.refuse(done, 'queue-full');
    const entry = this.#versions.entryOf(request.fn);
    if (entry instanceof UserError) return this.#refusals.version(done, entry);
    const index = this.#freeIndexes.pop()!;
    const pending: Pending = {
      request,
      entry,
      done,
      acceptedUs: nowUs,
      granted: false,
      readied: null,
      waited: false,
      index,
      older: null,
      newer: null,
      isInLine: false,
    };
    this.#pending[index] = pending;
    this.#versions.use(entry);
    const answer = this.#ask(pending);
    if (answer !== outcome.granted && answer !== outcome.queued) {
      this.#leave(index);
      this.#versions.unuse(entry);
      return this.#refuseAnswer(done, answer);
    }
    // A grant that the agent refused meanwhile has said so already.
    if (answer === outcome.queued) this.#waits(pending);
    // What is provisioned may pass it for ever.
    if (answer === outcome.queued && !this.#mayFit(entry) && this.#withdraw(pending)) {
      return this.#refusals.refuse(done, 'provisioned-memory');
    }
    return () => void this.#withdraw(pending);
  }

  /** The agent says that a lease is over; of several cores it names the lead. */
  released(seat: number, sequence: number, warm: boolean): void {
    const use = this.#seatUse[seat]!;
    if (use.isKept) use.release = { sequence, warm };
    else this.#release(seat, sequence, warm);
  }

  #release(seat: number, sequence: number, warm: boolean): void {
    const { entry } = this.#seatUse[seat]!;
    assert(entry !== null, `seat ${seat} was released and held by nobody`);
    this.#ended(seat, this.#doors.clock.nowUs());
    const known = this.#doors.scheduler.release(seat, sequence, warm);
    assert(known, `the scheduler does not know the lease ${sequence} of seat ${seat}`);
    this.#versions.unuse(entry);
  }

  seatUse(seat: number): Readonly<SeatUse> {
    return this.#seatUse[seat]!;
  }

  uses(): FunctionUse[] {
    const requests = this.#pending.flatMap((pending) =>
      pending === null ? [] : [{ entry: pending.entry, isRunning: pending.granted }],
    );
    return functionUses(this.#versions.entries(), requests);
  }

  /** Nothing waits or runs. */
  get isIdle(): boolean {
    return this.#freeIndexes.length === this.#pending.length && this.#seatUse.every((use) => use.entry === null);
  }

  get versionCount(): number {
    return this.#versions.entryCount;
  }

  /** For tests: everything that must hold between two events. */
  checkInvariants(): void {
    const { machine } = this.#doors.scheduler;
    machine.checkInvariants();
    assert(machine.actions.count === 0, 'a grant was not carried out');
    const userCounts = new Map<VersionEntry, number>();
    const count = (entry: VersionEntry): void => void userCounts.set(entry, (userCounts.get(entry) ?? 0) + 1);
    const free = new Set(this.#freeIndexes);
    for (const [index, pending] of this.#pending.entries()) {
      assert((pending === null) === free.has(index), `request ${index} is neither free nor in use, or both`);
      if (pending === null) continue;
      count(pending.entry);
      if (pending.readied !== null) count(pending.readied);
      const waits = machine.queue.isWaiting(index);
      assert(waits === !pending.granted, `request ${index}: the scheduler and the gateway disagree`);
    }
    assert(free.size === this.#freeIndexes.length, 'a request index is free twice');
    for (const waiter of this.#line.waiters())
      assert(this.#pending[waiter.index] === waiter && !waiter.granted, 'one that does not wait is in the line');
    this.#checkSeats(count);
    for (const entry of this.#provisioning?.entries() ?? []) count(entry);
    this.#versions.checkInvariants((entry) => userCounts.get(entry) ?? 0);
  }

  /** Calls `count` for each lease. */
  #checkSeats(count: (entry: VersionEntry) => void): void {
    const others = new Set<number>();
    for (const [lead, mask] of this.#masks.entries()) {
      const { entry, requestId } = this.#seatUse[lead]!;
      assert(mask === 0 || entry !== null, `core ${lead} leads others and is held by nobody`);
      for (let rest = withoutLowest(mask); rest !== 0; rest = withoutLowest(rest)) {
        const core = lowestCore(lead, rest);
        const use = this.#seatUse[core]!;
        assert(use.entry === entry && use.requestId === requestId, `core ${core} is not of the lease of ${lead}`);
        assert(!others.has(core) && this.#masks[core] === 0, `core ${core} is of two leases`);
        others.add(core);
      }
    }
    for (const [seat, { entry }] of this.#seatUse.entries()) {
      const isLeased = this.#doors.scheduler.stateOf(seat) === 'leased';
      assert(isLeased === (entry !== null), `seat ${seat}: the scheduler and the gateway disagree`);
      if (entry !== null && !others.has(seat)) count(entry);
    }
  }

  #granted(index: number, seat: number, sequence: number, mask: number): void {
    const pending = this.#pending[index] ?? null;
    assert(pending !== null && !pending.granted, `request ${index} was granted a seat and does not wait`);
    pending.granted = true;
    this.#line.remove(pending);
    const { request, entry, acceptedUs } = pending;
    this.#begun(seat, mask, pending);
    this.#versions.use(entry);
    this.#agent!.assign(
      { epoch: this.#epoch, core: seat, sequence, mask },
      {
        requestId: request.requestId,
        versionIndex: entry.index,
        fn: entry.fn,
        payload: request.payload,
        clientContext: request.clientContext,
        traceId: request.traceId,
        invokedArn: request.invokedArn,
        tail: request.tail,
        usedUs: request.usedUs ?? 0,
        sleepsOn: request.sleepsOn ?? [],
        isFollowed: request.next !== undefined,
        queuedAt: pending.waited ? SHARD : -1,
        acceptedUs,
        done: (result) => this.#onResult(index, seat, sequence, result),
      },
    );
    // Not before: it would take the room that this one needs, and where this one is refused it would be made, dropped and
    // made again without end. It may have been refused, and granted another seat, by now.
    const runs = this.#pending[index] === pending && pending.granted && pending.readied === null;
    if (runs && request.next !== undefined) this.#ready(pending, request.next);
  }

  /** All cores of the lease are its request's. */
  #begun(lead: number, mask: number, pending: Pending): void {
    const nowUs = this.#doors.clock.nowUs();
    useBy(this.#seatUse[lead]!, pending, nowUs);
    if (mask === 0) return;
    this.#masks[lead] = mask;
    for (let rest = withoutLowest(mask); rest !== 0; rest = withoutLowest(rest))
      useBy(this.#seatUse[lowestCore(lead, rest)]!, pending, nowUs);
  }

  #ended(lead: number, nowUs: number): void {
    unuse(this.#seatUse[lead]!, nowUs);
    const mask = this.#masks[lead]!;
    if (mask === 0) return;
    this.#masks[lead] = 0;
    for (let rest = withoutLowest(mask); rest !== 0; rest = withoutLowest(rest))
      unuse(this.#seatUse[lowestCore(lead, rest)]!, nowUs);
  }

  #onResult(index: number, seat: number, sequence: number, result: InvocationResult): void {
    const pending = this.#pending[index] ?? null;
    assert(pending !== null && pending.granted, `request ${index} has a result and does not run`);
    if (pending.readied !== null) this.#unready(pending, pending.readied);
    if (result.kind === 'refused') return this.#onRefused(index, seat, sequence, result.why);
    this.#leave(index);
    noteResult(pending.entry, 'record' in result ? result.record.runUs : 0);
    this.#versions.unuse(pending.entry);
    if (this.#line.isStanding) this.#line.ends(this.#doors.clock.nowUs(), this.#giveUp);
    if (result.kind === 'not-started') this.#refusals.version(pending.done, result.error);
    else if (result.kind === 'bad-payload') refuseBadPayload(pending.done, result.message);
    else pending.done(result);
    // What comes next has been asked for by now, and goes before those who came later.
    if (pending.request.next !== undefined) this.#letGo(seat);
  }

  #letGo(seat: number): void {
    const use = this.#seatUse[seat]!;
    const { release } = use;
    use.isKept = false;
    use.release = null;
    if (release !== null) this.#release(seat, release.sequence, release.warm);
  }

  /** A step of a chain that has begun has waited since the chain was accepted: else the chains of a burst would all end at its end. */
  #ask({ index, entry, request }: Pending): Outcome {
    const { scheduler, clock, store } = this.#doors;
    const nowUs = clock.nowUs();
    scheduler.tellTime(nowUs);
    const { sinceUs, fn } = request;
    // Who comes again is not counted against a reserved concurrency.
    const isReserved = (): boolean => store.getFunction(fn.functionName)?.reservedConcurrency !== null;
    if (sinceUs === undefined || isReserved()) return scheduler.request(index, entry.index);
    return scheduler.requestAgain(index, entry.index, nowUs - sinceUs);
  }

  /** An instance of what comes next may be made while this runs. */
  #ready(pending: Pending, next: FunctionVersion): void {
    const entry = this.#versions.entryOf(next);
    // Its own request will say why not.
    if (entry instanceof UserError) return;
    pending.readied = entry;
    this.#versions.use(entry);
    this.#agent!.want(entry.index, ++entry.wantedCount);
  }

  #unready(pending: Pending, entry: VersionEntry): void {
    pending.readied = null;
    this.#agent!.want(entry.index, --entry.wantedCount);
    this.#versions.unuse(entry);
  }

  /** The agent did not take the lease. */
  #onRefused(index: number, seat: number, sequence: number, why: 'no-memory' | 'stale-lease' | 'stopping'): void {
    const { scheduler } = this.#doors;
    const pending = this.#pending[index]!;
    this.#ended(seat, this.#doors.clock.nowUs());
    this.#versions.unuse(pending.entry);
    assert(why !== 'stale-lease', `seat ${seat} was granted while it was busy`);
    pending.granted = false;
    pending.waited = true;
    if (why === 'no-memory' && this.#mayFit(pending.entry)) return scheduler.noMemory(seat, sequence);
    scheduler.release(seat, sequence, false);
    this.#leave(index);
    this.#versions.unuse(pending.entry);
    this.#refusals.refuse(pending.done, why === 'no-memory' ? 'provisioned-memory' : 'stopping');
  }

  /** Else it might wait for ever, and with it all that ask for as much memory. */
  #mayFit(entry: VersionEntry): boolean {
    const besideMb = this.#provisioning?.memoryMbBeside(entry) ?? 0;
    return besideMb + entry.fn.config.memoryMb <= this.#memoryMb;
  }

  #waits(pending: Pending): void {
    pending.waited = true;
    const waits = !pending.granted && this.#pending[pending.index] === pending;
    if (waits && pending.request.goesOn !== true) this.#line.add(pending);
  }

  readonly #giveUp = (pending: Pending): void => {
    if (this.#withdraw(pending)) this.#refusals.refuse(pending.done, 'late');
  };

  /** False: it does not wait. */
  #withdraw(pending: Pending): boolean {
    const { index } = pending;
    if (this.#pending[index] !== pending || pending.granted) return false;
    if (!this.#doors.scheduler.cancel(index)) return false;
    this.#line.remove(pending);
    this.#leave(index);
    this.#versions.unuse(pending.entry);
    return true;
  }

  #leave(index: number): void {
    this.#pending[index] = null;
    this.#freeIndexes.push(index);
  }

  #refuseAnswer(done: (result: InvokeResult) => void, answer: Outcome): () => void {
    if (answer === outcome.refusedConcurrency) return this.#refusals.refuse(done, 'concurrency');
    if (answer === outcome.refusedCores) return this.#refusals.refuse(done, 'cores');
    return this.#refusals.refuse(done, answer === outcome.refusedMemory ? 'memory' : 'queue-full');
  }
}

function useBy(use: SeatUse, { entry, request }: Pending, nowUs: number): void {
  use.entry = entry;
  use.requestId = request.requestId;
  use.sinceUs = nowUs;
  use.invocationCount++;
  use.isKept = request.next !== undefined;
}

function unuse(use: SeatUse, nowUs: number): void {
  use.entry = null;
  use.requestId = '';
  use.isKept = false;
  use.release = null;
  use.sinceUs = nowUs;
}
