import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { readKernelFile, readOpenFile } from '../../../src/worker/sandbox/kernel-file.ts';

test('a file is read whole, whatever its length, and what is not there throws', (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'perch-kernel-file-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = path.join(folder, 'file');
  for (const length of [0, 1, 2047, 2048, 4096, 16 * 1024 - 1, 16 * 1024, 16 * 1024 + 1, 100_000]) {
    writeFileSync(file, 'a line\n'.repeat(length).slice(0, length));
    assert.equal(readKernelFile(file), readFileSync(file, 'latin1'));
    const descriptor = openSync(file, 'r');
    for (let look = 0; look < 2; look++) assert.equal(readOpenFile(descriptor), readFileSync(file, 'latin1'));
    closeSync(descriptor);
  }
  assert.throws(() => readKernelFile(path.join(folder, 'none')), { code: 'ENOENT' });
});

test('of what the kernel makes up, all pages', { skip: process.platform !== 'linux' }, () => {
  const text = readKernelFile('/proc/kallsyms');
  assert.equal(text.split('\n').length, readFileSync('/proc/kallsyms', 'latin1').split('\n').length);
  assert.match(readKernelFile('/proc/self/status'), /^Name:.*\nVmHWM:/ms);
});

test(
  'of a list that is longer than a page, all of it from a file that stays open',
  { skip: process.platform !== 'linux' },
  (t) => {
    const descriptor = openSync('/proc/kallsyms', 'r');
    t.after(() => closeSync(descriptor));
    const lineCount = readFileSync('/proc/kallsyms', 'latin1').split('\n').length;
    for (let look = 0; look < 2; look++) assert.equal(readOpenFile(descriptor).split('\n').length, lineCount);
  },
);
