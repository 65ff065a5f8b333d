/** Real workers when something goes wrong: what they refuse, what they tell a scheduler that asks or is new, and how they end. */
import { until } from './dialling-node.ts';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Role } from '../../src/wire/cluster-frame.ts';
import { UnstartedWhy } from '../../src/wire/cluster/small-frames.ts';
import { SetVersionFrame } from '../../src/wire/cluster/body-frames.ts';

import { type Gateway, type Granted, workerCluster } from './worker-cluster.ts';
import { versionIn, WorkerGateway } from './worker-process.ts';

const module = (body: string): Record<string, string> => ({ 'index.mjs': `export const handler = ${body};` });
/** Answers after so many milliseconds. */
const SLEEP = module('async ({ ms = 0 }) => { await new Promise((resolve) => setTimeout(resolve, ms)); return ms }');

async function refusal(gateway: Gateway, lease: Granted): Promise<number> {
  gateway.runs.assign(lease, { ms: 0 });
  const result = await gateway.runs.result(lease.request);
  assert.equal(result.result, 'refused', result.payload);
  return result.why;
}

async function answer(gateway: Gateway, request: number): Promise<string> {
  const result = await gateway.runs.result(request);
  assert.equal(result.result, 'response', result.payload);
  return result.payload;
}

test('a lease is refused where its core is busy or foreign, its epoch another, its number of before, its version not told', async () => {
  const cluster = await workerCluster();
  const { port } = await (await cluster.worker()).ready();
  const gateway = await cluster.gateway(port);
  const version = await gateway.name(await versionIn(cluster.store, SLEEP));
  const first = await gateway.grant(version, 1);
  gateway.runs.assign(first, { ms: 1500 });
  const { staleLease } = UnstartedWhy;
  assert.equal(await refusal(gateway, { ...first, request: 2, sequence: first.sequence + 1 }), staleLease);
  assert.equal(await refusal(gateway, { ...first, request: 3 }), staleLease);
  const second = await gateway.grant(version, 4);
  assert.equal(await refusal(gateway, { ...second, epoch: second.epoch + 1 }), staleLease);
  assert.equal(await refusal(gateway, { ...second, epoch: second.epoch - 1 }), staleLease);
  assert.equal(await refusal(gateway, { ...second, core: second.core + 2000 }), staleLease);
  assert.equal(await refusal(gateway, { ...second, version: version + 1 }), staleLease);
  // It was told on another connection.
  const other = await cluster.gateway(port, 'h');
  assert.equal(await refusal(other, second), staleLease);
  gateway.runs.assign(second, { ms: 0 });
  assert.equal(await answer(gateway, 4), '0');
  assert.equal(await refusal(gateway, second), staleLease);
  assert.equal(await answer(gateway, 1), '1500');
});

test('what a gateway was granted and did not start is fenced; what it started is held, and answered', async () => {
  const cluster = await workerCluster();
  const { port } = await (await cluster.worker()).ready();
  const gateway = await cluster.gateway(port);
  const sleep = await versionIn(cluster.store, SLEEP);
  const version = await gateway.name(sleep);
  const started = await gateway.grant(version, 1);
  gateway.runs.assign(started, { ms: 2500 });
  const lost = await gateway.grant(version, 2);
  gateway.asks.link.close(32);
  const other = await cluster.gateway(port, 'h');
  const index = await other.name(sleep);
  // The core of the grant that nobody has started, and not the one that is held.
  const next = await other.grant(index, 3);
  assert.equal(next.core, lost.core);
  assert.equal(await refusal(gateway, lost), UnstartedWhy.staleLease);
  other.runs.assign(next, { ms: 1 });
  assert.equal(await answer(other, 3), '1');
  assert.equal(await answer(gateway, 1), '2500');
});

