/** Perch as a process of its own whose CPU time is counted, and what the benchmarks of starts ask of it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { makeZip } from '../../../test/lib/zip.ts';
import { type CpuMeter, makeCpuMeter } from '../cpu-time.ts';
import { type PerchServer, perchServer } from '../servers.ts';
import { Client } from './client.ts';
import type { Language } from './languages.ts';

export interface Deployment {
  readonly name: string;
  readonly language: Language;
  readonly source: string;
  readonly isolation?: 'reuse' | 'fresh';
  readonly publish?: boolean;
}

const CONNECTIONS_MAX = 4096;
/** Of each runtime, as the platform keeps them. */
const CELL_COUNT = 2;
const POLL_MS = 10;
const WAIT_MS = 60_000;

export class BenchPlatform {
  readonly client = new Client(CONNECTIONS_MAX);
  readonly #perch: PerchServer;
  readonly #meter: CpuMeter | null;

  private constructor(perch: PerchServer, meter: CpuMeter | null) {
    this.#perch = perch;
    this.#meter = meter;
  }

  static async start(args: readonly string[] = [], prefix: readonly string[] = []): Promise<BenchPlatform> {
    const meter = makeCpuMeter();
    return new BenchPlatform(await perchServer(args, [...(meter?.prefix ?? []), ...prefix]), meter);
  }

  get pid(): number {
    return this.#perch.pid;
  }

  /** So far; NaN where this machine does not let us count it. */
  cpuUs(): number {
    return this.#meter?.usedUs() ?? NaN;
  }

  /** Returns the URL that invokes it. */
  async create({ name, language, source, isolation, publish }: Deployment): Promise<string> {
    const zip = await makeZip({ [language.file]: source });
    await this.api('POST', '/2015-03-31/functions', {
      FunctionName: name,
      Runtime: language.runtime,
      Handler: 'index.handler',
      Role: 'arn:aws:iam::000000000000:role/perch',
      Code: { ZipFile: zip.toString('base64') },
      Environment: { Variables: isolation === undefined ? {} : { PERCH_ISOLATION: isolation } },
      Publish: publish === true,
    });
    return `${this.#perch.url}/2015-03-31/functions/${name}/invocations`;
  }

  async remove(name: string): Promise<void> {
    await this.api('DELETE', `/2015-03-31/functions/${name}`);
  }

  async api(method: string, where: string, body?: unknown): Promise<unknown> {
    const sent = body === undefined ? {} : { body: JSON.stringify(body) };
    const response = await fetch(`${this.#perch.url}${where}`, { method, ...sent });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${where}: ${response.status} ${text}`);
    return text === '' ? null : JSON.parse(text);
  }

  /** A metric's value, for all its labels together unless one is named. */
  async metric(name: string, label = ''): Promise<number> {
    const text = await (await fetch(`${this.#perch.url}/metrics`)).text();
    const lines = text.split('\n').filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
    const chosen = label === '' ? lines : lines.filter((line) => line.includes(`"${label}"`));
    return chosen.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
  }

  /** Until all stem cells of the language wait. */
  async cellsReady(language: Language): Promise<void> {
    const thereAre = async (): Promise<boolean> => (await this.metric('perch_cells', language.label)) >= CELL_COUNT;
    await until(thereAre, `stem cells of ${language.name}`);
  }

  async stop(): Promise<void> {
    this.client.close();
    await this.#perch.stop();
    await this.#meter?.close();
  }
}

export async function until(isThere: () => Promise<boolean>, what: string): Promise<void> {
  const endMs = performance.now() + WAIT_MS;
  while (!(await isThere())) {
    if (performance.now() > endMs) throw new Error(`${what}: not there within ${WAIT_MS / 1000} s`);
    await sleep(POLL_MS);
  }
}
