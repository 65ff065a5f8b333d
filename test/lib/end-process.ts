import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** Its exit code, or null where a signal ended it. */
export async function endProcess(
  { child }: { readonly child: ChildProcess },
  signal: NodeJS.Signals = 'SIGTERM',
): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const exited = once(child, 'exit');
  child.kill(signal);
  await exited;
  return child.exitCode;
}
