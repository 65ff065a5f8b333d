/** A real scheduler process: who may join, what a request comes to, and what becomes of it when nodes go and come back. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { isAfter } from '../../src/scheduler/machine/membership.ts';
import { Role } from '../../src/wire/cluster-frame.ts';
import { RefusedWhy, UnstartedWhy } from '../../src/wire/cluster/small-frames.ts';
import { makeCluster, type TestCluster } from './identity/cluster.ts';
import { type SchedulerProcess, startScheduler, stopScheduler, TestNode, until } from './scheduler-process.ts';

const WORKER = { role: Role.worker, coreCount: 2, memoryMb: 512, host: '127.0.0.1', port: 9402 } as const;
const running: SchedulerProcess[] = [];

afterEach(async () => {
  for (const each of running.splice(0)) await stopScheduler(each);
});

async function schedulerOf(cluster: TestCluster, args: readonly string[] = []): Promise<SchedulerProcess> {
  const { out } = await cluster.add('s', ['scheduler']);
  const started = await startScheduler(out, args);
  running.push(started);
  return started;
}

async function workerOf(cluster: TestCluster, { port }: SchedulerProcess, name = 'w'): Promise<TestNode> {
  return new TestNode(await cluster.identity(name, ['worker']), port, WORKER).opened();
}

async function gatewayOf(cluster: TestCluster, { port }: SchedulerProcess, name = 'g'): Promise<TestNode> {
  return new TestNode(await cluster.identity(name, ['gateway']), port, { role: Role.gateway }).opened();
}

/** A worker that runs nothing, and a gateway that has named a version. */
async function pair(cluster: TestCluster, scheduler: SchedulerProcess) {
  const worker = await workerOf(cluster, scheduler);
  worker.announce();
  const gateway = await gatewayOf(cluster, scheduler);
  const seen = await gateway.hear('worker');
  gateway.name(7, 'hello', 128);
  const { first: version, version: handle } = (await gateway.hear('version')) as unknown as {
    first: number;
    version: number;
  };
  assert.equal(handle, 7);
  return { worker, gateway, seen, version };
}

type Grant = { readonly request: number; readonly core: number; readonly sequence: number };
const grantOf = async (gateway: TestNode): Promise<Grant> => (await gateway.hear('grant')) as unknown as Grant;

test('a request gets a core, the next ones the others, and a release serves who waits', async () => {
  const cluster = await makeCluster();
  const scheduler = await schedulerOf(cluster);
  const { worker, gateway, seen, version } = await pair(cluster, scheduler);
  assert.equal(seen['name'], 'w');
  assert.equal(seen['port'], 9402);
  assert.equal(worker.welcome?.epoch, scheduler.epoch);
  for (const request of [1, 2, 3]) gateway.say('request', { request, version });
  const first = await grantOf(gateway);
  const second = await grantOf(gateway);
  assert.deepEqual(new Set([first.request, second.request]), new Set([1, 2]));
  assert.notEqual(first.core, second.core);
  worker.lease('release', { ...first, epoch: scheduler.epoch, warm: 1 });
  const third = await grantOf(gateway);
  assert.deepEqual([third.request, third.core], [3, first.core]);
  assert.ok(third.sequence > first.sequence);
  // Late: it was released already.
  worker.lease('release', { ...first, epoch: scheduler.epoch });
  gateway.say('request', { request: 4, version });
  gateway.say('cancel', { request: 4 });
  assert.equal((await gateway.hear('cancelled'))['request'], 4);
  gateway.name(8, 'large', 4096);
  const large = (await gateway.hear('version'))['first'] as number;
  gateway.say('request', { request: 5, version: large });
  assert.equal((await gateway.hear('refused'))['why'], RefusedWhy.memory);
});

