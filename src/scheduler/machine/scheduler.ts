/**
 * The scheduler machine: gives each request a core of its own, or a place in the queue, or a refusal.
 *
 * A worker's room is the memory that a request could get there now (summary.ts). A request for which some worker has room
 * is given a core (placement.ts), else it waits (queue.ts). Whatever may have made room for somebody (release, cancel,
 * a core or a worker more) ends in `#dispatch`, so after every event this holds: no head of the queue fits anywhere.
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
import { Cores } from './cores.ts';
import { COUNTER_NAMES, counter, type CounterName } from './counters.ts';
import { Functions } from './functions.ts';
import { IdleList } from './idle-list.ts';
import { checkInvariants } from './invariants.ts';
import { Leases } from './leases.ts';
import { resumeLease } from './membership.ts';
import { assertLimits, type SchedulerLimits } from './limits.ts';
import { outcome, type Outcome } from './outcome.ts';
import { Overtaking } from './overtaking.ts';
import { Placement } from './placement.ts';
import { Provisioned } from './provisioned.ts';
import { Queue } from './queue.ts';
import { Summary } from './summary.ts';
import { Versions } from './versions.ts';
import { Warm } from './warm.ts';
import { makeWords, wordCountOf } from './words.ts';
import { Workers } from './workers.ts';

// Constants of this module are folded into the code, imported ones are not (see words.ts).
const COUNT = counter;
const ANSWER = outcome;
const ensure: (condition: boolean, message: string) => void = assert;

export { outcome, type Outcome } from './outcome.ts';
export type CoreState = 'idle' | 'leased' | 'withdrawn' | 'absent';

export class Scheduler {
  readonly limits: SchedulerLimits;
  readonly epoch: number;
  /** The parts and the counts are there to be read, by views and `checkInvariants`; only the scheduler changes them. */
  readonly cores: Cores;
  readonly leases: Leases;
  readonly workers: Workers;
  readonly summary: Summary;
  readonly idleList: IdleList;
  readonly versions: Versions;
  readonly functions: Functions;
  readonly warm: Warm;
  readonly queue: Queue;
  readonly actions: Actions;
  readonly overtaking: Overtaking;
  readonly provisioned: Provisioned;
  workerCount = 0;
  registeredCount = 0;
  idleCount = 0;
  leasedCount = 0;
  withdrawnCount = 0;
  /** Indexed by `counter`. */
  readonly counters: Float64Array = new Float64Array(new SharedArrayBuffer(COUNTER_NAMES.length * 8));

  readonly #requestCountMax: number;
  readonly #queueMax: number;
  readonly #placement: Placement;

  constructor(limits: SchedulerLimits) {
    assertLimits(limits);
    this.limits = limits;
    this.epoch = limits.epoch;
    this.#requestCountMax = limits.requestCountMax;
    this.#queueMax = limits.queueMax;
    const words = makeWords(Math.ceil(limits.coreCountMax / 32));
    this.cores = new Cores(words, limits.isShared ?? false);
    this.leases = new Leases(this.cores.coreCountMax, limits.firstSequence ?? 0);
    this.workers = new Workers(words, limits.workerCountMax);
    this.summary = new Summary(wordCountOf(words));
    this.idleList = new IdleList(words);
    this.versions = new Versions(limits.versionCountMax);
    this.functions = new Functions(limits.functionCountMax);
    this.warm = new Warm(limits.versionCountMax, limits.warmHintMax);
    this.queue = new Queue(limits.requestCountMax, limits.queueMax + this.cores.coreCountMax);
    this.overtaking = new Overtaking(this, limits.overtakeMax);
    this.provisioned = new Provisioned(this);
    this.#placement = new Placement(this);
    // A grant needs a request and a core of its own, and the shell takes all grants after each event.
    this.actions = new Actions(Math.min(limits.requestCountMax, this.cores.coreCountMax) + 1);
  }

  // ---- what there is to run on, and to run

  /** Its cores are idle from now on, or withdrawn where it is `absent`. Answers the worker's index: 0, 1, 2, ... */
  addWorker(coreCount: number, memoryMb: number, absent = false): number {
    const worker = this.workerCount;
    assert(worker < this.limits.workerCountMax, `there may be only ${this.limits.workerCountMax} workers`);
    assert(coreCount >= 1 && memoryMb >= 0, `a worker of ${coreCount} cores and ${memoryMb} MB`);
    const home = this.cores.addWorker(coreCount);
    this.workers.add(worker, home, memoryMb);
    this.workerCount++;
    this.registeredCount += coreCount;
    this.idleCount += coreCount;
    for (let word = home + 1; word < this.cores.endOf(home) >>> 5; word++) this.summary.setHome(word, home);
    // Backwards, so that its first core is on top.
    for (let i = coreCount - 1; i >= 0; i--) this.idleList.push((home << 5) + i);
    // Before anybody who waits hears of them.
    for (let i = 0; absent && i < coreCount; i++) this.#takeOut((home << 5) + i);
    this.#settle(home);
    this.#dispatch();
    return worker;
  }

  /** Says what the index stands for from now on. */
  setVersion(version: number, functionIndex: number, memoryMb: number): void {
    assert(functionIndex >= 0 && functionIndex < this.limits.functionCountMax, `function ${functionIndex}: no such`);
    this.versions.set(version, functionIndex, memoryMb);
  }

  /** Only once none of its requests waits or holds a core; the index may be used again then. */
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
    this.#dispatch();
  }

  // ---- requests

  /** If it is granted, or as soon as it is, there is a grant in `actions`. */
  request(request: number, version: number): Outcome {
    // Fixed messages: one with a value in it would be put together at each call.
    ensure(request >= 0 && request < this.#requestCountMax, 'a request index beyond requestCountMax');
    ensure(!this.queue.isWaiting(request), 'a request that waits already is requested again');
    ensure(this.versions.isSet(version), 'a request for a version that is not set');
    const memoryMb = this.versions.memoryMb(version);
    const functionIndex = this.versions.functionOf(version);
    if (memoryMb > this.workers.memoryMbMax) {
      this.counters[COUNT.refusedMemory]! += 1;
      return ANSWER.refusedMemory;
    }
    if (!this.functions.mayEnter(functionIndex)) {
      this.counters[COUNT.refusedConcurrency]! += 1;
      return ANSWER.refusedConcurrency;
    }
    let core = this.#findForNew(version, memoryMb);
    if (core < 0 && this.#mayPassBy) core = this.#findProvisioned(version);
    if (core >= 0) {
      this.#enter(version, functionIndex);
      this.#lease(core, request, version, memoryMb);
      return ANSWER.granted;
    }
    if (this.queue.length >= this.#queueMax) {
      this.counters[COUNT.refusedQueueFull]! += 1;
      return ANSWER.refusedQueueFull;
    }
    if (this.idleCount > 0) this.counters[COUNT.memoryBlocked]! += 1;
    this.counters[COUNT.queued]! += 1;
    this.#enter(version, functionIndex);
    this.queue.pushBack(request, version, memoryMb);
    return ANSWER.queued;
  }

  /** True: it was waiting and is withdrawn. False: it is granted already, or was refused, and nothing changed. */
  cancel(request: number): boolean {
    if (request < 0 || request >= this.limits.requestCountMax || !this.queue.isWaiting(request)) return false;
    this.counters[COUNT.cancelled]! += 1;
    const entry = this.queue.entryOf(request);
    this.#leave(this.queue.version(entry));
    this.#dequeue(entry);
    this.#dispatch();
    return true;
  }

  // ---- leases

  /**
   * The invocation has ended. `warm`: the worker keeps its instance. False: the lease is not the core's
   * present one, and nothing changed.
   */
  release(core: number, sequence: number, warm: boolean): boolean {
    if (!this.#holds(core, sequence)) return false;
    const home = this.cores.homeOf(core);
    const version = this.leases.version(core);
    this.counters[COUNT.released]! += 1;
    this.#leave(version);
    if (warm) this.warm.push(version, core);
    this.workers.unreserve(home, this.versions.memoryMb(version));
    if (this.queue.length === 0) {
      if (this.#endLease(core)) this.idleList.push(core);
      this.#settle(home);
      return true;
    }
    if (!this.#handOver(core, home) && this.#endLease(core)) this.idleList.push(core);
    this.#settle(home);
    this.#dispatch();
    return true;
  }

  /**
   * The agent refused the lease for want of memory, and so has no instance of the version at rest. Its request goes to the
   * front of the queue, and the worker is passed over for requests of that size until `memoryAvailable`. False: stale, as
   * with `release`.
   */
  noMemory(core: number, sequence: number): boolean {
    if (!this.#holds(core, sequence)) return false;
    const home = this.cores.homeOf(core);
    const request = this.leases.request(core);
    const version = this.leases.version(core);
    const memoryMb = this.versions.memoryMb(version);
    this.counters[COUNT.noMemory]! += 1;
    this.workers.unreserve(home, memoryMb);
    this.workers.lowerCap(home, memoryMb);
    this.warm.forget(version, home << 5, this.cores.endOf(home));
    if (this.#endLease(core)) this.idleList.push(core);
    this.queue.pushFront(request, version, memoryMb);
    // Now this one is the oldest, so no worker is to be kept for another.
    if (this.overtaking.keptHome >= 0) this.#settle(this.overtaking.end());
    this.#settle(home);
    this.#dispatch();
    return true;
  }

  /** The worker has memory again for what it refused. */
  memoryAvailable(worker: number): void {
    const home = this.workers.homeOf(worker);
    this.workers.liftCap(home);
    this.#settle(home);
    this.#dispatch();
  }

  /** The worker has made an instance of the version for no lease. */
  warmed(worker: number, version: number): void {
    const home = this.workers.homeOf(worker);
    if (!this.versions.isSet(version)) return;
    this.warm.push(version, home << 5);
    this.#dispatch();
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
    if (this.cores.isWithdrawn(core)) return 'already';
    const home = this.cores.homeOf(core);
    const pending = this.leases.isLeased(core);
    if (pending) this.cores.setWithdrawn(core);
    else this.#takeOut(core);
    if (home === this.overtaking.keptHome) this.#checkKept();
    this.#settle(home);
    this.#dispatch();
    return pending ? 'pending' : 'withdrawn';
  }

  /** False: it was not withdrawn, and was not going to be. */
  giveBack(core: number): boolean {
    assert(this.cores.isRegistered(core), `core ${core}: no such`);
    if (!this.cores.isWithdrawn(core)) return false;
    this.cores.clearWithdrawn(core);
    if (this.leases.isLeased(core)) return true;
    const home = this.cores.homeOf(core);
    this.withdrawnCount--;
    this.cores.free(core);
    this.idleCount++;
    this.idleList.push(core);
    this.#settle(home);
    this.#dispatch();
    return true;
  }

  /** See `resumeLease`. */
  resume(core: number, request: number, version: number, sequence: number): boolean {
    const resumed = resumeLease(this, core, { request, version, sequence });
    this.#settle(this.cores.homeOf(core));
    return resumed;
  }

  // ---- views

  /** Copies the next grant into `grant`; false if there is none. The shell takes all of them after each event. */
  takeGrant(grant: Grant): boolean {
    return this.actions.take(grant);
  }

  firstCore(worker: number): number {
    return this.workers.homeOf(worker) << 5;
  }

  workerOf(core: number): number {
    return this.workers.workerOf(this.cores.homeOf(core));
  }

  stateOf(core: number): CoreState {
    if (!this.cores.isRegistered(core)) return 'absent';
    if (this.cores.isIdle(core)) return 'idle';
    return this.leases.isLeased(core) ? 'leased' : 'withdrawn';
  }

  count(name: CounterName): number {
    return this.counters[counter[name]]!;
  }

  /** Throws at the first invariant that does not hold. For tests and the simulator: it looks at everything. */
  checkInvariants(): void {
    checkInvariants(this);
  }

  // ---- the decision

  /** A claimed core for a request that has just come; -1 if it has to wait. */
  #findForNew(version: number, memoryMb: number): number {
    if (this.summary.greatest < memoryMb) return -1;
    if (this.queue.length === 0) return this.#placement.find(version, memoryMb);
    // Somebody waits, for memory. Who asks about as much may not pass him at all, who asks less only so often.
    if (this.queue.hasSizeClassOf(memoryMb)) return -1;
    return this.#findOvertaking(version, memoryMb);
  }

  /** A core for a request that is not the oldest; a worker may become kept for the oldest instead. */
  #findOvertaking(version: number, memoryMb: number): number {
    const core = this.#placement.find(version, memoryMb);
    const home = this.cores.homeOf(core);
    if (this.overtaking.mayPassOn(home)) return core;
    this.#placement.putBack(core, version);
    this.#settle(home);
    // While a worker is kept nobody is counted, so the second place is final.
    return this.summary.greatest < memoryMb ? -1 : this.#placement.find(version, memoryMb);
  }

  /** Is it worth a look at what is provisioned? */
  get #mayPassBy(): boolean {
    return this.idleCount > 0 && this.versions.provisionedCount > 0;
  }

  #findProvisioned(version: number): number {
    this.#placement.path = COUNT.grantProvisioned;
    this.#placement.isWarm = 1;
    return this.provisioned.find(version);
  }

  /** Makes the claimed core the request's. */
  #lease(core: number, request: number, version: number, memoryMb: number): void {
    const home = this.cores.homeOf(core);
    this.counters[this.#placement.path]! += 1;
    this.workers.reserve(home, memoryMb);
    this.idleCount--;
    this.leasedCount++;
    this.#settle(home);
    const sequence = this.leases.begin(core, request, version);
    this.actions.push(request, core, sequence, this.#placement.isWarm);
  }

  /** True: the core is idle now. False: it was to be withdrawn, and is. The summary is not told yet. */
  #endLease(core: number): boolean {
    this.leases.end(core);
    this.leasedCount--;
    if (this.cores.isWithdrawn(core)) {
      this.withdrawnCount++;
      return false;
    }
    this.cores.free(core);
    this.idleCount++;
    return true;
  }

  /**
   * A core that is released goes straight to the oldest waiting request that fits there. `#dispatch` would do the same;
   * this way the core is never idle: neither the bitmap nor the idle list hears of it, and this is each release of a
   * busy cluster. The memory of the ended lease is free already.
   */
  #handOver(core: number, home: number): boolean {
    if (home === this.overtaking.keptHome || this.cores.isWithdrawn(core)) return false;
    const entry = this.queue.oldestWithin(this.workers.free(home));
    if (entry < 0) return false;
    if (entry !== this.queue.oldest() && !this.overtaking.mayPassOn(home)) return false;
    const request = this.queue.request(entry);
    const version = this.queue.version(entry);
    this.#placement.takeWarmOn(home, version);
    this.workers.reserve(home, this.queue.memoryMb(entry));
    this.#dequeue(entry);
    this.counters[COUNT.grantHandedOver]! += 1;
    this.actions.push(request, core, this.leases.begin(core, request, version), this.#placement.isWarm);
    return true;
  }

  /** Grants whatever waits and fits: afterwards no head of the queue fits anywhere. */
  #dispatch(): void {
    if (this.queue.length === 0) return;
    if (this.summary.greatest > 0 || this.overtaking.keptHome >= 0 || this.#mayPassBy) this.#serveAll();
  }

  #serveAll(): void {
    if (this.overtaking.keptHome >= 0) {
      const core = this.overtaking.claimKept();
      if (core >= 0) this.#serveKept(core);
    }
    for (;;) {
      const entry = this.queue.oldestWithin(this.summary.greatest);
      if (entry < 0) {
        if (this.#servePassing()) continue;
        return;
      }
      const version = this.queue.version(entry);
      const memoryMb = this.queue.memoryMb(entry);
      const isOldest = entry === this.queue.oldest();
      const core = isOldest ? this.#placement.find(version, memoryMb) : this.#findOvertaking(version, memoryMb);
      if (core >= 0) this.#serve(entry, core);
    }
  }

  /** False: none of those who wait may pass the others. */
  #servePassing(): boolean {
    const entry = this.#mayPassBy ? this.provisioned.waiter() : -1;
    const core = entry < 0 ? -1 : this.#findProvisioned(this.queue.version(entry));
    if (core >= 0) this.#serve(entry, core);
    return core >= 0;
  }

  #serveKept(core: number): void {
    const entry = this.overtaking.keptFor;
    this.#placement.takeWarmOn(this.cores.homeOf(core), this.queue.version(entry));
    this.#placement.path = COUNT.grantKept;
    this.#serve(entry, core);
  }

  #serve(entry: number, core: number): void {
    const request = this.queue.request(entry);
    const version = this.queue.version(entry);
    const memoryMb = this.queue.memoryMb(entry);
    this.#dequeue(entry);
    this.#lease(core, request, version, memoryMb);
  }

  #dequeue(entry: number): void {
    this.queue.remove(entry);
    if (entry === this.overtaking.keptFor) this.#settle(this.overtaking.end());
  }

  // ---- leaves

  /** Tells the summary what the worker's cores and memory have become. */
  #settle(home: number): void {
    const open = home !== this.overtaking.keptHome && this.cores.hasIdle(home);
    this.summary.set(home, open ? this.workers.free(home) : -1);
  }

  #enter(version: number, functionIndex: number): void {
    this.versions.enter(version);
    this.functions.enter(functionIndex);
  }

  #leave(version: number): void {
    this.versions.leave(version);
    this.functions.leave(this.versions.functionOf(version));
  }

  #takeOut(core: number): void {
    this.cores.setWithdrawn(core);
    assert(this.cores.claim(core), 'a core is neither idle, leased nor withdrawn');
    this.idleCount--;
    this.withdrawnCount++;
  }

  #checkKept(): void {
    if (this.overtaking.isVain()) this.#settle(this.overtaking.end());
  }

  #holds(core: number, sequence: number): boolean {
    const isIndex = (core | 0) === core && core >= 0 && core < this.cores.coreCountMax;
    if (isIndex && this.leases.holds(core, sequence)) return true;
    this.counters[COUNT.staleReleases]! += 1;
    return false;
  }
}