test('a scheduler dies: what runs is answered, and held by the next one; what the first one granted is refused', async () => {
  const cluster = await workerCluster();
  const worker = await cluster.worker();
  const { port } = await worker.ready();
  const gateway = await cluster.gateway(port);
  const sleep = await versionIn(cluster.store, SLEEP);
  const version = await gateway.name(sleep);
  const runs = await gateway.grant(version, 1);
  gateway.runs.assign(runs, { ms: 6000 });
  const late = await gateway.grant(version, 2);
  const { child, port: at } = cluster.scheduler;
  child.kill('SIGKILL');
  await once(child, 'exit');
  // Of one that starts within the same second a node that comes first hears the epoch from before; then the worker comes, and all begin anew.
  await until(() => Math.floor(Date.now() / 1000) > gateway.epoch);
  await cluster.startScheduler(['--listen', `127.0.0.1:${at}`]);
  const next = await cluster.gateway(port, 'h');
  assert.ok(next.epoch > gateway.epoch);
  await next.asks.hear('worker');
  const index = await next.name(sleep);
  assert.equal(await refusal(gateway, late), UnstartedWhy.staleLease);
  const granted = await next.grant(index, 3);
  assert.equal(granted.core, late.core);
  next.runs.assign(granted, { ms: 1 });
  assert.equal(await answer(next, 3), '1');
  assert.equal(await answer(gateway, 1), '6000');
  const both = [await next.grant(index, 4), await next.grant(index, 5)];
  for (const each of both) next.runs.assign(each, { ms: 0 });
  assert.deepEqual(new Set(both.map(({ core }) => core)), new Set([runs.core, late.core]));
  await Promise.all(both.map(({ request }) => answer(next, request)));
});

test('a worker waits for a scheduler that is not there yet', async () => {
  const cluster = await workerCluster();
  const { child, port } = cluster.scheduler;
  child.kill('SIGKILL');
  await once(child, 'exit');
  const worker = await cluster.worker();
  await until(() => worker.stderr().includes('waits for the scheduler'));
  assert.match(worker.stderr(), /waits for the scheduler/);
  assert.equal(worker.child.exitCode, null);
  await cluster.startScheduler(['--listen', `127.0.0.1:${port}`]);
  assert.equal((await worker.ready()).name, 'w');
});

test('a drained worker ends what it has, takes no more, and says that it stops', async () => {
  const cluster = await workerCluster();
  const worker = await cluster.worker({ drains: true });
  const { port } = await worker.ready();
  const gateway = await cluster.gateway(port);
  const version = await gateway.name(await versionIn(cluster.store, SLEEP));
  const first = await gateway.grant(version, 1);
  const onItsWay = await gateway.grant(version, 2);
  gateway.runs.assign(first, { ms: 2500 });
  const exited = once(worker.child, 'exit');
  worker.child.kill('SIGTERM');
  await new Promise((resolve) => setTimeout(resolve, 300));
  gateway.runs.assign(onItsWay, { ms: 1 });
  assert.equal(await answer(gateway, 2), '1');
  gateway.asks.say('request', { request: 3, version });
  assert.equal(await answer(gateway, 1), '2500');
  assert.equal(await gateway.runs.ended(), 'stopping');
  assert.deepEqual(await exited, [0, null]);
  await gateway.asks.hear('gone');
  assert.ok(!gateway.asks.heard.some(({ kind }) => kind === 'grant'), 'a core of a worker that drains was granted');
});

test('what takes longer than the drain is ended, with an answer; a second signal ends all at once', async () => {
  const cluster = await workerCluster();
  const worker = await cluster.worker({ args: ['--drain', '1'] });
  const { port } = await worker.ready();
  const gateway = await cluster.gateway(port);
  const sleep = await versionIn(cluster.store, SLEEP, { timeoutS: 60 });
  const version = await gateway.name(sleep);
  gateway.runs.assign(await gateway.grant(version, 1), { ms: 50_000 });
  await new Promise((resolve) => setTimeout(resolve, 500));
  worker.child.kill('SIGTERM');
  assert.equal((await gateway.runs.result(1)).result, 'error');
  assert.equal(await gateway.runs.ended(), 'stopping');

  const other = await cluster.worker({ name: 'v', drains: true });
  const again = await cluster.gateway((await other.ready()).port, 'h');
  again.runs.assign(await again.grant(await again.name(sleep), 1), { ms: 50_000 });
  await new Promise((resolve) => setTimeout(resolve, 500));
  const exited = once(other.child, 'exit');
  other.child.kill('SIGTERM');
  await new Promise((resolve) => setTimeout(resolve, 300));
  other.child.kill('SIGTERM');
  assert.deepEqual(await exited, [70, null]);
});

