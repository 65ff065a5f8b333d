/**
 * The scheduler again, out of arrays and maps and as slow as it likes. It does not choose cores: it sees which the
 * machine chose, and judges whether that was allowed.
 */
import assert from 'node:assert/strict';
import { coreCountOf, coresOf, isSeveral } from '../../src/base/core-mask.ts';
import { Grant } from '../../src/scheduler/machine/actions.ts';
import { forgetWorker } from '../../src/scheduler/machine/membership.ts';
import { outcome, type Outcome, Scheduler } from '../../src/scheduler/machine/scheduler.ts';
import { isAfter } from '../../src/wire/cluster/sequence.ts';

export interface World {
  readonly workers: readonly {
    readonly coreCount: number;
    readonly memoryMb: number;
    readonly extraSeatCount?: number;
  }[];
  readonly versions: readonly {
    readonly functionIndex: number;
    readonly memoryMb: number;
    readonly coreCount?: number;
    readonly isDedicated?: boolean;
  }[];
  readonly queueMax: number;
  readonly overtakeMax: number;
  readonly firstSequence: number;
  readonly isShared: boolean;
}

export interface ModelLease {
  /** The lead. */
  readonly core: number;
  readonly mask: number;
  readonly sequence: number;
  readonly request: number;
  readonly version: number;
}

interface Waiter {
  readonly request: number;
  readonly version: number;
  overtaken: number;
  readonly since: number;
}

export const REQUEST_COUNT = 24;
const SEQUENCES = 2 ** 28;

export class Model {
  readonly scheduler: Scheduler;
  readonly #world: World;
  readonly #grant = new Grant();
  readonly leases: Map<number, ModelLease> = new Map();
  readonly withdrawn: Set<number> = new Set();
  /** In order of service, oldest first. */
  waiting: Waiter[] = [];
  readonly cores: number[] = [];
  readonly extraSeats: Set<number> = new Set();
  readonly #workerOf: Map<number, number> = new Map();
  readonly #sequences: Map<number, number> = new Map();
  readonly #caps: number[] = [];
  readonly #concurrency: Map<number, number> = new Map();
  readonly #provisioned: Map<number, number> = new Map();
  /** 'worker:version': it may have an instance that is idle. */
  readonly #warm: Set<string> = new Set();
  #tick = 2 ** 31 - 20;
  /** How often each request was answered for good: granted (and not refused by the agent), cancelled or refused. */
  readonly outcomes: Map<string, number> = new Map();
  /** Leases that are over, for releases that come too late. */
  readonly over: ModelLease[] = [];

  constructor(world: World) {
    this.#world = world;
    const wordCount = world.workers.reduce(
      (sum, { coreCount, extraSeatCount = 0 }) => sum + Math.ceil(coreCount / 32) + Math.ceil(extraSeatCount / 32),
      0,
    );
    this.scheduler = new Scheduler({
      epoch: 1,
      coreCountMax: wordCount * 32,
      workerCountMax: world.workers.length,
      functionCountMax: 4,
      versionCountMax: 8,
      requestCountMax: REQUEST_COUNT,
      queueMax: world.queueMax,
      overtakeMax: world.overtakeMax,
      warmHintMax: 3,
      firstSequence: world.firstSequence,
      isShared: world.isShared,
    });
    for (const { coreCount, memoryMb, extraSeatCount = 0 } of world.workers) {
      const worker = this.scheduler.addWorker(coreCount, memoryMb, false, extraSeatCount);
      this.#caps[worker] = Infinity;
      const firstExtra = this.scheduler.cores.firstExtra(this.scheduler.workers.homeOf(worker));
      for (let i = 0; i < coreCount + extraSeatCount; i++) {
        const isExtra = i >= coreCount;
        const core = isExtra ? firstExtra + i - coreCount : this.scheduler.firstCore(worker) + i;
        this.cores.push(core);
        this.#workerOf.set(core, worker);
        this.#sequences.set(core, world.firstSequence);
        if (!isExtra) continue;
        this.extraSeats.add(core);
        this.withdrawn.add(core);
      }
    }
    world.versions.forEach(({ functionIndex, memoryMb, coreCount, isDedicated }, i) =>
      this.scheduler.setVersion(i, functionIndex, memoryMb, { coreCount, isDedicated }),
    );
    this.tell(0);
    this.check();
  }

