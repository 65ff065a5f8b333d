/** The shipped machine on real threads, in all orders of its accesses to shared words; and that each hazard would be found. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CASES, MUTANTS } from './cases.ts';
import type { Case } from './control.ts';
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
