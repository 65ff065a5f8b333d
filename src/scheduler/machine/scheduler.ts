/**
 * The scheduler machine: gives each request a core of its own, or a place in the queue, or a refusal.
 *
 * A worker's room is the memory that a request could get there now (summary.ts). A request for which some worker has room
 * is given a core (placement.ts), else it waits (queue.ts). Whatever may have made room for somebody (release, cancel,
 * a core or a worker more) ends in `serveWaiting` (dispatch.ts), so after every event this holds: no head of the queue fits anywhere.
 *
 * One machine is one shard: a thread with a queue, an idle list and warm hints of its own, over words that it has to itself or shares
 * with the machines of other threads (memory.ts). With others the same holds once nothing moves any more and every shard has told
 * the others what it gave: `settleBatch`, after each batch of events and whenever its bell rings
 * (docs/decisions/008-wait-release-steal.md). A lease may be released at any shard.
 *
 * First come, first served among requests that ask about the same memory (one power of two). One that waits for memory
 * may be overtaken by younger ones that ask less, a bounded number of times (overtaking.ts), and by those for which an
 * instance is kept ready, which take nothing from it (provisioned.ts).
 *
 * Budget: at least 10 million decisions a second with 640,000 cores, and no more than 2 times slower than with 1,000.
 * Nothing is allocated once constructed; no closure, no exception but a failed assertion. Checked by bench/schedule.ts.
 *
 * The idle-core list and the centralized, core-granular decision are Kaffes, Yadwadkar and Kozyrakis's (SoCC '19, section 3).
 */
import { assert } from '../../base/assert.ts';
import { Actions, type Grant } from './actions.ts';
import { Bells } from './bells.ts';
import { Cores } from './cores.ts';
import { counter, type CounterName } from './counters.ts';
import { Dispatch } from './dispatch.ts';
import { Functions } from './functions.ts';
import { IdleList } from './idle-list.ts';
import { checkInvariants } from './invariants.ts';
import { Leases } from './leases.ts';
import { enterWorker, type ResumedLease, resumeLease } from './membership.ts';
import { assertLimits, type SchedulerLimits } from './limits.ts';
import { countWord, globalWord, makeMemory, type Place, type SharedMemory, sumCounts } from './memory.ts';
import { outcome, type Outcome } from './outcome.ts';
import { Overtaking } from './overtaking.ts';
import { Placement } from './placement.ts';
import { Provisioned } from './provisioned.ts';
import { Queue } from './queue.ts';
import { Rooms } from './rooms.ts';
import type { SharedInt32 } from './shared.ts';
import { Summary } from './summary.ts';
import { Turns } from './turns.ts';
import { type VersionCores, Versions } from './versions.ts';
import { Warm } from './warm.ts';
import { Withdrawal } from './withdrawal.ts';
import { wordCountOf } from './words.ts';
import { Workers } from './workers.ts';

// Constants of this module are folded into the code, imported ones are not (see words.ts).
const COUNT = counter;
const ANSWER = outcome;
const { IDLE, LEASED, WITHDRAWN } = countWord;
const ensure: (condition: boolean, message: string) => void = assert;

export { outcome, type Outcome } from './outcome.ts';
export type CoreState = 'idle' | 'leased' | 'withdrawn' | 'absent';

/** The words of all shards (`makeMemory`), and which of them this one is. */
export interface ShardOf {
  readonly memory: SharedMemory;
  readonly shard: number;
}

export class Scheduler {
  readonly limits: SchedulerLimits;
  readonly epoch: number;
  readonly memory: SharedMemory;
  readonly shard: number;
  readonly isShared: boolean;
  /** The parts and the counts are there to be read, by views and `checkInvariants`; only the scheduler changes them. */
  readonly cores: Cores;
  readonly leases: Leases;
  readonly workers: Workers;
  readonly summary: Summary;
  /** The same of extra seats. */
  readonly extras: Summary;
  readonly rooms: Rooms;
  readonly idleList: IdleList;
  readonly versions: Versions;
  readonly functions: Functions;
  readonly warm: Warm;
  readonly queue: Queue;
  readonly actions: Actions;
  readonly overtaking: Overtaking;
  readonly provisioned: Provisioned;
  readonly turns: Turns;
  readonly bells: Bells;
  /** Indexed by `counter`: what this shard has counted. */
  readonly counters: Float64Array;
  /** Indexed by `countWord`: what this shard has changed. */
  readonly counts: SharedInt32;

