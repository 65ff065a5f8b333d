/**
 * Functions of several cores on their way through a cluster: a real gateway and a real worker, and a scheduler of the test that
 * grants leases with masks, or the real one. What the function sees are its cores, and whoever takes over hears of all of them.
 */
import { endProcess } from '../lib/end-process.ts';
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { Functions, until } from '../lib/functions.ts';
import { RefusedWhy, UnstartedWhy } from '../../src/wire/cluster/small-frames.ts';
import { startGateway } from './gateway-process.ts';
import { GrantingScheduler } from './granting-scheduler.ts';
import { makeCluster, type TestCluster, temporaryFolder } from './identity/cluster.ts';
import { getFrom, startScheduler } from './scheduler-process.ts';
import { startWorker } from './worker-process.ts';

const skip = availableParallelism() < 2 && 'NEEDS 2 CORES: this machine has one';
const BOTH = 0b11;

const FILES = {
  'index.mjs': `
import { existsSync, writeFileSync } from 'node:fs';
import os from 'node:os';
export const handler = async ({ begun, until }) => {
  if (begun) writeFileSync(begun, '');
  while (until && !existsSync(until)) await new Promise((resolve) => setTimeout(resolve, 10));
  return os.availableParallelism();
};`,
};

interface Core {
  readonly core: number;
  readonly functionName: string;
  readonly requestId: string;
  readonly invocationCount: number;
}

const running: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of running.splice(0).toReversed()) await stop();
});

interface Nodes {
  readonly functions: Functions;
  readonly folder: string;
}

async function smallCluster(): Promise<Nodes & { readonly scheduler: GrantingScheduler }> {
  const cluster = await makeCluster();
  const scheduler = await GrantingScheduler.open(cluster);
  running.push(() => scheduler.close());
  const nodes = await nodesAt(cluster, scheduler);
  assert.equal((await scheduler.hear('announce'))['second'], 0);
  await deploy(nodes);
  return { ...nodes, scheduler };
}

async function nodesAt(cluster: TestCluster, scheduler: { readonly port: number }): Promise<Nodes> {
  const folder = temporaryFolder();
  const gatewayFile = await cluster.add('g', ['gateway']);
  const gateway = await startGateway(gatewayFile.out, { scheduler: scheduler.port, data: join(folder, 'g') });
  running.push(() => endProcess(gateway));
  const workerFile = await cluster.add('w', ['worker']);
  const places = { scheduler: scheduler.port, store: gateway.clusterPort, data: join(folder, 'w') };
  const worker = startWorker(workerFile.out, places);
  running.push(() => endProcess(worker));
  await worker.ready();
  return { functions: new Functions(gateway), folder };
}

/** `pair` asks for both cores of the worker, `one` for one. */
async function deploy({ functions }: Nodes): Promise<void> {
  await functions.deploy('pair', { files: FILES, environment: { PERCH_CORES: '2' } });
  await functions.deploy('one', { files: FILES });
}

async function coresOf(functions: Functions): Promise<readonly Core[]> {
  return ((await functions.json('GET', '/perch/v1/cores')) as { cores: Core[] }).cores;
}

test('an invocation has all cores of its lease from grant to release, and is shown on each', { skip }, async () => {
  const { scheduler, functions, folder } = await smallCluster();
  const begun = join(folder, 'begun');
  const go = join(folder, 'go');
  const result = functions.invoke('pair', { begun, until: go });
  assert.equal((await scheduler.hear('nameVersion'))['coreCount'], 2);
  const { request } = await scheduler.hear('request');
  scheduler.grant(request as number, 0, 1, BOTH);
  await until('it runs', async () => existsSync(begun));
  const shown = await coresOf(functions);
  assert.deepEqual(
    shown.map(({ core, functionName, invocationCount }) => [core, functionName, invocationCount]),
    [
      [0, 'pair:$LATEST', 1],
      [1, 'pair:$LATEST', 1],
    ],
  );
  assert.equal(shown[0]!.requestId, shown[1]!.requestId);

  // The second core is no less busy than the lead.
  const other = functions.invoke('one');
  const { request: second } = await scheduler.hear('request');
  scheduler.grant(second as number, 1, 2);
  assert.equal((await scheduler.hear('unstarted'))['why'], UnstartedWhy.staleLease);
  scheduler.probe(0, 1, 1);
  assert.deepEqual(await named(scheduler, 'held'), [0, 1, 1]);

  writeFileSync(go, '');
  assert.equal((await result).value, 2);
  assert.deepEqual(await named(scheduler, 'release'), [0, 1, 1]);
  scheduler.grant(second as number, 1, 3);
  assert.equal((await other).value, 1);
  assert.deepEqual(await named(scheduler, 'release'), [1, 1, 3]);
  const idle = await coresOf(functions);
  assert.deepEqual(
    idle.map(({ functionName }) => functionName),
    ['', ''],
  );
});