test('a grant that could not be sent is granted again, one that its worker refused after that is fenced', async () => {
  const cluster = await makeCluster();
  const scheduler = await schedulerOf(cluster);
  const { worker, gateway, version } = await pair(cluster, scheduler);
  gateway.say('request', { request: 1, version });
  const first = await grantOf(gateway);
  gateway.unstarted({ ...first, version, why: UnstartedWhy.unreachable });
  const second = await grantOf(gateway);
  assert.equal(second.request, 1);
  gateway.unstarted({ ...second, version, why: UnstartedWhy.staleLease });
  const probe = await worker.hear('probe');
  assert.deepEqual([probe['core'], probe['sequence']], [second.core, second.sequence]);
  worker.lease('fenced', { core: second.core, sequence: second.sequence, epoch: scheduler.epoch });
  const third = await grantOf(gateway);
  assert.equal(third.request, 1);
  // The worker has it, whatever the gateway heard: so it stays.
  gateway.unstarted({ ...third, version, why: UnstartedWhy.staleLease });
  assert.equal((await worker.hear('probe'))['sequence'], third.sequence);
  worker.lease('held', { core: third.core, sequence: third.sequence, epoch: scheduler.epoch });
  gateway.say('request', { request: 2, version });
  assert.notEqual((await grantOf(gateway)).core, third.core);
});

test('a worker that is gone takes its cores along; when it is back, what it still runs is not granted again', async () => {
  const cluster = await makeCluster();
  const scheduler = await schedulerOf(cluster);
  const { worker, gateway, version } = await pair(cluster, scheduler);
  gateway.say('request', { request: 1, version });
  const grant = await grantOf(gateway);
  worker.link.close(32);
  assert.equal((await gateway.hear('gone'))['first'], worker.welcome!.firstCore);
  gateway.say('request', { request: 2, version });
  const back = await workerOf(cluster, scheduler);
  assert.equal(back.welcome!.firstCore, worker.welcome!.firstCore);
  back.name(1, 'hello', 128);
  back.lease('held', { handle: 1, core: grant.core, sequence: grant.sequence, epoch: scheduler.epoch });
  back.announce();
  await gateway.hear('worker');
  const next = await grantOf(gateway);
  assert.equal(next.request, 2);
  assert.notEqual(next.core, grant.core);
  assert.equal((await back.hear('version'))['first'], version);
  // When that ends, its core serves again.
  gateway.say('request', { request: 3, version });
  back.lease('release', { core: grant.core, sequence: grant.sequence, epoch: scheduler.epoch });
  assert.deepEqual((await grantOf(gateway)).core, grant.core);
});

test('what a gateway had asked for is withdrawn when it goes, and what it was granted is probed', async () => {
  const cluster = await makeCluster();
  const scheduler = await schedulerOf(cluster);
  const { worker, gateway, version } = await pair(cluster, scheduler);
  for (const request of [1, 2, 3]) gateway.say('request', { request, version });
  const grants = [await grantOf(gateway), await grantOf(gateway)];
  gateway.link.close(32);
  const probes = [await worker.hear('probe'), await worker.hear('probe')];
  assert.deepEqual(new Set(probes.map(({ core }) => core)), new Set(grants.map(({ core }) => core)));
  for (const { core, sequence } of grants) worker.lease('fenced', { core, sequence, epoch: scheduler.epoch });
  const other = await gatewayOf(cluster, scheduler, 'h');
  other.name(1, 'hello', 128);
  other.say('request', { request: 9, version: (await other.hear('version'))['first'] as number });
  assert.equal((await grantOf(other)).request, 9);
});

