/** The scheduler of a cluster in single cases: what comes again, what comes too late, what nobody can use any more. */
import fc from 'fast-check';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isAfter } from '../../src/wire/cluster/sequence.ts';
import { outcome } from '../../src/scheduler/machine/outcome.ts';
import { type ClusterLimits, ClusterScheduler } from '../../src/scheduler/server/cluster-scheduler.ts';
import type { Announcement, GatewaySession, ProvisionedSum, WorkerSession } from '../../src/scheduler/server/ports.ts';
import { splitCount } from '../../src/scheduler/server/provisions.ts';
import type { NamedVersion } from '../../src/scheduler/server/version-names.ts';
import { viewOf } from '../../src/scheduler/server/view.ts';

const LIMITS: ClusterLimits = {
  epoch: 1,
  coreCountMax: 128,
  workerCountMax: 4,
  functionCountMax: 4,
  versionCountMax: 4,
  requestCountMax: 64,
  queueMax: 2,
  overtakeMax: 2,
  warmHintMax: 3,
  keptSweeps: 3,
};
const V: NamedVersion = { key: 'v', functionKey: 'f', memoryMb: 100, coreCount: 1 };
const W: NamedVersion = { key: 'w', functionKey: 'f', memoryMb: 100, coreCount: 1 };

/** What is told is kept as text. */
interface Told {
  readonly told: string[];
  take(): string[];
}

function keeper(): Told {
  const told: string[] = [];
  return { told, take: () => told.splice(0) };
}

function joinWorker(scheduler: ClusterScheduler, more: Partial<Announcement> = {}): WorkerSession & Told {
  const kept = keeper();
  const session = scheduler.joinWorker(
    {
      probe: (core, sequence) => void kept.told.push(`probe ${core} ${sequence}`),
      dropped: (index, key) => void kept.told.push(`dropped ${index} ${key}`),
      provision: (index, count, { key }) => void kept.told.push(`provision ${index} ${count} ${key}`),
    },
    { name: 'a', host: '', port: 1, life: 1, coreCount: 1, memoryMb: 1000, running: [], ...more },
  );
  if (typeof session === 'string') assert.fail(session);
  return { ...session, ...kept };
}

type TestGateway = GatewaySession & Told & { readonly leases: { core: number; sequence: number }[] };

function joinGateway(scheduler: ClusterScheduler, name = 'g'): TestGateway {
  const kept = keeper();
  const leases: { core: number; sequence: number }[] = [];
  const text = ({ wanted, begun, ready, failed }: ProvisionedSum): string =>
    `${wanted} ${begun} ${ready}${failed ? ' failed' : ''}`;
  const session = scheduler.joinGateway(
    {
      granted: (request, { core, sequence }, shard) => {
        leases.push({ core, sequence });
        kept.told.push(`granted ${request} ${shard}`);
      },
      refused: (request, why) => void kept.told.push(`refused ${request} ${why}`),
      cancelled: (request) => void kept.told.push(`cancelled ${request}`),
      workerJoined: () => {},
      workerLeft: () => {},
      provisioned: (index, sum) => void kept.told.push(`provisioned ${index} ${text(sum)}`),
    },
    name,
  );
  return { ...session, ...kept, leases };
}

const AGAIN = (waitedMs: number): { again: true; waitedMs: number } => ({ again: true, waitedMs });

