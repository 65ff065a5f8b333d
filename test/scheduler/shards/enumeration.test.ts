/** The shipped machine on real threads, in all orders of its accesses to shared words; and that each hazard would be found. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CASES, MUTANTS } from './cases.ts';
import { enumerate } from './enumerate.ts';
import { EXTRA_CASES, EXTRA_MUTANTS } from './extra-cases.ts';
import { FAR_CASES, FAR_MUTANTS } from './far-cases.ts';

const ALL_CASES = [...CASES, ...EXTRA_CASES, ...FAR_CASES];

/** More of them, one by one: minutes instead of seconds. */
const MORE_SWITCHES = Number(process.env['PERCH_MORE_SWITCHES'] ?? 0);

for (const small of ALL_CASES) {
  const theCase = { ...small, switchMax: small.switchMax + MORE_SWITCHES };
  test(`all orders, ${theCase.switchMax} switches: ${theCase.name}`, async (t) => {
    const { scheduleCount, problem } = await enumerate(theCase);
    t.diagnostic(`${scheduleCount} schedules`);
    assert.equal(problem, null);
  });
}

for (const mutant of [...MUTANTS, ...EXTRA_MUTANTS, ...FAR_MUTANTS]) {
  test(`found: ${mutant.name}`, async (t) => {
    const theCase = ALL_CASES.find(({ name }) => name === mutant.foundBy)!;
    const { scheduleCount, problem } = await enumerate({ ...theCase, switchMax: theCase.switchMax + 1 }, mutant);
    t.diagnostic(`${scheduleCount} schedules: ${problem ?? 'nothing'}`);
    assert.notEqual(problem, null, 'the mutant passes');
  });
}
