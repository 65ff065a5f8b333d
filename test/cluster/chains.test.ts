/** Chains in a cluster: the next step has the core of the one before, and an instance that waits for it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, test } from 'node:test';
import { type ClusterPlatform, type ClusterPlatformOptions, startClusterPlatform } from '../lib/cluster-platform.ts';
import { endProcess } from '../lib/end-process.ts';
import { until } from '../lib/functions.ts';

/** One core each. */
const WORKER = ['--cores', '0'];
const CHAINS = '/perch/v1/chains';

/** Notes that it runs, takes its time, and adds to what it is given which worker ran it. */
const STEP = `
import { appendFileSync } from 'node:fs';
export const handler = async ({ file, ms = 0, note = process.env.AWS_LAMBDA_FUNCTION_NAME, ran = [] }) => {
  appendFileSync(file, note + ' ');
  await new Promise((resolve) => setTimeout(resolve, ms));
  return { file, ms, ran: [...ran, process.ppid] };
};`;

const running: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of running.splice(0).toReversed()) await stop();
});

interface Played extends ClusterPlatform {
  readonly file: string;
}

async function clusterOf(options: ClusterPlatformOptions = {}): Promise<Played> {
  const platform = await startClusterPlatform({ workerArgs: WORKER, ...options });
  running.push(() => platform.stop());
  const functions = platform.functions();
  for (const name of ['a', 'b', 'c', 'other']) await functions.deploy(name, { files: { 'index.mjs': STEP } });
  await functions.json('POST', CHAINS, { name: 'abc', steps: ['a', 'b', 'c'] });
  return Object.assign(platform, { file: path.join(platform.folder, 'ran') });
}

interface Ran {
  readonly status: number;
  /** Of the step that ended it. */
  readonly start: string | null;
  readonly functionError: string | null;
  readonly value: any;
}

async function runChain({ gateways }: ClusterPlatform, event: object): Promise<Ran> {
  const answer = await fetch(`${gateways[0]!.url}${CHAINS}/abc/invocations`, {
    method: 'POST',
    body: JSON.stringify(event),
  });
  const of = (name: string): string | null => answer.headers.get(name);
  const value = await answer.json();
  return { status: answer.status, start: of('x-perch-start'), functionError: of('x-amz-function-error'), value };
}

function ranIn({ file }: Played): string[] {
  try {
    return readFileSync(file, 'utf8').trim().split(' ');
  } catch {
    return [];
  }
}

async function grantsTotal(platform: ClusterPlatform): Promise<number> {
  return (await platform.functions().json('GET', '/perch/v1/overview')).cluster.grantsTotal;
}

test('all steps run on the core of the first, granted once, and each finds an instance that waits for it', async () => {
  const platform = await clusterOf({ workers: 2 });
  const before = await grantsTotal(platform);
  // So long a step runs that the next one can be readied.
  const { value, start } = await runChain(platform, { file: platform.file, ms: 1500 });
  assert.equal(new Set(value.ran).size, 1, JSON.stringify(value));
  assert.equal(value.ran.length, 3);
  assert.equal(start, 'warm', 'the last step was readied while the one before ran');
  assert.equal((await grantsTotal(platform)) - before, 1);
  assert.equal(await platform.functions().metric('perch_gateway_took_over_total'), 2);
  // Its core is given back at its end: both are there for others.
  const others = [1, 2].map(() => platform.functions().invoke('other', { file: platform.file, ms: 500 }));
  const ran = (await Promise.all(others)).map((each) => each.value.ran[0]);
  assert.equal(new Set(ran).size, 2);
});

test('those who came later wait until the chain has ended', async () => {
  const platform = await clusterOf();
  const chain = runChain(platform, { file: platform.file, ms: 300 });
  await until('it runs', () => ranIn(platform).length === 1);
  const others = [1, 2, 3].map(() => platform.functions().invoke('other', { file: platform.file }));
  assert.equal((await chain).status, 200);
  for (const other of await Promise.all(others)) assert.equal(other.status, 200);
  assert.deepEqual(ranIn(platform), ['a', 'b', 'c', 'other', 'other', 'other']);
});

test('a step whose function asks more memory than the one before is granted a core of its own', async () => {
  const platform = await clusterOf();
  await platform.functions().configure('b', { MemorySize: 512 });
  const before = await grantsTotal(platform);
  const { value } = await runChain(platform, { file: platform.file, ms: 20 });
  assert.equal(value.ran.length, 3);
  // The third one asks less than the second.
  assert.equal((await grantsTotal(platform)) - before, 2);
});

test('a chain goes on without a scheduler no further than to its next step, and ends with the next scheduler', async () => {
  const platform = await clusterOf();
  const chain = runChain(platform, { file: platform.file, ms: 1500 });
  await until('it runs', () => ranIn(platform).length === 1);
  await endProcess(platform.scheduler, 'SIGKILL');
  await platform.startScheduler();
  assert.equal((await chain).value.ran.length, 3);
  assert.deepEqual(ranIn(platform), ['a', 'b', 'c'], 'each ran once');
  assert.equal((await platform.functions().invoke('other', { file: platform.file })).status, 200);
});

test('a chain whose worker is killed ends with its error, and nothing of it is left', async () => {
  const platform = await clusterOf({ workers: 2 });
  const chain = runChain(platform, { file: platform.file, ms: 3000 });
  await until('its second step runs', () => ranIn(platform).length === 2);
  const { cluster } = await platform.functions().json('GET', '/perch/v1/overview');
  const busy = cluster.workers.findIndex((each: { cores: { leased: number } }) => each.cores.leased === 1);
  const [killed] = platform.workers.splice(
    platform.workers.findIndex(({ data }) => data.endsWith(cluster.workers[busy].name)),
    1,
  );
  await endProcess(killed!, 'SIGKILL');
  const { functionError, value } = await chain;
  assert.equal(functionError, 'Unhandled');
  assert.equal(value.errorType, 'Sandbox.WorkerLost');
  assert.deepEqual(ranIn(platform), ['a', 'b']);
  const again = await runChain(platform, { file: platform.file, ms: 10 });
  assert.equal(again.value.ran.length, 3);
});