test('what was accepted before is refused neither for the queue nor for reserved concurrency, and waits in its order', () => {
  const scheduler = new ClusterScheduler(LIMITS);
  const worker = joinWorker(scheduler);
  const gateway = joinGateway(scheduler);
  const index = gateway.name(V);
  gateway.setConcurrency('f', 3);
  for (const number of [1, 2, 3, 4]) gateway.request(number, index);
  assert.deepEqual(gateway.take(), ['granted 1 -1', `refused 4 ${outcome.refusedConcurrency}`]);
  gateway.request(5, index, AGAIN(10));
  gateway.request(6, index, AGAIN(500));
  gateway.request(7, index, AGAIN(100));
  gateway.cancel(7);
  assert.ok(!gateway.request(6, index), 'its number is in use');
  scheduler.turn();
  gateway.setConcurrency('f', -1);
  gateway.request(8, index);
  assert.deepEqual(gateway.take(), ['cancelled 7', `refused 8 ${outcome.refusedQueueFull}`]);
  for (let round = 0; round < 4; round++) {
    const { core, sequence } = gateway.leases.at(-1)!;
    assert.ok(worker.release(core, sequence, false));
    assert.ok(!worker.release(core, sequence, false), 'twice');
  }
  assert.deepEqual(gateway.take(), ['granted 6 0', 'granted 5 0', 'granted 2 0', 'granted 3 0']);
  scheduler.checkInvariants();
});

test('as many may wait as there are cores', () => {
  const scheduler = new ClusterScheduler(LIMITS);
  joinWorker(scheduler, { coreCount: 5 });
  const gateway = joinGateway(scheduler);
  const index = gateway.name(V);
  for (let number = 1; number <= 11; number++) gateway.request(number, index);
  const told = gateway.take();
  assert.equal(told.filter((text) => text.startsWith('granted')).length, 5);
  assert.deepEqual(told.slice(5), [`refused 11 ${outcome.refusedQueueFull}`]);
  assert.equal(scheduler.shard.machine.queue.length, 5);
  scheduler.checkInvariants();
});

test('a young scheduler keeps what asks more than any worker has so far', () => {
  const scheduler = new ClusterScheduler({ ...LIMITS, startSweeps: 2 });
  const gateway = joinGateway(scheduler);
  const index = gateway.name(V);
  const large = gateway.name({ ...W, memoryMb: 5000 });
  gateway.request(1, index);
  gateway.request(2, index, AGAIN(5));
  gateway.request(3, large, AGAIN(5));
  scheduler.turn();
  assert.deepEqual(gateway.take(), []);
  joinWorker(scheduler, { coreCount: 2 });
  scheduler.turn();
  assert.deepEqual(gateway.take(), ['granted 2 -1', 'granted 1 -1']);
  gateway.request(4, large);
  scheduler.sweep();
  scheduler.sweep();
  scheduler.turn();
  assert.deepEqual(
    gateway.take(),
    [4, 3].map((number) => `refused ${number} ${outcome.refusedMemory}`),
  );
  scheduler.checkInvariants();
});

test('a lease of which nothing is heard is asked for once, one that its worker has announced never', () => {
  const scheduler = new ClusterScheduler(LIMITS);
  const running = [{ core: 0, mask: 0, sequence: 7, version: V }];
  const worker = joinWorker(scheduler, { coreCount: 2, running });
  const gateway = joinGateway(scheduler);
  gateway.request(1, gateway.name(V));
  const { core, sequence } = gateway.leases[0]!;
  scheduler.sweep();
  assert.deepEqual(worker.take(), []);
  for (let round = 0; round < 3; round++) scheduler.sweep();
  assert.deepEqual(worker.take(), [`probe ${core} ${sequence}`]);
  worker.held(core, sequence);
  for (let round = 0; round < 3; round++) scheduler.sweep();
  assert.deepEqual(worker.take(), []);
  assert.ok(worker.release(worker.firstCore, 7, false), 'under the name that it has at the worker');
});

test('after a lease of before, whatever its sequence was, the next one comes after the floor', () => {
  fc.assert(
    fc.property(fc.nat(0x0fffffff), fc.nat(0x0fffffff), (firstSequence, old) => {
      const scheduler = new ClusterScheduler({ ...LIMITS, firstSequence });
      const worker = joinWorker(scheduler, { running: [{ core: 0, mask: 0, sequence: old, version: V }] });
      const gateway = joinGateway(scheduler);
      gateway.request(1, gateway.name(V));
      assert.deepEqual(gateway.take(), []);
      assert.ok(!worker.release(worker.firstCore, (old + 1) & 0x0fffffff, false));
      assert.ok(worker.release(worker.firstCore, old, false));
      assert.deepEqual(gateway.take(), ['granted 1 0']);
      assert.ok(isAfter(gateway.leases[0]!.sequence, worker.floor));
      scheduler.checkInvariants();
    }),
    { numRuns: 50 },
  );
});

