/** A real scheduler process, with any number of shards: who may join, what a request comes to, and what becomes of it when nodes go and come back. */
import { endProcess } from '../lib/end-process.ts';
import { until } from './dialling-node.ts';
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { isAfter } from '../../src/wire/cluster/sequence.ts';
import { Role } from '../../src/wire/cluster-frame.ts';
import { RefusedWhy, UnstartedWhy } from '../../src/wire/cluster/small-frames.ts';
import { makeCluster, type TestCluster } from './identity/cluster.ts';
import { getFrom, hex, type SchedulerProcess, startScheduler, TestNode } from './scheduler-process.ts';

const WORKER = { role: Role.worker, coreCount: 2, memoryMb: 512, host: '127.0.0.1', port: 9402 } as const;
const running: SchedulerProcess[] = [];

afterEach(async () => {
  for (const each of running.splice(0)) await endProcess(each);
});

let shardCount = 1;

async function schedulerOf(cluster: TestCluster, args: readonly string[] = []): Promise<SchedulerProcess> {
  const { out } = await cluster.add('s', ['scheduler']);
  const started = await startScheduler(out, [...args, '--shards', String(shardCount)]);
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

/** With several shards, the kernel says at which of them each connection is. */
export function testScheduler(shards: number): void {
  shardCount = shards;

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

  test('extra seats are granted once they are opened, where no core is idle, and go with their worker', async () => {
    const cluster = await makeCluster();
    const scheduler = await schedulerOf(cluster);
    const identity = await cluster.identity('w', ['worker']);
    const size = { ...WORKER, extraSeatCount: 2 };
    const worker = await new TestNode(identity, scheduler.port, size).opened();
    const { firstCore, extraSeatCount } = worker.welcome!;
    assert.equal(extraSeatCount, 2);
    worker.count('announce', { first: firstCore });
    const extra = firstCore + 32;
    worker.announce({ first: extra, third: 0b11 });
    const gateway = await gatewayOf(cluster, scheduler);
    assert.equal((await gateway.hear('worker'))['extraSeatCount'], 2);
    gateway.name(7, 'hello', 128);
    const version = (await gateway.hear('version'))['first'] as number;
    for (const request of [1, 2, 3]) gateway.say('request', { request, version });
    const cores = [await grantOf(gateway), await grantOf(gateway)].map(({ core }) => core - firstCore);
    assert.deepEqual(new Set(cores), new Set([0, 1]));
    // The second one of them: its first bit stays.
    worker.count('announce', { first: extra, third: 0b01 });
    const third = await grantOf(gateway);
    assert.deepEqual([third.request, third.core], [3, extra + 1]);
    worker.count('announce', { first: extra, third: 0b11 });
    gateway.say('request', { request: 4, version });
    worker.lease('release', { ...third, epoch: scheduler.epoch });
    worker.count('announce', { first: extra, third: 0b10 });
    assert.equal((await grantOf(gateway)).core, extra, 'what was closed was not granted again');
    // It comes back to a scheduler that knows it: the seat is held under its name, the other one closed.
    worker.link.close(32);
    await gateway.hear('gone');
    const again = await new TestNode(identity, scheduler.port, { ...size, firstCore, life: 2 }).opened();
    assert.equal(again.welcome!.firstCore, firstCore);
    again.name(1, 'hello', 128);
    again.lease('held', { ...third, handle: 1, epoch: scheduler.epoch });
    again.count('announce', { first: firstCore });
    again.announce({ first: extra, second: 0b10, third: 0b11 });
    const { text } = await getFrom(await cluster.identity('g2', ['gateway']), scheduler.port, '/perch/v1/cluster');
    const [shown] = (JSON.parse(text) as { workers: { cores: { idle: number }; extraSeats: object }[] }).workers;
    assert.deepEqual([shown!.extraSeats, shown!.cores.idle], [{ count: 2, open: 0, leased: 1 }, 2]);
  });

  test('a worker of the version before has no extra seats, and a gateway of it is refused', async () => {
    const cluster = await makeCluster();
    const scheduler = await schedulerOf(cluster);
    const old = { ...WORKER, version: 1 };
    const worker = await new TestNode(await cluster.identity('w', ['worker']), scheduler.port, old).opened();
    assert.deepEqual([worker.welcome!.version, worker.welcome!.extraSeatCount], [1, 0]);
    worker.announce();
    const gateway = await gatewayOf(cluster, scheduler);
    assert.equal((await gateway.hear('worker'))['extraSeatCount'], 0);
    const earlier = { role: Role.gateway, version: 1 } as const;
    const refused = new TestNode(await cluster.identity('g1', ['gateway']), scheduler.port, earlier);
    assert.equal(await refused.ended(), 'version');
    // One that opens a seat of a word that it does not have is broken.
    worker.count('announce', { first: worker.welcome!.firstCore + 32 });
    assert.equal(await worker.ended(), 'breach');
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

  test('what could not be sent to a worker goes to another one', async () => {
    const cluster = await makeCluster();
    const scheduler = await schedulerOf(cluster);
    const { gateway, version } = await pair(cluster, scheduler);
    const other = await workerOf(cluster, scheduler, 'w2');
    other.announce();
    await gateway.hear('worker');
    const isElsewhere: boolean[] = [];
    for (let request = 1; request <= 5; request++) {
      gateway.say('request', { request, version });
      const first = await grantOf(gateway);
      gateway.unstarted({ ...first, version, why: UnstartedWhy.unreachable });
      const second = await grantOf(gateway);
      isElsewhere.push(second.core >> 5 !== first.core >> 5);
      gateway.unstarted({ ...second, version, why: UnstartedWhy.cancelled });
    }
    // Not each time: the tick that ends it may come just then.
    assert.ok(isElsewhere.includes(true));
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
    assert.equal(await endProcess(scheduler), 0);
    assert.equal(await gateway.ended(), 'stopping');
    const { out } = await cluster.add('w', ['worker']);
    await assert.rejects(startScheduler(out), /makes w no scheduler/);
  });

  test('a worker withdraws cores and gives them back; where it withdraws all, what waits goes elsewhere', async () => {
    const cluster = await makeCluster();
    const scheduler = await schedulerOf(cluster);
    const worker = await workerOf(cluster, scheduler);
    const first = worker.welcome!.firstCore;
    worker.announce({ third: 0b10 });
    const gateway = await gatewayOf(cluster, scheduler);
    gateway.name(1, 'hello', 128);
    const version = (await gateway.hear('version'))['first'] as number;
    for (const request of [1, 2]) gateway.say('request', { request, version });
    const grant = await grantOf(gateway);
    assert.equal(grant.core, first);
    worker.count('announce', { first, third: 0b11 });
    worker.lease('release', { ...grant, epoch: scheduler.epoch });
    const other = await workerOf(cluster, scheduler, 'v');
    other.announce();
    const elsewhere = await grantOf(gateway);
    assert.deepEqual([elsewhere.request, Math.floor(elsewhere.core / 32)], [2, other.welcome!.firstCore / 32]);
    gateway.say('request', { request: 3, version });
    await grantOf(gateway);
    gateway.say('request', { request: 4, version });
    worker.count('announce', { first, third: 0b01 });
    assert.deepEqual((await grantOf(gateway)).core, first + 1);
    worker.count('announce', { first: first + 32, third: 0 });
    assert.equal(await worker.ended(), 'breach');
    other.count('announce', { first: other.welcome!.firstCore, third: 0b100 });
    assert.equal(await other.ended(), 'breach');
  });

  test('an announcement that cannot be is a breach', async () => {
    const cluster = await makeCluster();
    const scheduler = await schedulerOf(cluster);
    const announced = async (fields: object): Promise<string> => {
      const worker = await workerOf(cluster, scheduler);
      worker.announce(fields);
      return worker.ended();
    };
    assert.equal(await announced({ second: 0b1 }), 'breach', 'busy, and with what?');
    assert.equal(await announced({ second: 0b100 }), 'breach', 'a core that it does not have');
    assert.equal(await announced({ first: 64 }), 'breach', "a word that is not the worker's");
  });

  test('what comes again is not refused, and waits in the order in which it has waited', async () => {
    const cluster = await makeCluster();
    const scheduler = await schedulerOf(cluster);
    const { worker, gateway, version } = await pair(cluster, scheduler);
    const QUEUE = 1024;
    for (let request = 0; request < QUEUE + 3; request++) gateway.say('request', { request, version });
    assert.deepEqual((await gateway.hear('refused'))['why'], RefusedWhy.queueFull);
    const first = await gateway.hear('grant');
    const again = { again: 1, version } as const;
    for (const [request, waitedMs] of [
      [2000, 10],
      [2001, 900],
    ] as const)
      gateway.say('request', { request, waitedMs, ...again });
    gateway.say('cancel', { request: 2 });
    await gateway.hear('cancelled');
    for (let request = 3; request < QUEUE + 2; request++) gateway.say('cancel', { request });
    for (let request = 3; request < QUEUE + 2; request++) await gateway.hear('cancelled');
    assert.equal(first['shard'], -1);
    const { core, sequence } = first as unknown as Grant;
    await gateway.hear('grant');
    worker.lease('release', { core, sequence, epoch: scheduler.epoch });
    const next = await gateway.hear('grant');
    assert.equal(next['request'], 2001);
    assert.ok((next['shard'] as number) >= 0 && (next['shard'] as number) < shardCount, 'where it has waited');
  });

  test('versions end at workers, and provisioned ones are named to them', async () => {
    const cluster = await makeCluster();
    const scheduler = await schedulerOf(cluster);
    const { worker, gateway, version } = await pair(cluster, scheduler);
    gateway.count('provision', { version, first: 3 });
    const named = await worker.hear('nameVersion');
    assert.deepEqual([named['handle'], named['key'], named['memoryMb']], [version, hex('hello'), 128]);
    const wanted = await worker.hear('provision');
    assert.deepEqual([wanted['version'], wanted['first']], [version, 3]);
    worker.count('provisioned', { version, first: 3, second: 3, third: 2 });
    const isReady = ({ kind, third }: { kind: string; third?: unknown }): boolean =>
      kind === 'provisioned' && third === 2;
    await until(() => gateway.heard.some(isReady));
    const sum = gateway.heard.find(isReady)!;
    assert.deepEqual([sum['first'], sum['second'], sum['flag']], [3, 3, 0]);
    gateway.drop(version, 'hello', scheduler.epoch);
    const dropped = await worker.hear('dropVersion');
    assert.deepEqual([dropped['version'], dropped['key'], dropped['epoch']], [version, hex('hello'), scheduler.epoch]);
    gateway.say('request', { request: 1, version });
    assert.equal((await gateway.hear('refused'))['why'], RefusedWhy.version);
  });

  test('a grant of which nothing is heard is probed, and granted to others once its worker has fenced it', async () => {
    const cluster = await makeCluster();
    const scheduler = await schedulerOf(cluster);
    const { worker, gateway, version } = await pair(cluster, scheduler);
    for (const request of [1, 2, 3]) gateway.say('request', { request, version });
    const grants = [await grantOf(gateway), await grantOf(gateway)];
    const probe = (await worker.hear('probe')) as unknown as Grant;
    assert.ok(grants.some(({ core, sequence }) => core === probe.core && sequence === probe.sequence));
    worker.lease('fenced', { core: probe.core, sequence: probe.sequence, epoch: scheduler.epoch });
    assert.equal((await grantOf(gateway)).request, 3);
  });

  test('a worker of another life waits until the first one is gone, and then has its cores', async () => {
    const cluster = await makeCluster();
    const scheduler = await schedulerOf(cluster);
    const { worker, gateway, version } = await pair(cluster, scheduler);
    gateway.say('request', { request: 1, version });
    const { core } = await grantOf(gateway);
    const identity = await cluster.identity('w', ['worker']);
    const next = (): TestNode => new TestNode(identity, scheduler.port, { ...WORKER, life: 2 });
    assert.equal(await next().ended(), 'nameTaken');
    assert.ok(worker.link.isOpen);
    worker.link.close(32);
    await gateway.hear('gone');
    const back = await next().opened();
    assert.equal(back.welcome!.firstCore, worker.welcome!.firstCore);
    back.announce();
    for (const request of [2, 3]) gateway.say('request', { request, version });
    const cores = [(await grantOf(gateway)).core, (await grantOf(gateway)).core];
    assert.ok(cores.includes(core), 'what ran there has ended with the process');
  });

  test('a node that followed another scheduler of the same second sends all to a later epoch', async () => {
    const cluster = await makeCluster();
    const scheduler = await schedulerOf(cluster);
    const { gateway } = await pair(cluster, scheduler);
    const identity = await cluster.identity('v', ['worker']);
    assert.equal(
      await new TestNode(identity, scheduler.port, { ...WORKER, epoch: scheduler.epoch }).ended(),
      'staleEpoch',
    );
    assert.equal(await gateway.ended(), 'staleEpoch');
    const known = await workerOf(cluster, scheduler);
    assert.equal(known.welcome!.epoch, scheduler.epoch + 1);
    // One that comes back to its own scheduler has seen its epoch too.
    const next = { ...WORKER, epoch: scheduler.epoch + 1 };
    const back = new TestNode(await cluster.identity('w', ['worker']), scheduler.port, next);
    assert.equal((await back.opened()).welcome!.epoch, scheduler.epoch + 1);
    assert.equal(await new TestNode(identity, scheduler.port, { ...WORKER, epoch: 0xffffffff }).ended(), 'breach');
  });

  test('who waits is told to ask the next scheduler before this one goes', async () => {
    const cluster = await makeCluster();
    const scheduler = await schedulerOf(cluster);
    const { gateway, version } = await pair(cluster, scheduler);
    for (const request of [1, 2, 3]) gateway.say('request', { request, version });
    await grantOf(gateway);
    await grantOf(gateway);
    assert.equal(await endProcess(scheduler), 0);
    const refused = await gateway.hear('refused');
    assert.deepEqual([refused['request'], refused['why']], [3, RefusedWhy.stopping]);
    assert.equal(await gateway.ended(), 'stopping');
  });

  test('it says over HTTP what it knows, to nodes of the cluster', async () => {
    const cluster = await makeCluster();
    const scheduler = await schedulerOf(cluster);
    const { gateway, version } = await pair(cluster, scheduler);
    for (const request of [1, 2, 3]) gateway.say('request', { request, version });
    await grantOf(gateway);
    await grantOf(gateway);
    const gone = await workerOf(cluster, scheduler, 'gone');
    gone.announce();
    await gateway.hear('worker');
    assert.equal((await grantOf(gateway)).request, 3);
    gone.link.close(32);
    await gateway.hear('gone');
    const identity = await cluster.identity('g', ['gateway']);
    const get = (path: string, method?: string) => getFrom(identity, scheduler.port, path, method);
    const { status, text } = await get('/perch/v1/cluster');
    const view = JSON.parse(text) as Record<string, unknown> & { workers: unknown[]; gateways: unknown[] };
    assert.equal(status, 200);
    assert.deepEqual(view['cores'], { idle: 0, leased: 2, withdrawn: 0, absent: 2 });
    assert.deepEqual([view['epoch'], view['versionCount'], view['grantsTotal']], [scheduler.epoch, 1, 3]);
    const states = (view.workers as { name: string; state: string }[]).map(({ name, state }) => [name, state]);
    assert.deepEqual(states, [
      ['w', 'joined'],
      ['gone', 'absent'],
    ]);
    const [seen] = view.gateways as { name: string; waiting: number; running: number; sinceMs: number }[];
    assert.deepEqual([seen!.name, seen!.waiting, seen!.running], ['g', 0, 2]);
    assert.ok(seen!.sinceMs > 0);
    const metrics = await get('/metrics');
    assert.match(metrics.text, /^perch_cluster_workers\{state="absent"\} 1$/m);
    assert.match(metrics.text, /^perch_cluster_gateways 1$/m);
    assert.match(metrics.text, /^perch_cluster_connections_closed_total\{reason="stopping"\} 1$/m);
    assert.match(metrics.text, /^perch_cores\{state="leased"\} 2$/m);
    assert.equal((await get('/')).status, 404);
    assert.equal((await get('/metrics', 'POST')).status, 405);
  });
}
