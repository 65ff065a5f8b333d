/** A scheduler of two shards with real threads and connections: waits at one that releases at the other serve, and shards that end. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { realClock } from '../../src/base/clock.ts';
import { schedulerLimits } from '../../src/scheduler/server/open.ts';
import { Shards } from '../../src/scheduler/server/threads/shards.ts';
import { tlsDoor } from '../../src/scheduler/server/threads/tls-door.ts';
import type { Identity } from '../../src/cluster/identity/join-file.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { Role } from '../../src/wire/cluster-frame.ts';
import { UnstartedWhy } from '../../src/wire/cluster/small-frames.ts';
import { makeCluster, type TestCluster } from './identity/cluster.ts';
import { getFrom, TestNode } from './scheduler-process.ts';

const SHARDS = 2;
const WORKER = { role: Role.worker, coreCount: 1, memoryMb: 512, host: '127.0.0.1', port: 9402 } as const;
const TRIES = 40;
const ROUNDS = Number(process.env['PERCH_SHARD_ROUNDS'] ?? 300);
let nameCount = 0;

interface Running {
  readonly cluster: TestCluster;
  readonly shards: Shards;
  readonly failures: Error[];
  readonly reader: Identity;
}

const running: Running[] = [];

afterEach(async () => {
  for (const { shards } of running.splice(0)) await shards.close();
});

async function start(): Promise<Running> {
  const cluster = await makeCluster();
  const identity = await cluster.identity('s', ['scheduler']);
  const failures: Error[] = [];
  const setting = { coreCountMax: 640, workerCountMax: 20, clock: realClock, shards: SHARDS };
  const shards = await Shards.open({
    limits: schedulerLimits(setting),
    shardCount: SHARDS,
    name: 's',
    clock: realClock,
    log: createLog('silent'),
    entry: new URL('../../src/scheduler/server/threads/shard-thread.ts', import.meta.url),
    door: (port) => tlsDoor(identity, { host: '127.0.0.1', port, revoked: [], logLevel: 'silent' }),
    failed: (error) => failures.push(error),
  });
  const started = { cluster, shards, failures, reader: await cluster.identity('reader', ['gateway']) };
  running.push(started);
  return started;
}

async function joinWorker({ cluster, shards }: Running, name = 'w', more: object = {}): Promise<TestNode> {
  const worker = await new TestNode(await cluster.identity(name, ['worker']), shards.port, {
    ...WORKER,
    ...more,
  }).opened();
  worker.announce();
  return worker;
}

/** A gateway that has named a version, and has its core or waits. */
interface TestGateway {
  readonly node: TestNode;
  readonly version: number;
  next: number;
}

async function joinGateway({ cluster, shards }: Running, name: string): Promise<TestGateway> {
  const identity = await cluster.identity(name, ['gateway']);
  const node = await new TestNode(identity, shards.port, { role: Role.gateway }).opened();
  node.name(1, 'hello', 128);
  return { node, version: (await node.hear('version'))['first'] as number, next: 0 };
}

function ask(gateway: TestGateway): void {
  gateway.node.say('request', { request: gateway.next++ % 1000, version: gateway.version });
}

interface Lease {
  readonly request: number;
  readonly core: number;
  readonly sequence: number;
  /** Where the request waited; -1: it did not. */
  readonly shard: number;
}

async function granted({ node }: TestGateway): Promise<Lease> {
  const { request, core, sequence, shard } = (await node.hear('grant')) as unknown as Lease;
  return { request, core, sequence, shard };
}

/** The worker has one core. Answers a gateway of each shard; the last one that was found has the lease. */
async function oneOfEach(at: Running, worker: TestNode): Promise<{ gateways: TestGateway[]; lease: Lease }> {
  const found: TestGateway[] = [];
  const first = await joinGateway(at, `f${nameCount++}`);
  ask(first);
  let lease = await granted(first);
  for (let nth = 0; nth < TRIES && found.filter(Boolean).length < SHARDS; nth++) {
    const gateway = await joinGateway(at, `g${nameCount++}`);
    ask(gateway);
    // The grant says where it has waited, so it has to wait.
    await queued(at, 1);
    worker.lease('release', lease);
    lease = await granted(gateway);
    assert.ok(lease.shard >= 0 && lease.shard < SHARDS);
    found[lease.shard] ??= gateway;
  }
  assert.equal(found.filter(Boolean).length, SHARDS, 'all connections are at one shard');
  return { gateways: found, lease };
}

interface View {
  readonly queueLength: number;
  readonly grantsTotal: number;
  readonly cores: Readonly<Record<'idle' | 'leased' | 'withdrawn' | 'absent', number>>;
}

/** Whichever shard answers. */
async function viewOf({ reader, shards }: Running): Promise<View> {
  return JSON.parse((await getFrom(reader, shards.port, '/perch/v1/cluster')).text) as View;
}

async function queued(at: Running, count: number): Promise<void> {
  while ((await viewOf(at)).queueLength < count) await sleep(5);
}

async function allIdle(at: Running): Promise<void> {
  while ((await viewOf(at)).cores.idle < 1) await sleep(5);
}

