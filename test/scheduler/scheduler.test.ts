/** What the scheduler promises, one promise at a time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Grant } from '../../src/scheduler/machine/actions.ts';
import type { SchedulerLimits } from '../../src/scheduler/machine/limits.ts';
import { outcome, Scheduler } from '../../src/scheduler/machine/scheduler.ts';

const LIMITS: SchedulerLimits = {
  epoch: 1,
  coreCountMax: 4096,
  workerCountMax: 64,
  functionCountMax: 8,
  versionCountMax: 8,
  requestCountMax: 1000,
  queueMax: 100,
  overtakeMax: 4,
  warmHintMax: 4,
};

function make(workers: readonly (readonly [coreCount: number, memoryMb: number])[], limits = LIMITS): Scheduler {
  const scheduler = new Scheduler(limits);
  for (const [coreCount, memoryMb] of workers) scheduler.addWorker(coreCount, memoryMb);
  return scheduler;
}

function take(scheduler: Scheduler): Grant {
  const grant = new Grant();
  assert.ok(scheduler.takeGrant(grant), 'a grant');
  return grant;
}

test('a worker begins a word of its own, and its padding is never granted', () => {
  const scheduler = make([
    [33, 10_000],
    [1, 10_000],
  ]);
  assert.equal(scheduler.firstCore(1), 64);
  assert.equal(scheduler.idleCount, 34);
  scheduler.setVersion(0, 0, 1);
  const cores = new Set<number>();
  for (let i = 0; i < 34; i++) {
    assert.equal(scheduler.request(i, 0), outcome.granted);
    cores.add(take(scheduler).core);
  }
  assert.equal(cores.size, 34);
  assert.equal(scheduler.request(34, 0), outcome.queued);
  assert.equal(scheduler.stateOf(63), 'absent');
  scheduler.checkInvariants();
});

test('a warm worker is preferred, its last core first', () => {
  const scheduler = make([
    [2, 1000],
    [2, 1000],
  ]);
  scheduler.setVersion(0, 0, 100);
  scheduler.setVersion(1, 1, 100);
  scheduler.withdraw(0);
  scheduler.withdraw(1);
  scheduler.request(0, 0);
  const first = take(scheduler);
  assert.equal(scheduler.workerOf(first.core), 1);
  assert.equal(first.warm, 0);
  scheduler.giveBack(0);
  scheduler.giveBack(1);
  scheduler.release(first.core, first.sequence, true);

  scheduler.request(1, 0);
  const again = take(scheduler);
  assert.deepEqual([again.core, again.warm], [first.core, 1]);
  scheduler.release(again.core, again.sequence, true);

  // Somebody else sits on that core: the worker's other core then.
  scheduler.withdraw(first.core);
  scheduler.request(2, 0);
  const beside = take(scheduler);
  assert.deepEqual([scheduler.workerOf(beside.core), beside.warm], [1, 1]);
  assert.notEqual(beside.core, first.core);
  assert.equal(scheduler.count('grantWarmCore'), 1);
  assert.equal(scheduler.count('grantWarmWorker'), 1);
});

test('an instance that is kept for a version serves it, whoever waits for memory', () => {
  for (const isRefused of [true, false]) {
    const scheduler = make([[3, 1000]]);
    for (const [version, memoryMb] of [780, isRefused ? 200 : 250, 150].entries())
      scheduler.setVersion(version, version, memoryMb);
    const [LONG, OTHER, KEPT] = [0, 1, 2];
    scheduler.provision(KEPT, 1);
    scheduler.warmed(0, KEPT);
    scheduler.request(0, LONG);
    take(scheduler);
    scheduler.request(1, OTHER);
    if (isRefused) {
      const { core, sequence } = take(scheduler);
      scheduler.noMemory(core, sequence);
    }
    assert.equal(scheduler.queue.length, 1);
    scheduler.checkInvariants();
    assert.equal(scheduler.request(4, KEPT), outcome.granted);
    const first = take(scheduler);
    assert.equal(scheduler.count('grantProvisioned'), 1);
    assert.equal(scheduler.request(5, KEPT), outcome.queued, 'one is kept, and it runs');
    scheduler.release(first.core, first.sequence, true);
    const second = take(scheduler);
    assert.equal(second.request, 5);
    scheduler.noMemory(second.core, second.sequence);
    assert.equal(scheduler.queue.length, 2, 'the hint was stale');
    scheduler.checkInvariants();
    scheduler.warmed(0, KEPT);
    assert.equal(take(scheduler).request, 5);
    scheduler.checkInvariants();
  }
});

test('an evicted instance is not looked for any more', () => {
  const scheduler = make([[2, 1000]]);
  scheduler.setVersion(0, 0, 100);
  scheduler.request(0, 0);
  const lease = take(scheduler);
  scheduler.release(lease.core, lease.sequence, true);
  scheduler.evicted(0, 0);
  scheduler.request(1, 0);
  assert.equal(take(scheduler).warm, 0);
});

test('a waiting request takes the core that is released, and is warm where its version ran', () => {
  const scheduler = make([[1, 1000]]);
  scheduler.setVersion(0, 0, 100);
  scheduler.setVersion(1, 0, 100);
  scheduler.request(0, 0);
  const held = take(scheduler);
  scheduler.request(1, 0);
  scheduler.request(2, 1);
  assert.ok(scheduler.release(held.core, held.sequence, true));
  const second = take(scheduler);
  assert.deepEqual([second.request, second.warm], [1, 1]);
  assert.ok(scheduler.release(second.core, second.sequence, true));
  const third = take(scheduler);
  assert.deepEqual([third.request, third.warm], [2, 0]);
});

test('a late release names nobody, across the wrap of the sequence too', () => {
  const scheduler = make([[1, 1000]], { ...LIMITS, firstSequence: 2 ** 28 - 1 });
  scheduler.setVersion(0, 0, 100);
  scheduler.request(0, 0);
  const first = take(scheduler);
  assert.equal(first.sequence, 0);
  assert.ok(scheduler.release(first.core, first.sequence, true));
  assert.ok(!scheduler.release(first.core, first.sequence, true));
  scheduler.request(1, 0);
  const second = take(scheduler);
  for (const sequence of [0, 2, -1, 2 ** 28 - 1, 2 ** 28 + 1, 2 ** 31, 0.5, Number.NaN]) {
    assert.ok(!scheduler.release(second.core, sequence, true), `sequence ${sequence}`);
  }
  for (const core of [-1, 1, 31, 5000, 2 ** 31, 0.5, Number.NaN]) assert.ok(!scheduler.release(core, 1, true));
  assert.equal(scheduler.stateOf(second.core), 'leased');
  scheduler.checkInvariants();
});

test('a big request is served although small ones never stop coming', () => {
  const scheduler = make([
    [8, 1000],
    [8, 500],
  ]);
  scheduler.setVersion(0, 0, 100);
  scheduler.setVersion(1, 1, 900);
  const leases: Grant[] = [];
  let request = 0;
  const askSmall = (): void => {
    if (scheduler.request(request++ % 900, 0) === outcome.granted) leases.push(take(scheduler));
  };
  for (let i = 0; i < 8; i++) askSmall();
  assert.equal(scheduler.request(999, 1), outcome.queued);
  for (let round = 0; round < 40 && scheduler.queue.length > 0; round++) {
    // Twice as many small ones ask as end.
    askSmall();
    askSmall();
    const ended = leases.shift()!;
    scheduler.release(ended.core, ended.sequence, true);
    const grant = new Grant();
    while (scheduler.takeGrant(grant)) {
      if (grant.request === 999) {
        assert.equal(scheduler.workerOf(grant.core), 0);
        assert.ok(scheduler.count('overtakes') <= LIMITS.overtakeMax);
        assert.equal(scheduler.count('grantKept'), 1);
        scheduler.checkInvariants();
        return;
      }
      leases.push(Object.assign(new Grant(), grant));
    }
    scheduler.checkInvariants();
  }
  assert.fail('the big request was never served');
});

test('a worker is not kept for a request that is cancelled, nor when it can never serve it', () => {
  const limits = { ...LIMITS, overtakeMax: 0 };
  for (const end of ['cancel', 'withdraw'] as const) {
    const scheduler = make([[2, 1000]], limits);
    scheduler.setVersion(0, 0, 100);
    scheduler.setVersion(1, 1, 1000);
    scheduler.request(0, 0);
    const lease = take(scheduler);
    assert.equal(scheduler.request(1, 1), outcome.queued);
    assert.equal(scheduler.request(2, 0), outcome.queued);
    assert.equal(scheduler.overtaking.keptHome, 0);
    if (end === 'cancel') {
      assert.ok(scheduler.cancel(1));
      assert.equal(take(scheduler).request, 2);
    } else {
      scheduler.withdraw(0);
      scheduler.withdraw(1);
    }
    assert.equal(scheduler.overtaking.keptHome, -1);
    scheduler.checkInvariants();
    scheduler.release(lease.core, lease.sequence, false);
    scheduler.checkInvariants();
  }
});

test('a refused lease goes elsewhere, and its worker is passed over for that size only', () => {
  const scheduler = make([
    [2, 1000],
    [2, 1000],
  ]);
  scheduler.setVersion(0, 0, 500);
  scheduler.setVersion(1, 1, 100);
  scheduler.withdraw(32);
  scheduler.withdraw(33);
  scheduler.request(7, 0);
  const refused = take(scheduler);
  assert.ok(scheduler.noMemory(refused.core, refused.sequence));
  assert.ok(!scheduler.noMemory(refused.core, refused.sequence), 'once');
  assert.equal(scheduler.queue.length, 1);
  assert.equal(scheduler.functions.running(0), 1);
  scheduler.request(8, 1);
  assert.equal(scheduler.workerOf(take(scheduler).core), 0, 'a smaller one still fits');
  scheduler.giveBack(32);
  const elsewhere = take(scheduler);
  assert.deepEqual([elsewhere.request, elsewhere.core], [7, 32]);
  scheduler.memoryAvailable(0);
  scheduler.request(9, 0);
  assert.equal(scheduler.workerOf(take(scheduler).core), 0);
  scheduler.checkInvariants();
});

test('a version is removed only when its requests are over', () => {
  const scheduler = make([[1, 1000]]);
  scheduler.setVersion(0, 0, 100);
  scheduler.request(0, 0);
  const lease = take(scheduler);
  assert.throws(() => scheduler.removeVersion(0), /not over/);
  scheduler.release(lease.core, lease.sequence, true);
  scheduler.removeVersion(0);
  scheduler.setVersion(0, 1, 200);
  scheduler.request(1, 0);
  assert.equal(take(scheduler).warm, 0, 'the hints of the old version went with it');
});