test('a core on which something runs that cannot be counted is granted only after that has ended', () => {
  const scheduler = new ClusterScheduler({ ...LIMITS, versionCountMax: 1 });
  const gateway = joinGateway(scheduler);
  const index = gateway.name(V);
  const worker = joinWorker(scheduler, { running: [{ core: 0, mask: 0, sequence: 3, version: W }] });
  gateway.request(1, index);
  assert.deepEqual(gateway.take(), []);
  scheduler.checkInvariants();
  assert.ok(worker.release(worker.firstCore, 3, false));
  assert.deepEqual(gateway.take(), ['granted 1 0']);
  scheduler.checkInvariants();
});

test('two cores that cannot be counted are kept back together, and let go together', () => {
  const scheduler = new ClusterScheduler(LIMITS);
  // The version asks for one core here.
  const running = [{ core: 0, mask: 0b11, sequence: 3, version: V }];
  const worker = joinWorker(scheduler, { coreCount: 3, running });
  const gateway = joinGateway(scheduler);
  const index = gateway.name({ ...V, key: 'pair', coreCount: 2 });
  gateway.request(1, index);
  assert.deepEqual(gateway.take(), []);
  scheduler.checkInvariants();
  assert.ok(!worker.release(1, 3, false), 'it is not the lead');
  assert.ok(worker.release(0, 3, false));
  assert.deepEqual(gateway.take(), ['granted 1 0']);
  scheduler.checkInvariants();
});

test('what a worker runs of a version that nobody names keeps its index until it ends', () => {
  const scheduler = new ClusterScheduler({ ...LIMITS, keptSweeps: 0 });
  const worker = joinWorker(scheduler, { running: [{ core: 0, mask: 0, sequence: 3, version: V }] });
  assert.equal(scheduler.names.count, 1);
  scheduler.sweep();
  assert.equal(scheduler.names.count, 1);
  worker.release(worker.firstCore, 3, false);
  assert.deepEqual(worker.take(), ['dropped 0 v']);
  assert.equal(scheduler.names.count, 0);
});

test('a version ends at once where its gateway says so, and a while after its gateway has gone', () => {
  const scheduler = new ClusterScheduler(LIMITS);
  const worker = joinWorker(scheduler);
  const gateway = joinGateway(scheduler);
  const [v, w] = [gateway.name(V), gateway.name(W)];
  gateway.unname(v, 'another key');
  assert.deepEqual(worker.take(), []);
  gateway.unname(v, 'v');
  assert.deepEqual(worker.take(), [`dropped ${v} v`]);
  assert.ok(gateway.request(1, v), 'it stood for something');
  assert.ok(!gateway.request(2, 3), 'it was never given');
  assert.deepEqual(gateway.take(), ['refused 1 version']);
  gateway.leave();
  scheduler.sweep();
  const back = joinGateway(scheduler);
  assert.equal(back.name(W), w);
  back.leave();
  for (let sweep = 0; sweep < 3; sweep++) scheduler.sweep();
  assert.deepEqual(worker.take(), [`dropped ${w} w`]);
});

test('there is room for new versions as long as only gateways that have gone named the others', () => {
  const scheduler = new ClusterScheduler({ ...LIMITS, versionCountMax: 65_536, functionCountMax: 65_536 });
  const version = (number: number): NamedVersion => ({
    key: `k${number}`,
    functionKey: `f${number}`,
    memoryMb: 100,
    coreCount: 1,
  });
  const greedy = joinGateway(scheduler, 'greedy');
  for (let number = 0; number < 65_536; number++) assert.equal(greedy.name(version(number)), number);
  assert.equal(greedy.name(version(65_536)), -1);
  const modest = joinGateway(scheduler, 'modest');
  assert.equal(modest.name(version(7)), 7);
  assert.equal(modest.name(V), -1);
  greedy.leave();
  assert.ok(modest.name(V) >= 0);
  assert.equal(modest.name(version(7)), 7);
  scheduler.machine.checkInvariants();
});