/** Also those of which nothing was heard for a while are asked for. */
async function probed(worker: TestNode, { core, sequence }: Lease): Promise<void> {
  for (;;) {
    const probe = await worker.hear('probe');
    if (probe['core'] === core && probe['sequence'] === sequence) return;
  }
}

test('a core that is released at any shard serves who waits at any other', async () => {
  const at = await start();
  const worker = await joinWorker(at);
  const { gateways, lease } = await oneOfEach(at, worker);
  let holds = lease;
  // Whoever holds the core asks again, and waits behind the other one: half of these cross from shard to shard.
  for (let round = 0; round < ROUNDS; round++) {
    const gateway = gateways[round % SHARDS]!;
    ask(gateway);
    worker.lease('release', holds);
    holds = await granted(gateway);
  }
  worker.lease('release', holds);
  await allIdle(at);
  const { queueLength, grantsTotal, cores } = await viewOf(at);
  assert.equal(queueLength, 0);
  assert.ok(grantsTotal >= ROUNDS);
  assert.deepEqual(cores, { idle: 1, leased: 0, withdrawn: 0, absent: 0 });
});

test('what a worker refuses for want of memory, or does not run, goes back to the gateway that asked, wherever both are', async () => {
  const at = await start();
  const worker = await joinWorker(at);
  const { gateways, lease } = await oneOfEach(at, worker);
  worker.lease('release', lease);
  for (const gateway of gateways) {
    ask(gateway);
    const first = await granted(gateway);
    worker.lease('noMemory', first);
    await queued(at, 1);
    worker.count('memoryAvailable', {});
    const second = await granted(gateway);
    assert.equal(second.request, first.request);
    gateway.node.unstarted({ ...second, version: gateway.version, why: UnstartedWhy.staleLease });
    await probed(worker, second);
    worker.lease('fenced', second);
    const third = await granted(gateway);
    assert.equal(third.request, first.request);
    worker.lease('release', third);
  }
});

test('a worker that goes takes its cores along at all shards, and one that is back serves all', async () => {
  const at = await start();
  const worker = await joinWorker(at);
  const { gateways, lease } = await oneOfEach(at, worker);
  worker.link.close(32);
  for (const { node } of gateways) await node.hear('gone');
  for (const gateway of gateways) ask(gateway);
  await queued(at, SHARDS);
  const back = await joinWorker(at);
  assert.equal(back.welcome!.firstCore, lease.core);
  for (let left = SHARDS; left > 0; left--) {
    const next = await Promise.any(gateways.map((gateway) => granted(gateway)));
    back.lease('release', next);
  }
  await allIdle(at);
});

test('a gateway that goes leaves nothing behind, wherever its leases run', async () => {
  const at = await start();
  const worker = await joinWorker(at);
  const { gateways, lease } = await oneOfEach(at, worker);
  worker.lease('release', lease);
  const [left, other] = gateways as [TestGateway, TestGateway];
  ask(left);
  const held = await granted(left);
  ask(left);
  ask(other);
  await queued(at, 2);
  left.node.link.close(32);
  await probed(worker, held);
  worker.lease('fenced', held);
  worker.lease('release', await granted(other));
  await allIdle(at);
  assert.equal((await viewOf(at)).queueLength, 0);
});

for (const killed of [0, 1]) {
  test(`shard ${killed} ends, is started again, and what others have goes on`, async () => {
    const at = await start();
    const identity = await at.cluster.identity('w', ['worker']);
    const dial = (): Promise<TestNode> =>
      new TestNode(identity, at.shards.port, { ...WORKER, epoch: at.shards.control.epoch }).opened();
    let worker = await joinWorker(at);
    const { gateways, lease } = await oneOfEach(at, worker);
    const [lost, survivor] = [gateways[killed]!, gateways[1 - killed]!];
    ask(lost);
    ask(survivor);
    await queued(at, 2);
    await at.shards.kill(killed);
    assert.equal(await lost.node.ended(), 'lost');
    assert.ok(survivor.node.link.isOpen);
    if (at.shards.control.members.all()[0]!.line === null) {
      assert.equal(await worker.ended(), 'lost');
      worker = await dial();
      worker.name(1, 'hello', 128);
      // Its lease has outlived the line.
      worker.lease('held', { handle: 1, core: lease.core, sequence: lease.sequence });
      worker.announce({ second: 0b1 });
    }
    worker.lease('release', lease);
    worker.lease('release', await granted(survivor));
    await allIdle(at);
    // Both serve again.
    const again = await oneOfEach(at, worker);
    worker.lease('release', again.lease);
    await allIdle(at);
    assert.deepEqual(at.failures, []);
    assert.ok(at.shards.control.machine.workers.reserved(0) === 0);
  });
}

test('a thread that throws is a bug, and the process is told to end', async () => {
  const failures: Error[] = [];
  const opened = Shards.open({
    limits: schedulerLimits({ coreCountMax: 64, workerCountMax: 2, clock: realClock, shards: SHARDS }),
    shardCount: SHARDS,
    name: 's',
    clock: realClock,
    log: createLog('silent'),
    entry: new URL('throwing-thread.ts', import.meta.url),
    door: () => null,
    failed: (error) => failures.push(error),
  });
  await assert.rejects(opened, /nothing to stand on/);
  assert.equal(failures.length, 1);
});
