import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { regroupSessions, type SessionFiles, ungroupSessions } from '../../../src/worker/sandbox/sessions.ts';

const SOURCE = fileURLToPath(new URL('../../../src/worker/sandbox/sessions.ts', import.meta.url));
const inWay = (): boolean => true;

/** A folder in the place of the kernel's setting and of what platforms note. */
function filesWith(t: TestContext, setting: string): SessionFiles {
  const folder = mkdtempSync(path.join(tmpdir(), 'perch-sessions-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const files = { setting: path.join(folder, 'setting'), notes: path.join(folder, 'notes') };
  if (setting !== '') writeFileSync(files.setting, setting);
  return files;
}

const read = ({ setting }: SessionFiles): string => readFileSync(setting, 'utf8').trim();

/** Another platform that comes, and is killed or goes. */
function other(files: SessionFiles, goes: boolean): void {
  const script = `import { ungroupSessions } from ${JSON.stringify(SOURCE)};
const held = ungroupSessions(${JSON.stringify(files)}, () => true);
if (${goes}) held.release(); else process.kill(process.pid, 'SIGKILL');`;
  const { signal, status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script]);
  assert.ok(goes ? status === 0 : signal === 'SIGKILL', String(stderr));
}

test('it is off while a platform needs that, and put back', (t) => {
  const files = filesWith(t, '1\n');
  const held = ungroupSessions(files, inWay);
  assert.deepEqual([held.isDone, held.isNew, read(files)], [true, true, '0']);
  held.release();
  assert.equal(read(files), '1');
  assert.ok(!existsSync(files.notes), 'nothing is left');
});

test('what is off, is not there, or is not in the way, is left as it is', (t) => {
  for (const [setting, isInWay] of [
    ['0\n', true],
    ['', true],
    ['1\n', false],
  ] as const) {
    const files = filesWith(t, setting);
    const held = ungroupSessions(files, () => isInWay);
    assert.deepEqual([held.isDone, held.isNew], [true, false]);
    held.release();
    assert.equal(existsSync(files.setting) ? readFileSync(files.setting, 'utf8') : '', setting);
    assert.ok(!existsSync(files.notes));
  }
});

test('of two platforms the last one puts it back', (t) => {
  const files = filesWith(t, '1\n');
  const held = ungroupSessions(files, inWay);
  other(files, true);
  assert.equal(read(files), '0', 'the other one has come and gone');
  held.release();
  assert.equal(read(files), '1');
});

test('who is killed has it put back by the next one that goes', (t) => {
  const files = filesWith(t, '1\n');
  other(files, false);
  assert.equal(read(files), '0');
  const held = ungroupSessions(files, inWay);
  assert.deepEqual([held.isDone, held.isNew], [true, false]);
  held.release();
  assert.equal(read(files), '1');
  assert.ok(!existsSync(files.notes));
});

test('who is killed has it put back by one that comes and does not need it off, unless another one does', (t) => {
  const files = filesWith(t, '1\n');
  regroupSessions(files);
  assert.ok(!existsSync(files.notes), 'nothing was to be done');
  other(files, false);
  regroupSessions(files);
  assert.equal(read(files), '1');
  assert.ok(!existsSync(files.notes));
  const held = ungroupSessions(files, inWay);
  other(files, false);
  regroupSessions(files);
  assert.equal(read(files), '0', 'one of two was killed');
  held.release();
  assert.equal(read(files), '1');
});

test('what somebody else has changed meanwhile stays', (t) => {
  const files = filesWith(t, '1\n');
  const held = ungroupSessions(files, inWay);
  writeFileSync(files.setting, '1\n');
  held.release();
  assert.equal(read(files), '1');
  const again = ungroupSessions(files, inWay);
  writeFileSync(files.setting, '2');
  again.release();
  assert.equal(read(files), '2');
});

test('a note of a process id that another one has now keeps nothing', (t) => {
  const files = filesWith(t, '0');
  mkdirSync(files.notes);
  writeFileSync(path.join(files.notes, 'was-on'), '');
  writeFileSync(path.join(files.notes, `${process.ppid}-1`), '');
  const held = ungroupSessions(files, inWay);
  held.release();
  assert.equal(read(files), '1');
});

test('where it may not be changed, that is said, and nothing is noted', (t) => {
  const files = filesWith(t, '1\n');
  writeFileSync(files.notes, 'no folder');
  const held = ungroupSessions(files, inWay);
  assert.deepEqual([held.isDone, held.isNew, read(files)], [false, false, '1']);
  held.release();
  rmSync(files.notes);
  mkdirSync(files.notes);
  assert.deepEqual(readdirSync(files.notes), []);
});
