/** Version 2 and the reading of mounts, against folders with the kernel's file names; the real version 1 runs in backends.test.ts. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import fc from 'fast-check';
import { parseIds } from '../../../src/worker/sandbox/affinity.ts';
import { type CgroupTree, isTree } from '../../../src/worker/sandbox/cgroup/cgroup.ts';
import { removeLeftovers } from '../../../src/worker/sandbox/cgroup/folder.ts';
import { freezerFinding } from '../../../src/worker/sandbox/cgroup/open.ts';
import { parseHierarchies } from '../../../src/worker/sandbox/cgroup/mounts.ts';
import { openV2 } from '../../../src/worker/sandbox/cgroup/v2.ts';
import { isLeftover, ownName } from '../../../src/worker/sandbox/identity.ts';

let root = '';
beforeEach(() => {
  root = mkdtempSync(path.join(os.tmpdir(), 'perch-cgroup-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** A folder as the kernel would fill it. */
function kernelFolder(folder: string, files: Record<string, string>): string {
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(folder, name), text);
  return folder;
}

function openIn(parents: string[]): ReturnType<typeof openV2> {
  return openV2({ parents, name: 'perch-1-2-3-0', processCountMax: 128 });
}

function treeIn(parent: string): CgroupTree {
  kernelFolder(path.join(parent, 'perch-1-2-3-0'), { 'cgroup.controllers': 'cpu memory pids\n' });
  const opened = openIn([parent]);
  assert.ok(isTree(opened));
  return opened;
}

test('v2: hands the controllers down, twice', () => {
  const opened = treeIn(root);
  assert.deepEqual([opened.version, opened.memory, opened.pids], [2, true, true]);
  // Real files of cgroups take one command a write; the last one written is seen here.
  assert.equal(readFileSync(path.join(root, 'cgroup.subtree_control'), 'utf8'), '+pids');
  assert.equal(readFileSync(path.join(root, 'perch-1-2-3-0', 'cgroup.subtree_control'), 'utf8'), '+pids');
});

test('v2: limits of a slot', () => {
  const cgroup = treeIn(root).slot(7);
  cgroup.prepare(256);
  const folder = path.join(root, 'perch-1-2-3-0', 'slot-7');
  const read = (name: string): string => readFileSync(path.join(folder, name), 'utf8');
  assert.equal(read('memory.max'), String(256 * 1024 * 1024));
  assert.equal(read('memory.swap.max'), '0');
  assert.equal(read('memory.oom.group'), '1');
  assert.equal(read('pids.max'), '128');
  assert.deepEqual(cgroup.attachFiles, [path.join(folder, 'cgroup.procs')]);
});

test('v2: reads ids, peak and kills', () => {
  const cgroup = treeIn(root).slot(0);
  cgroup.prepare(128);
  const folder = path.join(root, 'perch-1-2-3-0', 'slot-0');
  assert.deepEqual([cgroup.processIds(), cgroup.memoryPeakBytes(), cgroup.oomKillCount()], [[], 0, 0]);
  kernelFolder(folder, {
    'cgroup.procs': '12\n345\n',
    'cgroup.threads': '12\n13\n345\n',
    'memory.peak': '1048576\n',
    'memory.events': 'low 0\nhigh 0\nmax 4\noom 1\noom_kill 3\noom_group_kill 1\n',
  });
  assert.deepEqual(cgroup.processIds(), [12, 345]);
  assert.deepEqual(cgroup.taskIds(), [12, 13, 345]);
  assert.equal(cgroup.memoryPeakBytes(), 1048576);
  assert.equal(cgroup.oomKillCount(), 3);
});

test('v2: kills the whole group at once where the kernel can', () => {
  const cgroup = treeIn(root).slot(0);
  cgroup.prepare(128);
  const folder = path.join(root, 'perch-1-2-3-0', 'slot-0');
  writeFileSync(path.join(folder, 'cgroup.kill'), '');
  cgroup.killAll();
  assert.equal(readFileSync(path.join(folder, 'cgroup.kill'), 'utf8'), '1');
});

test('freezes once, thaws once, and leaves nobody frozen behind', async () => {
  const folder = kernelFolder(path.join(root, 'perch-1-2-3-0', 'slot-0'), { 'cgroup.freeze': '0' });
  const file = path.join(folder, 'cgroup.freeze');
  const cgroup = treeIn(root).slot(0);
  const read = (): string => readFileSync(file, 'utf8');
  cgroup.freeze();
  assert.equal(read(), '1');
  writeFileSync(file, 'untouched');
  cgroup.freeze();
  assert.equal(read(), 'untouched');
  writeFileSync(file, '1');
  cgroup.thaw();
  assert.equal(read(), '0');
  cgroup.freeze();
  await cgroup.release();
  assert.ok(!existsSync(folder) || read() === '0');
});

test('without a freezer nothing happens, and the machine is told', () => {
  const opened = treeIn(root);
  assert.equal(opened.freezer, false);
  opened.slot(0).prepare(128);
  opened.slot(0).freeze();
  opened.slot(0).thaw();
  const finding = freezerFinding(opened);
  assert.deepEqual([finding.ok, finding.required], [false, false]);
  assert.match(finding.fix, /cgroup2/);
});

