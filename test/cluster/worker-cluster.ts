/** What tests of `perch worker` stand on: a store and a scheduler, workers, and gateways of the test. All of it ends with its test. */
import { endProcess } from '../lib/end-process.ts';
import { join } from 'node:path';
import { afterEach } from 'node:test';
import { Role } from '../../src/wire/cluster-frame.ts';
import { NameVersionFrame } from '../../src/wire/cluster/large-frames.ts';
import { type ServedStore, serveStore } from '../store/served-store.ts';
import { makeCluster, type TestCluster, temporaryFolder } from './identity/cluster.ts';
import { type SchedulerProcess, startScheduler, TestNode } from './scheduler-process.ts';
import { startWorker, type TestVersion, WorkerGateway, type WorkerProcess } from './worker-process.ts';

const running: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const stop of running.splice(0).toReversed()) await stop();
});

export class WorkerCluster {
  readonly cluster: TestCluster;
  readonly stored: ServedStore;
  /** The one that was started last. */
  scheduler: SchedulerProcess;

  constructor(cluster: TestCluster, stored: ServedStore, scheduler: SchedulerProcess) {
    this.cluster = cluster;
    this.stored = stored;
    this.scheduler = scheduler;
  }

  get store(): ServedStore['store'] {
    return this.stored.store;
  }

  /** At another port if need be; the test ends the one before. */
  async startScheduler(args: readonly string[] = []): Promise<void> {
    this.scheduler = await schedulerOf(this.cluster, args);
  }

  async worker(options: { name?: string; args?: readonly string[]; drains?: boolean } = {}): Promise<WorkerProcess> {
    const { name = 'w', ...more } = options;
    const { out } = await this.cluster.add(name, ['worker']);
    const data = join(temporaryFolder(), 'data');
    const { scheduler, stored } = this;
    const started = startWorker(out, { scheduler: scheduler.port, store: stored.listener.port, data, ...more });
    running.push(() => endProcess(started));
    return started;
  }

  /** Connected to the scheduler, and to the worker at this port. */
  async gateway(port: number, name = 'g'): Promise<Gateway> {
    const identity = await this.cluster.identity(name, ['gateway']);
    const asks = await new TestNode(identity, this.scheduler.port, { role: Role.gateway }).opened();
    const runs = await new WorkerGateway(identity, port).opened();
    running.push(async () => {
      asks.link.close(32);
      runs.link.close(32);
    });
    return new Gateway(asks, runs);
  }
}

export async function workerCluster(schedulerArgs: readonly string[] = []): Promise<WorkerCluster> {
  const cluster = await makeCluster();
  const stored = await serveStore(temporaryFolder(), { identity: await cluster.identity('store', ['gateway']) });
  running.push(() => stored.close());
  return new WorkerCluster(cluster, stored, await schedulerOf(cluster, schedulerArgs));
}

async function schedulerOf(cluster: TestCluster, args: readonly string[]): Promise<SchedulerProcess> {
  const { out } = await cluster.add('s', ['scheduler']);
  const started = await startScheduler(out, args);
  running.push(() => endProcess(started));
  return started;
}

export interface Granted {
  readonly request: number;
  readonly core: number;
  readonly sequence: number;
  readonly epoch: number;
  readonly version: number;
}

/** The two connections of a gateway. */
export class Gateway {
  readonly asks: TestNode;
  readonly runs: WorkerGateway;
  readonly epoch: number;

  constructor(asks: TestNode, runs: WorkerGateway) {
    this.asks = asks;
    this.runs = runs;
    this.epoch = asks.welcome!.epoch;
  }

  /** Its index; the worker is told as well. */
  async name(version: TestVersion, peers: readonly string[] = []): Promise<number> {
    const index = await this.nameAlone(version);
    this.runs.set(index, this.epoch, version, peers);
    return index;
  }

  /** Its index; the worker is not told. */
  async nameAlone({ key, functionKey, fn }: TestVersion): Promise<number> {
    const more = { handle: 1, memoryMb: fn.config.memoryMb, key, functionKey };
    this.asks.link.send(Object.assign(new NameVersionFrame(), more));
    return (await this.asks.hear('version'))['first'] as number;
  }

  async grant(version: number, request: number): Promise<Granted> {
    this.asks.say('request', { request, version });
    return this.granted(version);
  }

  async granted(version: number): Promise<Granted> {
    const { request, core, sequence } = (await this.asks.hear('grant')) as unknown as Granted;
    return { request, core, sequence, epoch: this.epoch, version };
  }
}
