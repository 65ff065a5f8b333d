/** Real workers, a real scheduler and a real store, and gateways of the test: what is assigned comes to its result. */
import { until } from './dialling-node.ts';
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { type Gateway, workerCluster } from './worker-cluster.ts';
import { type TestResult, versionIn } from './worker-process.ts';

const module = (body: string): Record<string, string> => ({ 'index.mjs': `export const handler = ${body};` });
const ECHO = module('async (event) => ({ got: event })');

async function run(gateway: Gateway, version: number, request: number, event: unknown = {}): Promise<TestResult> {
  gateway.runs.assign(await gateway.grant(version, request), event);
  return gateway.runs.result(request);
}

test('a worker joins, gets code from the store, runs what it is assigned, and gives the core back', async () => {
  const cluster = await workerCluster();
  const worker = await cluster.worker();
  const { port, host, name } = await worker.ready();
  assert.deepEqual([host, name], ['127.0.0.1', 'w']);
  const gateway = await cluster.gateway(port);
  const seen = await gateway.asks.hear('worker');
  assert.deepEqual([seen['name'], seen['host'], seen['port'], seen['coreCount']], ['w', '127.0.0.1', port, 2]);
  const version = await gateway.name(await versionIn(cluster.store, ECHO));
  const starts: number[] = [];
  for (let request = 1; request <= 4; request++) {
    const grant = await gateway.grant(version, request);
    gateway.runs.assign(grant, { request });
    const result = await gateway.runs.result(request);
    assert.equal(result.result, 'response', result.payload);
    assert.deepEqual(JSON.parse(result.payload), { got: { request } });
    assert.deepEqual([result.core, result.sequence, result.epoch], [grant.core, grant.sequence, gateway.epoch]);
    assert.ok(result.runUs > 0 && result.billedMs >= 1 && result.memoryPeakMb > 0);
    starts.push(result.start);
  }
  assert.equal(starts[0], 0);
  assert.equal(starts.at(-1), 2);
});

test('whatever an invocation comes to, its gateway hears it, with its log', async () => {
  const cluster = await workerCluster();
  const { port } = await (await cluster.worker()).ready();
  const gateway = await cluster.gateway(port);
  let request = 0;
  const outcome = async (name: string, body: string, more: object = {}): Promise<TestResult> => {
    const version = await gateway.name(await versionIn(cluster.store, module(body), { name, ...more }));
    const grant = await gateway.grant(version, ++request);
    gateway.runs.assign({ ...grant, tail: true }, {});
    return gateway.runs.result(request);
  };
  const thrown = await outcome('throws', 'async () => { throw new TypeError("no") }');
  assert.equal(thrown.result, 'error');
  assert.equal(JSON.parse(thrown.payload).errorType, 'TypeError');
  const late = await outcome('late', 'async () => new Promise((resolve) => setTimeout(resolve, 60_000))', {
    timeoutS: 1,
  });
  assert.match(JSON.parse(late.payload).errorMessage, /timed out after 1(\.00)? s/i);
  const gone = await outcome('gone', 'async () => process.exit(3)');
  assert.equal(JSON.parse(gone.payload).errorType, 'Runtime.ExitError');
  const talks = await outcome('talks', 'async () => { console.log("hello from a worker"); return 1 }');
  assert.equal(talks.payload, '1');
  assert.match(talks.tail, /hello from a worker/);
  let kept = '';
  await until(() => {
    void cluster.stored.logs.tail('talks', 10).then((text) => (kept = text));
    return kept.includes('hello from a worker');
  });
  assert.match(kept, /hello from a worker/);
  const version = await gateway.name(await versionIn(cluster.store, ECHO, { name: 'echo' }));
  gateway.runs.assign(await gateway.grant(version, 90), Buffer.from('{no json'));
  assert.equal((await gateway.runs.result(90)).result, 'badPayload');
  const missing = await versionIn(cluster.store, ECHO, { name: 'missing' });
  const code = { sha256: 'ab'.repeat(32), zipBytes: 10 };
  const { testVersion } = await import('./worker-process.ts');
  const index = await gateway.name(testVersion({ ...missing.fn, code, revisionId: 'another' }));
  const notStarted = await run(gateway, index, 91);
  assert.equal(notStarted.result, 'notStarted');
  assert.match(JSON.parse(notStarted.payload).message, /is not stored/);
});

test('payloads of 6 MB go both ways', async () => {
  const cluster = await workerCluster();
  const { port } = await (await cluster.worker()).ready();
  const gateway = await cluster.gateway(port);
  const version = await gateway.name(await versionIn(cluster.store, ECHO, { memoryMb: 512 }));
  const text = 'x'.repeat(6 * 1024 * 1024 - 100);
  const result = await run(gateway, version, 1, { text });
  assert.equal(result.result, 'response');
  assert.equal(JSON.parse(result.payload).got.text, text);
});