test('a cancel that meets a request between two grants is answered, and the number is free', () => {
  const scheduler = new ClusterScheduler(LIMITS);
  const worker = joinWorker(scheduler);
  const gateway = joinGateway(scheduler);
  const version = gateway.name(V);
  gateway.request(1, version);
  const [{ core, sequence }] = gateway.leases as [{ core: number; sequence: number }];
  gateway.unstarted(1, { core, sequence, version }, 'refused');
  assert.ok(!gateway.request(1, version), 'it is to be granted again');
  gateway.cancel(1);
  assert.ok(gateway.request(1, version));
  worker.fenced(core, sequence);
  assert.deepEqual(gateway.take(), ['granted 1 -1', 'cancelled 1', 'granted 1 0']);
  scheduler.checkInvariants();
});

test('what has another lease already is not asked for a second time', () => {
  const scheduler = new ClusterScheduler(LIMITS);
  const worker = joinWorker(scheduler);
  const other = joinWorker(scheduler, { name: 'b' });
  const gateway = joinGateway(scheduler);
  const version = gateway.name(V);
  gateway.request(1, version);
  const [{ core, sequence }] = gateway.leases as [{ core: number; sequence: number }];
  // It comes from the worker, and is faster than the gateway's own word.
  assert.ok((core === worker.firstCore ? worker : other).noMemory(core, sequence));
  gateway.unstarted(1, { core, sequence, version }, 'no-memory');
  scheduler.turn();
  assert.deepEqual(gateway.take(), ['granted 1 -1', 'granted 1 0']);
});

test('a worker whose cores are all withdrawn gets nothing, and what waits goes where there is room', () => {
  const scheduler = new ClusterScheduler(LIMITS);
  const worker = joinWorker(scheduler, { coreCount: 34, withdrawn: [-1, 0b11] });
  const gateway = joinGateway(scheduler);
  const version = gateway.name(V);
  gateway.request(1, version);
  assert.deepEqual(gateway.take(), []);
  assert.equal(viewOf(scheduler).workers[0]!.state, 'draining');
  const { firstCore } = worker;
  for (const [first, bits] of [
    [firstCore + 32, 0b100],
    [firstCore + 64, 0],
    [firstCore + 1, 0],
  ] as const)
    assert.ok(!worker.withdraw(first, bits), `${first}: ${bits}`);
  assert.ok(worker.withdraw(firstCore + 32, 0b01));
  assert.deepEqual(gateway.take(), ['granted 1 0']);
  assert.equal(gateway.leases[0]!.core, firstCore + 33);
  // What runs goes on, and its core is withdrawn when it ends.
  worker.withdraw(firstCore + 32, 0b11);
  gateway.request(2, version);
  assert.ok(worker.release(firstCore + 33, gateway.leases[0]!.sequence, true));
  assert.deepEqual(gateway.take(), []);
  joinWorker(scheduler, { name: 'b' });
  assert.deepEqual(gateway.take(), ['granted 2 0']);
  assert.deepEqual(viewOf(scheduler).cores, { idle: 0, leased: 1, withdrawn: 34, absent: 0 });
  scheduler.checkInvariants();
});

