/** Real workers, a real scheduler, and gateways of the test: what is assigned, refused, announced and drained. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { Role } from '../../src/wire/cluster-frame.ts';
import { makeCluster, type TestCluster, temporaryFolder } from './identity/cluster.ts';
import { type SchedulerProcess, startScheduler, stopScheduler, TestNode } from './scheduler-process.ts';
import { NameVersionFrame } from '../../src/wire/cluster/large-frames.ts';
import {
  startWorker,
  stopWorker,
  type TestVersion,
  versionIn,
  WorkerGateway,
  type WorkerProcess,
} from './worker-process.ts';

const running: { stop(): Promise<unknown> }[] = [];

afterEach(async () => {
  for (const each of running.splice(0).toReversed()) await each.stop();
});

async function schedulerOf(cluster: TestCluster, args: readonly string[] = []): Promise<SchedulerProcess> {
  const { out } = await cluster.add('s', ['scheduler']);
  const started = await startScheduler(out, args);
  running.push({ stop: () => stopScheduler(started) });
  return started;
}

async function workerOf(
  cluster: TestCluster,
  scheduler: { port: number },
  options: { data: string; name?: string; args?: readonly string[] },
): Promise<WorkerProcess> {
  const { out } = await cluster.add(options.name ?? 'w', ['worker']);
  const { data } = options;
  const started = startWorker(out, { scheduler: scheduler.port, data, args: options.args ?? [] });
  running.push({ stop: () => stopWorker(started) });
  return started;
}

type Grant = { readonly request: number; readonly core: number; readonly sequence: number };

/** The two connections of a gateway, and the epoch. */
class Gateway {
  readonly asks: TestNode;
  readonly runs: WorkerGateway;
  readonly epoch: number;

  constructor(asks: TestNode, runs: WorkerGateway) {
    this.asks = asks;
    this.runs = runs;
    this.epoch = asks.welcome!.epoch;
  }

  async name({ key, functionKey, fn }: TestVersion): Promise<number> {
    const more = { handle: 1, memoryMb: fn.config.memoryMb, key, functionKey };
    this.asks.link.send(Object.assign(new NameVersionFrame(), more));
    return (await this.asks.hear('version'))['first'] as number;
  }

  async grant(version: number, request: number): Promise<Grant & { epoch: number; version: number }> {
    this.asks.say('request', { request, version });
    const { core, sequence } = (await this.asks.hear('grant')) as unknown as Grant;
    return { request, core, sequence, epoch: this.epoch, version };
  }
}

async function gatewayOf(
  cluster: TestCluster,
  scheduler: { port: number },
  port: number,
  name = 'g',
): Promise<Gateway> {
  const identity = await cluster.identity(name, ['gateway']);
  const asks = await new TestNode(identity, scheduler.port, { role: Role.gateway }).opened();
  const runs = await new WorkerGateway(identity, port).opened();
  running.push({
    stop: async () => {
      asks.link.close(32);
      runs.link.close(32);
    },
  });
  return new Gateway(asks, runs);
}

const dataFolder = (): string => join(temporaryFolder(), 'data');
const ECHO = { 'index.mjs': 'export const handler = async (event) => ({ got: event });' };

test('a worker joins, runs what it is assigned, and gives the core back', async () => {
  const cluster = await makeCluster();
  const scheduler = await schedulerOf(cluster);
  const data = dataFolder();
  const hello = await versionIn(data, ECHO);
  const worker = await workerOf(cluster, scheduler, { data });
  const { port, host, name } = await worker.ready();
  assert.deepEqual([host, name], ['127.0.0.1', 'w']);
  const gateway = await gatewayOf(cluster, scheduler, port);
  const seen = await gateway.asks.hear('worker');
  assert.deepEqual([seen['name'], seen['host'], seen['port'], seen['coreCount']], ['w', '127.0.0.1', port, 2]);
  const version = await gateway.name(hello);
  gateway.runs.set(version, gateway.epoch, hello);
  const starts: number[] = [];
  for (let request = 1; request <= 4; request++) {
    const grant = await gateway.grant(version, request);
    gateway.runs.assign(grant, { request });
    const result = await gateway.runs.result(request);
    assert.equal(result.result, 'response', result.payload);
    assert.deepEqual(JSON.parse(result.payload), { got: { request } });
    assert.deepEqual([result.core, result.sequence, result.epoch], [grant.core, grant.sequence, gateway.epoch]);
    starts.push(result.start);
  }
  assert.equal(starts[0], 0);
  assert.equal(starts.at(-1), 2);
});
