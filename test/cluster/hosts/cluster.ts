/**
 * A whole cluster for tests: scheduler, workers and gateways as real processes, each on a host of its own, and the test
 * on another one as their client, with the AWS SDK and a key.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import * as sdk from '@aws-sdk/client-lambda';
import { sign } from '../../../src/gateway/sigv4.ts';
import { ROLE } from '../../lib/functions.ts';
import { makeZip } from '../../lib/zip.ts';
import { Hosts } from './hosts.ts';
import type { HostProcess, ProcessOptions } from './process.ts';

const MAIN = fileURLToPath(new URL('../../../src/cli/main.ts', import.meta.url));
const PORTS = { scheduler: 9401, worker: 9402, gateway: 9403, http: 9000 } as const;
const KEY = { accessKeyId: 'AKCLUSTER', secretAccessKey: 'of-the-tests-alone' } as const;
const CLIENT = 'client';

export interface ClusterOptions {
  readonly workers?: number;
  readonly gateways?: number;
  /** A host for a second scheduler, with a join file for the address of the first. */
  readonly successor?: boolean;
  readonly sandbox?: 'bubblewrap' | 'none';
  /** CPUs of each worker; they share those of the machine. */
  readonly cores?: string;
  readonly memoryMb?: number;
  readonly logLevel?: string;
  /** By name of host: how many seconds its time of day is off. */
  readonly clockOffsetsS?: Readonly<Record<string, number>>;
}

export interface Invoked {
  readonly status: number;
  readonly functionError: string | null;
  readonly value: any;
}

/** Names: `s1` (and `s2`) for schedulers, `w1`… for workers, `g1`… for gateways; `g1` has the store. */
export class HostCluster {
  readonly hosts: Hosts;
  /** By name; a process that was started again replaces the one before. */
  readonly processes = new Map<string, HostProcess>();
  readonly #options: ClusterOptions;
  readonly #folder: string;
  readonly #clients = new Map<string, sdk.LambdaClient>();