  readonly #requestCountMax: number;
  readonly #queueMax: number;
  readonly #withdrawal: Withdrawal;
  readonly #placement: Placement;
  readonly #dispatch: Dispatch;

  /** Of one shard alone, unless it is told of others. */
  constructor(limits: SchedulerLimits, of?: ShardOf) {
    assertLimits(limits);
    const memory = of?.memory ?? makeMemory(limits, 1);
    const isShared = limits.isShared ?? memory.shards.length > 1;
    const place: Place = { memory, shard: of?.shard ?? 0, isShared };
    this.limits = limits;
    this.epoch = limits.epoch;
    this.memory = memory;
    this.shard = place.shard;
    this.isShared = isShared;
    this.counters = memory.shards[place.shard]!.counters;
    this.counts = memory.shards[place.shard]!.counts;
    this.#requestCountMax = limits.requestCountMax;
    this.#queueMax = limits.queueMax;
    this.cores = new Cores(place);
    this.leases = new Leases(place);
    this.workers = new Workers(place);
    const start = place.shard / memory.shards.length;
    this.summary = new Summary(memory.rooms, wordCountOf(memory.words), isShared, start);
    this.extras = new Summary(memory.extraRooms, wordCountOf(memory.words), isShared, start);
    this.idleList = new IdleList(place);
    this.versions = new Versions(place);
    this.functions = new Functions(place);
    this.warm = new Warm(limits.versionCountMax, limits.warmHintMax);
    this.queue = new Queue(limits.requestCountMax);
    this.overtaking = new Overtaking(this, place, limits.overtakeMax);
    this.provisioned = new Provisioned(this);
    this.turns = new Turns(place, limits.overtakeMax);
    this.bells = new Bells(place);
    // A grant needs a request and a core of its own, and the shell takes all grants after each event.
    this.actions = new Actions(Math.min(limits.requestCountMax, this.cores.coreCountMax) + 1);
    const { cores, workers, overtaking } = this;
    this.rooms = new Rooms(this, place, new Rooms({ cores, workers, overtaking, summary: this.extras }, place, null));
    this.#withdrawal = new Withdrawal(this);
    this.#placement = new Placement(this, this.#withdrawal, isShared);
    this.#dispatch = new Dispatch(this, this.#placement, place);
  }

  // ---- what there is to run on, and to run

  /**
   * Its cores are idle from now on, or withdrawn where it is `absent`; its extra seats, which begin at `cores.firstExtra`, are withdrawn.
   * Answers the worker's index: 0, 1, 2, ...
   */
  addWorker(coreCount: number, memoryMb: number, absent = false, extraSeatCount = 0): number {
    const { workerCountMax } = this.limits;
    assert(this.workers.count < workerCountMax, `there may be only ${workerCountMax} workers`);
    assert(coreCount >= 1 && memoryMb >= 0, `a worker of ${coreCount} cores and ${memoryMb} MB`);
    const home = enterWorker(this, { coreCount, extraSeatCount, memoryMb }, absent);
    this.#dispatch.grew(home);
    return this.workers.workerOf(home);
  }

  /** Says what the index stands for from now on. */
  setVersion(version: number, functionIndex: number, memoryMb: number, cores: VersionCores = {}): void {
    assert(functionIndex >= 0 && functionIndex < this.limits.functionCountMax, `function ${functionIndex}: no such`);
    if (this.rooms.makeRoomFor(memoryMb)) this.#dispatch.owes = true;
    this.versions.set(version, functionIndex, memoryMb, cores);
  }

  /** Only once none of its requests waits or holds a core; the index may be used again then. Hints of other shards go stale. */
  removeVersion(version: number): void {
    this.versions.remove(version);
    this.warm.clear(version);
  }

  /**
   * Reserved concurrency: at most `max` requests of the function may hold a core or wait, all its versions together;
   * -1: no such limit. Who runs or waits already stays.
   */
  setConcurrency(functionIndex: number, max: number): void {
    assert(functionIndex >= 0 && functionIndex < this.limits.functionCountMax, `function ${functionIndex}: no such`);
    this.functions.setMax(functionIndex, max);
  }

