/**
 * Functions that want more of a core than its sharing leaves them, each beside a function that only works. Who is in the
 * background is read from /proc, outside.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Functions, until } from '../lib/functions.ts';
import { startTestPlatform } from '../lib/platform.ts';
import { cpuUsOf, type Task, tasksOf } from '../lib/tasks.ts';
import { GREEDY, POLLING_LIAR, SHARING_ROWS, twin } from './sharing.ts';
import { skip } from './world.ts';

const [BORROWS, NEVER_SLEEPS, FLOODS, LENDS, POLLS] = SHARING_ROWS.map(({ tried }) => tried);
/** Unless it is told that it was enough: longer than whoever is beside it takes, on a busy machine too, and less than its timeout. */
const GREEDY_SECONDS = 50;
const LOOK_MS = 10;
const LIAR_TIMEOUT_SECONDS = 4;

const WORKER = {
  'index.mjs': `// the worker
export const handler = async ({ sleepMs = 0, burnMs = 0 }) => {
  if (sleepMs > 0) await new Promise((resolve) => setTimeout(resolve, sleepMs));
  const used = process.cpuUsage();
  const usedUs = () => { const { user, system } = process.cpuUsage(used); return user + system; };
  while (usedUs() < burnMs * 1000);
  return burnMs;
};`,
};

interface Stage {
  readonly functions: Functions;
  tasks(text: string): Task[];
}

/** One core, and functions that begin in processes of their own; each has run once. */
async function stage(t: TestContext, sharing: string): Promise<Stage> {
  const platform = await startTestPlatform({ args: ['--cores', '0', '--sharing', sharing] });
  t.after(() => platform.stop());
  const functions = new Functions(platform);
  const environment = { LC_ALL: 'C' };
  await functions.deploy('worker', { files: WORKER, environment });
  await functions.deploy('greedy', { files: GREEDY, environment });
  await functions.deploy('honest', { files: twin(false), environment });
  await functions.deploy('liar', { files: twin(true), environment });
  for (const name of ['worker', 'greedy', 'honest', 'liar']) await functions.call(name, { seconds: 0, cpuMs: 1 });
  return { functions, tasks: (text) => tasksOf(platform.pid, text) };
}

function isRunning(tasks: readonly Task[]): boolean {
  return tasks.some(({ isRunnable, isBackground }) => isRunnable && !isBackground);
}

/**
 * Looks until the promise is settled. Whenever the worker ran at two looks in a row, nothing of the attacker may have
 * been in the foreground at both. Answers how often that was to be seen.
 */
async function watch(on: Stage, done: Promise<unknown>): Promise<number> {
  let seen = 0;
  let before: { isRunning: boolean; foreground: readonly number[] } | null = null;
  let isDone = false;
  done.then(
    () => (isDone = true),
    () => (isDone = true),
  );
  while (!isDone) {
    const foreground = on
      .tasks('the greedy one')
      .filter(({ isBackground }) => !isBackground)
      .map(({ id }) => id);
    const now = { isRunning: isRunning(on.tasks('the worker')), foreground };
    if (now.isRunning && before?.isRunning === true) {
      seen++;
      const both = now.foreground.filter((id) => before!.foreground.includes(id));
      // Just over, it may run still when the attacker goes on: then its answer is on the way.
      if (both.length > 0) await sleep(LOOK_MS);
      if (!isDone) assert.deepEqual(both, [], 'tasks of the attacker in the foreground, beside the worker');
    }
    before = now;
    await sleep(LOOK_MS);
  }
  return seen;
}

/** The greedy one ends when it is told, and not by a clock: nobody can say how long the others take. */
function tellEnough(on: Stage): void {
  for (const { id } of on.tasks('the greedy one')) {
    try {
      process.kill(id, 'SIGUSR1');
    } catch {
      // Its parent was told before it, and has ended it.
    }
  }
}

function endOf<T>(work: Promise<T>): { readonly isOver: () => boolean; readonly work: Promise<T> } {
  let isOver = false;
  work.then(
    () => (isOver = true),
    () => (isOver = true),
  );
  return { isOver: () => isOver, work };
}

