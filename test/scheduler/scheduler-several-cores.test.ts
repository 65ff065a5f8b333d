/** Requests of several cores beside those of one: neither starves, on one shard and on several. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { coresOf } from '../../src/base/core-mask.ts';
import { Grant } from '../../src/scheduler/machine/actions.ts';
import { checkInvariants } from '../../src/scheduler/machine/invariants.ts';
import type { SchedulerLimits } from '../../src/scheduler/machine/limits.ts';
import { beginAnew, latestOf } from '../../src/scheduler/machine/membership.ts';
import { makeMemory } from '../../src/scheduler/machine/memory.ts';
import { outcome, Scheduler } from '../../src/scheduler/machine/scheduler.ts';

const ONE = 0;
const FOUR = 1;
const TWO = 2;
const MANY = 3;

interface Lease {
  readonly request: number;
  readonly core: number;
  readonly mask: number;
  readonly sequence: number;
}

class Cluster {
  readonly shards: readonly Scheduler[];
  readonly leases: Map<number, Lease> = new Map();
  /** In order. */
  readonly granted: number[] = [];
  readonly #grant = new Grant();

  constructor(shardCount: number, workers: readonly number[], more: Partial<SchedulerLimits> = {}) {
    const limits: SchedulerLimits = {
      epoch: 1,
      coreCountMax: 32 * 8,
      workerCountMax: 8,
      functionCountMax: 4,
      versionCountMax: 8,
      requestCountMax: 2000,
      queueMax: 100,
      overtakeMax: 2,
      warmHintMax: 3,
      ...more,
    };
    const memory = makeMemory(limits, shardCount);
    this.shards = memory.shards.map((_, shard) => new Scheduler(limits, { memory, shard }));
    const [first] = this.shards;
    for (const coreCount of workers) first!.addWorker(coreCount, 10_000);
    [1, 4, 2, 32].forEach((coreCount, version) => first!.setVersion(version, version, 10, { coreCount }));
    this.settle();
  }

  request(request: number, version: number, shard = 0): number {
    const answer = this.shards[shard]!.request(request, version);
    this.settle();
    return answer;
  }

  release(core: number, shard = 0): void {
    const lease = this.leases.get(core)!;
    this.leases.delete(core);
    assert.ok(this.shards[shard]!.release(core, lease.sequence, false));
    this.settle();
  }

  settle(): void {
    for (let isRung = true; isRung; isRung = this.shards.some(({ bells }) => bells.isRung)) {
      for (const shard of this.shards) {
        shard.settleBatch();
        while (shard.takeGrant(this.#grant)) {
          const { request, core, mask, sequence } = this.#grant;
          this.granted.push(request);
          this.leases.set(core, { request, core, mask, sequence });
        }
      }
    }
    checkInvariants(this.shards);
  }
}

for (const shardCount of [1, 2, 3]) {
  test(`${shardCount} shards: in a stream of one core each, four are granted within the leases of one worker`, () => {
    const cluster = new Cluster(shardCount, [4, 4, 4]);
    let next = 1;
    const ask = (): number => cluster.request(next++, ONE, next % shardCount);
    for (let i = 0; i < 12; i++) assert.equal(ask(), outcome.granted);
    assert.equal(cluster.request(0, FOUR), outcome.queued);
    // More of one core wait at all times, behind it and at the other shards.
    for (let i = 0; i < 6; i++) assert.equal(ask(), outcome.queued);
    let releaseCount = 0;
    while (!cluster.granted.includes(0)) {
      // The oldest lease ends, wherever it is.
      const [core] = cluster.leases.keys();
      cluster.release(core!, releaseCount % shardCount);
      ask();
      assert.ok(++releaseCount <= 12, 'it waits for more than what ran when it came');
    }
    assert.equal([...cluster.leases.values()].find(({ request }) => request === 0)!.mask, 15);
  });

  test(`${shardCount} shards: in a stream of four cores each, one core is granted`, () => {
    const cluster = new Cluster(shardCount, [4, 4]);
    let next = 1;
    const ask = (): number => cluster.request(next++, FOUR, next % shardCount);
    for (let i = 0; i < 8; i++) ask();
    assert.equal(cluster.request(0, ONE), outcome.queued);
    let releaseCount = 0;
    while (!cluster.granted.includes(0)) {
      const [core] = cluster.leases.keys();
      cluster.release(core!, releaseCount % shardCount);
      ask();
      assert.ok(++releaseCount <= 20, 'it is passed without bound');
    }
  });
}

