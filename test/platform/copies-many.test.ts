/**
 * Many copies and many functions: what is left behind, and whether all answer. `npm run soak -- copies` runs it with ten
 * thousand invocations and a thousand functions.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { Prng } from '../../src/base/prng.ts';
import { descendantProcesses } from '../../src/worker/sandbox/affinity.ts';
import { Functions, until } from '../lib/functions.ts';
import { zygotesOf } from '../lib/instances.ts';
import { startTestPlatform, type TestPlatform } from '../lib/platform.ts';
import { noBubblewrap, ROOT_ONLY } from '../worker/sandbox/harness.ts';

const FRESH_COUNT = Number(process.env['PERCH_FRESH_COUNT'] ?? 200);
const FUNCTION_COUNT = Number(process.env['PERCH_FUNCTION_COUNT'] ?? 30);
const INVOCATIONS_PER_FUNCTION = 3;
/** Before the first look: by then pools, caches and the heap have the size that they keep. */
const WARM_UP_SHARE = 0.5;
/** Of the platform's process; in a short run its heap still grows to its size. */
const PLATFORM_GROWTH_MB_MAX = FRESH_COUNT < 1000 ? 32 : 8;
const ZYGOTE_GROWTH_MB_MAX = 4;
/** The garbage that V8 lets lie, up to 96 MB of it, would hide what the platform keeps. */
const LITTLE_GARBAGE = '--max-semi-space-size=2';
/** Two run at once, and one is made ahead of each. */
const COPIES_MAX = 4;
/** So many looks, one after the other, see the same. */
const STEADY_COUNT = 5;
/** Of this test to the platform, which come and go. */
const CONNECTIONS = 8;
const skip = noBubblewrap || ROOT_ONLY;

/** Leaves in its copy what must not outlive it. */
const MESSY = `import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
let count = 0;
export const handler = async ({ round }) => {
  count++;
  writeFileSync('/tmp/left', Buffer.alloc(100_000));
  if (round % 10 === 0) spawn('/bin/sleep', ['600'], { detached: true, stdio: 'ignore' }).unref();
  return { count, mark: 'messy copies' };
};`;

interface Left {
  /** What each is, in order. */
  readonly processes: readonly string[];
  /** Those that have ended: a zygote reaps its copies when it makes the next one. */
  readonly ended: number;
  /** Without the files of slots, of which there are as many as ever ran at once. */
  readonly descriptors: number;
  readonly zygoteDescriptors: number;
  readonly cgroups: readonly string[];
  readonly files: readonly string[];
}

/** `tmp`: the folder for temporary files that is its own. */
function look(platform: TestPlatform, zygote: number, tmp: string): Left {
  const names = descendantProcesses(platform.pid).map(nameOf);
  const processes = names.filter((name) => name !== null).toSorted();
  return {
    processes,
    ended: names.length - processes.length,
    descriptors: descriptorsOf(platform.pid).filter((target) => !isOfSlot(target)).length,
    zygoteDescriptors: descriptorsOf(zygote).length,
    cgroups: cgroupsOf(platform.pid),
    files: [...filesBelow(platform.dataDir), ...filesBelow(tmp), ...filesOf(platform.pid, '/run')],
  };
}

/** Once nothing changes any more: what ended last may still be on its way out. */
async function steady(platform: TestPlatform, zygote: number, tmp: string): Promise<Left> {
  let found = look(platform, zygote, tmp);
  for (let same = 0; same < STEADY_COUNT;) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    const next = look(platform, zygote, tmp);
    same = JSON.stringify(next) === JSON.stringify(found) ? same + 1 : 0;
    found = next;
  }
  return found;
}

/** Folders of the platform in all hierarchies; of slots, which are kept for whoever comes next, where somebody is, and no numbers. */
function cgroupsOf(pid: number): string[] {
  const found: string[] = [];
  const walk = (folder: string, depth: number): void => {
    for (const name of foldersIn(folder)) {
      const inside = path.join(folder, name);
      if (inside.includes(`perch-${pid}-`) && !isEmptySlot(inside)) found.push(inside.replace(/slot-\d+$/, 'slot'));
      if (depth > 0) walk(inside, depth - 1);
    }
  };
  walk('/sys/fs/cgroup', 5);
  return found.toSorted();
}

function isEmptySlot(folder: string): boolean {
  if (!path.basename(folder).startsWith('slot-')) return false;
  try {
    return readFileSync(path.join(folder, 'cgroup.procs'), 'utf8') === '';
  } catch {
    return true; // It went meanwhile.
  }
}

function isOfSlot(file: string): boolean {
  return /\/slot-\d+\//.test(file);
}

/** What each descriptor leads to. */
function descriptorsOf(pid: number): string[] {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder).flatMap((name) => {
    try {
      return [readlinkSync(path.join(folder, name))];
    } catch {
      return []; // It was closed meanwhile.
    }
  });
}

function foldersIn(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name);
  } catch {
    return []; // It went meanwhile.
  }
}

function filesOf(pid: number, folder: string): string[] {
  return readdirSync(folder).filter((name) => name.startsWith(`perch-${pid}-`));
}

function filesBelow(folder: string): string[] {
  return (readdirSync(folder, { recursive: true }) as string[]).map((name) => path.join(folder, name));
}

/** Null: it has ended. */
function nameOf(id: number): string | null {
  try {
    const [, name, state] = /\((.*)\) (.)/s.exec(readFileSync(`/proc/${id}/stat`, 'latin1'))!;
    return state === 'Z' ? null : name!;
  } catch {
    return null;
  }
}

