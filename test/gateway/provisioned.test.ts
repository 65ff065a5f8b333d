/** Provisioned concurrency on a real platform: what it refuses, and that what it took survives a kill. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { until } from '../lib/functions.ts';
import { startTestPlatform } from '../lib/platform.ts';
import type { TestPlatform } from '../lib/platform.ts';
import { ECHO, creation } from './bad-input.ts';

const MEMORY_MB = 1024;

let platform: TestPlatform;
let folder: string;

const start = (args: readonly string[] = []): Promise<TestPlatform> =>
  startTestPlatform({ dataDir: folder, args: ['--memory', String(MEMORY_MB), ...args] });

before(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'perch-provisioned-'));
  platform = await start();
  const { path: target, body } = await creation(ECHO, { Publish: true, MemorySize: 256 });
  assert.equal((await call('POST', target, body)).status, 201);
});

after(async () => {
  await platform?.stop();
  rmSync(folder, { recursive: true, force: true });
});

interface Received {
  readonly status: number;
  readonly json: Record<string, any>;
}

async function call(method: string, target: string, body?: string | Buffer): Promise<Received> {
  const answer = await fetch(platform.url + target, {
    method,
    ...(body === undefined ? {} : { body: body as string }),
  });
  const text = await answer.text();
  return { status: answer.status, json: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>) };
}

const config = (qualifier: string): string =>
  `/2019-09-30/functions/${ECHO}/provisioned-concurrency?Qualifier=${qualifier}`;
const put = (qualifier: string, count: number): Promise<Received> =>
  call('PUT', config(qualifier), JSON.stringify({ ProvisionedConcurrentExecutions: count }));

test('more than the worker holds is refused, with how many fit', async () => {
  const refused = await put('1', 5);
  assert.equal(refused.status, 400);
  assert.match(
    refused.json['message'],
    /5 with 256 MB each, and as much .* takes 1536 MB; this platform has 1024 MB.*At most 3 fit/,
  );
  assert.equal((await put('1', 4)).status, 400, 'with what they are copied from they would never all be ready');
  assert.equal((await put('1', 3)).status, 202);
});

test('of two that fit one at a time and are asked for at once, one is refused', async () => {
  const { path: target, body } = await creation('second', { Publish: true, MemorySize: 256 });
  assert.equal((await call('POST', target, body)).status, 201);
  assert.equal((await call('DELETE', config('1'))).status, 204);
  const ask = JSON.stringify({ ProvisionedConcurrentExecutions: 3 });
  const second = config('1').replace(ECHO, 'second');
  const both = await Promise.all([config('1'), second].map((each) => call('PUT', each, ask)));
  assert.deepEqual(
    both.map(({ status }) => status).toSorted((a, b) => a - b),
    [202, 400],
    JSON.stringify(both),
  );
  assert.equal((await call('DELETE', '/2015-03-31/functions/second')).status, 204);
  assert.equal((await put('1', 3)).status, 202);
});

test('what finds no room beside it is told so, and keeps nobody waiting', async () => {
  const { path: target, body } = await creation('other', { MemorySize: 512 });
  assert.equal((await call('POST', target, body)).status, 201);
  await until('it is ready', async () => (await call('GET', config('1'))).json['Status'] === 'READY');
  const refused = await call('POST', '/2015-03-31/functions/other/invocations', '[1]');
  assert.equal(refused.status, 429, JSON.stringify(refused.json));
  assert.match(refused.json['Message'] ?? refused.json['message'], /provisioned concurrency of other functions/);
  const served = await call('POST', `/2015-03-31/functions/${ECHO}/invocations?Qualifier=1`, '[2]');
  assert.deepEqual(served.json, [2]);
  assert.equal((await call('DELETE', '/2015-03-31/functions/other')).status, 204);
});

test('what was taken survives a kill, and goes with its version', async () => {
  assert.equal((await put('1', 2)).status, 202);
  await platform.stop('SIGKILL');
  platform = await start();
  const got = await call('GET', config('1'));
  assert.equal(got.json['RequestedProvisionedConcurrentExecutions'], 2);
  assert.ok(['IN_PROGRESS', 'READY'].includes(got.json['Status']), JSON.stringify(got.json));
  const answer = await call('POST', `/2015-03-31/functions/${ECHO}/invocations?Qualifier=1`, '[1]');
  assert.deepEqual(answer.json, [1]);
  assert.equal((await call('DELETE', `/2015-03-31/functions/${ECHO}?Qualifier=1`)).status, 204);
  const listed = await call('GET', `/2019-09-30/functions/${ECHO}/provisioned-concurrency?List=ALL`);
  assert.deepEqual(listed.json['ProvisionedConcurrencyConfigs'], []);
  assert.equal((await call('GET', config('1'))).status, 404);
});

test('the network of the host: configured while it is allowed, refused at invocation once it is not', async () => {
  const network = JSON.stringify({ Environment: { Variables: { PERCH_NETWORK: 'host' } } });
  const target = `/2015-03-31/functions/${ECHO}`;
  assert.match((await call('PUT', `${target}/configuration`, network)).json['message'], /--allow-host-network/);
  await platform.stop();
  platform = await start(['--allow-host-network']);
  assert.equal((await call('PUT', `${target}/configuration`, network)).status, 200);
  assert.deepEqual((await call('POST', `${target}/invocations`, '[2]')).json, [2]);
  await platform.stop();
  platform = await start();
  const refused = await call('POST', `${target}/invocations`, '[3]');
  assert.equal(refused.status, 400);
  assert.match(refused.json['message'], /PERCH_NETWORK.*'host'.*not allowed.*--allow-host-network/);
  // It can still be mended.
  const mended = JSON.stringify({ Environment: { Variables: {} } });
  assert.equal((await call('PUT', `${target}/configuration`, mended)).status, 200);
  assert.deepEqual((await call('POST', `${target}/invocations`, '[4]')).json, [4]);
});
