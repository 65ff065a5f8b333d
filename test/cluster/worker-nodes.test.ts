/** What a worker is beside its invocations: its metrics, the code that it gives to others, instances kept ready, its options. */
import { until } from './dialling-node.ts';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { realClock } from '../../src/base/clock.ts';
import { nodeAgent } from '../../src/cluster/node/connect.ts';
import { ask, NoAnswer } from '../../src/store/remote/client.ts';
import { ClusterKind } from '../../src/wire/cluster-frame.ts';
import { CountFrame } from '../../src/wire/cluster/small-frames.ts';
import { makeCluster } from './identity/cluster.ts';

import { workerCluster } from './worker-cluster.ts';
import { testVersion, versionIn } from './worker-process.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const ONE = { 'index.mjs': 'export const handler = async () => 1;' };

test('metrics are there for every node of the cluster', async () => {
  const cluster = await workerCluster();
  const { port } = await (await cluster.worker()).ready();
  const gateway = await cluster.gateway(port);
  const version = await gateway.name(await versionIn(cluster.store, ONE));
  gateway.runs.assign(await gateway.grant(version, 1), {});
  await gateway.runs.result(1);
  const identity = await cluster.cluster.identity('m', ['gateway']);
  const agent = nodeAgent({ identity, roles: ['worker'], revoked: () => new Set(), clock: realClock });
  const get = async (path: string, method: 'GET' | 'DELETE' = 'GET'): Promise<[number, string]> => {
    const question = { method, path, answerBytesMax: 1e6, timeoutMs: 5000 } as const;
    const answer = await ask(agent, { host: '127.0.0.1', port }, realClock, question);
    assert.ok(!(answer instanceof NoAnswer), JSON.stringify(answer));
    return [answer.status, answer.body.toString()];
  };
  const [status, text] = await get('/metrics');
  assert.equal(status, 200);
  for (const line of [
    /^perch_worker_joined 1$/m,
    /^perch_worker_gateways 1$/m,
    /^perch_invocations_total\{result="response"\} 1$/m,
    /^perch_code_fetched_total\{from="store"\} 1$/m,
    /^perch_cores\{state="withdrawn"\} 0$/m,
  ])
    assert.match(text, line);
  assert.equal((await get('/code/' + 'ab'.repeat(32)))[0], 404);
  assert.equal((await get('/../../etc/passwd'))[0], 404);
  assert.equal((await get('/metrics', 'DELETE'))[0], 405);
  agent.destroy();
});

test('code is for workers and gateways, and not for whoever else is of the cluster', async () => {
  const cluster = await workerCluster();
  const { port } = await (await cluster.worker()).ready();
  const stored = await versionIn(cluster.store, ONE);
  const gateway = await cluster.gateway(port);
  const version = await gateway.name(stored);
  gateway.runs.assign(await gateway.grant(version, 1), {});
  assert.equal((await gateway.runs.result(1)).result, 'response');
  const path = `/code/${stored.fn.code.sha256}`;
  for (const [role, status] of [
    ['scheduler', 403],
    ['worker', 200],
    ['gateway', 200],
  ] as const) {
    const identity = await cluster.cluster.identity(`asking-${role}`, [role]);
    const agent = nodeAgent({ identity, roles: ['worker'], revoked: () => new Set(), clock: realClock });
    const question = { method: 'GET', path, answerBytesMax: 1e6, timeoutMs: 5000 } as const;
    const answer = await ask(agent, { host: '127.0.0.1', port }, realClock, question);
    assert.ok(!(answer instanceof NoAnswer), JSON.stringify(answer));
    assert.equal(answer.status, status, role);
    if (status === 403)
      assert.match(answer.body.toString(), /^Code is for a worker or a gateway; your certificate says scheduler/);
    const metrics = await ask(agent, { host: '127.0.0.1', port }, realClock, { ...question, path: '/metrics' });
    assert.ok(!(metrics instanceof NoAnswer) && metrics.status === 200);
    agent.destroy();
  }
});