function residentMb(id: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${id}/status`, 'latin1'))![1]) / 1024;
}

/** Several at a time; `one` is called with 0 … count-1. */
async function inParallel(
  concurrency: number,
  from: number,
  to: number,
  one: (at: number) => Promise<void>,
): Promise<void> {
  let next = from;
  const work = async (): Promise<void> => {
    while (next < to) await one(next++);
  };
  await Promise.all(Array.from({ length: concurrency }, work));
}

test(`${FRESH_COUNT} fresh invocations leave nothing behind`, { skip, timeout: 3_600_000 }, async (t) => {
  const tmp = mkdtempSync(path.join(tmpdir(), 'perch-copies-'));
  const platform = await startTestPlatform({ env: { TMPDIR: tmp, NODE_OPTIONS: LITTLE_GARBAGE } });
  try {
    const functions = new Functions(platform);
    await functions.deploy('messy', { files: { 'index.mjs': MESSY }, environment: { PERCH_ISOLATION: 'fresh' } });
    await functions.cellsWait('node', 'python');
    const invoke = async (round: number): Promise<void> => {
      assert.deepEqual(await functions.call('messy', { round }), { count: 1, mark: 'messy copies' });
    };
    const settled = async (): Promise<void> => {
      // As many wait as ran at once, and one: with one at a time it is two.
      for (let round = 0; round < 5; round++) await invoke(round);
      await until('two copies wait', async () => (await functions.copies('messy')).waiting === 2);
      await until('two cells wait', async () => (await functions.metric('perch_cells{runtime="node"}')) === 2);
    };
    const warmUp = Math.floor(FRESH_COUNT * WARM_UP_SHARE);
    await inParallel(2, 0, warmUp, invoke);
    await settled();
    const [zygote] = zygotesOf(platform.pid, 'messy copies') as [number];
    const before = await steady(platform, zygote, tmp);
    const beforeMb = { platform: residentMb(platform.pid), zygote: residentMb(zygote) };
    await inParallel(2, warmUp, FRESH_COUNT, invoke);
    await settled();
    assert.deepEqual(zygotesOf(platform.pid, 'messy copies'), [zygote], 'one zygote made them all');
    const afterMb = { platform: residentMb(platform.pid), zygote: residentMb(zygote) };
    t.diagnostic(
      `resident MB, after ${warmUp}: ${JSON.stringify(beforeMb)}; after ${FRESH_COUNT}: ${JSON.stringify(afterMb)}`,
    );
    t.diagnostic(
      JSON.stringify({
        ...before,
        processes: before.processes.length,
        cgroups: before.cgroups.length,
        files: before.files.length,
      }),
    );
    const left = await steady(platform, zygote, tmp);
    const ofSlots = descriptorsOf(platform.pid).filter(isOfSlot);
    assert.equal(new Set(ofSlots).size, ofSlots.length, `a file of a slot is open twice: ${ofSlots.join(' ')}`);
    const { descriptors, ended } = before;
    assert.deepEqual({ ...left, descriptors, ended }, before);
    assert.ok(left.ended <= COPIES_MAX, `${left.ended} copies were not reaped`);
    assert.ok(left.descriptors < descriptors + CONNECTIONS, `${descriptors} descriptors became ${left.descriptors}`);
    assert.ok(afterMb.platform - beforeMb.platform < PLATFORM_GROWTH_MB_MAX, JSON.stringify({ beforeMb, afterMb }));
    assert.ok(afterMb.zygote - beforeMb.zygote < ZYGOTE_GROWTH_MB_MAX, JSON.stringify({ beforeMb, afterMb }));
  } finally {
    await platform.stop();
    rmSync(tmp, { recursive: true, force: true });
  }
  assert.deepEqual(cgroupsOf(platform.pid), []);
});

test(`${FUNCTION_COUNT} functions, invoked at random, all answer`, { skip, timeout: 3_600_000 }, async (t) => {
  const seed = Number(process.env['PERCH_SEED'] ?? Date.now() % 1_000_000);
  t.diagnostic(`PERCH_SEED=${seed}`);
  const prng = new Prng(seed);
  // Room for a few of the thirty, so that zygotes and instances are evicted all the time.
  const platform = await startTestPlatform({ args: FUNCTION_COUNT > 100 ? [] : ['--memory', '1536'] });
  try {
    const functions = new Functions(platform);
    await inParallel(4, 0, FUNCTION_COUNT, async (index) => {
      const isolation = index % 2 === 0 ? 'reuse' : 'fresh';
      const files = { 'index.mjs': `const own = ${index}; export const handler = async (event) => [own, event.at];` };
      const more = { MemorySize: 128 };
      await functions.deploy(`many-${index}`, { files, environment: { PERCH_ISOLATION: isolation }, more });
    });
    const order = Array.from({ length: FUNCTION_COUNT * INVOCATIONS_PER_FUNCTION }, (_, at) =>
      at < FUNCTION_COUNT ? at : Math.floor(prng.unit() * FUNCTION_COUNT),
    );
    await inParallel(4, 0, order.length, async (at) => {
      const index = order[at]!;
      assert.deepEqual(await functions.call(`many-${index}`, { at }), [index, at]);
    });
    const starts = ['cold', 'copy', 'warm'].map((start) => `perch_invocation_starts_total{start="${start}"}`);
    t.diagnostic(`cold, copy, warm: ${(await Promise.all(starts.map((name) => functions.metric(name)))).join(', ')}`);
  } finally {
    await platform.stop();
  }
  assert.deepEqual(cgroupsOf(platform.pid), []);
});