test('who is not who he says, or says what he may not, is put out, and harms nobody', async () => {
  const cluster = await makeCluster();
  const scheduler = await schedulerOf(cluster);
  const { gateway, version } = await pair(cluster, scheduler);
  const { port } = scheduler;
  const named = async (name: string, as: 'worker' | 'gateway', hello: object): Promise<string> =>
    new TestNode(await cluster.identity(name, [as]), port, { role: Role.gateway, ...hello }).ended();
  assert.equal(await named('x', 'gateway', { name: 'g' }), 'notAllowed');
  assert.equal(await named('x', 'worker', {}), 'notAllowed');
  assert.equal(await named('g', 'gateway', { life: 2 }), 'nameTaken');
  assert.equal(await named('v', 'worker', { ...WORKER, coreCount: 0 }), 'full');
  const rude = await gatewayOf(cluster, scheduler, 'rude');
  rude.say('request', { request: 1, version: 999 });
  assert.equal(await rude.ended(), 'breach');
  const stranger = connect(port, '127.0.0.1').on('error', () => {});
  stranger.write('GET / HTTP/1.1\r\n\r\n');
  await until(() => scheduler.stderr().includes('not-tls'));
  assert.match(scheduler.stderr(), /not-tls/);
  stranger.destroy();
  gateway.say('request', { request: 1, version });
  assert.equal((await grantOf(gateway)).request, 1);
});

test('a node that connects again supersedes itself, and revoked ones are put out', async () => {
  const cluster = await makeCluster();
  const revoked = `${cluster.folder}/revoked`;
  writeFileSync(revoked, '', { mode: 0o600 });
  const scheduler = await schedulerOf(cluster, ['--revoked', revoked]);
  const { gateway } = await pair(cluster, scheduler);
  const again = await gatewayOf(cluster, scheduler);
  assert.equal(await gateway.ended(), 'superseded');
  await again.hear('worker');
  const identity = await cluster.identity('z', ['gateway']);
  const lost = await new TestNode(identity, scheduler.port, { role: Role.gateway }).opened();
  writeFileSync(revoked, `${identity.fingerprint}\n`, { mode: 0o600 });
  assert.equal(await lost.ended(), 'lost');
});

test('where a node has seen a later epoch, all come back to one later still', async () => {
  const cluster = await makeCluster();
  const scheduler = await schedulerOf(cluster);
  const { gateway, version } = await pair(cluster, scheduler);
  gateway.say('request', { request: 1, version });
  const { core } = await grantOf(gateway);
  const later = scheduler.epoch + 100;
  const identity = await cluster.identity('v', ['worker']);
  const ahead = new TestNode(identity, scheduler.port, { ...WORKER, epoch: later });
  assert.equal(await ahead.ended(), 'staleEpoch');
  assert.equal(await gateway.ended(), 'staleEpoch');
  const again = await new TestNode(identity, scheduler.port, { ...WORKER, epoch: later }).opened();
  assert.equal(again.welcome?.epoch, later + 1);
  // What ran under the epoch before is what its worker says when it is back.
  const back = await workerOf(cluster, scheduler);
  assert.equal(back.welcome?.epoch, later + 1);
  back.name(1, 'hello', 128);
  back.lease('held', { handle: 1, core, sequence: 77, epoch: scheduler.epoch });
  back.announce();
  const other = await gatewayOf(cluster, scheduler);
  other.name(1, 'hello', 128);
  const index = (await other.hear('version'))['first'] as number;
  other.say('request', { request: 1, version: index });
  assert.notEqual((await grantOf(other)).core, core);
  other.say('request', { request: 2, version: index });
  back.lease('release', { core, sequence: 77, epoch: scheduler.epoch });
  const next = await grantOf(other);
  assert.deepEqual([next.request, next.core], [2, core]);
  assert.ok(isAfter(next.sequence, back.welcome!.floor), 'the worker would not take it');
});

test('it stops when it is told to, and says what keeps it from starting', async () => {
  const cluster = await makeCluster();
  const scheduler = await schedulerOf(cluster);
  const gateway = await gatewayOf(cluster, scheduler);
  assert.equal(await stopScheduler(scheduler), 0);
  assert.equal(await gateway.ended(), 'stopping');
  const { out } = await cluster.add('w', ['worker']);
  await assert.rejects(startScheduler(out), /makes w no scheduler/);
});
