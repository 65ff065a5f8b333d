/**
 * Gateways and workers that come, go, lose what they were told and come back, and schedulers that start anew, in any order.
 * The workers are the judges: none may be made to run two leases on one core, and whatever was asked for ends.
 */
import fc from 'fast-check';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isAfter } from '../../src/scheduler/machine/membership.ts';
import { outcome } from '../../src/scheduler/machine/outcome.ts';
import { type ClusterLimits, ClusterScheduler } from '../../src/scheduler/server/cluster-scheduler.ts';
import type {
  GatewaySession,
  Granted,
  ProvisionedSum,
  Refusal,
  WorkerSession,
  WorkerView,
} from '../../src/scheduler/server/ports.ts';
import type { Shard } from '../../src/scheduler/server/shard.ts';
import type { NamedVersion } from '../../src/scheduler/server/version-names.ts';
import { type ClusterView, viewOf } from '../../src/scheduler/server/view.ts';
import { ShardedScheduler } from './sharded-scheduler.ts';

const CORES = 3;
const MEMORY_MB = 1000;
const NUMBERS = 16;
const KEPT_SWEEPS = 2;
const VERSIONS: readonly NamedVersion[] = [128, 300, 900].map((memoryMb, index) => ({
  key: `v${index}`,
  functionKey: `f${index % 2}`,
  memoryMb,
}));

interface Run {
  readonly sequence: number;
  readonly version: number;
}

interface OpenGrant extends Run {
  readonly request: number;
  readonly core: number;
  readonly epoch: number;
}

/** One with one shard, as it is shipped, or several with what is on its way between them. */
interface AnyScheduler {
  readonly epoch: number;
  readonly shards: readonly Shard[];
  deliver(nth: number): boolean;
  turn(at: number): void;
  sweep(at: number): void;
  /** Until nothing moves any more. */
  quiet(): void;
  checkInvariants(): void;
  view(): ClusterView;
  versionCount(): number;
}

class OneShard implements AnyScheduler {
  readonly #scheduler: ClusterScheduler;
  readonly shards: readonly Shard[];

  constructor(limits: ClusterLimits) {
    this.#scheduler = new ClusterScheduler(limits);
    this.shards = [this.#scheduler.shard];
  }

  get epoch(): number {
    return this.#scheduler.epoch;
  }

  deliver(): boolean {
    return false;
  }

  turn(): void {
    this.#scheduler.turn();
  }

  sweep(): void {
    this.#scheduler.sweep();
  }

  quiet(): void {}

  checkInvariants(): void {
    this.#scheduler.checkInvariants();
  }

  view(): ClusterView {
    return viewOf(this.#scheduler);
  }

  versionCount(): number {
    return this.#scheduler.names.count;
  }
}

/** Its own truth, whatever the scheduler thinks. */
class Worker {
  readonly name: string;
  session: WorkerSession | null = null;
  epoch = 0;
  withdrawn = 0;
  readonly running = new Map<number, Run>();
  /** Leases of this epoch that it has refused for good. */
  readonly fenced = new Set<string>();
  /** What it is to keep, by index. */
  readonly kept = new Map<number, { count: number; version: NamedVersion }>();
  readonly #unanswered: [core: number, sequence: number][] = [];

  constructor(name: string) {
    this.name = name;
  }

  join({ epoch }: AnyScheduler, shard: Shard): void {
    if (this.session !== null) return;
    const running = [...this.running].map(([core, { sequence, version }]) => ({
      core,
      sequence,
      version: VERSIONS[version]!,
    }));
    const session = shard.joinWorker(
      {
        probe: (core, sequence) => void this.#unanswered.push([core, sequence]),
        dropped: (index, key) => this.#dropped(index, key),
        provision: (index, count, version) => void this.kept.set(index, { count, version }),
      },
      {
        name: this.name,
        host: this.name,
        port: 1,
        life: 1,
        coreCount: CORES,
        memoryMb: MEMORY_MB,
        running,
        withdrawn: [this.withdrawn],
      },
    );
    if (typeof session === 'string') assert.fail(session);
    if (this.epoch !== epoch) this.fenced.clear();
    this.epoch = epoch;
    this.session = session;
  }

  leave(): void {
    this.session?.leave();
    this.lineBreaks();
  }

  lineBreaks(): void {
    this.session = null;
    this.kept.clear();
    this.#unanswered.length = 0;
  }

  /** False: it is not taken. */
  start({ core, sequence, version, epoch }: OpenGrant): boolean {
    const own = core - this.session!.firstCore;
    if (epoch !== this.epoch || !isAfter(sequence, this.session!.floor)) return false;
    if (this.running.has(own) || this.fenced.has(`${core}:${sequence}`)) return false;
    this.running.set(own, { sequence, version });
    return true;
  }

  end(own: number, warm: boolean): void {
    const run = this.running.get(own);
    if (run === undefined) return;
    this.running.delete(own);
    if (this.session === null) return;
    const core = this.session.firstCore + own;
    assert.ok(this.session.release(core, run.sequence, warm));
    assert.ok(!this.session.release(core, run.sequence, warm), 'it was released twice');
  }

  withdraw(bits: number): void {
    this.withdrawn = bits;
    if (this.session !== null) assert.ok(this.session.withdraw(this.session.firstCore, bits));
  }

  answerProbes(): void {
    for (const [core, sequence] of this.#unanswered.splice(0)) {
      if (this.running.get(core - this.session!.firstCore)?.sequence === sequence) {
        this.session!.held(core, sequence);
        continue;
      }
      this.fenced.add(`${core}:${sequence}`);
      this.session!.fenced(core, sequence);
    }
  }

  reportKept(): void {
    for (const [index, { count }] of this.kept)
      this.session?.provisioned(index, { begun: count, ready: count, failed: false });
  }

  #dropped(index: number, key: string): void {
    this.kept.delete(index);
    for (const { version } of this.running.values())
      assert.notEqual(VERSIONS[version]!.key, key, `${key} was dropped, and runs`);
  }
}

class Gateway {
  readonly name: string;
  session: GatewaySession | null = null;
  indexes: number[] = [];
  /** The version of each request that waits, and whether it was asked again. */
  readonly waiting = new Map<number, { readonly version: number; readonly again: boolean }>();
  grants: OpenGrant[] = [];
  readonly workers = new Map<string, WorkerView>();
  readonly sums = new Map<number, ProvisionedSum>();
  readonly #isWithdrawn: (core: number) => boolean;
  #next = 0;
  /** At which it is. */
  #shard = 0;

