/**
 * A zygote gets the descriptors by which its copies join their cgroups, opened by root, and hostile code in it may keep
 * them. What they are good for ends when the slot goes to somebody else.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { after, before, describe, test, type TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';
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

/** Joins by descriptor 3 when it is told to, and takes so much memory. */
const TAKER = `import os, sys
print('up', flush=True)
sys.stdin.readline()
os.write(3, b'0')
taken = bytearray(b'1') * int(sys.argv[1])
print('has it', flush=True)
sys.stdin.readline()`;
const TAKEN_BYTES = 32 * 1024 * 1024;
/** Far more than freezing takes. */
const FREEZE_MS = 50;

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

interface Sitter {
  readonly id: number;
  go(): void;
  kill(): void;
  /** Resolves when it has said so. */
  says(text: string): Promise<unknown>;
  ended(): Promise<unknown>;
  isStopped(): boolean;
  /** Resolves when the kernel has stopped it. */
  stopped(): Promise<void>;
}

/** A Python process that has the descriptor as its number 3; it ends with the test. */
function start(context: TestContext, program: string, argument: string, descriptor: number): Sitter {
  const child = spawn('/usr/bin/python3', ['-c', program, argument], { stdio: ['pipe', 'pipe', 'ignore', descriptor] });
  const gone = once(child, 'exit');
  context.after(() => child.kill('SIGKILL'));
  let said = '';
  child.stdout!.on('data', (chunk: Buffer) => void (said += chunk.toString()));
  const isStopped = (): boolean => waitsInFreezer(child.pid ?? 0);
  return {
    id: child.pid ?? 0,
    go: () => void child.stdin!.write('go\n'),
    kill: () => void child.kill('SIGKILL'),
    says: async (text) => {
      while (!said.includes(text) && child.exitCode === null && child.signalCode === null) await setTimeout(5);
    },
    ended: () => gone,
    isStopped,
    stopped: async () => {
      while (child.exitCode === null && child.signalCode === null && !isStopped()) await setTimeout(5);
    },
  };
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
      await cgroup.release();
      cgroup.prepare(MEMORY_MB, next === 'another zygote' ? Symbol('second') : undefined);
      assert.equal(await keeper.join(), '0');
      assert.deepEqual(cgroup.processIds(), []);
      keeper.end();
      await cgroup.release();
    });
  }

  test('who sits in a free slot when it goes to somebody else is killed, and nobody joins it there', async () => {
    cgroup.prepare(MEMORY_MB, first);
    const keeper = new Keeper(cgroup.attachDescriptors());
    const sitter = spawn('/bin/bash', ['-c', 'echo 0 >&3; read line'], {
      stdio: ['pipe', 'ignore', 'ignore', cgroup.attachDescriptors()[0]],
    });
    const gone = once(sitter, 'exit');
    while (!cgroup.processIds().includes(sitter.pid ?? 0)) await setTimeout(5);
    cgroup.prepare(MEMORY_MB, Symbol('second'));
    assert.deepEqual(cgroup.processIds(), []);
    const [, signal] = (await gone) as [number, string];
    assert.equal(signal, 'SIGKILL');
    // Nor does the group that it sat in stay for others of its kind.
    assert.equal(await keeper.join(), '0');
    keeper.end();
    await cgroup.release();
  });

  test('who joins one group of a free slot alone, past its freezer, has next to no memory there', async (context) => {
    cgroup.prepare(MEMORY_MB, first);
    for (const descriptor of cgroup.attachDescriptors()) {
      const taker = start(context, TAKER, String(TAKEN_BYTES), descriptor);
      await taker.says('up');
      await cgroup.release();
      taker.go();
      await Promise.race([taker.says('has it'), taker.ended(), taker.stopped()]);
      const memoryBytes = cgroup.memoryBytes();
      assert.ok(memoryBytes < TAKEN_BYTES / 2, `${memoryBytes} bytes in a free slot`);
      taker.kill();
      await taker.ended();
      cgroup.prepare(MEMORY_MB, first);
    }
    await cgroup.release();
  });

  test('who sits in the memory of a slot when it becomes free does not stay there', async (context) => {
    cgroup.prepare(MEMORY_MB, first);
    const [descriptor] = cgroup.attachDescriptors();
    const taker = start(context, TAKER, String(TAKEN_BYTES), descriptor!);
    await taker.says('up');
    taker.go();
    await taker.says('has it');
    await cgroup.release();
    assert.deepEqual(cgroup.processIds(), []);
    await taker.ended();
  });

  test('where a process may run, and when, is decided by one and the same group', async (context) => {
    if (!tree.freezer) return context.skip('SKIPPED: this machine has no freezer');
    cgroup.prepare(MEMORY_MB, first);
    for (const descriptor of cgroup.attachDescriptors()) {
      const sitter = start(context, TAKER, '1', descriptor);
      await sitter.says('up');
      sitter.go();
      await sitter.says('has it');
      cgroup.freeze();
      await setTimeout(FREEZE_MS);
      assert.equal(cgroup.taskIds().includes(sitter.id), sitter.isStopped());
      sitter.kill();
      await sitter.ended();
      cgroup.thaw();
    }
    await cgroup.release();
  });

  test('who joins a slot that is free is stopped there', async (context) => {
    if (!tree.freezer) return context.skip('SKIPPED: this machine has no freezer');
    cgroup.prepare(MEMORY_MB, first);
    const keeper = new Keeper([cgroup.attachDescriptors().at(-1)!]);
    await cgroup.release();
    const joined = keeper.join();
    while (!isStopped(keeper.id)) await setTimeout(5);
    cgroup.prepare(MEMORY_MB, first);
    assert.equal(await joined, '1');
    keeper.end();
    await cgroup.release();
  });
});

/** Whether the child of this process waits in the kernel's freezer, which is part of get_signal where it was compiled into it. */
function isStopped(id: number): boolean {
  try {
    const child = readFileSync(`/proc/${id}/task/${id}/children`, 'latin1').trim().split(' ')[0];
    return waitsInFreezer(Number(child));
  } catch {
    return false;
  }
}

function waitsInFreezer(id: number): boolean {
  try {
    return /freezer|get_signal/.test(readFileSync(`/proc/${id}/wchan`, 'latin1'));
  } catch {
    return false;
  }
}
