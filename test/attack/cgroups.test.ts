/**
 * A zygote gets the descriptors by which its copies join their cgroups, opened by root, and hostile code in it may keep
 * them. What they are good for ends when the slot goes to somebody else.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { type Cgroup, type CgroupTree, isTree } from '../../src/worker/sandbox/cgroup/cgroup.ts';
import { openCgroups } from '../../src/worker/sandbox/cgroup/open.ts';

const isRoot = process.getuid?.() === 0;
const MEMORY_MB = 64;

/** Waits for a line, then tries to join by each descriptor that it inherited from 3 on, and says how that went. */
const KEEPER = `read line
joined=0
for number in $(seq 3 $1); do (echo 0 >&$number) 2>/dev/null && joined=$((joined + 1)); done
echo $joined
read line`;

class Keeper {
  readonly #child: ChildProcess;
  readonly #said: Promise<string>;

  constructor(descriptors: readonly number[]) {
    const last = String(2 + descriptors.length);
    this.#child = spawn('/bin/bash', ['-c', KEEPER, 'keeper', last], {
      stdio: ['pipe', 'pipe', 'inherit', ...descriptors],
    });
    this.#said = once(this.#child.stdout!, 'data').then(([chunk]) => String(chunk).trim());
  }

  get id(): number {
    return this.#child.pid ?? 0;
  }

  /** By how many of them. */
  join(): Promise<string> {
    this.#child.stdin!.write('go\n');
    return this.#said;
  }

  end(): void {
    this.#child.kill('SIGKILL');
  }
}

describe('attach descriptors that a zygote kept', { skip: isRoot ? false : 'SKIPPED: needs root' }, () => {
  let tree: CgroupTree;
  let cgroup: Cgroup;
  const first = Symbol('first');
  before(async () => {
    const opened = await openCgroups({ processCountMax: 16, log: () => {} });
    assert.ok(isTree(opened), 'this machine has no cgroups that can be written');
    tree = opened;
    cgroup = tree.slot(0);
  });
  after(() => tree.close());

  test('let in while the slot is its own: the attempt is one that can succeed', async () => {
    cgroup.prepare(MEMORY_MB, first);
    const keeper = new Keeper(cgroup.attachDescriptors());
    assert.equal(await keeper.join(), String(cgroup.attachDescriptors().length));
    keeper.end();
  });

  for (const next of ['another zygote', 'a process of its own', 'a stem cell'] as const) {
    test(`lead nowhere once the slot is that of ${next}`, async () => {
      cgroup.prepare(MEMORY_MB, first);
      const keeper = new Keeper(cgroup.attachDescriptors());
      cgroup.release();
      cgroup.prepare(MEMORY_MB, next === 'another zygote' ? Symbol('second') : undefined);
      assert.equal(await keeper.join(), '0');
      assert.deepEqual(cgroup.processIds(), []);
      keeper.end();
      cgroup.release();
    });
  }

  test('who sits in a free slot when it goes to somebody else is killed, and nobody joins it there', async () => {
    cgroup.prepare(MEMORY_MB, first);
    const sitter = spawn('/bin/bash', ['-c', 'echo 0 >&3; read line'], {
      stdio: ['pipe', 'ignore', 'ignore', cgroup.attachDescriptors()[0]],
    });
    const gone = once(sitter, 'exit');
    while (!cgroup.processIds().includes(sitter.pid ?? 0)) await new Promise((resolve) => setTimeout(resolve, 5));
    cgroup.prepare(MEMORY_MB, Symbol('second'));
    assert.deepEqual(cgroup.processIds(), []);
    const [, signal] = (await gone) as [number, string];
    assert.equal(signal, 'SIGKILL');
    cgroup.release();
  });

  test('who joins a slot that is free is stopped there', async (context) => {
    if (!tree.freezer) return context.skip('SKIPPED: this machine has no freezer');
    cgroup.prepare(MEMORY_MB, first);
    const keeper = new Keeper([cgroup.attachDescriptors().at(-1)!]);
    cgroup.release();
    const joined = keeper.join();
    while (!isStopped(keeper.id)) await new Promise((resolve) => setTimeout(resolve, 5));
    cgroup.prepare(MEMORY_MB, first);
    assert.equal(await joined, '1');
    keeper.end();
    cgroup.release();
  });
});

/** Whether the child of this process waits in the kernel's freezer, which is part of get_signal where it was compiled into it. */
function isStopped(id: number): boolean {
  try {
    const child = readFileSync(`/proc/${id}/task/${id}/children`, 'latin1').trim().split(' ')[0];
    return /freezer|get_signal/.test(readFileSync(`/proc/${child}/wchan`, 'latin1'));
  } catch {
    return false;
  }
}
