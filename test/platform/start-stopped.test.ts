/** Told to stop while it starts: `perch up` leaves the machine as it was, as after any other stop. And what one that was killed has left. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { cgroupsOf } from '../lib/cgroups.ts';
import { startTestPlatform } from '../lib/platform.ts';
import { noBubblewrap, ROOT_ONLY, until } from '../worker/sandbox/harness.ts';

const PERCH = path.resolve(import.meta.dirname, '../../bin/perch');
const NOTES = '/run/perch-sessions';
const skip = noBubblewrap || ROOT_ONLY;

/** The notes of those that have the kernel's autogroup switched off. */
const notesOf = (pid: number): string[] =>
  existsSync(NOTES) ? readdirSync(NOTES).filter((name) => name.startsWith(`${pid}-`)) : [];

function start(t: TestContext): { child: ChildProcess; pid: number; said: () => string } {
  const data = mkdtempSync(path.join(tmpdir(), 'perch-test-'));
  t.after(() => rmSync(data, { recursive: true, force: true }));
  // A group of its own, as in a terminal.
  const child = spawn(PERCH, ['up', '--port', '0', '--data', data], { stdio: 'pipe', detached: true });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  return { child, pid: child.pid!, said: () => said };
}

for (const [how, signal, whom] of [
  ['SIGTERM', 'SIGTERM', 1],
  ['^C, which its programs hear too', 'SIGINT', -1],
] as const)
  test(`${how}: it exits with 0, and nothing is left`, { skip }, async (t) => {
    const { child, pid, said } = start(t);
    const ended = once(child, 'exit');
    await until(() => cgroupsOf(pid).length > 0 || child.exitCode !== null);
    process.kill(whom * pid, signal);
    assert.deepEqual(await ended, [0, null], said());
    // Of platforms that tests beside this one have killed it removes what they left, and says so.
    const own = said()
      .split('\n')
      .filter((line) => line !== '' && !line.includes('removed the leftover cgroup'));
    assert.deepEqual(own, []);
    assert.deepEqual([cgroupsOf(pid), notesOf(pid)], [[], []]);
  });

test('what one that was killed has switched off is put back by one that shares no cores', { skip }, async (t) => {
  const killed = await startTestPlatform({ args: ['--sharing', 'lend'] });
  await killed.stop('SIGKILL');
  const next = await startTestPlatform({ args: ['--sharing', 'dedicated'] });
  t.after(() => next.stop());
  assert.deepEqual(notesOf(killed.pid), []);
});