  constructor(name: string, isWithdrawn: (core: number) => boolean) {
    this.name = name;
    this.#isWithdrawn = isWithdrawn;
  }

  join({ epoch }: AnyScheduler, shard: Shard): void {
    if (this.session !== null) return;
    this.#shard = shard.machine.shard;
    this.session = shard.joinGateway(
      {
        granted: (request, lease, shard) => this.#granted(request, lease, { shard, epoch }),
        refused: (request, why) => this.#refused(request, why),
        cancelled: (request) => void this.#settle(request),
        workerJoined: (worker) => void this.workers.set(worker.name, worker),
        workerLeft: ({ name }) => assert.ok(this.workers.delete(name), 'a worker left that had not joined'),
        provisioned: (index, sum) => void this.sums.set(index, sum),
      },
      this.name,
    );
    this.indexes = VERSIONS.map((version) => this.session!.name(version));
    this.#askAgain();
  }

  /** It is gone for good, and all that it waited for. */
  leave(): void {
    this.session?.leave();
    this.waiting.clear();
    this.grants = [];
    this.lineBreaks();
  }

  lineBreaks(): void {
    this.session = null;
    this.indexes = [];
    this.workers.clear();
    this.sums.clear();
  }

  request(version: number): void {
    if (this.session === null || this.indexes[version]! < 0) return;
    const number = this.#freeNumber();
    if (number < 0) return;
    this.waiting.set(number, { version, again: false });
    assert.ok(this.session.request(number, this.indexes[version]!), 'a number that is free is not taken');
  }

  requestTwice(): void {
    if (this.session === null) return;
    for (const [number, { version }] of this.waiting) {
      if (this.indexes[version] !== -1) assert.ok(!this.session.request(number, this.indexes[version]!));
    }
  }

  /** Brings its oldest grant to the worker, if that is there. */
  start(workers: readonly Worker[]): void {
    const grant = this.grants.shift();
    if (grant === undefined) return;
    const view = [...this.workers.values()].find(
      ({ firstCore, coreCount }) => grant.core >= firstCore && grant.core < firstCore + coreCount,
    );
    const worker = workers.find(({ name, session }) => name === view?.name && session !== null);
    if (worker?.start(grant) === true) return;
    this.waiting.set(grant.request, { version: grant.version, again: true });
    if (this.session === null) return;
    const lease = { ...grant, version: this.indexes[grant.version]! };
    this.session.unstarted(grant.request, lease, worker === undefined ? 'unsent' : 'refused');
  }

  name_(version: number): void {
    if (this.session !== null && this.indexes[version] === -1)
      this.indexes[version] = this.session.name(VERSIONS[version]!);
  }

  /** Only what it has no use for: what it waits for would be refused. */
  unname(version: number): void {
    const uses = [...this.waiting.values(), ...this.grants];
    if (uses.some((use) => use.version === version)) return;
    const index = this.indexes[version];
    if (this.session === null || index === undefined || index < 0) return;
    this.indexes[version] = -1;
    this.session.unname(index, VERSIONS[version]!.key);
  }