describe('sharing', { skip }, () => {
  test('root outside is granted what the greedy one asks for', () => {
    const asIdle =
      'import json\nos.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))\nprint(json.dumps(attempt()))';
    // In a session of its own: every attempt concerns the process or its session, and ends with them.
    const { stdout } = spawnSync('setsid', ['--wait', 'python3', '-c', `${GREEDY['index.py']}\n${asIdle}`]);
    const granted = JSON.parse(String(stdout)) as string[];
    for (const name of ['other', 'batch', 'nice', 'disk', 'affinity']) assert.ok(granted.includes(name), name);
  });

  test(`lend: ${BORROWS}`, async (t) => {
    const on = await stage(t, 'lend');
    const holder = on.functions.call('worker', { sleepMs: 1500, burnMs: 600 });
    const greedy = endOf(on.functions.call('greedy', { seconds: GREEDY_SECONDS }));
    await until('it borrows the core', () => on.tasks('the greedy one').some(({ isRunnable }) => isRunnable));
    const seen = await watch(on, holder);
    assert.equal(await holder, 600);
    assert.ok(seen > 0, 'the holder was never seen to run');
    assert.ok(!greedy.isOver(), 'the borrower was there to the end of the holder');
    tellEnough(on);
    assert.deepEqual(await greedy.work, [], 'what the kernel granted it');
  });

  test(`preempt: ${NEVER_SLEEPS}`, async (t) => {
    const on = await stage(t, 'preempt:2');
    const greedy = endOf(on.functions.call('greedy', { seconds: GREEDY_SECONDS }));
    await until('it has run for long', () => cpuUsOf(on.tasks('the greedy one')) > 1_000_000);
    let seen = 0;
    for (let count = 0; count < 3; count++) seen += await watch(on, on.functions.call('worker', { burnMs: 200 }));
    assert.ok(seen > 0, 'the worker was never seen to run');
    assert.ok(!greedy.isOver(), 'all three were answered before it ended');
    tellEnough(on);
    assert.deepEqual(await greedy.work, []);
  });

  test(`preempt: ${FLOODS}`, async (t) => {
    const on = await stage(t, 'preempt:2');
    const cpuMs = 1500;
    const before = cpuUsOf(on.tasks('the liar'));
    const liar = on.functions.call('liar', { cpuMs });
    await until('it runs', () => cpuUsOf(on.tasks('the liar')) > before);
    await on.functions.call('honest', { cpuMs });
    const usedMs = (cpuUsOf(on.tasks('the liar')) - before) / 1000;
    t.diagnostic(`the liar had ${usedMs} ms, its twin ${cpuMs}`);
    // It came a little earlier, and the last quanta may be its own.
    assert.ok(usedMs <= cpuMs * 1.2, `the liar had ${usedMs} ms of CPU time while its twin had ${cpuMs}`);
    assert.equal(await liar, cpuMs);
  });

  test(`lend: ${LENDS}`, async (t) => {
    const on = await stage(t, 'lend');
    const liar = on.functions.call('liar', { cpuMs: 1000 });
    const answers = await Promise.all([1, 2, 3].map((burnMs) => on.functions.call('worker', { burnMs })));
    assert.deepEqual(answers, [1, 2, 3]);
    assert.equal(await liar, 1000);
  });

  test(`lend: ${POLLS}`, async (t) => {
    const on = await stage(t, 'lend');
    const more = { Timeout: LIAR_TIMEOUT_SECONDS };
    await on.functions.deploy('poller', { files: POLLING_LIAR, environment: { LC_ALL: 'C' }, more });
    await on.functions.call('poller', { seconds: 0 });
    const liar = on.functions.call('poller', { seconds: 2 });
    const answers = await Promise.all([1, 2, 3].map((burnMs) => on.functions.call('worker', { burnMs })));
    assert.deepEqual(answers, [1, 2, 3]);
    t.diagnostic(`it had ${await liar} of what it sent itself`);
    const endless = await on.functions.invoke('poller', { seconds: 60 });
    assert.match(JSON.stringify(endless.value), /timed out/i, 'that it is frozen does not put off its end');
    assert.equal(await on.functions.call('worker', { burnMs: 4 }), 4, 'nothing is left of it');
  });
});
