/**
 * Cores that change hands all the time, on a real platform for each policy: functions that sleep, compute, poll, hint, and
 * lie, called at random. Every call is answered rightly; of the instances that want a core one is in the foreground, as
 * /proc shows it; and after it nothing is left. `npm run soak -- sharing` runs it for half an hour.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { Prng } from '../../src/base/prng.ts';
import { Functions, until } from '../lib/functions.ts';
import { startTestPlatform } from '../lib/platform.ts';
import { lookAgain, type Task, tasksOf } from '../lib/tasks.ts';
import { noBubblewrap, ROOT_ONLY } from '../worker/sandbox/harness.ts';

const skip = noBubblewrap || ROOT_ONLY;
const POLICIES = ['lend', 'packed:3', 'preempt:2', 'fair:2'] as const;
const SECONDS = (Number(process.env['PERCH_SOAK_MINUTES'] ?? 1) * 60) / POLICIES.length;
const CALLERS = 6;
const LOOK_MS = 25;
/** So many looks, one after the other: a single one is not of one moment, and reports and calls of the system take time. */
const LOOKS = 4;

const COMMON = `import { awake, sleeping } from 'perch';
const used = () => { const { user, system } = process.cpuUsage(); return user + system; };
const burn = (ms, each = () => {}) => { const until = used() + ms * 1000; while (used() < until) each(); };
const rest = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
`;
/** What each does with the milliseconds that it is given; its answer is the event's number. */
const BODIES = {
  sleeps: 'await rest(ms); burn(2);',
  burns: 'burn(ms);',
  turns: 'for (let left = ms; left > 0; left -= 10) { burn(5); await rest(5); }',
  polls: 'const until = Date.now() + ms; while (Date.now() < until) await new Promise(setImmediate);',
  hints: "sleeping('for a while'); await rest(ms); awake(); burn(5);",
  lies: 'sleeping(); burn(ms);',
  floods: 'burn(ms / 10, () => { sleeping(); awake(); });',
  saysItIsAwake: 'awake(); burn(ms / 2, awake); await rest(ms / 2);',
} as const;
const NAMES = Object.keys(BODIES) as (keyof typeof BODIES)[];

/**
 * Tasks in the foreground that want a CPU on which another instance, by its process namespace, wants it too. To look at all tasks takes
 * as long as it takes a core to change hands a few times, so whoever seems to be one is looked at again.
 */
function rivals(platformId: number): Task[] {
  const seeming = rivalsAmong(tasksOf(platformId));
  return seeming.length === 0 ? seeming : rivalsAmong(lookAgain(seeming));
}

function rivalsAmong(tasks: readonly Task[]): Task[] {
  const wanting = tasks.filter(({ isRunnable, isBackground }) => isRunnable && !isBackground);
  return wanting.filter((one) => wanting.some((other) => other.cpus === one.cpus && other.instance !== one.instance));
}

interface Looks {
  readonly count: number;
  /** At which there were rivals, if only for that moment. */
  readonly rivalCount: number;
}

/** Looks until it is told to stop, and where it is `exclusive` fails if the same ones are rivals for `LOOKS` looks. */
function look(platformId: number, exclusive: boolean): { stop(): Promise<Looks> } {
  let isStopped = false;
  const looking = (async () => {
    let count = 0;
    let rivalCount = 0;
    let counts = new Map<string, number>();
    for (; !isStopped; count++) {
      const now = new Set(rivals(platformId).map(({ cpus, instance }) => `${cpus} ${instance}`));
      if (now.size > 0) rivalCount++;
      counts = new Map([...now].map((each) => [each, (counts.get(each) ?? 0) + 1]));
      const lasting = [...counts].filter(([, looks]) => looks >= LOOKS).map(([each]) => each);
      assert.ok(!exclusive || lasting.length < 2, `in the foreground of one core, all of them: ${lasting.join(', ')}`);
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    return { count, rivalCount };
  })();
  looking.catch(() => {});
  return {
    stop: () => {
      isStopped = true;
      return looking;
    },
  };
}

async function call(functions: Functions, untilMs: number, prng: Prng, counts: Map<string, number>): Promise<void> {
  for (let number = 0; Date.now() < untilMs; number++) {
    const name = NAMES[prng.below(NAMES.length)]!;
    const ms = 10 + prng.below(120);
    assert.equal(await functions.call(name, { ms, number }), number, name);
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
}

function checkNothingLeft(platformId: number): void {
  const name = `perch-${platformId}-`;
  assert.deepEqual(
    readdirSync('/run').filter((each) => each.startsWith(name)),
    [],
  );
  const { stdout } = spawnSync('find', ['/sys/fs/cgroup', '-maxdepth', '5', '-name', `${name}*`]);
  assert.equal(String(stdout), '', 'cgroups were left, and what is frozen in them');
}

for (const policy of POLICIES) {
  test(`${policy}: ${SECONDS} s of sleepers, workers and liars`, { skip, timeout: 3_600_000 }, async (t) => {
    const seed = Number(process.env['PERCH_SEED'] ?? Date.now() % 1_000_000);
    t.diagnostic(`PERCH_SEED=${seed}`);
    const platform = await startTestPlatform({ args: ['--sharing', policy] });
    const counts = new Map<string, number>();
    try {
      const functions = new Functions(platform);
      for (const [name, body] of Object.entries(BODIES)) {
        const source = `${COMMON}export const handler = async ({ ms, number }) => { ${body} return number; };`;
        await functions.deploy(name, { files: { 'index.mjs': source }, more: { MemorySize: 128 } });
      }
      // Later, what initialises would be in the foreground beside who runs.
      const warmUp = NAMES.flatMap((name) => [1, 2, 3].map((number) => functions.call(name, { ms: 40, number })));
      await Promise.all(warmUp);
      const isFair = policy.startsWith('fair');
      const looking = look(platform.pid, !isFair);
      const untilMs = Date.now() + SECONDS * 1000;
      const callers = Array.from({ length: CALLERS }, (_, at) => call(functions, untilMs, new Prng(seed + at), counts));
      await Promise.all(callers);
      const looks = await looking.stop();
      if (isFair) assert.ok(looks.rivalCount > 0, 'what others are not to do would not be seen');
      await until('every core is free', async () => {
        const { cores } = await functions.json('GET', '/perch/v1/cores');
        return cores.every(({ state }: { state: string }) => state === 'idle');
      });
      const guests = await functions.metric('perch_sharing_guests_total');
      t.diagnostic(
        `${JSON.stringify(Object.fromEntries(counts))}, ${guests} on extra seats, ${looks.count} looks, rivals at ${looks.rivalCount}`,
      );
      assert.ok(guests > 0, 'no core was shared');
    } finally {
      assert.equal(await platform.stop(), 0, platform.stderr());
    }
    checkNothingLeft(platform.pid);
  });
}