test('shards that all want four cores of a full cluster take turns at keeping a worker', () => {
  const cluster = new Cluster(3, [4]);
  cluster.request(0, FOUR);
  const shardOf = new Map<number, number>();
  for (let request = 1; request <= 30; request++) {
    shardOf.set(request, request % 3);
    cluster.request(request, FOUR, request % 3);
  }
  for (let i = 0; i < 30; i++) cluster.release(0, 0);
  const order = cluster.granted.slice(1).map((request) => shardOf.get(request)!);
  assert.equal(order.length, 30);
  for (let i = 3; i < order.length; i++)
    assert.deepEqual(new Set(order.slice(i - 3, i)), new Set([0, 1, 2]), 'each shard once in three grants');
});

test('one core passes four that wait, but not on the worker that is kept for them', () => {
  const cluster = new Cluster(1, [4, 2]);
  for (let i = 0; i < 6; i++) cluster.request(i, ONE);
  assert.equal(cluster.request(10, FOUR), outcome.queued);
  const { keptHome } = cluster.shards[0]!.overtaking;
  assert.equal(keptHome, 0);
  assert.equal(cluster.request(11, ONE), outcome.queued);
  cluster.release(1);
  assert.ok(!cluster.granted.includes(11));
  cluster.release(32);
  assert.ok(cluster.granted.includes(11));
});

test('a cancellation ends the keeping', () => {
  const cluster = new Cluster(2, [4]);
  cluster.request(0, ONE);
  cluster.request(1, FOUR, 1);
  assert.equal(cluster.request(2, ONE), outcome.queued);
  assert.ok(cluster.shards[1]!.cancel(1));
  cluster.settle();
  assert.ok(cluster.granted.includes(2));
});

test('refused where no worker has as many cores, or none of those the memory', () => {
  const cluster = new Cluster(1, [4, 40]);
  assert.equal(cluster.request(0, MANY), outcome.granted);
  assert.equal(cluster.request(1, FOUR), outcome.granted);
  const small = new Cluster(1, [3, 31]);
  assert.equal(small.request(0, MANY), outcome.refusedCores);
  const [machine] = small.shards;
  machine!.addWorker(1, 50_000);
  machine!.setVersion(5, 0, 20_000, { coreCount: 4 });
  assert.equal(small.request(1, 5), outcome.refusedMemory);
  assert.deepEqual([machine!.count('refusedCores'), machine!.count('refusedMemory')], [1, 1]);
});

test('the sequence of a lease comes after the last of each of its cores, also where they wrap', () => {
  const cluster = new Cluster(1, [4], { firstSequence: 2 ** 28 - 2 });
  const { leases } = cluster.shards[0]!;
  for (let i = 0; i < 3; i++) {
    cluster.request(0, ONE);
    cluster.release(0);
  }
  assert.deepEqual([leases.sequence(0), leases.sequence(1)], [1, 2 ** 28 - 2]);
  cluster.request(1, FOUR);
  assert.deepEqual(
    coresOf(0, 15).map((core) => leases.sequence(core)),
    [2, 2, 2, 2],
  );
  assert.deepEqual(
    [0, 1].map((core) => leases.request(core)),
    [1, -1],
  );
  assert.ok(!cluster.shards[0]!.release(1, 2, true), 'only the lead names it');
});

