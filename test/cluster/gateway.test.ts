/** A whole cluster of real processes, as the clients of its gateways see it: what runs, what waits, and what happens when a node goes. */
import { endProcess } from '../lib/end-process.ts';
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, test } from 'node:test';
import type { Overview } from '../../src/gateway/overview.ts';
import { type ClusterPlatform, type ClusterPlatformOptions, startClusterPlatform } from '../lib/cluster-platform.ts';
import { type Invoked, until } from '../lib/functions.ts';
import { startGateway } from './gateway-process.ts';
import { makeCluster, temporaryFolder } from './identity/cluster.ts';

const INVOCATIONS = '/2015-03-31/functions/holder/invocations';

/** Says that it has begun, and ends when it is let go. */
const HOLDER = `
import { existsSync, writeFileSync } from 'node:fs';
export const handler = async ({ begun, until, note }) => {
  if (note) console.log('note', note);
  if (begun) writeFileSync(begun, '');
  while (until && !existsSync(until)) await new Promise((resolve) => setTimeout(resolve, 10));
  return { note: note ?? null, pid: process.pid };
};`;

const running: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of running.splice(0).toReversed()) await stop();
});

async function clusterOf(options: ClusterPlatformOptions = {}): Promise<ClusterPlatform> {
  const platform = await startClusterPlatform(options);
  running.push(() => platform.stop());
  await platform.functions().deploy('holder', { files: { 'index.mjs': HOLDER } });
  return platform;
}

interface Held {
  readonly result: Promise<Invoked>;
  /** It runs. */
  begun(): Promise<void>;
  letGo(): void;
}

let holdCount = 0;
function hold(platform: ClusterPlatform, gateway = 0): Held {
  const name = path.join(platform.folder, `hold-${holdCount++}`);
  const event = { begun: `${name}.begun`, until: `${name}.go` };
  const result = platform.functions(gateway).invoke('holder', event);
  return {
    result,
    begun: () => until('it runs', async () => existsSync(event.begun)),
    letGo: () => writeFileSync(event.until, ''),
  };
}

test('how it is with copies of a function, and the whole cluster, is seen through a gateway', async () => {
  const platform = await clusterOf({ workers: 2 });
  const functions = platform.functions();
  assert.equal((await functions.copies('holder')).zygote, 'none');
  await functions.invoke('holder', {});
  const { zygote, waiting, copyable } = await functions.copies('holder');
  // Without a sandbox nothing is copied, and the worker says so.
  assert.deepEqual({ zygote, copyable }, { zygote: 'none', copyable: false });
  assert.equal(waiting, 1);
  const overview = (await functions.json('GET', '/perch/v1/overview')) as Overview;
  assert.deepEqual(
    overview.cluster!.workers.map(({ state }) => state),
    ['joined', 'joined'],
  );
  assert.deepEqual(
    overview.functions.map(({ functionName, resultsTotal }) => ({ functionName, resultsTotal })),
    [{ functionName: 'holder', resultsTotal: 1 }],
  );
  await endProcess(platform.scheduler, 'SIGKILL');
  assert.equal(((await functions.json('GET', '/perch/v1/overview')) as Overview).cluster, null);
});

test('what is deployed at one gateway runs from every gateway, with one log and one queue', async () => {
  const platform = await clusterOf({ gateways: 2 });
  const [first, second] = [platform.functions(0), platform.functions(1)];
  assert.equal((await second.call('holder', { note: 'second' })).note, 'second');
  assert.equal((await first.call('holder', { note: 'first' })).note, 'first');
  await second.deploy('other', {
    files: { 'index.mjs': 'export const handler = async () => { throw new Error("no"); };' },
  });
  const failed = await first.invoke('other');
  assert.deepEqual([failed.status, failed.functionError, failed.value.errorMessage], [200, 'Unhandled', 'no']);
  await second.updateCode('other', { 'index.mjs': 'export const handler = async () => 7;' });
  assert.equal(await second.call('other'), 7);
  const answer = await fetch(platform.gateways[1]!.url + INVOCATIONS, {
    method: 'POST',
    headers: { 'x-amz-invocation-type': 'Event' },
    body: JSON.stringify({ note: 'later' }),
  });
  assert.equal(answer.status, 202);
  for (const functions of [first, second]) {
    await until('it has run', async () => (await functions.logLines('holder', 'note later')).length === 1);
    assert.equal((await functions.logLines('holder', 'note second')).length, 1);
  }
  const tail = await fetch(platform.gateways[1]!.url + INVOCATIONS, {
    method: 'POST',
    headers: { 'x-amz-log-type': 'Tail' },
    body: JSON.stringify({ note: 'tail' }),
  });
  assert.match(Buffer.from(tail.headers.get('x-amz-log-result') ?? '', 'base64').toString(), /note tail/);
  const large = { note: 'x'.repeat(3 * 1024 * 1024) };
  assert.equal((await second.call('other', large)) === 7, true);
  assert.equal((await first.request('POST', INVOCATIONS, undefined)).status, 200);
  assert.equal(await first.metric('perch_gateway_requests{state="assigned"}'), 0);
});