test('code comes from another worker that has it, while the store is away', async () => {
  const cluster = await workerCluster();
  const first = await (await cluster.worker({ name: 'w1' })).ready();
  const code = await versionIn(cluster.store, ONE);
  const gateway = await cluster.gateway(first.port);
  const version = await gateway.name(code);
  gateway.runs.assign(await gateway.grant(version, 1), {});
  assert.equal((await gateway.runs.result(1)).result, 'response');
  await cluster.stored.listener.close();
  // A worker that comes now, and a gateway that knows who has the code.
  const second = await (await cluster.worker({ name: 'w2' })).ready();
  const other = await cluster.gateway(second.port, 'h');
  const index = await other.name(code, [`127.0.0.1:1`, `127.0.0.1:${first.port}`]);
  const views = [await other.asks.hear('worker'), await other.asks.hear('worker')];
  const cores = views.find(({ name }) => name === 'w2')!;
  for (let request = 1; request <= 4; request++) {
    // Both cores of both workers: at least two are the second one's.
    const grant = await other.grant(index, request);
    if (grant.core < Number(cores['firstCore']) || grant.core >= Number(cores['firstCore']) + 2) continue;
    other.runs.assign(grant, {});
    const result = await other.runs.result(request);
    assert.equal(result.result, 'response', result.payload);
    return;
  }
  assert.fail('the second worker was granted nothing');
});

test('instances are kept ready of a version that no gateway has told of, until that is taken back', async () => {
  const cluster = await workerCluster();
  const { port } = await (await cluster.worker()).ready();
  await versionIn(cluster.store, ONE);
  const published = await cluster.store.publishVersion({ functionName: 'hello', description: null } as never);
  assert.ok('version' in published, JSON.stringify(published));
  assert.equal(await cluster.store.setProvisioned('hello', published.version, 2), null);
  const gateway = await cluster.gateway(port);
  const { key, functionKey, fn } = testVersion(published);
  const index = await gateway.nameAlone({ key, functionKey, fn, isolation: 'reuse' });
  const provision = new CountFrame(ClusterKind.provision);
  const say = (count: number): void =>
    gateway.asks.link.send(Object.assign(provision, { version: index, first: count }));
  say(2);
  const ready = (): boolean => gateway.asks.heard.some((each) => each.kind === 'provisioned' && each['third'] === 2);
  await until(ready);
  assert.ok(ready(), JSON.stringify(gateway.asks.heard));
  gateway.runs.set(index, gateway.epoch, testVersion(published));
  gateway.runs.assign(await gateway.grant(index, 1), {});
  const result = await gateway.runs.result(1);
  assert.deepEqual([result.result, result.start], ['response', 2]);
  say(0);
});

test('bad options are refused, with what would be right', async () => {
  const cluster = await makeCluster();
  const { out } = await cluster.add('w', ['worker']);
  const { out: gateway } = await cluster.add('g', ['gateway']);
  const nodes = ['--scheduler', '127.0.0.1:1', '--store', '127.0.0.1:1'];
  const run = (args: readonly string[]): [number | null, string] => {
    const done = spawnSync(process.execPath, [MAIN, 'worker', ...args], { encoding: 'utf8', timeout: 20_000 });
    return [done.status, done.stderr];
  };
  const cases: readonly (readonly [readonly string[], number, RegExp])[] = [
    [[], 2, /--join/],
    [['--join', out], 2, /--scheduler/],
    [['--join', out, '--scheduler', '127.0.0.1:1'], 2, /--store/],
    [['--join', out, ...nodes, '--scheduler', 'nowhere'], 2, /HOST:PORT/],
    [['--join', out, ...nodes, '--drain', '-1'], 2, /whole number/],
    [['--join', out, ...nodes, '--advertise', 'not a host'], 2, /host name or an IP address/],
    [['--join', out, ...nodes, '--cores', 'x'], 2, /list of CPUs/],
    [['--join', gateway, ...nodes], 4, /makes g no worker/],
    [['--join', '/nowhere', ...nodes], 4, /\/nowhere/],
  ];
  for (const [args, code, text] of cases) {
    const [status, stderr] = run(args);
    assert.equal(status, code, `${args.join(' ')}: ${stderr}`);
    assert.match(stderr, text);
  }
});