test('a core that is wished out leaves when the lease of several ends, and only that one', () => {
  const cluster = new Cluster(2, [4]);
  const [machine, other] = cluster.shards;
  cluster.request(0, FOUR);
  assert.equal(other!.withdraw(2), 'pending');
  assert.equal(machine!.stateOf(2), 'leased');
  cluster.release(0, 1);
  assert.deepEqual(
    [0, 1, 2, 3].map((core) => machine!.stateOf(core)),
    ['idle', 'idle', 'withdrawn', 'idle'],
  );
  assert.equal(cluster.request(1, FOUR), outcome.queued);
  assert.equal(machine!.overtaking.keptHome, -1, 'none could hold it');
  assert.ok(other!.giveBack(2));
  cluster.settle();
  assert.ok(cluster.granted.includes(1));
});

test('an agent that has no memory for four cores gives all of them back', () => {
  const cluster = new Cluster(1, [4, 4]);
  const [machine] = cluster.shards;
  cluster.request(0, FOUR);
  const [lease] = cluster.leases.values();
  cluster.leases.clear();
  assert.ok(machine!.noMemory(lease!.core, lease!.sequence));
  cluster.settle();
  assert.deepEqual(cluster.granted, [0, 0]);
  assert.notEqual([...cluster.leases.keys()][0], lease!.core);
  assert.deepEqual([machine!.leasedCount, machine!.idleCount], [4, 4]);
});

test('a lease of several is resumed with its mask, and ends as any other', () => {
  const cluster = new Cluster(1, [4]);
  const [machine] = cluster.shards;
  for (let core = 0; core < 4; core++) machine!.withdraw(core);
  assert.ok(machine!.resumeSeveral(1, 6, { request: 7, version: TWO, sequence: 40 }));
  assert.ok(!machine!.resumeSeveral(0, 9, { request: 8, version: ONE, sequence: 40 }), 'its version asks for one');
  for (let core = 0; core < 4; core++) machine!.giveBack(core);
  checkInvariants(cluster.shards);
  assert.deepEqual([machine!.leasedCount, machine!.idleCount], [2, 2]);
  assert.ok(machine!.release(1, 40, true));
  assert.equal(cluster.request(1, FOUR), outcome.granted);
  assert.equal(cluster.leases.get(0)!.sequence, 41);
});

test('who comes again goes before those that have waited less, whatever the limits', () => {
  const cluster = new Cluster(1, [1], { queueMax: 2 });
  const [machine] = cluster.shards;
  machine!.tellTime(1000);
  for (let i = 0; i < 3; i++) cluster.request(i, ONE);
  machine!.tellTime(1100);
  assert.equal(cluster.request(3, ONE), outcome.refusedQueueFull);
  machine!.setConcurrency(ONE, 0);
  for (const [request, waited] of [
    [10, 500],
    [11, 300],
    [12, 100],
    [13, 0],
    [14, 400],
  ] as const)
    assert.equal(machine!.requestAgain(request, ONE, waited), outcome.queued);
  cluster.settle();
  for (let i = 0; i < 7; i++) cluster.release(0);
  assert.deepEqual(cluster.granted, [0, 10, 14, 11, 1, 2, 12, 13]);
});

test('the floor of a worker whose cores lie far apart is what no core is after', () => {
  assert.equal(latestOf(Int32Array.of(5)), 5);
  assert.equal(latestOf(Int32Array.of(3, 2 ** 28 - 1, 1)), 3);
  // In pairs, each of these is after another; the gap behind the second is the widest.
  const third = Math.floor(2 ** 28 / 3);
  assert.equal(latestOf(Int32Array.of(0, third - 10, 2 * third)), third - 10);
  const cluster = new Cluster(1, [3]);
  const [machine] = cluster.shards;
  for (let core = 0; core < 3; core++) machine!.withdraw(core);
  [10, 2 ** 27 - 5, 2 ** 27 + 5].forEach((sequence, core) => machine!.leases.setSequence(core, sequence));
  assert.equal(beginAnew(machine!, [0, 1, 2]), 2 ** 27 + 5);
});
