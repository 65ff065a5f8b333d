/**
 * The platform that is measured: `perch up` with one CPU of this machine for itself and for the load generator, and the others, four at
 * most, for functions. Where a machine has two CPUs that is one core for functions.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { readTopology } from '../../../src/worker/agent/topology.ts';
import { type PerchServer, perchServer } from '../servers.ts';
import { BURN_SOURCE, type LoadInput, type PlannedInvocation, type SeenInvocation } from './load.ts';

const LOAD = fileURLToPath(new URL('load-process.ts', import.meta.url));
const CORES_MAX = 4;
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;

export class CalibratedPlatform {
  /** Cores for functions. */
  readonly coreCount: number;
  readonly perch: PerchServer;
  readonly #loadCpu: number;
  readonly #port: number;
  readonly #path: string;

  private constructor(perch: PerchServer, functionUrl: string, cpus: { load: number; coreCount: number }) {
    const { port, pathname } = new URL(functionUrl);
    this.perch = perch;
    this.coreCount = cpus.coreCount;
    this.#loadCpu = cpus.load;
    this.#port = Number(port);
    this.#path = pathname;
  }

  static async start(): Promise<CalibratedPlatform> {
    const topology = readTopology(null);
    const [own, ...cores] = topology instanceof Error ? [] : topology.cores;
    const functionCores = cores.slice(0, CORES_MAX);
    if (own === undefined || functionCores.length === 0)
      throw new Error('two CPUs are needed: one for functions, one for the platform and the load');
    // As the policy that is set beside it: nobody shares.
    const perch = await perchServer(['--sharing', 'dedicated', '--cores', functionCores.flat().join(',')]);
    try {
      const url = await perch.deploy('burn', BURN_SOURCE, { Timeout: 60 });
      return new CalibratedPlatform(perch, url, { load: own[0]!, coreCount: functionCores.length });
    } catch (error) {
      await perch.stop('SIGKILL');
      throw error;
    }
  }

  /** Null: some were refused, since others had so much of the machine that they waited too long. */
  async play(plan: readonly PlannedInvocation[]): Promise<readonly SeenInvocation[] | null> {
    const input: LoadInput = { port: this.#port, path: this.#path, plan };
    const args = ['-c', String(this.#loadCpu), process.execPath, LOAD];
    const running = promisify(execFile)('taskset', args, { maxBuffer: OUTPUT_BYTES_MAX });
    running.child.stdin!.end(JSON.stringify(input));
    return JSON.parse((await running).stdout) as SeenInvocation[] | null;
  }

  /** An instance for each core, compiled code on both sides. */
  async warmUp(isSmoke: boolean): Promise<void> {
    await this.play(atOnce(this.coreCount * (isSmoke ? 2 : 50), 2000));
  }

  async stop(): Promise<void> {
    await this.perch.stop();
  }
}

export function atOnce(count: number, demandUs: number): readonly PlannedInvocation[] {
  return Array.from({ length: count }, () => ({ atUs: 0, demandUs }));
}
