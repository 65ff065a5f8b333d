/** The shipped machine on real threads, in all orders of its accesses to shared words; and that each hazard would be found. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { CASES, MUTANTS } from './cases.ts';
import type { Case, Mutant } from './control.ts';
import { enumerate } from './enumerate.ts';
import { EXTRA_CASES, EXTRA_MUTANTS } from './extra-cases.ts';
import { FAR_CASES, FAR_MUTANTS } from './far-cases.ts';
import { HIDDEN_CASES, HIDDEN_MUTANTS } from './hidden-cases.ts';

const ALL_CASES = [...CASES, ...EXTRA_CASES, ...FAR_CASES, ...HIDDEN_CASES];

/** Every case with all of its switches, and so many more: minutes instead of seconds (`npm run soak -- shards`). */
const MORE_SWITCHES = process.env['PERCH_MORE_SWITCHES'];

/** More than five thousand schedules each: without `PERCH_MORE_SWITCHES` their last switch is left out. Mutants of them have all. */
const LONG: ReadonlySet<string> = new Set([
  'a core and an extra seat for two requests',
  'a core is withdrawn and returned beside a request and its release',
  'a core is withdrawn here and returned there',
  'a worker is kept for a big request',
  'a worker is kept for two cores, beside a newcomer and a release',
  'memory is given back beside an idle extra seat',
  'memory is given back beside one who begins to wait for it',
  'memory is hidden for a moment by one who finds no core',
  'memory is hidden for a moment by one who finds no extra seat',
  'who has overtaken stands back',
  'woken for a core that is gone, and that comes again',
]);

/** Longer than a thread is waited for in fixtures/stopped-enumeration.ts: 60 looks of 20 ms. */
const STOPPED_MS = 1500;
const STOP_COUNT = 4;
const BETWEEN_STOPS_MS = 100;

const ENDLESS: Mutant = {
  name: 'a release never ends',
  file: 'machine/scheduler.ts',
  from: 'this.counters[COUNT.released]! += 1;',
  to: 'for (;;);',
};

function switchMaxOf({ name, switchMax }: Case): number {
  if (MORE_SWITCHES !== undefined) return switchMax + Number(MORE_SWITCHES);
  return LONG.has(name) ? switchMax - 1 : switchMax;
}

test('those that are long are among the cases', () => {
  const names = new Set(ALL_CASES.map(({ name }) => name));
  assert.deepEqual(
    [...LONG].filter((name) => !names.has(name)),
    [],
  );
});

test('a schedule goes the same way, however late its threads look whose turn it is', async (t) => {
  const small = ALL_CASES.find(({ name }) => name === 'wait beside a release')!;
  const { scheduleCount, problem } = await enumerate({ ...small, switchMax: 1, lateEach: 7 });
  t.diagnostic(`${scheduleCount} schedules`);
  assert.equal(problem, null);
});

test('a process that is stopped for longer than a thread may be stuck does not hang', async (t) => {
  const file = fileURLToPath(new URL('fixtures/stopped-enumeration.ts', import.meta.url));
  const child = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  assert.equal((await lines.next()).value, 'begun');
  const found = lines.next();
  let stopCount = 0;
  for (; stopCount < STOP_COUNT && child.exitCode === null; stopCount++) {
    child.kill('SIGSTOP');
    await sleep(STOPPED_MS);
    child.kill('SIGCONT');
    await sleep(BETWEEN_STOPS_MS);
  }
  assert.equal((await found).value, 'null');
  t.diagnostic(`stopped ${stopCount} times`);
});

test('a thread that does not go on hangs', async () => {
  const small = ALL_CASES.find(({ name }) => name === 'wait beside a release')!;
  const { problem } = await enumerate({ ...small, lookMs: 5 }, ENDLESS);
  assert.equal(problem, 'it hangs; switches []');
});

for (const small of ALL_CASES) {
  const theCase = { ...small, switchMax: switchMaxOf(small) };
  test(`all orders, ${theCase.switchMax} switches: ${theCase.name}`, async (t) => {
    const { scheduleCount, problem } = await enumerate(theCase);
    t.diagnostic(`${scheduleCount} schedules`);
    assert.equal(problem, null);
  });
}

for (const mutant of [...MUTANTS, ...EXTRA_MUTANTS, ...FAR_MUTANTS, ...HIDDEN_MUTANTS]) {
  test(`found: ${mutant.name}`, async (t) => {
    const theCase = ALL_CASES.find(({ name }) => name === mutant.foundBy)!;
    const { scheduleCount, problem } = await enumerate({ ...theCase, switchMax: theCase.switchMax + 1 }, mutant);
    t.diagnostic(`${scheduleCount} schedules: ${problem ?? 'nothing'}`);
    assert.notEqual(problem, null, 'the mutant passes');
  });
}