test('provisioned instances are split among the workers that are there, and their figures summed', () => {
  const scheduler = new ClusterScheduler(LIMITS);
  const a = joinWorker(scheduler);
  const gateway = joinGateway(scheduler, 'store');
  const index = gateway.name(V);
  assert.ok(gateway.provision(index, 5));
  assert.ok(!gateway.provision(3, 5), 'never given');
  scheduler.sweep();
  assert.deepEqual([a.take(), gateway.take()], [[`provision ${index} 5 v`], [`provisioned ${index} 5 0 0`]]);
  const b = joinWorker(scheduler, { name: 'b' });
  scheduler.sweep();
  assert.deepEqual([a.take(), b.take()], [[`provision ${index} 3 v`], [`provision ${index} 2 v`]]);
  a.provisioned(index, { begun: 3, ready: 2, failed: false });
  b.provisioned(index, { begun: 1, ready: 1, failed: true });
  gateway.take();
  scheduler.sweep();
  assert.deepEqual(gateway.take(), [`provisioned ${index} 5 4 3 failed`]);
  b.withdraw(b.firstCore, 1);
  scheduler.sweep();
  assert.deepEqual([a.take(), b.take()], [[`provision ${index} 5 v`], [`provision ${index} 0 v`]]);
  b.leave();
  gateway.take();
  gateway.provision(index, 11);
  scheduler.sweep();
  assert.deepEqual([a.take(), gateway.take()], [[`provision ${index} 10 v`], [`provisioned ${index} 11 3 2 failed`]]);
  // Its gateway goes and comes, and does not say it again.
  gateway.leave();
  const back = joinGateway(scheduler, 'store');
  assert.equal(back.name(V), index);
  for (let sweep = 0; sweep < 10; sweep++) scheduler.sweep();
  assert.deepEqual(a.take(), [`provision ${index} 0 v`]);
});

test('shares are those of a split one by one', () => {
  const workers = fc.array(fc.integer({ min: -5, max: 60 }), { maxLength: 6 });
  fc.assert(
    fc.property(fc.nat(40), fc.integer({ min: 1, max: 9 }), workers, (count, memoryMb, freeMb) => {
      const left = [...freeMb];
      const expected = freeMb.map(() => 0);
      for (let placed = 0; placed < count; placed++) {
        const at = left.indexOf(Math.max(...left));
        if (at < 0 || left[at]! < memoryMb) break;
        left[at]! -= memoryMb;
        expected[at]! += 1;
      }
      const total = (counts: readonly number[]): number => counts.reduce((sum, each) => sum + each, 0);
      const counts = splitCount(count, memoryMb, freeMb);
      assert.equal(total(counts), total(expected));
      // Who gets the last ones may differ, not how much is left where.
      const leftAfter = freeMb.map((free, at) => free - counts[at]! * memoryMb).sort((a, b) => a - b);
      assert.deepEqual(
        leftAfter,
        left.sort((a, b) => a - b),
      );
    }),
    { numRuns: 2000 },
  );
});

test('who waits when the scheduler stops is told so, and so is who asks after that', () => {
  const scheduler = new ClusterScheduler(LIMITS);
  joinWorker(scheduler);
  const gateway = joinGateway(scheduler);
  const version = gateway.name(V);
  for (const number of [1, 2]) gateway.request(number, version);
  gateway.request(3, version, AGAIN(1));
  scheduler.stop();
  gateway.request(4, version);
  assert.deepEqual(gateway.take(), ['granted 1 -1', 'refused 2 stopping', 'refused 3 stopping', 'refused 4 stopping']);
  scheduler.checkInvariants();
});

test('a worker that comes twice, or is too large, is told so', () => {
  const scheduler = new ClusterScheduler(LIMITS);
  const port = { probe: () => {}, dropped: () => {}, provision: () => {} };
  const running: [] = [];
  const announcement = { name: 'a', host: '', port: 1, life: 1, coreCount: 2, memoryMb: 100, running };
  const session = scheduler.joinWorker(port, announcement) as WorkerSession;
  const refused = (more: object): string => {
    const answer = scheduler.joinWorker(port, { ...announcement, ...more });
    return typeof answer === 'string' ? answer : '';
  };
  assert.match(refused({}), /has joined already/);
  session.leave();
  assert.match(refused({ name: 'b', memoryMb: 0x7fffffff }), /at most/);
  assert.match(refused({ name: 'b', coreCount: 0x7fffffff }), /no room for 2147483647 cores of b/);
  assert.ok(typeof scheduler.joinWorker(port, announcement) !== 'string');
});