test('reserved concurrency counts over all gateways', async () => {
  const platform = await clusterOf({ gateways: 2 });
  const concurrency = '/2017-10-31/functions/holder/concurrency';
  await platform.functions().json('PUT', concurrency, { ReservedConcurrentExecutions: 1 });
  const held = hold(platform, 1);
  await held.begun();
  for (const gateway of [0, 1]) {
    const refused = await platform.functions(gateway).invoke('holder');
    assert.equal(refused.status, 429);
    assert.equal(refused.value.Reason, 'ReservedFunctionConcurrentInvocationLimitExceeded');
  }
  await platform.functions().json('DELETE', concurrency);
  await until('the limit is gone', async () => (await platform.functions(1).invoke('holder')).status === 200);
  held.letGo();
  assert.equal((await held.result).status, 200);
});

test('a scheduler that dies touches nothing that runs; what comes meanwhile waits for the next one', async () => {
  const platform = await clusterOf();
  const held = hold(platform);
  await held.begun();
  await endProcess(platform.scheduler, 'SIGKILL');
  const waiting = platform.functions().invoke('holder', { note: 'waited' });
  held.letGo();
  assert.equal((await held.result).status, 200);
  await platform.startScheduler();
  assert.equal((await waiting).value.note, 'waited');
  for (let count = 0; count < 5; count++) await platform.functions().call('holder');
});

test('what ran on a worker that dies is lost, and says so; what waits runs elsewhere', async () => {
  const platform = await clusterOf({ workers: 2, workerArgs: ['--cores', '0'] });
  const held = [hold(platform), hold(platform)];
  for (const each of held) await each.begun();
  const waiting = platform.functions().invoke('holder', { note: 'waited' });
  await endProcess(platform.workers[0]!, 'SIGKILL');
  const lost = await Promise.race(held.map(({ result }) => result));
  assert.deepEqual([lost.status, lost.functionError], [200, 'Unhandled']);
  assert.equal(lost.value.errorType, 'Sandbox.WorkerLost');
  assert.match(lost.value.errorMessage, /^RequestId: [0-9a-f-]{36} Error: The worker w\d was lost/);
  for (const each of held) each.letGo();
  assert.equal((await waiting).value.note, 'waited');
  const results = await Promise.all(held.map(({ result }) => result));
  assert.deepEqual(new Set(results.map(({ functionError }) => functionError)), new Set(['Unhandled', null]));
  assert.equal(await platform.functions().metric('perch_gateway_worker_lost_total'), 1);
});

test('a worker that is told to stop under load fails no invocation', async () => {
  const platform = await clusterOf({ workers: 2, workersDrain: true });
  const functions = platform.functions();
  let isOver = false;
  let count = 0;
  const failures: unknown[] = [];
  const client = async (): Promise<void> => {
    while (!isOver) {
      const { status, functionError, value } = await functions.invoke('holder', { note: 'load' });
      if (status !== 200 || functionError !== null) failures.push({ status, functionError, value });
      count++;
    }
  };
  const clients = Array.from({ length: 8 }, client);
  await until('there is load', async () => count > 100);
  const held = hold(platform);
  await held.begun();
  const stopping = endProcess(platform.workers[0]!);
  const before = count;
  await until('load goes on', async () => count > before + 200);
  held.letGo();
  assert.equal(await stopping, 0);
  await until('load goes on', async () => count > before + 300);
  isOver = true;
  await Promise.all(clients);
  assert.deepEqual(failures, []);
  assert.equal((await held.result).status, 200);
});

test('a gateway that is told to stop lets what runs end, and refuses what comes', async () => {
  const platform = await clusterOf();
  const held = hold(platform);
  await held.begun();
  const ended = endProcess(platform.gateways[0]!);
  await until('it refuses', async () => {
    const answer = await platform
      .functions()
      .invoke('holder')
      .catch(() => null);
    return answer?.status !== 200;
  });
  held.letGo();
  assert.equal((await held.result).status, 200);
  assert.equal(await ended, 0);
});

test('a gateway without its join file or its port says so', async () => {
  const cluster = await makeCluster();
  const { out } = await cluster.add('w', ['worker']);
  const data = temporaryFolder();
  await assert.rejects(startGateway(out, { scheduler: 1, data }), /makes w no gateway/);
});