test('v2: without the memory controller it says what to do, and leaves nothing', () => {
  mkdirSync(path.join(root, 'own'));
  const opened = openIn([path.join(root, 'own'), path.join(root, 'absent', 'x')]);
  assert.ok(!isTree(opened));
  assert.match(opened.fix, /Delegate=yes/);
  assert.ok(!existsSync(path.join(root, 'own', 'perch-1-2-3-0')));
});

test('v2: takes the first parent that has the controller', () => {
  const second = path.join(root, 'second');
  mkdirSync(path.join(root, 'first'));
  kernelFolder(path.join(second, 'perch-1-2-3-0'), { 'cgroup.controllers': 'memory\n' });
  const opened = openIn([path.join(root, 'first'), second]);
  assert.ok(isTree(opened));
  assert.equal(opened.pids, false);
  assert.match(opened.slot(0).attachFiles[0] ?? '', /second/);
});

test('mounts: version 1, version 2, and both', () => {
  const own = path.join(root, 'memory', 'app');
  mkdirSync(own, { recursive: true });
  const mounts = [
    `24 23 0:20 / ${root}/memory rw - cgroup cgroup rw,memory`,
    `25 23 0:21 / ${root}/cpu rw shared:3 - cgroup cgroup rw,cpu,cpuacct`,
    `26 23 0:22 / ${root}/unified rw - cgroup2 cgroup2 rw`,
    `27 23 0:23 / / rw - ext4 /dev/vda rw`,
  ].join('\n');
  const { v1, v2 } = parseHierarchies(mounts, '4:memory:/app\n2:cpu,cpuacct:/elsewhere\n0::/\n');
  assert.deepEqual(v1.get('memory'), { mountPoint: `${root}/memory`, own });
  // A path that cannot be seen from here: the mount point.
  assert.deepEqual(v1.get('cpu'), { mountPoint: `${root}/cpu`, own: `${root}/cpu` });
  assert.equal(v1.get('pids'), undefined);
  assert.equal(v2?.mountPoint, `${root}/unified`);
});

test('mounts: a container sees a part of the tree as its root', () => {
  mkdirSync(path.join(root, 'inner'));
  const mounts = `24 23 0:20 /docker/abc ${root} rw - cgroup2 cgroup2 rw`;
  assert.equal(parseHierarchies(mounts, '0::/docker/abc/inner\n').v2?.own, path.join(root, 'inner'));
  assert.equal(parseHierarchies(mounts, '0::/docker/abc\n').v2?.own.replace(/\/$/, ''), root);
});

test('leftovers: those of dead processes go, those of living and foreign ones stay', async () => {
  const name = ownName();
  const dead = name.replace(/^perch-\d+/, 'perch-4194304');
  const foreign = name.replace(/^perch-\d+-(\d+)-\d+/, 'perch-4194304-$1-1');
  assert.ok(
    isLeftover(dead) && !isLeftover(name) && !isLeftover(foreign) && !isLeftover('perch') && !isLeftover('slot-1'),
  );
  for (const each of [dead, name, foreign]) mkdirSync(path.join(root, 'a', 'b', each, 'slot-0'), { recursive: true });
  assert.deepEqual(await removeLeftovers(root), [path.join(root, 'a', 'b', dead)]);
  assert.ok(!existsSync(path.join(root, 'a', 'b', dead)));
  assert.ok(existsSync(path.join(root, 'a', 'b', name)) && existsSync(path.join(root, 'a', 'b', foreign)));
});

test('a process id that came again is not the process of the name', () => {
  assert.ok(isLeftover(ownName().replace(/^(perch-\d+)-\d+/, '$1-1')));
});

test('nobody is taken for dead who cannot be looked at, as without descriptors', () => {
  const module = new URL('../../../src/worker/sandbox/identity.ts', import.meta.url).href;
  const script = `
    import { openSync } from 'node:fs';
    import { isLeftover, ownName } from ${JSON.stringify(module)};
    const own = ownName();
    const dead = own.replace(/^perch-\\d+/, 'perch-4194304');
    const could = [isLeftover(own), isLeftover(dead)];
    try { for (;;) openSync('/dev/null'); } catch (error) { console.log(error.code, ...could, isLeftover(own), isLeftover(dead)); }`;
  const limited = ['-c', 'ulimit -n 64 && exec "$0" "$@"', process.execPath, '--input-type=module', '--eval', script];
  assert.equal(execFileSync('sh', limited, { encoding: 'utf8' }).trim(), 'EMFILE false true false false');
});

test('parseIds reads what the kernel lists', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(4194304)), fc.constantFrom('\n', ' ', ' \n'), (ids, separator) => {
      assert.deepEqual(parseIds(ids.join(separator)), ids);
      assert.deepEqual(parseIds(ids.map((id) => `${id}${separator}`).join('')), ids);
    }),
  );
});
