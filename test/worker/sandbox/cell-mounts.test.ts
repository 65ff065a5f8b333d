import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { Cells } from '../../../src/worker/sandbox/bubblewrap/cells.ts';
import { CellMounts } from '../../../src/worker/sandbox/bubblewrap/cell-mounts.ts';
import type { Staging } from '../../../src/worker/sandbox/bubblewrap/staging.ts';
import type { CgroupTree } from '../../../src/worker/sandbox/cgroup/cgroup.ts';
import { libc } from '../../../src/worker/sandbox/libc.ts';
import { FAKE_CELL } from './fake-cell.ts';

const CLONE_NEWNS = 0x20000;
const MS_REC_SLAVE = (1 << 14) | (1 << 19);
const MEMORY_TREE = { memory: true, pids: true, slot: () => ({}) } as unknown as CgroupTree;
const isRoot = process.getuid?.() === 0;

test(
  'a slot whose cell could not be started takes the next one',
  { skip: isRoot ? false : 'SKIPPED: needs root' },
  () => {
    assert.equal(libc?.unshare(CLONE_NEWNS), 0);
    assert.equal(libc?.mount('none', '/', null, MS_REC_SLAVE, null), 0);
    const root = mkdtempSync(path.join(os.tmpdir(), 'perch-cell-mounts-'));
    const code = path.join(root, 'code');
    mkdirSync(code);
    writeFileSync(path.join(code, 'index.js'), '');
    const mounts = new CellMounts(path.join(root, 'cells'));
    // One that nobody removes, since there was no sandbox to end; and one whose folders were not all made.
    mounts.make(3);
    mkdirSync(path.join(root, 'cells', '4', 'opt'), { recursive: true });
    assert.throws(() => mounts.make(4));
    rmSync(path.join(root, 'cells', '4'), { recursive: true });
    for (const slot of [3, 4]) {
      const place = mounts.make(slot);
      mounts.fill(slot, code, '');
      assert.deepEqual(readdirSync(place.code), ['index.js']);
      mounts.remove(slot);
      assert.equal(existsSync(path.dirname(place.code)), false);
    }
    assert.deepEqual(readdirSync(code), ['index.js']);
    rmSync(root, { recursive: true });
  },
);

test(
  'a cell whose sandbox cannot be started leaves no mounts',
  { skip: isRoot ? false : 'SKIPPED: needs root' },
  () => {
    assert.equal(libc?.unshare(CLONE_NEWNS), 0);
    assert.equal(libc?.mount('none', '/', null, MS_REC_SLAVE, null), 0);
    const folder = mkdtempSync(path.join(os.tmpdir(), 'perch-cells-'));
    const cells = Cells.open({ folder } as Staging, MEMORY_TREE, true);
    if (typeof cells === 'string') assert.fail(cells);
    const spec = { ...FAKE_CELL, slot: 3 };
    const paths = { runtimeDir: '/r', interpreter: '/i' };
    const faults: (() => string)[] = [
      () => 'no more sand',
      () => {
        throw new Error('no more sand');
      },
    ];
    for (const spawn of faults) {
      assert.throws(() => cells.start(spec, paths, spawn), /no more sand/);
      assert.deepEqual(readdirSync(path.join(folder, 'cells')), []);
    }
    rmSync(folder, { recursive: true });
  },
);
