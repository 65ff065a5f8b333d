/**
 * A platform as a child process: `perch up` on a free port with a data folder that goes when it ends. It ends with this process, however that
 * ends: a channel is between the two, and `perch up` stops when it closes (stop-signal.ts).
 */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { CliError, EXIT } from './exit-codes.ts';
import { makeTemporaryData } from './temporary-data.ts';

export interface PlatformProcess {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

const STDERR_KEPT_CHARS = 4000;
/** Of `perch up`, set for every platform here. */
export const OWN_OPTIONS = ['--port', '--data', '--json'] as const;
const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** `args` are added to those of `perch up`. Its stderr is kept for the message, should it not come up. */
export async function startPlatform(args: readonly string[]): Promise<PlatformProcess> {
  let stopping: Promise<void> | null = null;
  let isTold = false;
  const stop = (): Promise<void> => (stopping ??= stopOnce());
  const end = (signal: NodeJS.Signals): void => {
    isTold = true;
    child.kill('SIGTERM'); // said again later, it does not wait any more
    void stop().finally(() => process.exit(signal === 'SIGINT' ? 130 : 143));
  };
  // From before the folder is there until it is gone: a signal that nobody listens to ends this process in between.
  for (const signal of SIGNALS) process.on(signal, end);
  const folder = makeTemporaryData();
  const main = process.argv[1] ?? '';
  const child = spawn(process.execPath, [main, 'up', '--port', '0', '--data', folder, '--json', ...args], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const stopOnce = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
    await exited;
    rmSync(folder, { recursive: true, force: true });
    if (!isTold) for (const signal of SIGNALS) process.off(signal, end); // else until the exit, which comes now
  };
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
      // It may have been given an option with which it says something else.
      if (!line.startsWith('{')) continue;
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
