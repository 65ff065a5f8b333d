/** Where scheduler and store are: said once, when the cluster is made. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { perch } from '../cli/perch.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'perch-whereabouts-'));
after(() => rmSync(folder, { recursive: true }));
const authority = path.join(folder, 'authority');

async function joinFile(name: string, roles: string): Promise<string> {
  const out = path.join(folder, `${name}.join`);
  const { code, stderr } = await perch(['cluster', 'add', name, '--roles', roles, '--folder', authority, '--out', out]);
  assert.equal(code, 0, stderr);
  return out;
}

async function shown(file: string): Promise<{ scheduler?: string; store?: string }> {
  const { stdout } = await perch(['cluster', 'show', file, '--json']);
  return JSON.parse(stdout) as { scheduler?: string; store?: string };
}

test('join files say where scheduler and store are, if the authority knows', async () => {
  const whereabouts = ['--scheduler', '10.0.0.1:9401', '--store', '[fd00::1]:9403'];
  const made = await perch(['cluster', 'init', '--folder', authority, ...whereabouts]);
  assert.equal(made.code, 0, made.stderr);
  const { scheduler, store } = await shown(await joinFile('told', 'worker'));
  assert.deepEqual({ scheduler, store }, { scheduler: '10.0.0.1:9401', store: '[fd00::1]:9403' });

  writeFileSync(path.join(authority, 'where'), 'scheduler box9:1\n');
  assert.equal((await shown(await joinFile('later', 'worker'))).scheduler, 'box9:1');
  writeFileSync(path.join(authority, 'where'), 'sheduler box9:1\n');
  const wrong = await perch(['cluster', 'add', 'wrong', '--roles', 'worker', '--folder', authority]);
  assert.equal(wrong.code, 4);
  assert.match(wrong.stderr, /where, line 1: it has to be 'scheduler HOST:PORT' or 'store HOST:PORT'/);
  writeFileSync(path.join(authority, 'where'), '');
});

test('a node whose join file does not say, and whose options do not, does not start', async () => {
  const file = await joinFile('untold', 'worker,gateway');
  for (const command of ['worker', 'gateway']) {
    const { code, stderr } = await perch([command, '--join', file]);
    assert.equal(code, 2);
    assert.match(stderr, /Say where the scheduler is with --scheduler HOST:PORT: the join file does not/);
  }
});

test('an address that is none is refused when the cluster is made', async () => {
  const { code, stderr } = await perch(['cluster', 'init', '--folder', `${authority}2`, '--scheduler', '10.0.0.1']);
  assert.equal(code, 2);
  assert.match(stderr, /HOST:PORT/);
});
