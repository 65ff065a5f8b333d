/**
 * Clusters and single machines of real processes on hosts of their own (network namespaces of this machine), and a client
 * on the host of the gateway.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { addNode, Authority, initAuthority } from '../../../src/cluster/identity/authority.ts';
import type { Role } from '../../../src/cluster/identity/names.ts';
import type { Hosts } from '../../../test/cluster/hosts/hosts.ts';
import type { HostProcess } from '../../../test/cluster/hosts/process.ts';
import { makeZip } from '../../../test/lib/zip.ts';
import { Line } from './line.ts';

const MAIN = fileURLToPath(new URL('../../../src/cli/main.ts', import.meta.url));
const PORTS = { scheduler: 9401, worker: 9402, gateway: 9403 } as const;
/** Of every gateway, on its own host. */
export const HTTP_PORT = 9000;
const LOOPBACK = '127.0.0.1';
const FUNCTIONS = '/2015-03-31/functions';

/** On which host each of them is. */
export type Placement = Readonly<Record<Role, string>>;

export interface NodeOptions {
  /** CPUs for functions; all without. */
  readonly cores?: string;
  /** The CPU of everything but functions; absent: any. */
  readonly cpu?: number;
}

/** What answers HTTP on a host, whatever it is made of. */
export interface Platform {
  readonly host: string;
  /** By role, or 'up'. */
  readonly processes: ReadonlyMap<string, HostProcess>;
  /** On the gateway's own host. */
  connect(): Promise<Socket>;
  stop(): Promise<void>;
}

/** Join files, and the folder that all hosts share. */
export class Workplace {
  readonly hosts: Hosts;
  readonly #folder = mkdtempSync(path.join(tmpdir(), 'perch-bench-hosts-'));
  #authority: Authority | null = null;
  #count = 0;

  constructor(hosts: Hosts) {
    this.hosts = hosts;
  }

  async joinFile(host: string, roles: readonly Role[]): Promise<string> {
    if (this.#authority === null) {
      const made = await initAuthority(this.file('authority'), 'bench', Date.now());
      if (!(made instanceof Authority)) throw new Error(made.message);
      this.#authority = made;
    }
    const name = `${roles.join('-')}-${this.#count++}`;
    const node = { name, roles, addresses: [this.hosts.address(host)], days: undefined, renew: false };
    const out = this.file(`${name}.join`);
    const added = await addNode(this.#authority, { ...node, out }, Date.now());
    if ('message' in added) throw new Error(added.message);
    return out;
  }

  file(name: string): string {
    return path.join(this.#folder, name);
  }

  dataFolder(): string {
    return this.file(`data-${this.#count++}`);
  }

  async start(host: string, words: readonly string[], cpu?: number): Promise<HostProcess> {
    if (cpu === undefined) return this.hosts.start(host, words);
    const args = ['-c', String(cpu), process.execPath, MAIN, ...words];
    return this.hosts.start(host, args, { program: 'taskset' });
  }

  async end(): Promise<void> {
    await this.hosts.end();
    rmSync(this.#folder, { recursive: true });
  }
}

export async function startCluster(
  place: Workplace,
  placement: Placement,
  { cores, cpu }: NodeOptions,
): Promise<Platform> {
  const { hosts } = place;
  const at = (role: Role): string => `${hosts.address(placement[role])}:${PORTS[role]}`;
  const processes = new Map<string, HostProcess>();
  const start = async (role: Role, words: readonly string[]): Promise<void> => {
    const join = await place.joinFile(placement[role], [role]);
    const all = [role, '--json', '--join', join, '--listen', at(role), '--log-level', 'warn', ...words];
    // A worker pins itself: what it may use is what it may give to functions.
    processes.set(role, await place.start(placement[role], all, role === 'worker' ? undefined : cpu));
  };
  await start('scheduler', []);
  const http = ['--host', LOOPBACK, '--port', String(HTTP_PORT)];
  await start('gateway', ['--scheduler', at('scheduler'), ...http, '--data', place.dataFolder()]);
  const own = cores === undefined ? [] : ['--cores', cores];
  const elsewhere = ['--scheduler', at('scheduler'), '--store', at('gateway')];
  await start('worker', [...elsewhere, '--data', place.dataFolder(), ...own]);
  return platform(place, placement.gateway, processes);
}

/** `perch up`. */
export async function startSingle(place: Workplace, host: string, { cores }: NodeOptions): Promise<Platform> {
  const own = cores === undefined ? [] : ['--cores', cores];
  const words = ['up', '--json', '--log-level', 'warn', '--port', String(HTTP_PORT), ...own];
  const up = await place.start(host, [...words, '--data', place.dataFolder()]);
  return platform(place, host, new Map([['up', up]]));
}

function platform(place: Workplace, host: string, processes: ReadonlyMap<string, HostProcess>): Platform {
  return {
    host,
    processes,
    connect: () => place.hosts.within(host, () => connect({ host: LOOPBACK, port: HTTP_PORT })),
    stop: async () => {
      for (const name of ['up', 'gateway', 'worker', 'scheduler']) await processes.get(name)?.stop();
    },
  };
}

/** Returns the path that invokes it, once it has been invoked. */
export async function deploy(to: Platform, name: string, source: string): Promise<string> {
  const line = await Line.open(await to.connect());
  try {
    const body = JSON.stringify({
      FunctionName: name,
      Runtime: 'nodejs24.x',
      Handler: 'index.handler',
      Role: 'arn:aws:iam::000000000000:role/perch',
      Code: { ZipFile: (await makeZip({ 'index.mjs': source })).toString('base64') },
    });
    const created = await line.post(FUNCTIONS, body);
    if (created.status !== 201) throw new Error(`deploying ${name}: ${created.status} ${created.body}`);
    const where = `${FUNCTIONS}/${name}/invocations`;
    const invoked = await line.post(where);
    if (invoked.status !== 200) throw new Error(`${name}: ${invoked.status} ${invoked.body}`);
    return where;
  } finally {
    line.close();
  }
}
