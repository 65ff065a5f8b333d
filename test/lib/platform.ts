/** A real platform for tests: `perch up` as a child process, on a free port, with a data folder of its own. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';

const PERCH = path.resolve(import.meta.dirname, '../../bin/perch');
const STDERR_KEPT_CHARACTERS = 16_000;

export interface TestPlatform {
  readonly url: string;
  readonly pid: number;
  readonly dataDir: string;
  /** What it wrote to stderr so far, the last part. */
  stderr(): string;
  /**
   * SIGTERM, unless told otherwise; resolves when it is gone, with its exit code, or null where a signal ended it.
   * Removes the data folder if the helper made it.
   */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

export interface TestPlatformOptions {
  /** More arguments of `perch up`. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Keep using this folder; it is not removed. */
  readonly dataDir?: string;
}

/** With PERCH_TEST_CLUSTER=1 a scheduler, a gateway and a worker, in place of the one process. */
export async function startTestPlatform(options: TestPlatformOptions = {}): Promise<TestPlatform> {
  if (process.env['PERCH_TEST_CLUSTER'] === '1') return startAsCluster(options);
  const dataDir = options.dataDir ?? mkdtempSync(path.join(tmpdir(), 'perch-test-'));
  const args = ['up', '--port', '0', '--data', dataDir, '--json', ...(options.args ?? [])];
  const child = spawn(PERCH, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...options.env } });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr = (stderr + chunk.toString()).slice(-STDERR_KEPT_CHARACTERS);
  });
  const exited = once(child, 'exit');
  const stop = async (signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    await exited;
    if (options.dataDir === undefined) rmSync(dataDir, { recursive: true, force: true });
    return child.exitCode;
  };
  const url = await readUrl(child);
  if (url === null) {
    await stop();
    throw new Error(`perch ${args.join(' ')} did not come up:\n${stderr}`);
  }
  return { url, pid: child.pid ?? 0, dataDir, stderr: () => stderr, stop };
}

/** What `perch up` is told is for its worker or for its gateway. */
const OF_WORKER: ReadonlySet<string> = new Set(['--memory', '--cores', '--sandbox', '--code-cache-mb', '--sharing']);

async function startAsCluster({ args = [], dataDir }: TestPlatformOptions): Promise<TestPlatform> {
  assert.equal(dataDir, undefined, 'a cluster for tests keeps no data folder');
  const gatewayArgs: string[] = [];
  const workerArgs: string[] = args.includes('--sandbox') ? [] : ['--sandbox', 'bubblewrap'];
  for (let at = 0; at < args.length; at += 2)
    (OF_WORKER.has(args[at]!) ? workerArgs : gatewayArgs).push(...args.slice(at, at + 2));
  const { startClusterPlatform } = await import('./cluster-platform.ts');
  const cluster = await startClusterPlatform({ gatewayArgs, workerArgs });
  const [gateway] = cluster.gateways;
  const stop = async (): Promise<number | null> => {
    await cluster.stop();
    return gateway!.child.exitCode;
  };
  const { url, child, stderr } = gateway!;
  return { url, pid: child.pid ?? 0, dataDir: cluster.folder, stderr, stop };
}

/** From the line that it prints once it is ready; null if it ended without. */
async function readUrl(child: ChildProcess): Promise<string | null> {
  if (child.stdout === null) return null;
  const lines = createInterface({ input: child.stdout });
  for await (const line of lines) {
    const { url } = JSON.parse(line) as { url?: unknown };
    if (typeof url === 'string') {
      child.stdout.resume();
      return url;
    }
  }
  return null;
}