  /** Each worker keeps so many instances of the version, and gives them up for nobody. It says when one is there: `warmed`. */
  provision(version: number, count: number): void {
    assert(this.versions.isSet(version), `version ${version} is provisioned and not set`);
    this.versions.provision(version, count);
    this.#dispatch.owes = true;
    this.#dispatch.serveWaiting();
  }

  // ---- requests

  /** If it is granted, or as soon as it is, there is a grant in `actions`. */
  request(request: number, version: number): Outcome {
    const refusal = this.#refusalOf(request, version);
    if (refusal !== null) return refusal;
    const memoryMb = this.versions.memoryMb(version);
    const functionIndex = this.versions.functionOf(version);
    if (!this.functions.enter(functionIndex)) {
      this.counters[COUNT.refusedConcurrency]! += 1;
      return ANSWER.refusedConcurrency;
    }
    let core = this.#dispatch.findForNew(version, memoryMb);
    if (core < 0) core = this.#dispatch.findPassing(version, memoryMb);
    if (core >= 0) {
      this.versions.enter(version);
      this.#dispatch.lease(core, request, version);
      return ANSWER.granted;
    }
    if (this.queue.length >= this.#queueMax) {
      this.functions.leave(functionIndex);
      this.counters[COUNT.refusedQueueFull]! += 1;
      return ANSWER.refusedQueueFull;
    }
    this.versions.enter(version);
    return this.#wait(request, version, memoryMb);
  }

  /**
   * One that was accepted before, and has waited so many ticks elsewhere: it is refused neither for reserved concurrency nor for want of a place in the
   * queue, and goes before those who have waited less. Else as `request`.
   */
  requestAgain(request: number, version: number, waitedTicks: number): Outcome {
    const refusal = this.#refusalOf(request, version);
    if (refusal !== null) return refusal;
    this.functions.enterAgain(this.versions.functionOf(version));
    this.versions.enter(version);
    return this.#dispatch.again(request, version, waitedTicks) ? ANSWER.granted : ANSWER.queued;
  }

  /** The time, for those who come again: in ticks of the shell's own, which may wrap. To be told before each batch, if at all. */
  tellTime(tick: number): void {
    this.queue.tick = tick | 0;
  }

  /** True: it was waiting and is withdrawn. False: it is granted already, or was refused, and nothing changed. */
  cancel(request: number): boolean {
    if (request < 0 || request >= this.limits.requestCountMax || !this.queue.isWaiting(request)) return false;
    this.counters[COUNT.cancelled]! += 1;
    const entry = this.queue.entryOf(request);
    this.#leave(this.queue.version(entry));
    this.#dispatch.dequeue(entry);
    this.#dispatch.serveWaiting();
    return true;
  }

  // ---- leases