  provision(version: number, count: number): void {
    const index = this.indexes[version];
    if (this.session !== null && index !== undefined && index >= 0) assert.ok(this.session.provision(index, count));
  }

  #freeNumber(): number {
    for (let tries = 0; tries < NUMBERS; tries++) {
      const number = this.#next++ % NUMBERS;
      if (!this.waiting.has(number) && this.grants.every(({ request }) => request !== number)) return number;
    }
    return -1;
  }

  /** After a line broke: for all that it has not started. */
  #askAgain(): void {
    for (const { request, version } of this.grants.splice(0)) this.waiting.set(request, { version, again: true });
    for (const [number, { version }] of this.waiting) {
      this.waiting.set(number, { version, again: true });
      const asking = { again: true, waitedMs: number * 10 };
      assert.ok(this.session!.request(number, this.indexes[version]!, asking));
    }
  }

  #settle(request: number): { version: number; again: boolean } {
    const waits = this.waiting.get(request);
    assert.ok(waits !== undefined, `request ${request} is answered and does not wait`);
    this.waiting.delete(request);
    return waits;
  }

  #granted(request: number, { core, sequence }: Granted, { shard, epoch }: { shard: number; epoch: number }): void {
    const { version } = this.#settle(request);
    assert.ok(!this.#isWithdrawn(core), 'a withdrawn core is granted');
    const isKnown = ({ firstCore, coreCount }: WorkerView): boolean =>
      core >= firstCore && core < firstCore + coreCount;
    assert.ok([...this.workers.values()].some(isKnown), 'a core of a worker is granted that it was not told of');
    assert.ok(shard === this.#shard || shard === -1);
    this.grants.push({ request, core, sequence, version, epoch });
  }

  #refused(request: number, why: Refusal): void {
    const { again } = this.#settle(request);
    assert.notEqual(why, 'version');
    if (again) assert.equal(why, outcome.refusedMemory, 'what was accepted is refused');
  }
}

class Cluster {
  scheduler: AnyScheduler;
  readonly workers = [new Worker('a'), new Worker('b')];
  readonly gateways: readonly Gateway[];
  readonly #shardCount: number;
  readonly #firstSequence: number;
  #epoch = 0;

  constructor(shardCount: number, firstSequence = 0) {
    this.#shardCount = shardCount;
    this.#firstSequence = firstSequence;
    this.scheduler = this.#newScheduler();
    const isWithdrawn = (core: number): boolean =>
      this.workers.some(({ session, withdrawn }) => {
        const own = core - (session?.firstCore ?? Infinity);
        return own >= 0 && own < CORES && (withdrawn & (1 << own)) !== 0;
      });
    this.gateways = ['x', 'y'].map((name) => new Gateway(name, isWithdrawn));
  }

  #newScheduler(): AnyScheduler {
    const limits: ClusterLimits = {
      epoch: ++this.#epoch,
      coreCountMax: 64,
      workerCountMax: 2,
      functionCountMax: 2,
      versionCountMax: 3,
      requestCountMax: 64,
      queueMax: 8,
      overtakeMax: 2,
      warmHintMax: 3,
      // Each scheduler begins elsewhere on the ring of sequences.
      firstSequence: (this.#firstSequence + this.#epoch * 0x5000001) & 0x0fffffff,
      keptSweeps: KEPT_SWEEPS,
      startSweeps: 2,
    };
    return this.#shardCount === 1 ? new OneShard(limits) : new ShardedScheduler(limits, this.#shardCount);
  }

  #shard(nth: number): Shard {
    return this.scheduler.shards[nth % this.#shardCount]!;
  }

  /** The one there was is gone without a word. */
  restart(): void {
    for (const each of [...this.workers, ...this.gateways]) each.lineBreaks();
    this.scheduler = this.#newScheduler();
  }

  apply([kind, a, b]: readonly [number, number, number]): void {
    const worker = this.workers[a % 2]!;
    const gateway = this.gateways[a % 2]!;
    if (kind <= 5) gateway.request(b % 3);
    else if (kind <= 10) gateway.start(this.workers);
    else if (kind <= 14) worker.end(b % CORES, b % 2 === 0);
    else if (kind >= 35) this.#applyBetween(kind, b);
    else this.#applySeldom(kind, worker, gateway, b);
  }