test('a gateway that says what is not so is put out, and no other notices', async () => {
  const cluster = await workerCluster();
  const { port } = await (await cluster.worker()).ready();
  const gateway = await cluster.gateway(port);
  const version = await gateway.name(await versionIn(cluster.store, SLEEP));
  gateway.runs.assign(await gateway.grant(version, 1), { ms: 700 });
  const bad = await cluster.gateway(port, 'h');
  const hello = await versionIn(cluster.store, SLEEP, { name: 'other' });
  bad.runs.set(9, bad.epoch, { ...hello, key: 'ab'.repeat(16) });
  assert.equal(await bad.runs.ended(), 'breach');
  const worse = await cluster.gateway(port, 'i');
  const payload = Buffer.from('{"fn":');
  worse.runs.link.sendBody(Object.assign(new SetVersionFrame(), { version: 9, epoch: 1, key: hello.key, payload }));
  assert.equal(await worse.runs.ended(), 'breach');
  const nasty = await cluster.gateway(port, 'j');
  const fn = { ...hello.fn, code: { sha256: '../../x', zipBytes: 1 } };
  nasty.runs.set(9, nasty.epoch, { ...hello, fn });
  assert.equal(await nasty.runs.ended(), 'breach');
  assert.equal(await answer(gateway, 1), '700');
});

test('a runtime that the worker does not have is refused by name, and the core is free again', async () => {
  const cluster = await workerCluster();
  const { port } = await (await cluster.worker()).ready();
  const gateway = await cluster.gateway(port);
  const hello = await versionIn(cluster.store, SLEEP);
  const fn = { ...hello.fn, config: { ...hello.fn.config, runtime: 'cobol' as never } };
  const version = await gateway.name({ ...hello, fn });
  for (let request = 1; request <= 3; request++) {
    gateway.runs.assign(await gateway.grant(version, request), {});
    const result = await gateway.runs.result(request);
    assert.equal(result.result, 'notStarted');
    assert.match(JSON.parse(result.payload).message, /no runtime cobol/);
  }
});

test('a gateway that connects again takes the place of its older connection; another one of its name does not', async () => {
  const cluster = await workerCluster();
  const { port } = await (await cluster.worker()).ready();
  const gateway = await cluster.gateway(port);
  const version = await gateway.name(await versionIn(cluster.store, SLEEP));
  const lease = await gateway.grant(version, 1);
  gateway.runs.assign(lease, { ms: 1500 });
  const identity = await cluster.cluster.identity('g', ['gateway']);
  assert.equal(await new WorkerGateway(identity, port, { life: 2 }).ended(), 'nameTaken');
  const again = await new WorkerGateway(identity, port).opened();
  assert.equal(await gateway.runs.ended(), 'superseded');
  // What ran for the older one runs on, and holds its core.
  again.assign({ ...lease, request: 2, sequence: lease.sequence + 1 });
  assert.equal((await again.result(2)).why, UnstartedWhy.staleLease);
  const next = await gateway.grant(version, 3);
  assert.notEqual(next.core, lease.core);
  again.link.close(32);
  assert.equal(await new WorkerGateway(identity, port, { name: 'h' }).ended(), 'notAllowed');
  const worker = await cluster.cluster.identity('x', ['worker']);
  assert.equal(await new WorkerGateway(worker, port).ended(), 'notAllowed');
  assert.equal(await new WorkerGateway(worker, port, { role: Role.worker }).ended(), 'outOfRole');
});