  /**
   * The invocation has ended. `warm`: the worker keeps its instance. False: the lease is not the core's
   * present one, and nothing changed.
   */
  release(core: number, sequence: number, warm: boolean): boolean {
    if (!this.#end(core, sequence)) return false;
    const home = this.cores.homeOf(core);
    const version = this.leases.version(core);
    this.counters[COUNT.released]! += 1;
    this.#leave(version);
    const isExtra = this.cores.isExtra(core, home);
    if (warm) this.warm.push(version, isExtra ? home << 5 : core);
    this.workers.unreserve(home, this.versions.memoryMb(version));
    if (this.versions.coreCount(version) > 1) {
      this.#placement.endSeveral(core);
      this.#dispatch.gave(home);
      return true;
    }
    if (this.queue.length > 0) {
      this.#releaseToWaiting(core, home);
      return true;
    }
    if (this.#withdrawal.put(core) && !isExtra) this.idleList.push(core);
    this.#dispatch.settleSeen(home);
    this.#dispatch.owes = true;
    return true;
  }

  /**
   * The agent refused the lease for want of memory, and so has no instance of the version at rest. Its request goes to the
   * front of the queue, and the worker is passed over for requests of that size until `memoryAvailable`. False: stale, as
   * with `release`. With several shards the request waits at this one from now on.
   */
  noMemory(core: number, sequence: number): boolean {
    const request = this.#isIndex(core) ? this.leases.request(core) : -1;
    if (!this.#end(core, sequence)) return false;
    const home = this.cores.homeOf(core);
    const version = this.leases.version(core);
    const memoryMb = this.versions.memoryMb(version);
    this.counters[COUNT.noMemory]! += 1;
    this.workers.unreserve(home, memoryMb);
    this.workers.lowerCap(home, memoryMb);
    this.warm.forget(version, home << 5, this.cores.endOf(home));
    if (this.versions.coreCount(version) > 1) this.#placement.endSeveral(core);
    else this.#placement.put(core, 0);
    this.#dispatch.waitFirst(request, version, memoryMb);
    this.#dispatch.gave(home);
    return true;
  }

  /** The worker has memory again for what it refused. */
  memoryAvailable(worker: number): void {
    const home = this.workers.homeOf(worker);
    this.workers.liftCap(home);
    this.#dispatch.grew(home);
  }

  /** The worker has made an instance of the version for no lease. */
  warmed(worker: number, version: number): void {
    const home = this.workers.homeOf(worker);
    if (!this.versions.isSet(version)) return;
    this.warm.push(version, home << 5);
    this.#dispatch.serveWaiting();
  }

  /** The worker has no instance of the version any more. */
  evicted(worker: number, version: number): void {
    const home = this.workers.homeOf(worker);
    if (this.versions.isSet(version)) this.warm.forget(version, home << 5, this.cores.endOf(home));
  }

  // ---- cores for other workloads

  /** Takes the core out of the platform: at once if it is idle, else when its lease is released. */
  withdraw(core: number): 'withdrawn' | 'pending' | 'already' {
    assert(this.cores.isRegistered(core), `core ${core}: no such`);
    if (!this.cores.setWithdrawn(core)) return 'already';
    const home = this.cores.homeOf(core);
    const isOut = this.#withdrawal.tryOut(core);
    if (home === this.overtaking.keptHome && this.overtaking.isVain()) this.#dispatch.endKept();
    this.#dispatch.gave(home);
    return isOut ? 'withdrawn' : 'pending';
  }

  /** False: it was not withdrawn, and was not going to be. */
  giveBack(core: number): boolean {
    assert(this.cores.isRegistered(core), `core ${core}: no such`);
    if (!this.cores.clearWithdrawn(core)) return false;
    if (this.#withdrawal.comeIn(core)) this.#placement.put(core, 0);
    this.#dispatch.grew(this.cores.homeOf(core));
    return true;
  }

  /** See `resumeLease`. */
  resume(core: number, request: number, version: number, sequence: number): boolean {
    return this.resumeSeveral(core, 0, { request, version, sequence });
  }

  /** The same of all cores of the mask, of which the core is the lead; 0: it alone. */
  resumeSeveral(lead: number, mask: number, lease: ResumedLease): boolean {
    const resumed = resumeLease(this, lead, mask, lease);
    this.#dispatch.settle(this.cores.homeOf(lead));
    return resumed;
  }

  // ---- beside other shards

  /** This shard's bell has rung: looks for those who wait here, and leaves the rest to the next of whom it was told. */
  woken(): void {
    const told = this.bells.take();
    this.#dispatch.serveWoken(true);
    told.remove(this.shard);
    // Not for what a kept worker may give to some (`mayServe`): shards that find nothing there would tell each other of it for ever.
    if (!told.isEmpty && this.#dispatch.greatest >= 0) this.bells.passOn(told);
  }

  /**
   * After each batch of events, and when the bell rings: hears the bell, and tells the others of all that was given. There may be grants in
   * `actions` afterwards. A shard may sleep only after it, and with its bell at 0.
   */
  settleBatch(): void {
    if (!this.isShared) return;
    for (;;) {
      if (this.bells.isRung) this.woken();
      else if (this.#dispatch.owes || this.#placement.hasGiven) this.#tell();
      else return;
    }
  }

  /** Once a second. So a second is the longest that anybody stands back for a shard that does not answer. */
  forget(): void {
    this.turns.forget();
    this.overtaking.forget();
    this.#dispatch.serveWoken(false);
    this.settleBatch();
  }

  // ---- views

  /** Copies the next grant into `grant`; false if there is none. The shell takes all of them after each event. */
  takeGrant(grant: Grant): boolean {
    return this.actions.take(grant);
  }

  get workerCount(): number {
    return this.workers.count;
  }

  get registeredCount(): number {
    return this.memory.globals[globalWord.REGISTERED_COUNT]!;
  }

  /** Of all shards, and so of no one moment while they go on. */
  get idleCount(): number {
    return sumCounts(this.memory, IDLE);
  }

  get leasedCount(): number {
    return sumCounts(this.memory, LEASED);
  }

  get withdrawnCount(): number {
    return sumCounts(this.memory, WITHDRAWN);
  }

  firstCore(worker: number): number {
    return this.workers.homeOf(worker) << 5;
  }

  workerOf(core: number): number {
    return this.workers.workerOf(this.cores.homeOf(core));
  }

  /** With several shards, `withdrawn` also of a core that is just changing hands. */
  stateOf(core: number): CoreState {
    if (!this.cores.isRegistered(core)) return 'absent';
    if (this.cores.isIdle(core)) return 'idle';
    return this.leases.isLeased(core) ? 'leased' : 'withdrawn';
  }

  /** Of this shard. */
  count(name: CounterName): number {
    return this.counters[counter[name]]!;
  }

  /** Throws at the first invariant that does not hold. For tests and the simulator: it looks at everything. */
  checkInvariants(): void {
    checkInvariants([this]);
  }

  // ---- leaves

  /** Can no worker ever take it? */
  #refusalOf(request: number, version: number): Outcome | null {
    // Fixed messages: one with a value in it would be put together at each call.
    ensure(request >= 0 && request < this.#requestCountMax, 'a request index beyond requestCountMax');
    ensure(!this.queue.isWaiting(request), 'a request that waits already is requested again');
    ensure(this.versions.isSet(version), 'a request for a version that is not set');
    const coreCount = this.versions.coreCount(version);
    if (coreCount > 1 && this.workers.memoryMbMaxOf(coreCount) === 0) {
      this.counters[COUNT.refusedCores]! += 1;
      return ANSWER.refusedCores;
    }
    const memoryMbMax = coreCount > 1 ? this.workers.memoryMbMaxOf(coreCount) : this.workers.memoryMbMax;
    if (this.versions.memoryMb(version) <= memoryMbMax) return null;
    this.counters[COUNT.refusedMemory]! += 1;
    return ANSWER.refusedMemory;
  }

  #wait(request: number, version: number, memoryMb: number): Outcome {
    if (this.isShared ? this.summary.greatest >= 0 : this.counts[IDLE]! > 0) this.counters[COUNT.memoryBlocked]! += 1;
    this.counters[COUNT.queued]! += 1;
    this.#dispatch.wait(request, version, memoryMb);
    if (!this.isShared && this.versions.coreCount(version) === 1) return ANSWER.queued;
    // The flag is raised: whatever is given from now on is told of, and what was given before is seen now. For several cores a worker is kept.
    this.#dispatch.serveWaiting();
    return this.queue.isWaiting(request) ? ANSWER.queued : ANSWER.granted;
  }

  /** The core, which is owned, goes to somebody who waits here, or becomes idle and others may go on. */
  #releaseToWaiting(core: number, home: number): void {
    if (!this.#dispatch.handOver(core, home)) this.#placement.put(core, 0);
    this.#dispatch.gave(home);
  }

  #tell(): void {
    this.#dispatch.owes = false;
    this.#placement.hasGiven = false;
    this.#dispatch.serveWaiting();
    const keeper = this.overtaking.otherKeeper();
    if (keeper >= 0) this.bells.wake(keeper);
    const raised = this.turns.raised();
    if (this.#dispatch.owesAll) {
      this.#dispatch.owesAll = false;
      this.bells.wakeEach(raised);
    } else if (!raised.isEmpty && this.#dispatch.mayServe) this.bells.passOn(raised);
  }

  #leave(version: number): void {
    this.versions.leave(version);
    this.functions.leave(this.versions.functionOf(version));
  }

  #isIndex(core: number): boolean {
    return (core | 0) === core && core >= 0 && core < this.cores.coreCountMax;
  }

  /** True: the lease is over, and the core owned. */
  #end(core: number, sequence: number): boolean {
    if (this.#isIndex(core) && this.leases.end(core, sequence)) {
      this.counts[LEASED]! -= 1;
      return true;
    }
    this.counters[COUNT.staleReleases]! += 1;
    return false;
  }
}
