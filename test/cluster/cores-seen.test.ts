/** What a gateway of a real cluster shows of the cores of its workers. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import type { Overview } from '../../src/gateway/overview.ts';
import type { CoreView } from '../../src/gateway/platform.ts';
import { type ClusterPlatform, type ClusterPlatformOptions, startClusterPlatform } from '../lib/cluster-platform.ts';
import { endProcess } from '../lib/end-process.ts';
import { until } from '../lib/functions.ts';
import { WAITER, waitingRoom } from '../lib/waiting-room.ts';

const running: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of running.splice(0).toReversed()) await stop();
});

async function clusterOf(options: ClusterPlatformOptions = {}): Promise<ClusterPlatform> {
  const platform = await startClusterPlatform(options);
  running.push(() => platform.stop());
  await platform.functions().deploy('holder', { files: { 'index.mjs': WAITER } });
  return platform;
}

async function coresOf(platform: ClusterPlatform, gateway = 0): Promise<readonly CoreView[]> {
  return ((await platform.functions(gateway).json('GET', '/perch/v1/cores')) as { cores: CoreView[] }).cores;
}

function countOf(cores: readonly CoreView[]): number {
  return cores.reduce((count, { invocationCount }) => count + invocationCount, 0);
}

test('after another scheduler a core has the numbers of its worker, not of who had that number before', async () => {
  const platform = await clusterOf();
  for (let count = 0; count < 3; count++) assert.equal((await platform.functions().invoke('holder', {})).value, 'done');
  const before = await coresOf(platform);
  assert.deepEqual([before[0]!.core, countOf(before)], [0, 3]);
  // The next scheduler knows of no worker: who comes first has the first cores.
  await endProcess(platform.workers.pop()!, 'SIGKILL');
  await endProcess(platform.scheduler, 'SIGKILL');
  await platform.startScheduler();
  await platform.startWorker();
  // Until it is heard of, the former one is shown, with what ran there.
  await until('the new worker is shown, where nothing has run', async () => {
    const after = await coresOf(platform);
    return String(after.map(({ core, invocationCount }) => [core, invocationCount])) === '0,0,1,0';
  });
  assert.equal((await platform.functions().invoke('holder', {})).value, 'done');
  assert.equal(countOf(await coresOf(platform)), 1);
});

test('who is where on the shared cores of a worker is seen through every gateway', async (t) => {
  const workerArgs = ['--sharing', 'preempt:3', '--observer', 'sampling', '--knowledge', 'learning'];
  const platform = await clusterOf({ gateways: 2, workerArgs });
  const { port, letGo } = await waitingRoom(t);
  const results = [0, 1, 0, 1].map((gateway) => platform.functions(gateway).invoke('holder', { port }));
  let shown: readonly CoreView[] = [];
  for (const gateway of [0, 1]) {
    await until('all four sleep', async () => {
      shown = await coresOf(platform, gateway);
      return shown.length === 4 && shown.every(({ resident }) => resident?.state === 'asleep');
    });
    assert.deepEqual(
      shown.map(({ core, isExtra, state, functionName }) => [core, isExtra, state, functionName]),
      [0, 1, 32, 33].map((core) => [core, core > 1, 'leased', 'holder:$LATEST']),
    );
    for (const { resident } of shown) {
      assert.ok([0, 1].includes(resident!.core!));
      assert.ok(resident!.behind === null || shown.some(({ core }) => core === resident!.behind));
    }
    assert.equal(shown.filter(({ resident }) => resident!.behind === null).length, 2, 'one is in front on each core');
    const { sharing } = (await platform.functions(gateway).json('GET', '/perch/v1/overview')) as Overview;
    const inForce = { policy: 'preempt', perCore: 3, sources: ['learning'], observer: 'sampling' };
    const residents = { running: 0, waiting: 0, asleep: 4, frozen: 0, kept: 0 };
    assert.deepEqual(sharing, [{ worker: sharing[0]!.worker, ...inForce, residents }]);
  }
  const page = await platform.functions().json('GET', '/perch/v1/cores?limit=2&marker=1');
  assert.deepEqual(
    page.cores.map(({ core, resident }: CoreView) => [core, resident?.state]),
    [
      [32, 'asleep'],
      [33, 'asleep'],
    ],
  );
  letGo();
  for (const result of results) assert.equal((await result).value, 'done');
  await until('nobody is there', async () => (await coresOf(platform)).every(({ resident }) => resident === null));
});

test('a worker that shares nothing shows what a gateway runs there, and nobody behind others', async (t) => {
  const platform = await clusterOf({ gateways: 2, workerArgs: ['--sharing', 'dedicated'] });
  const { port, letGo } = await waitingRoom(t);
  const result = platform.functions().invoke('holder', { port });
  await until('it runs', async () => (await coresOf(platform)).some(({ state }) => state === 'leased'));
  const shown = await coresOf(platform);
  assert.deepEqual(shown.map(({ state }) => state).sort(), ['idle', 'leased']);
  assert.ok(shown.every(({ resident }) => resident === null));
  assert.ok(
    (await coresOf(platform, 1)).every(({ state }) => state === 'idle'),
    'of another gateway it is not seen',
  );
  const { sharing } = (await platform.functions().json('GET', '/perch/v1/overview')) as Overview;
  assert.deepEqual(
    sharing.map(({ policy, perCore, sources, observer }) => [policy, perCore, sources, observer]),
    [['dedicated', 1, [], 'none']],
  );
  letGo();
  assert.equal((await result).value, 'done');
});