test('the next scheduler hears which cores a lease of before has, and of its one end', { skip }, async () => {
  const { scheduler, functions, folder } = await smallCluster();
  const begun = join(folder, 'begun');
  const go = join(folder, 'go');
  const result = functions.invoke('pair', { begun, until: go });
  const { request } = await scheduler.hear('request');
  scheduler.grant(request as number, 0, 7, BOTH);
  await until('it runs', async () => existsSync(begun));
  scheduler.succeed(64);
  const held = await scheduler.hear('heldCores');
  assert.deepEqual([held['core'], held['mask'], held['epoch'], held['sequence']], [64, BOTH, 1, 7]);
  const words = await scheduler.hear('announce');
  assert.deepEqual([words['first'], words['second'], words['flag']], [64, BOTH, 1]);
  await until('the gateway has heard of it', async () => (await coresOf(functions))[0]?.core === 64);
  assert.deepEqual(
    (await coresOf(functions)).map(({ core, functionName, invocationCount }) => [core, functionName, invocationCount]),
    [
      [64, 'pair:$LATEST', 1],
      [65, 'pair:$LATEST', 1],
    ],
    'what runs is shown where its worker is now',
  );
  const names = scheduler.heard.filter((each) => each.kind === 'nameVersion');
  assert.ok(names.some((each) => each['handle'] === held['handle'] && each['coreCount'] === 2));
  assert.ok(!scheduler.heard.some((each) => each.kind === 'held'), 'a lease is said twice');
  writeFileSync(go, '');
  assert.equal((await result).value, 2);
  assert.deepEqual(await named(scheduler, 'release'), [64, 1, 7]);
  assert.ok(!scheduler.heard.some((each) => each.kind === 'release'), 'a lease has two ends');
});

test('what no worker has cores for is refused, with a message that says so', { skip }, async () => {
  const { scheduler, functions } = await smallCluster();
  const result = functions.invoke('pair');
  const { request } = await scheduler.hear('request');
  scheduler.refuse(request as number, RefusedWhy.cores);
  const { status, value } = await result;
  assert.equal(status, 400);
  assert.equal(value.message, 'The function asks for more cores than any worker has.');
  assert.equal(await functions.metric('perch_invocations_refused_total{reason="cores"}'), 1);
});

for (const shards of ['1', '2']) {
  test(`pairs and singles take turns at a scheduler with --shards ${shards}`, { skip }, async () => {
    const cluster = await makeCluster();
    const { out } = await cluster.add('s', ['scheduler']);
    const scheduler = await startScheduler(out, ['--shards', shards]);
    running.push(() => endProcess(scheduler));
    const nodes = await nodesAt(cluster, scheduler);
    await deploy(nodes);
    const names = ['pair', 'one', 'pair', 'one', 'one', 'pair', 'one', 'one'];
    const results = await Promise.all(names.map((name) => nodes.functions.invoke(name)));
    assert.deepEqual(
      results.map(({ value }) => value),
      names.map((name) => (name === 'pair' ? 2 : 1)),
    );
  });

  test(
    `a scheduler with --shards ${shards} that comes after grants no core of a pair that runs`,
    { skip },
    async () => {
      const cluster = await makeCluster();
      const { out } = await cluster.add('s', ['scheduler']);
      const first = await startScheduler(out, ['--shards', shards]);
      running.push(() => endProcess(first));
      const nodes = await nodesAt(cluster, first);
      await deploy(nodes);
      const { functions, folder } = nodes;
      const [begun, go, other] = ['begun', 'go', 'other'].map((name) => join(folder, name));
      const pair = functions.invoke('pair', { begun, until: go });
      await until('it runs', async () => existsSync(begun!));

      await endProcess(first, 'SIGKILL');
      const next = await startScheduler(out, ['--shards', shards, '--listen', `127.0.0.1:${first.port}`]);
      running.push(() => endProcess(next));
      const one = functions.invoke('one', { begun: other });
      const identity = await cluster.identity('viewer', ['gateway']);
      await until('it is known and one waits', async () => {
        const { text } = await getFrom(identity, next.port, '/perch/v1/cluster');
        const view = JSON.parse(text) as { cores: { leased: number }; queueLength: number };
        return view.cores.leased === 2 && view.queueLength === 1;
      });
      assert.ok(!existsSync(other!), 'a third runs on two cores');
      writeFileSync(go!, '');
      assert.equal((await pair).value, 2);
      assert.equal((await one).value, 1);
    },
  );
}

async function named(scheduler: GrantingScheduler, kind: 'held' | 'release'): Promise<readonly unknown[]> {
  const { core, epoch, sequence } = await scheduler.hear(kind);
  return [core, epoch, sequence];
}