  constructor(options: ClusterOptions) {
    this.#options = options;
    this.#folder = mkdtempSync(path.join(tmpdir(), 'perch-hosts-'));
    this.hosts = new Hosts(...this.names('s'), ...this.names('w'), ...this.names('g'), CLIENT);
    this.hosts.enter(CLIENT);
    this.#makeJoinFiles();
    writeFileSync(this.#file('keys'), `${KEY.accessKeyId} ${KEY.secretAccessKey}\n`, { mode: 0o600 });
    writeFileSync(this.#file('revoked'), '', { mode: 0o600 });
  }

  names(kind: 's' | 'w' | 'g'): string[] {
    const { workers = 2, gateways = 1, successor = false } = this.#options;
    const count = { s: successor ? 2 : 1, w: workers, g: gateways }[kind];
    return Array.from({ length: count }, (_, index) => `${kind}${index + 1}`);
  }

  process(name: string): HostProcess {
    const found = this.processes.get(name);
    if (found === undefined) throw new Error(`${name} was not started`);
    return found;
  }

  /** Any of them; those of the kinds find the first scheduler and the first gateway. */
  async start(name: string, more: readonly string[] = []): Promise<HostProcess> {
    const words = { s: this.#schedulerWords, w: this.#workerWords, g: this.#gatewayWords }[name[0] as 's' | 'w' | 'g'];
    const offset = this.#options.clockOffsetsS?.[name];
    const options: ProcessOptions = offset === undefined ? {} : { clockOffsetS: offset };
    const started = await this.hosts.start(name, [...words.call(this, name), ...more], options);
    this.processes.set(name, started);
    return started;
  }

  client(gateway = 'g1'): sdk.LambdaClient {
    const found = this.#clients.get(gateway);
    if (found !== undefined) return found;
    const made = new sdk.LambdaClient({
      endpoint: `http://${this.hosts.address(gateway)}:${PORTS.http}`,
      region: 'us-east-1',
      maxAttempts: 1,
      credentials: KEY,
    });
    this.#clients.set(gateway, made);
    return made;
  }

  async deploy(
    name: string,
    source: string,
    more: Partial<sdk.CreateFunctionCommandInput> = {},
    gateway?: string,
  ): Promise<void> {
    const client = this.client(gateway);
    const ZipFile = await makeZip({ 'index.mjs': source });
    const Runtime = 'nodejs24.x' as sdk.Runtime;
    const Handler = 'index.handler';
    const Code = { ZipFile };
    await client.send(
      new sdk.CreateFunctionCommand({ FunctionName: name, Role: ROLE, Runtime, Handler, Code, Timeout: 60, ...more }),
    );
    await sdk.waitUntilFunctionActiveV2({ client, maxWaitTime: 30 }, { FunctionName: name });
  }

  /** Answers or throws as the SDK does. */
  async invoke(name: string, event: unknown = {}, gateway?: string): Promise<Invoked> {
    const command = new sdk.InvokeCommand({ FunctionName: name, Payload: JSON.stringify(event) });
    const { StatusCode = 0, FunctionError = null, Payload } = await this.client(gateway).send(command);
    const text = Payload?.transformToString() ?? '';
    return { status: StatusCode, functionError: FunctionError, value: text === '' ? null : JSON.parse(text) };
  }

  /** The value of an invocation that succeeds. */
  async call(name: string, event: unknown = {}, gateway?: string): Promise<any> {
    const { functionError, value } = await this.invoke(name, event, gateway);
    if (functionError !== null) throw new Error(`${name}: ${functionError} ${JSON.stringify(value)}`);
    return value;
  }

  async callAsynchronously(name: string, event: unknown = {}, gateway?: string): Promise<void> {
    const command = new sdk.InvokeCommand({
      FunctionName: name,
      InvocationType: 'Event',
      Payload: JSON.stringify(event),
    });
    await this.client(gateway).send(command);
  }

  /** What its gateway answers to who has the key. */
  async get(target: string, gateway = 'g1'): Promise<string> {
    const host = `${this.hosts.address(gateway)}:${PORTS.http}`;
    const as = { region: 'us-east-1', nowMs: Date.now() };
    const headers = sign({ method: 'GET', target, headers: { host } }, '', KEY, as);
    const answer = await fetch(`http://${host}${target}`, { headers });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${target}: ${answer.status} ${text}`);
    return text;
  }

  /** A folder on the disk that all hosts share. */
  folder(): string {
    return this.#folder;
  }

  /** What each process wrote to stderr, for the message of a test that fails. */
  logs(): string {
    return [...this.processes].map(([name, each]) => `--- ${name}\n${each.stderr()}`).join('\n');
  }

  /** Asks all to stop that run, gateways first, then ends the hosts. Fails where one of them does not end well. */
  async end(): Promise<void> {
    for (const client of this.#clients.values()) client.destroy();
    const order = ['g', 'w', 's'];
    const running = [...this.processes].filter(([, each]) => each.isRunning);
    const codes: [string, number | null][] = [];
    for (const kind of order) {
      for (const [name, each] of running.filter(([name]) => name.startsWith(kind))) {
        each.resume();
        codes.push([name, await each.stop()]);
      }
    }
    await this.hosts.end();
    rmSync(this.#folder, { recursive: true, force: true });
    const bad = codes.filter(([, code]) => code !== 0);
    if (bad.length > 0) throw new Error(`ended with ${JSON.stringify(bad)}\n${this.logs()}`);
  }

  /** The file of a node's own, such as its data folder. */
  #file(name: string): string {
    return path.join(this.#folder, name);
  }

  #makeJoinFiles(): void {
    const perch = (...args: string[]): void => {
      execFileSync(process.execPath, [MAIN, 'cluster', ...args], {
        cwd: this.#folder,
        stdio: ['ignore', 'pipe', 'pipe'],
      });
    };
    const folder = this.#file('authority');
    perch('init', '--name', 'test', '--folder', folder);
    const roles = { s: 'scheduler', w: 'worker', g: 'gateway' } as const;
    for (const kind of ['s', 'w', 'g'] as const) {
      for (const name of this.names(kind)) {
        const address = this.hosts.address(kind === 's' ? 's1' : name);
        perch('add', name, '--roles', roles[kind], '--address', address, '--folder', folder);
      }
    }
  }

  #words(command: string, name: string, options: Readonly<Record<string, string>>): string[] {
    const all = {
      join: this.#file(`${name}.join`),
      revoked: this.#file('revoked'),
      'log-level': this.#options.logLevel ?? 'info',
      ...options,
    };
    return [command, '--json', ...Object.entries(all).flatMap(([option, value]) => [`--${option}`, value])];
  }

  #schedulerWords(name: string): string[] {
    return this.#words('scheduler', name, { listen: `0.0.0.0:${PORTS.scheduler}` });
  }

  #workerWords(name: string): string[] {
    const { sandbox = 'bubblewrap', cores = '0-1', memoryMb = 4096 } = this.#options;
    return this.#words('worker', name, {
      scheduler: `${this.hosts.address('s1')}:${PORTS.scheduler}`,
      store: `${this.hosts.address('g1')}:${PORTS.gateway}`,
      listen: `${this.hosts.address(name)}:${PORTS.worker}`,
      data: this.#file(`${name}-data`),
      cores,
      // Cores are held by those who sleep.
      sharing: 'dedicated',
      memory: String(memoryMb),
      sandbox,
    });
  }

  #gatewayWords(name: string): string[] {
    const address = this.hosts.address(name);
    return this.#words('gateway', name, {
      scheduler: `${this.hosts.address('s1')}:${PORTS.scheduler}`,
      listen: `${address}:${PORTS.gateway}`,
      ...(name === 'g1' ? {} : { store: `${this.hosts.address('g1')}:${PORTS.gateway}` }),
      host: address,
      port: String(PORTS.http),
      data: this.#file(`${name}-data`),
      keys: this.#file('keys'),
    });
  }
}

/** All of it, up and joined; a second scheduler is not started. */
export async function startCluster(options: ClusterOptions = {}): Promise<HostCluster> {
  const cluster = new HostCluster(options);
  try {
    await cluster.start('s1');
    for (const name of cluster.names('g')) await cluster.start(name);
    await Promise.all(cluster.names('w').map((name) => cluster.start(name)));
    return cluster;
  } catch (error) {
    await cluster.end().catch(() => undefined);
    throw error;
  }
}

export function readLines(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n').filter(Boolean);
  } catch {
    return [];
  }
}
