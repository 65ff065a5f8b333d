/** A real cluster for tests: `perch scheduler`, `perch gateway` with the store, and more gateways and workers, each a process. */
import { endProcess } from './end-process.ts';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type GatewayProcess, startGateway } from '../cluster/gateway-process.ts';
import { makeCluster, type TestCluster } from '../cluster/identity/cluster.ts';
import { type SchedulerProcess, startScheduler } from '../cluster/scheduler-process.ts';
import { startWorker, type WorkerProcess } from '../cluster/worker-process.ts';
import { Functions } from './functions.ts';

export interface ClusterPlatformOptions {
  readonly workers?: number;
  readonly gateways?: number;
  readonly schedulerArgs?: readonly string[];
  readonly gatewayArgs?: readonly string[];
  readonly workerArgs?: readonly string[];
  /** Workers that are told to stop let what runs end. */
  readonly workersDrain?: boolean;
}

export class ClusterPlatform {
  readonly folder: string = mkdtempSync(path.join(tmpdir(), 'perch-cluster-'));
  readonly workers: WorkerProcess[] = [];
  readonly gateways: GatewayProcess[] = [];
  /** Of the workers' certificates. */
  readonly fingerprints: string[] = [];
  scheduler!: SchedulerProcess;
  readonly #cluster: TestCluster;
  readonly #options: ClusterPlatformOptions;
  #schedulerFile = '';
  #count = 0;

  constructor(cluster: TestCluster, options: ClusterPlatformOptions) {
    this.#cluster = cluster;
    this.#options = options;
  }

  async startScheduler(): Promise<void> {
    const { schedulerArgs = [] } = this.#options;
    this.#schedulerFile ||= (await this.#cluster.add('s', ['scheduler'])).out;
    // The next one is at the same port, where all others look for it.
    const port = (this.scheduler as SchedulerProcess | undefined)?.port ?? 0;
    this.scheduler = await startScheduler(this.#schedulerFile, ['--listen', `127.0.0.1:${port}`, ...schedulerArgs]);
  }

  /** The first one has the store. */
  async startGateway(): Promise<GatewayProcess> {
    const { name, data } = this.#next('g');
    const { out } = await this.#cluster.add(name, ['gateway']);
    const store = this.gateways[0]?.clusterPort;
    const places = { scheduler: this.scheduler.port, data, ...(store === undefined ? {} : { store }) };
    const gateway = await startGateway(out, { ...places, args: this.#options.gatewayArgs ?? [] });
    this.gateways.push(gateway);
    return gateway;
  }

  async startWorker(): Promise<WorkerProcess> {
    const { name, data } = this.#next('w');
    const { out, fingerprint } = await this.#cluster.add(name, ['worker']);
    this.fingerprints.push(fingerprint);
    const places = { scheduler: this.scheduler.port, store: this.gateways[0]!.clusterPort, data };
    const { workerArgs = [], workersDrain = false } = this.#options;
    const worker = startWorker(out, { ...places, args: workerArgs, drains: workersDrain });
    await worker.ready();
    this.workers.push(worker);
    return worker;
  }

  /** As a client of this gateway. */
  functions(gateway = 0): Functions {
    return new Functions(this.gateways[gateway]!);
  }

  async stop(): Promise<void> {
    // Workers first, while there is a store that takes the last of their logs; the gateway that has it last.
    await Promise.all(this.workers.map((each) => endProcess(each)));
    for (const each of this.gateways.toReversed()) await endProcess(each);
    await endProcess(this.scheduler);
    rmSync(this.folder, { recursive: true, force: true });
  }

  #next(letter: string): { name: string; data: string } {
    const name = `${letter}${++this.#count}`;
    return { name, data: path.join(this.folder, name) };
  }
}

export async function startClusterPlatform(options: ClusterPlatformOptions = {}): Promise<ClusterPlatform> {
  const { workers = 1, gateways = 1 } = options;
  const platform = new ClusterPlatform(await makeCluster(), options);
  await platform.startScheduler();
  for (let count = 0; count < gateways; count++) await platform.startGateway();
  for (let count = 0; count < workers; count++) await platform.startWorker();
  return platform;
}
