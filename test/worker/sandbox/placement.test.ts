import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { parseIds } from '../../../src/worker/sandbox/affinity.ts';
import { canUseBackground } from '../../../src/worker/sandbox/background.ts';
import { KeptFile, readIds } from '../../../src/worker/sandbox/cgroup/folder.ts';
import { readHierarchies } from '../../../src/worker/sandbox/cgroup/mounts.ts';
import { Placement } from '../../../src/worker/sandbox/placement.ts';
import { ungroupSessions } from '../../../src/worker/sandbox/sessions.ts';
import { until } from './harness.ts';

test('of nobody nothing is changed, and it says so', () => {
  const nobody = new Placement(() => []);
  assert.equal(nobody.background(true), false);
  assert.equal(nobody.pin([0]), false);
  assert.equal(nobody.place([0], true), false);
});

test('both are done in one pass, and what is so already is not done again', async (t) => {
  // As a platform does that shares cores.
  const sessions = ungroupSessions();
  t.after(() => sessions.release());
  const child = await idle();
  let listed = 0;
  const placement = new Placement(() => {
    listed++;
    return tasksOf(child);
  });
  try {
    if (!canUseBackground() || !placement.pin([0])) return t.skip('THIS MACHINE CANNOT PIN, OR KNOWS NO BACKGROUND');
    listed = 0;
    assert.ok(placement.place([0], true));
    assert.equal(listed, 2);
    assert.deepEqual(placesOf(child), ['5 on 0']);
    assert.ok(placement.place([0], true) && placement.background(true) && placement.pin([0]));
    assert.equal(listed, 2);
    assert.ok(placement.place([0], false));
    assert.deepEqual(placesOf(child), ['0 on 0']);
    if (placement.pin([1])) {
      assert.deepEqual(placesOf(child), ['0 on 1']);
      assert.ok(placement.place([0], true));
      assert.deepEqual(placesOf(child), ['5 on 0']);
      assert.ok(placement.place([1], false));
      assert.deepEqual(placesOf(child), ['0 on 1']);
    }
    // It says that it could not be pinned there; the rest is done.
    assert.equal(placement.place([4000], true), false);
    assert.match(String(placesOf(child)), /^5 on \d$/);
    assert.ok(placement.place([0], false));
    assert.deepEqual(placesOf(child), ['0 on 0']);
  } finally {
    await end(child);
  }
});

test('a list that is kept open is as it is now, however long it is', async (t) => {
  const own = readHierarchies().v2?.own;
  const folder = path.join(own ?? '', `perch-test-ids-${process.pid}`);
  if (own === undefined || !made(folder)) return t.skip('NO CGROUP OF VERSION 2 CAN BE MADE HERE');
  const file = new KeptFile(path.join(folder, 'cgroup.threads'), 'r');
  const read = (): number[] => parseIds(file.read());
  assert.deepEqual(read(), []);
  // More ids than one page holds.
  const child = spawn('/usr/bin/python3', ['-c', MANY_THREADS], { stdio: ['pipe', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
  await once(child, 'spawn');
  try {
    writeFileSync(path.join(folder, 'cgroup.procs'), String(child.pid));
    for (const count of [1, 2, 700, 1200]) {
      child.stdin.write(`${count}\n`);
      await until(() => said.endsWith(`${count}\n`));
      const ids = readIds(folder, 'cgroup.threads');
      assert.equal(ids.length, count);
      assert.deepEqual(new Set(read()), new Set(ids));
    }
  } finally {
    await end(child);
  }
  assert.deepEqual(read(), []);
  rmdirSync(folder);
  assert.deepEqual(read(), [], 'its folder is gone');
  file.close();
});

const MANY_THREADS = `
import sys, threading
threading.stack_size(65536)
for line in sys.stdin:
    while threading.active_count() < int(line):
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    print(int(line), flush=True)`;

async function idle(): Promise<ChildProcess> {
  const child = spawn(process.execPath, ['-e', `console.log('there'); process.stdin.resume();`]);
  await once(child.stdout, 'data');
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL');
  await once(child, 'exit');
}

function made(folder: string): boolean {
  try {
    mkdirSync(folder);
    return true;
  } catch {
    return false;
  }
}

function tasksOf({ pid }: ChildProcess): number[] {
  return readdirSync(`/proc/${pid}/task`).map(Number);
}

/** Of all its threads, policy and CPUs, each that occurs once. */
function placesOf(child: ChildProcess): string[] {
  const places = tasksOf(child).map((id) => {
    const status = readFileSync(`/proc/${id}/status`, 'latin1');
    // Field 41 of stat, counted from the one after the name.
    const policy = /.*\)(.*)/s.exec(readFileSync(`/proc/${id}/stat`, 'latin1'))?.[1]?.split(' ')[39];
    return `${policy} on ${/Cpus_allowed_list:\s*(\S+)/.exec(status)?.[1]}`;
  });
  return [...new Set(places)];
}
