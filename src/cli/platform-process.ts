/** A platform as a child process: `perch up` on a free port with a data folder that goes when it ends. */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { CliError, EXIT } from './exit-codes.ts';

export interface PlatformProcess {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

const STDERR_KEPT_CHARS = 4000;
const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** `args` are added to those of `perch up`. Its stderr is kept for the message, should it not come up. */
export async function startPlatform(args: readonly string[]): Promise<PlatformProcess> {
  const folder = mkdtempSync(join(tmpdir(), 'perch-demo-'));
  const main = process.argv[1] ?? '';
  const child = spawn(process.execPath, [main, 'up', '--port', '0', '--data', folder, '--json', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const end = (signal: NodeJS.Signals): void =>
    void stop().finally(() => process.exit(signal === 'SIGINT' ? 130 : 143));
  const stop = async (): Promise<void> => {
    for (const signal of SIGNALS) process.off(signal, end);
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
    await exited;
    rmSync(folder, { recursive: true, force: true });
  };
  for (const signal of SIGNALS) process.once(signal, end);
  try {
    return { url: await readUrl(child), pid: child.pid ?? 0, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function readUrl(child: ChildProcess): Promise<string> {
  let stderr = '';
  child.stderr?.on('data', (chunk: Buffer) => (stderr = (stderr + chunk.toString()).slice(-STDERR_KEPT_CHARS)));
  if (child.stdout !== null) {
    for await (const line of createInterface({ input: child.stdout })) {
      const { url } = JSON.parse(line) as { url?: unknown };
      if (typeof url !== 'string') continue;
      child.stdout.resume(); // leaving the loop pauses it, and a full pipe would stop the platform
      return url;
    }
  }
  throw new CliError(
    EXIT.functionFailed,
    "the platform did not start; 'perch doctor' says what this machine lacks",
    stderr,
  );
}
