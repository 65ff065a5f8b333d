/**
 * Loaded into each test file (scripts/test.sh, test/soak/run.ts): a file that has not ended a while after its last test is ended, with what it has
 * started, and fails for it. Otherwise a test that fails before it stops its platform would keep the whole run for ever, since the
 * runner's timeout is for tests and not for files.
 */
import type { ChildProcess } from 'node:child_process';
import { subscribe } from 'node:diagnostics_channel';
import { after } from 'node:test';
import { isMainThread } from 'node:worker_threads';

/** Hooks that stop platforms run after the last test too, and have this long together. */
const PATIENCE_MS = Number(process.env['PERCH_TEST_PATIENCE_MS'] ?? 60_000);

/** Not in the runner itself, and not in threads that tests start. */
if (isMainThread && process.env['NODE_TEST_CONTEXT'] !== undefined) guard();

function guard(): void {
  const living = new Set<ChildProcess>();
  subscribe('child_process', (message) => {
    const { process: child } = message as { process: ChildProcess };
    living.add(child);
    child.once('exit', () => living.delete(child));
  });
  // Of itself the timer keeps nothing alive.
  after(() => void setTimeout(() => end(living), PATIENCE_MS).unref());
}

function end(living: ReadonlySet<ChildProcess>): never {
  const kept = process.getActiveResourcesInfo().join(' ');
  console.error(`${process.argv[1]} did not end after its tests; what keeps it: ${kept}`);
  for (const child of living) {
    // It could not be started.
    if (child.pid === undefined) continue;
    console.error(`left running: ${child.pid} ${child.spawnargs.join(' ')}`);
    child.kill('SIGKILL');
  }
  process.exit(1);
}
