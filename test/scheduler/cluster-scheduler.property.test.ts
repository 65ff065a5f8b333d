/**
 * Gateways and workers that come, go, lose what they were told and come back, and schedulers that start anew, in any order.
 * The workers are the judges: none may be made to run two leases on one core, and whatever was asked for ends.
 */
import fc from 'fast-check';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ClusterLimits, ClusterScheduler } from '../../src/scheduler/server/cluster-scheduler.ts';
import type { Shard } from '../../src/scheduler/server/shard.ts';
import { type ClusterView, viewOf } from '../../src/scheduler/server/view.ts';
import { CORES, Gateway, MEMORY_MB, NUMBERS, Worker } from './cluster-parties.ts';
import { ShardedScheduler } from './sharded-scheduler.ts';

const KEPT_SWEEPS = 2;

/** One with one shard, as it is shipped, or several with what is on its way between them. */
interface AnyScheduler {
  readonly epoch: number;
  readonly shards: readonly Shard[];
  deliver(nth: number): boolean;
  turn(at: number): void;
  sweep(at: number): void;
  tick(): void;
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

  tick(): void {
    this.#scheduler.tick();
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
      25: () => (b % 3 === 0 ? gateway.giveBack() : worker.withdraw(b % 8)),
      26: () => (b % 2 === 0 ? scheduler.turn(b) : scheduler.tick()),
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
      scheduler.tick();
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

test('two shards that find nothing at a worker that is kept do not tell each other of it for ever', () => {
  const cluster = new Cluster(2, 0);
  const steps = [
    [25, 1, 17],
    [20, 7, 1],
    [33, 0, 0],
    [17, 3, 0],
    [30, 0, 16],
    [0, 0, 0],
    [0, 0, 25],
    [0, 7, 0],
    [27, 0, 0],
    [17, 0, 0],
    [0, 0, 1],
    [0, 0, 0],
    [35, 0, 0],
  ] as const;
  for (const step of steps) cluster.apply(step);
  cluster.finish();
});