test('a worker that comes back with other cores or memory has others, and the old ones are used again', () => {
  const scheduler = new ClusterScheduler(LIMITS);
  const first = joinWorker(scheduler, { coreCount: 2 });
  first.leave();
  const more = joinWorker(scheduler, { coreCount: 3 });
  assert.equal(more.firstCore, 32);
  assert.deepEqual(viewOf(scheduler).cores, { idle: 3, leased: 0, withdrawn: 0, absent: 0 });
  const gateway = joinGateway(scheduler);
  const version = gateway.name(V);
  for (const number of [1, 2, 3]) gateway.request(number, version);
  assert.deepEqual(
    gateway.leases.map(({ core }) => core),
    [32, 33, 34],
  );
  const other = joinWorker(scheduler, { name: 'b', coreCount: 2 });
  assert.equal(other.firstCore, 0, 'cores to which nobody comes back');
  more.leave();
  const back = joinWorker(scheduler, { coreCount: 3, memoryMb: 2000 });
  assert.equal(back.firstCore, 64);
  back.leave();
  assert.equal(joinWorker(scheduler, { coreCount: 3 }).firstCore, 32, 'as before');
  scheduler.checkInvariants();
});

test('where there is no room, cores of those who have been away for long are used again', () => {
  const scheduler = new ClusterScheduler({ ...LIMITS, workerCountMax: 2 });
  const first = joinWorker(scheduler);
  const { floor } = first;
  const gateway = joinGateway(scheduler);
  gateway.request(1, gateway.name(V));
  joinWorker(scheduler, { name: 'b' });
  first.leave();
  const port = { probe: () => {}, dropped: () => {}, provision: () => {} };
  const announcement = { name: 'c', host: '', port: 1, life: 1, coreCount: 1, memoryMb: 1000, running: [] };
  const refused = (name: string): string => {
    const answer = scheduler.joinWorker(port, { ...announcement, name });
    return typeof answer === 'string' ? answer : '';
  };
  for (let sweep = 0; sweep < 599; sweep++) scheduler.sweep();
  assert.match(refused('c'), /no room for 1 cores of c/);
  scheduler.sweep();
  const next = joinWorker(scheduler, { name: 'c' });
  assert.deepEqual([next.firstCore, next.floor], [0, floor + 1], 'no lease of before is good');
  assert.match(refused('a'), /no room/);
  assert.deepEqual(
    viewOf(scheduler).workers.map(({ name, firstCore }) => [name, firstCore]),
    [
      ['b', 32],
      ['c', 0],
    ],
  );
  scheduler.checkInvariants();
});

test('what is no lease of the worker changes nothing', () => {
  const scheduler = new ClusterScheduler(LIMITS);
  const first = joinWorker(scheduler);
  const second = joinWorker(scheduler, { name: 'b' });
  const gateway = joinGateway(scheduler);
  const version = gateway.name(V);
  gateway.request(1, version);
  const [{ core, sequence }] = gateway.leases as [{ core: number; sequence: number }];
  const other = core < second.firstCore ? second : first;
  assert.equal(other.release(core, sequence, true), false);
  assert.equal(other.noMemory(core, sequence), false);
  assert.equal(other.fenced(core, sequence), false);
  // Cores that do not exist at all.
  for (const beyond of [1 << 20, 0x7fffffff]) {
    assert.equal(other.release(beyond, 0, true), false);
    gateway.unstarted(9, { core: beyond, sequence: 0, version }, 'cancelled');
    // A table of so many numbers would be beyond all memory.
    gateway.unstarted(0x7fffffff, { core, sequence, version }, 'unsent');
    assert.equal(gateway.request(0x7fffffff, version), false);
  }
  assert.equal(scheduler.machine.leasedCount, 1);
});