  /** Requests that neither wait nor hold a core. */
  freeRequest(): number | undefined {
    const used = new Set([...this.leases.values(), ...this.waiting].map(({ request }) => request));
    for (let request = 0; request < REQUEST_COUNT; request++) if (!used.has(request)) return request;
    return undefined;
  }

  request(request: number, version: number): Outcome {
    const { functionIndex } = this.#world.versions[version]!;
    const before = this.running(functionIndex);
    const waitedBefore = this.waiting.some((waiter) => this.#classOf(waiter.version) === this.#classOf(version));
    const queueLength = this.waiting.length;
    const wasKept = this.scheduler.overtaking.keptHome >= 0;
    const answer = this.scheduler.request(request, version);

    const max = this.#concurrency.get(functionIndex) ?? -1;
    const able = this.#world.workers.filter(({ coreCount }) => Math.min(coreCount, 32) >= this.#coreCount(version));
    assert.equal(answer === outcome.refusedCores, able.length === 0);
    const neverFits = able.every(({ memoryMb }) => memoryMb < this.#memory(version));
    if (able.length > 0) assert.equal(answer === outcome.refusedMemory, neverFits);
    if (!neverFits) assert.equal(answer === outcome.refusedConcurrency, max >= 0 && before >= max);
    if (answer === outcome.queued || answer === outcome.refusedQueueFull) {
      assert.equal(answer === outcome.refusedQueueFull, queueLength >= this.#world.queueMax);
      if (!waitedBefore) assert.equal(this.#workersFor(version).length, 0, 'it waits, and a worker could serve it');
    }
    const passes = this.cores.some((core) => this.#mayPass(version, this.#workerOf.get(core)!));
    if (answer === outcome.queued || answer === outcome.granted)
      this.waiting.push({ request, version, overtaken: 0, since: this.#tick });
    if (answer === outcome.granted) {
      assert.ok(!waitedBefore || passes, 'it passed one of its own size');
      assert.equal(this.scheduler.actions.count, 1, 'granted at once, so there is one grant');
    }
    this.#takeGrants(wasKept);
    assert.equal(
      this.waiting.some((waiter) => waiter.request === request),
      answer === outcome.queued,
    );
    return answer;
  }

  tell(ticks: number): void {
    this.#tick += ticks;
    this.scheduler.tellTime(this.#tick);
  }

  requestAgain(request: number, version: number, waitedTicks: number): void {
    const wasKept = this.scheduler.overtaking.keptHome >= 0;
    const answer = this.scheduler.requestAgain(request, version, waitedTicks);
    assert.ok(answer !== outcome.refusedConcurrency && answer !== outcome.refusedQueueFull);
    if (answer === outcome.refusedCores || answer === outcome.refusedMemory) return;
    const since = this.#tick - waitedTicks;
    const waiter = { request, version, overtaken: 0, since };
    const index = this.waiting.findIndex((other) => other.since > since);
    // Granted at once it need not have waited for its place.
    const at = index < 0 ? this.waiting.length : index;
    this.waiting.splice(at, 0, waiter);
    this.#takeGrants(wasKept);
    const isWaiting = this.waiting.some((other) => other.request === request);
    assert.equal(isWaiting, answer === outcome.queued);
  }

  cancel(request: number): void {
    const wasKept = this.scheduler.overtaking.keptHome >= 0;
    const waits = this.waiting.some((waiter) => waiter.request === request);
    assert.equal(this.scheduler.cancel(request), waits);
    this.waiting = this.waiting.filter((waiter) => waiter.request !== request);
    this.#takeGrants(wasKept);
  }

  release(lease: ModelLease, warm: boolean): void {
    const wasKept = this.scheduler.overtaking.keptHome >= 0;
    const held = this.leases.get(lease.core)?.sequence === lease.sequence;
    assert.equal(this.scheduler.release(lease.core, lease.sequence, warm), held);
    if (held) this.#end(lease);
    if (held && warm) this.#warm.add(`${this.#workerOf.get(lease.core)!}:${lease.version}`);
    this.#takeGrants(wasKept);
  }

  noMemory(lease: ModelLease): void {
    const wasKept = this.scheduler.overtaking.keptHome >= 0;
    const held = this.leases.get(lease.core)?.sequence === lease.sequence;
    assert.equal(this.scheduler.noMemory(lease.core, lease.sequence), held);
    if (held) {
      this.#end(lease);
      const worker = this.#workerOf.get(lease.core)!;
      this.#warm.delete(`${worker}:${lease.version}`);
      this.#caps[worker] = Math.min(this.#caps[worker]!, this.#memory(lease.version) - 1);
      const since = this.waiting[0]?.since ?? this.#tick;
      this.waiting.unshift({ request: lease.request, version: lease.version, overtaken: 0, since });
    }
    this.#takeGrants(wasKept);
  }

  memoryAvailable(worker: number): void {
    const wasKept = this.scheduler.overtaking.keptHome >= 0;
    this.#caps[worker] = Infinity;
    this.scheduler.memoryAvailable(worker);
    this.#takeGrants(wasKept);
  }

  withdraw(core: number): void {
    const wasKept = this.scheduler.overtaking.keptHome >= 0;
    const expected = this.withdrawn.has(core) ? 'already' : this.#isLeased(core) ? 'pending' : 'withdrawn';
    assert.equal(this.scheduler.withdraw(core), expected);
    this.withdrawn.add(core);
    this.#takeGrants(wasKept);
  }

  giveBack(core: number): void {
    const wasKept = this.scheduler.overtaking.keptHome >= 0;
    assert.equal(this.scheduler.giveBack(core), this.withdrawn.delete(core));
    this.#takeGrants(wasKept);
  }

  /** Its worker says that this ran while it was away. */
  resume(core: number, request: number, version: number, ahead: number): void {
    const mask = this.#coreCount(version) > 1 ? this.#awayFrom(core, this.#coreCount(version)) : 0;
    if (!this.withdrawn.has(core) || this.#isLeased(core)) return;
    if (this.extraSeats.has(core) && this.#isDedicated(version)) return;
    // It was granted once.
    const isAble = this.#world.workers.some(
      ({ coreCount, memoryMb }) =>
        Math.min(coreCount, 32) >= this.#coreCount(version) && memoryMb >= this.#memory(version),
    );
    if (!isAble) return;
    const sequence = (this.#sequences.get(core)! + ahead) % SEQUENCES;
    const worker = this.#workerOf.get(core)!;
    const reservedMb = [...this.leases.values()]
      .filter((lease) => this.#workerOf.get(lease.core) === worker)
      .reduce((sum, lease) => sum + this.#memory(lease.version), 0);
    const fits = reservedMb + this.#memory(version) <= this.#world.workers[worker]!.memoryMb;
    assert.equal(this.scheduler.resumeSeveral(core, mask, { request, version, sequence }), fits);
    if (fits) this.#begin({ core, mask, sequence, request, version });
  }

  forget(worker: number): void {
    forgetWorker(this.scheduler, worker);
    for (const key of this.#warm) if (key.startsWith(`${worker}:`)) this.#warm.delete(key);
  }

  setConcurrency(functionIndex: number, max: number): void {
    this.#concurrency.set(functionIndex, max);
    this.scheduler.setConcurrency(functionIndex, max);
  }

  evicted(worker: number, version: number): void {
    this.#warm.delete(`${worker}:${version}`);
    this.scheduler.evicted(worker, version);
  }

  provision(version: number, count: number): void {
    const wasKept = this.scheduler.overtaking.keptHome >= 0;
    this.#provisioned.set(version, count);
    this.scheduler.provision(version, count);
    this.#takeGrants(wasKept);
  }

  warmed(worker: number, version: number): void {
    const wasKept = this.scheduler.overtaking.keptHome >= 0;
    this.#warm.add(`${worker}:${version}`);
    this.scheduler.warmed(worker, version);
    this.#takeGrants(wasKept);
  }

  running(functionIndex: number): number {
    return [...this.leases.values(), ...this.waiting].filter(
      ({ version }) => this.#world.versions[version]!.functionIndex === functionIndex,
    ).length;
  }

  /** After every step: the machine's own invariants, and that it sees the world as the model does. */
  check(): void {
    const { scheduler } = this;
    scheduler.checkInvariants();
    assert.equal(scheduler.actions.count, 0);
    const owners = this.#owners();
    assert.equal(scheduler.leasedCount, owners.size);
    this.#checkKept();
    const inOrder = [...scheduler.queue.inOrder()].map((entry) => scheduler.queue.request(entry));
    assert.deepEqual(
      inOrder,
      this.waiting.map(({ request }) => request),
    );
    for (const core of this.cores) {
      const lease = owners.get(core);
      const state = lease !== undefined ? 'leased' : this.withdrawn.has(core) ? 'withdrawn' : 'idle';
      assert.equal(scheduler.stateOf(core), state, `core ${core}`);
      assert.equal(scheduler.leases.request(core), lease?.core === core ? lease.request : -1);
      if (lease === undefined) continue;
      if (lease.core === core) assert.equal(scheduler.leases.version(core), lease.version);
      assert.equal(scheduler.leases.sequence(core), lease.sequence);
    }
    for (let fn = 0; fn < 4; fn++) assert.equal(scheduler.functions.running(fn), this.running(fn));
  }

  /** Ends every lease and gives everything back until nobody waits; throws if that does not come about. */
  finish(): void {
    for (let worker = 0; worker < this.#world.workers.length; worker++) this.memoryAvailable(worker);
    for (const core of this.withdrawn) this.giveBack(core);
    for (let round = 0; round <= REQUEST_COUNT && this.leases.size > 0; round++) {
      for (const lease of this.leases.values()) {
        this.release(lease, true);
        this.check();
      }
    }
    assert.deepEqual(this.waiting, [], 'everything accepted has been served');
    assert.equal(this.scheduler.idleCount, this.cores.length);
  }

  #takeGrants(wasKept: boolean): void {
    while (this.scheduler.takeGrant(this.#grant)) this.#onGrant(wasKept);
  }

  #onGrant(wasKept: boolean): void {
    const { request, core, sequence, mask } = this.#grant;
    const index = this.waiting.findIndex((waiter) => waiter.request === request);
    assert.ok(index >= 0, `request ${request} is granted and does not wait`);
    const { version } = this.waiting[index]!;
    const passed = this.waiting.slice(0, index);
    const cores = coresOf(core, mask);
    assert.equal(cores.length, this.#coreCount(version));
    assert.ok(mask === 0 || isSeveral(core, mask));
    for (const each of cores) assert.ok(this.#isIdle(each), `core ${each} is idle`);
    const worker = this.#workerOf.get(core)!;
    const passes = this.#mayPass(version, worker);
    const isFirst = !passed.some((other) => this.#classOf(other.version) === this.#classOf(version));
    assert.ok(isFirst || passes, 'FIFO in its size');
    assert.ok(this.#free(worker) >= this.#memory(version) || passes, `worker ${worker} has the memory`);
    if (this.extraSeats.has(core)) {
      assert.ok(!this.#isDedicated(version), `core ${core} is an extra seat`);
      if (!passes && !wasKept) assert.deepEqual(this.#workersFor(version, true), [], 'a core would have been better');
    }
    const sequences = cores.map((each) => this.#sequences.get(each)!);
    assert.ok(sequences.some((before) => sequence === (before + 1) % SEQUENCES));
    assert.ok(sequences.every((before) => isAfter(sequence, before)));

    const oldest = passed[0];
    const isKept = wasKept || this.scheduler.overtaking.keptHome >= 0;
    const couldHold =
      oldest !== undefined &&
      this.#coreCount(oldest.version) === 1 &&
      this.#capacity(worker) >= this.#memory(oldest.version) &&
      (!this.#isDedicated(oldest.version) || this.#isInWay(oldest.version, worker, version));
    if (couldHold && !isKept && !passes) {
      oldest.overtaken++;
      assert.ok(oldest.overtaken <= this.#world.overtakeMax, 'overtaken too often');
    }
    this.waiting.splice(index, 1);
    this.#begin({ core, mask, sequence, request, version });
  }

  #begin(lease: ModelLease): void {
    this.leases.set(lease.core, lease);
    for (const core of coresOf(lease.core, lease.mask)) this.#sequences.set(core, lease.sequence);
  }

  /** Who is the oldest and wants several cores has a worker kept, if any could hold it. */
  #checkKept(): void {
    const oldest = this.waiting[0];
    if (oldest === undefined || this.#coreCount(oldest.version) === 1) return;
    const { keptHome, keptFor } = this.scheduler.overtaking;
    const able = this.#world.workers.some((_, worker) => {
      const words = new Map<number, number>();
      for (const core of this.cores)
        if (this.#workerOf.get(core) === worker && !this.withdrawn.has(core) && !this.extraSeats.has(core))
          words.set(core >>> 5, (words.get(core >>> 5) ?? 0) + 1);
      const most = Math.max(0, ...words.values());
      return most >= this.#coreCount(oldest.version) && this.#capacity(worker) >= this.#memory(oldest.version);
    });
    assert.equal(keptHome >= 0, able, 'a worker is kept for the oldest');
    if (able) assert.equal(this.scheduler.queue.request(keptFor), oldest.request);
  }

  /** The core and those after it in its word that are away, so many; 0: there are not as many. */
  #awayFrom(core: number, coreCount: number): number {
    let mask = 0;
    for (let each = core; each >>> 5 === core >>> 5 && coreCountOf(mask) < coreCount + Number(mask === 0); each++)
      if (this.withdrawn.has(each) && !this.#isLeased(each)) mask |= 1 << (each & 31);
    return isSeveral(core, mask) && coreCountOf(mask) === coreCount ? mask : 0;
  }

  /** The lease of each core that has one. */
  #owners(): Map<number, ModelLease> {
    const owners = new Map<number, ModelLease>();
    for (const lease of this.leases.values())
      for (const core of coresOf(lease.core, lease.mask)) owners.set(core, lease);
    return owners;
  }

  #isLeased(core: number): boolean {
    return this.#owners().has(core);
  }

  #isIdle(core: number): boolean {
    return this.#workerOf.has(core) && !this.#isLeased(core) && !this.withdrawn.has(core);
  }

  #coreCount(version: number): number {
    return this.#world.versions[version]!.coreCount ?? 1;
  }

  #isDedicated(version: number): boolean {
    return this.#coreCount(version) > 1 || this.#world.versions[version]!.isDedicated === true;
  }

  /** Would a lease of the version there leave too little memory for one that waits for a core of the worker's own? */
  #isInWay(waiting: number, worker: number, version: number): boolean {
    const isOpen = this.cores.some(
      (core) => this.#workerOf.get(core) === worker && !this.extraSeats.has(core) && !this.withdrawn.has(core),
    );
    return isOpen && this.#unreserved(worker) - this.#memory(version) < this.#memory(waiting);
  }

  #end(lease: ModelLease): void {
    this.leases.delete(lease.core);
    this.over.push(lease);
  }

  #memory(version: number): number {
    return this.#world.versions[version]!.memoryMb;
  }

  #classOf(version: number): number {
    const coreCount = this.#coreCount(version);
    if (coreCount > 1) return -Math.floor(Math.log2(coreCount));
    return Math.floor(Math.log2(this.#memory(version))) + (this.#isDedicated(version) ? 100 : 0);
  }

  #capacity(worker: number): number {
    return Math.min(this.#world.workers[worker]!.memoryMb, this.#caps[worker]!);
  }

  #free(worker: number): number {
    return Math.min(this.#unreserved(worker), this.#caps[worker]!);
  }

  #unreserved(worker: number): number {
    let free = this.#world.workers[worker]!.memoryMb;
    for (const { core, version } of this.leases.values()) {
      if (this.#workerOf.get(core) === worker) free -= this.#memory(version);
    }
    return free;
  }

  /** It keeps more instances of the version than have leases. */
  #mayPass(version: number, worker: number): boolean {
    const leases = [...this.leases.values()].filter((lease) => this.#workerOf.get(lease.core) === worker);
    const leased = leases.filter((lease) => lease.version === version).length;
    const isKept = leased < (this.#provisioned.get(version) ?? 0) && this.#warm.has(`${worker}:${version}`);
    return isKept && this.#unreserved(worker) >= this.#memory(version);
  }

  /** Workers, but the kept one, with the idle cores in a word and the memory: extra seats too, where they are good for it. */
  #workersFor(version: number, isDedicated: boolean = this.#isDedicated(version)): number[] {
    return this.#world.workers
      .map((_, worker) => worker)
      .filter((worker) => this.scheduler.workers.homeOf(worker) !== this.scheduler.overtaking.keptHome)
      .filter((worker) => this.#free(worker) >= this.#memory(version))
      .filter((worker) => {
        const words = new Map<number, number>();
        for (const core of this.cores)
          if (this.#workerOf.get(core) === worker && this.#isIdle(core) && !(isDedicated && this.extraSeats.has(core)))
            words.set(core >>> 5, (words.get(core >>> 5) ?? 0) + 1);
        return [...words.values()].some((idle) => idle >= this.#coreCount(version));
      });
  }
}
