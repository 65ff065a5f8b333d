import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { startTime } from '../../src/worker/sandbox/identity.ts';

const GUARD = new URL('./guard.ts', import.meta.url).href;
const LEAVES = fileURLToPath(new URL('./fixtures/leaves.ts', import.meta.url));

test('a file that does not end after its tests is ended, and what it has left running is named and killed', async () => {
  const args = ['--import', GUARD, '--test', '--test-reporter=spec', LEAVES];
  const { status, stdout } = spawnSync(process.execPath, args, {
    // A run of its own, and no part of this one.
    env: { ...process.env, NODE_TEST_CONTEXT: undefined, PERCH_TEST_PATIENCE_MS: '200' },
    encoding: 'utf8',
    timeout: 60_000,
  });
  assert.equal(status, 1, stdout);
  const left = /left running: (\d+) sleep 1000/.exec(stdout)?.[1];
  assert.ok(left !== undefined, stdout);
  while (startTime(Number(left)) !== 0) await new Promise((resolve) => setTimeout(resolve, 20));
});
