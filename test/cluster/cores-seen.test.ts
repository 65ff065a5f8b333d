/** What a gateway of a real cluster shows of the cores of its workers. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import type { CoreView } from '../../src/gateway/platform.ts';
import { type ClusterPlatform, startClusterPlatform } from '../lib/cluster-platform.ts';
import { endProcess } from '../lib/end-process.ts';
import { until } from '../lib/functions.ts';

const SOURCE = "export const handler = async () => 'done';";

const running: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of running.splice(0).toReversed()) await stop();
});

async function clusterOf(): Promise<ClusterPlatform> {
  const platform = await startClusterPlatform();
  running.push(() => platform.stop());
  await platform.functions().deploy('holder', { files: { 'index.mjs': SOURCE } });
  return platform;
}

async function coresOf(platform: ClusterPlatform): Promise<readonly CoreView[]> {
  return ((await platform.functions().json('GET', '/perch/v1/cores')) as { cores: CoreView[] }).cores;
}

test('after another scheduler a core has the numbers of its worker, not of who had that number before', async () => {
  const platform = await clusterOf();
  for (let count = 0; count < 3; count++) assert.equal((await platform.functions().invoke('holder', {})).value, 'done');
  const before = await coresOf(platform);
  assert.deepEqual([before[0]!.core, before[0]!.invocationCount], [0, 3]);
  // The next scheduler knows of no worker: who comes first has the first cores.
  await endProcess(platform.workers.pop()!, 'SIGKILL');
  await endProcess(platform.scheduler, 'SIGKILL');
  await platform.startScheduler();
  await platform.startWorker();
  await until('the new worker is shown', async () => (await coresOf(platform)).length > 0);
  const after = await coresOf(platform);
  assert.deepEqual(
    after.map(({ core, invocationCount }) => [core, invocationCount]),
    [
      [0, 0],
      [1, 0],
    ],
  );
  assert.equal((await platform.functions().invoke('holder', {})).value, 'done');
  assert.equal((await coresOf(platform))[0]!.invocationCount, 1);
});
