/** Runs the other suites once more as an ordinary user, which is how most people try Perch first. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, chownSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { findTool } from '../../../src/worker/sandbox/tools.ts';
import { noBubblewrap, ROOT_ONLY } from './harness.ts';

const USER = 54_321;
const setpriv = findTool('setpriv');

interface Run {
  readonly status: number;
  readonly text: string;
}

function runAsUser(args: readonly string[], folder: string): Promise<Run> {
  const user = ['--reuid', String(USER), '--regid', String(USER), '--clear-groups'];
  const env = { PATH: '/usr/bin:/bin', TMPDIR: folder, HOME: folder };
  return new Promise((resolve) => {
    execFile(
      setpriv,
      [...user, process.execPath, ...args],
      { env, cwd: '/', maxBuffer: 1e8 },
      (error, stdout, stderr) => {
        resolve({ status: error === null ? 0 : Number(error.code ?? 1), text: stdout + stderr });
      },
    );
  });
}

for (const name of ['backends', 'isolation']) {
  test(`${name}.test.ts as an ordinary user`, { skip: ROOT_ONLY || noBubblewrap }, async (t) => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'perch-user-'));
    chownSync(folder, USER, USER);
    try {
      const file = fileURLToPath(new URL(`./${name}.test.ts`, import.meta.url));
      const check = fileURLToPath(new URL('../../../src/worker/sandbox/bubblewrap/check.ts', import.meta.url));
      const probe = await runAsUser(
        [
          '--input-type=module',
          '-e',
          `
        const { checkMachine } = await import(${JSON.stringify(check)});
        const bad = (await checkMachine()).filter((finding) => finding.required && !finding.ok);
        console.log(JSON.stringify(bad));`,
        ],
        folder,
      );
      if (probe.status !== 0 || probe.text.trim() !== '[]') {
        t.skip(`ORDINARY USERS CANNOT RUN THIS HERE: ${probe.text.slice(0, 400)}`);
        return;
      }
      const run = await runAsUser(['--test', '--test-reporter=tap', file], folder);
      assert.equal(run.status, 0, run.text);
      t.diagnostic(/# pass \d+/.exec(run.text)?.[0] ?? '');
      t.diagnostic(/# skipped \d+/.exec(run.text)?.[0] ?? '');
      assert.ok(Number(/# pass (\d+)/.exec(run.text)?.[1]) >= 10, run.text);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
}