  /** What happens between shards. */
  #applyBetween(kind: number, b: number): void {
    if (kind === 35) return this.check();
    if (kind <= 38) this.scheduler.turn(b);
    else for (let count = 0; count <= kind - 39; count++) this.scheduler.deliver(b + count);
  }

  #applySeldom(kind: number, worker: Worker, gateway: Gateway, b: number): void {
    const { scheduler } = this;
    const shard = this.#shard(b);
    const waits = [...gateway.waiting.keys()];
    const seldom: Record<number, () => void> = {
      15: () => gateway.session?.cancel(waits[b % Math.max(waits.length, 1)] ?? b % NUMBERS),
      16: () => worker.leave(),
      17: () => worker.join(scheduler, shard),
      18: () => worker.join(scheduler, shard),
      19: () => gateway.leave(),
      20: () => gateway.join(scheduler, shard),
      21: () => gateway.join(scheduler, shard),
      22: () => worker.session?.warmed(b % 3),
      23: () => gateway.session?.setConcurrency(`f${b % 2}`, (b % 4) - 1),
      24: () => worker.answerProbes(),
      25: () => worker.withdraw(b % 8),
      26: () => scheduler.turn(b),
      27: () => scheduler.sweep(b),
      28: () => gateway.unname(b % 3),
      29: () => gateway.name_(b % 3),
      30: () => gateway.provision(b % 3, b % 5),
      31: () => worker.reportKept(),
      32: () => gateway.requestTwice(),
      33: () => {
        gateway.session?.leave();
        gateway.lineBreaks();
        gateway.join(scheduler, shard);
      },
      34: () => b % 3 === 0 && this.restart(),
    };
    seldom[kind]!();
  }

  check(): void {
    this.scheduler.quiet();
    this.scheduler.checkInvariants();
    for (const { kept } of this.workers) {
      const memoryMb = [...kept.values()].reduce((sum, { count, version }) => sum + count * version.memoryMb, 0);
      assert.ok(memoryMb <= MEMORY_MB, `${memoryMb} MB are to be provisioned on one worker`);
    }
    const { cores, gateways, queueLength, collectedCount } = this.scheduler.view();
    assert.equal(cores.leased, this.#leasedCount);
    const waiting = gateways.reduce((sum, each) => sum + each.waiting, 0);
    assert.equal(waiting, queueLength + collectedCount);
  }

  /** All is well again, and what runs ends: then nobody waits and nothing is held. */
  finish(): void {
    const { scheduler } = this;
    for (const [nth, each] of [...this.workers, ...this.gateways].entries()) each.join(scheduler, this.#shard(nth));
    for (const worker of this.workers) worker.withdraw(0);
    for (const gateway of this.gateways) for (const name of ['f0', 'f1']) gateway.session!.setConcurrency(name, -1);
    for (let round = 0; round < 100; round++) {
      for (let shard = 0; shard < this.#shardCount; shard++) scheduler.turn(shard);
      scheduler.quiet();
      for (const gateway of this.gateways) while (gateway.grants.length > 0) gateway.start(this.workers);
      scheduler.quiet();
      for (const worker of this.workers) {
        worker.answerProbes();
        worker.session!.memoryAvailable();
        for (let own = 0; own < CORES; own++) worker.end(own, true);
      }
    }
    assert.deepEqual(
      this.gateways.map(({ waiting }) => waiting.size),
      [0, 0],
    );
    assert.equal(this.#leasedCount, 0);
    assert.equal(scheduler.shards[0]!.machine.idleCount, 2 * CORES);
    for (const gateway of this.gateways) gateway.leave();
    this.check();
    // Several shards have to turn, and each sweep is of one or of the control.
    for (let sweep = 0; sweep <= (KEPT_SWEEPS + 2) * (this.#shardCount > 1 ? 2 : 1); sweep++) {
      scheduler.sweep(sweep);
      scheduler.quiet();
    }
    assert.equal(scheduler.versionCount(), 0, 'a version stays that nobody names');
    assert.deepEqual(
      this.workers.map(({ kept }) => kept.size),
      [0, 0],
    );
    this.check();
  }

  get #leasedCount(): number {
    return this.scheduler.shards[0]!.machine.leasedCount;
  }
}

const eventsOf = (kinds: number): fc.Arbitrary<[number, number, number][]> =>
  fc.array(fc.tuple(fc.nat(kinds), fc.nat(9), fc.nat(99)), { maxLength: 200, size: 'max' });
const sequences = fc.constantFrom(0, 0x0ffffffe, 0x07fffffe);
const numRuns = Number(process.env['CLUSTER_RUNS'] ?? 400);

test('whoever comes and goes, no core runs two leases, and all that was asked for ends', () => {
  fc.assert(
    fc.property(eventsOf(34), sequences, (steps, firstSequence) => {
      const cluster = new Cluster(1, firstSequence);
      for (const step of steps) {
        cluster.apply(step);
        cluster.check();
      }
      cluster.finish();
    }),
    { numRuns },
  );
});

test('the same at several shards, whatever is on its way between them', () => {
  fc.assert(
    fc.property(eventsOf(44), sequences, fc.constantFrom(2, 2, 3, 5), (steps, firstSequence, shardCount) => {
      const cluster = new Cluster(shardCount, firstSequence);
      for (const step of steps) cluster.apply(step);
      cluster.finish();
    }),
    { numRuns },
  );
});
