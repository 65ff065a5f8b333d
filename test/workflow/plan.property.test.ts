/** Runs through random plans: each step once at most, in the order that the plan has, fed what its predecessor gave. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { chainPlan, type Plan, PlanRun } from '../../src/workflow/machine/plan.ts';
import { sleepPlanOf } from '../../src/workflow/machine/sleep-plan.ts';

const STEPS_MAX = 6;

/** Each step leads further down, or ends the run. */
const plans: fc.Arbitrary<Plan> = fc
  .array(fc.option(fc.nat(STEPS_MAX)), { minLength: 1, maxLength: STEPS_MAX, size: 'max' })
  .map((leaps) => ({
    steps: leaps.map((leap, step) => {
      const next = leap === null ? null : step + 1 + leap;
      return { functionName: `f${step}`, version: '$LATEST', next: next !== null && next < leaps.length ? next : null };
    }),
  }));

test('a run feeds each step what the one before gave, and ends once', () => {
  const ends = fc.record({ failAt: fc.nat(STEPS_MAX), abandonAt: fc.nat(2 * STEPS_MAX) });
  fc.assert(
    fc.property(plans, ends, (plan, { failAt, abandonAt }) => {
      const run = new PlanRun<string>(plan);
      let actions = run.begin('input');
      let expected: { step: number; payload: string } | null = { step: 0, payload: 'input' };
      let readied = 0;
      for (let turn = 0; ; turn++) {
        const [first, second, ...more] = actions;
        assert.equal(more.length, 0);
        if (expected === null) {
          assert.equal(second, undefined);
          break;
        }
        assert.deepEqual(first, { kind: 'invoke', ...expected });
        assert.equal(expected.step, readied, 'what was readied comes next');
        const { step }: { step: number } = expected;
        const { next }: { next: number | null } = plan.steps[step]!;
        assert.deepEqual(second, next === null ? undefined : { kind: 'ready', step: next });
        readied = next ?? -1;
        assert.equal(run.step, step);
        const isAbandoned = turn === abandonAt;
        if (isAbandoned) run.abandon();
        const failed = turn === failAt;
        const outcome = failed ? ({ kind: 'failed' } as const) : ({ kind: 'output', payload: `${step}` } as const);
        actions = run.stepEnded(step, outcome);
        if (isAbandoned) assert.deepEqual(actions, []);
        else if (failed || next === null) assert.deepEqual(actions, [{ kind: 'done', step, outcome }]);
        expected = isAbandoned || failed || next === null ? null : { step: next, payload: `${step}` };
      }
      assert.equal(run.step, -1);
      assert.throws(() => run.begin('again'), /begins once/);
    }),
    { numRuns: 1000 },
  );
});

test('a chain is the plan in which each step leads to the next', () => {
  const targets = ['a', 'b', 'c'].map((functionName) => ({ functionName, version: '$LATEST' }));
  assert.deepEqual(
    chainPlan(targets).steps.map((step) => step.next),
    [1, 2, null],
  );
  assert.throws(() => chainPlan([]), /at least one step/);
  assert.throws(() => new PlanRun({ steps: [{ ...targets[0]!, next: 0 }] }), /leads to 0/);
});

test('an abandoned run that has not begun or is over stays as it is', () => {
  const plan = chainPlan([{ functionName: 'a', version: '1' }]);
  const run = new PlanRun<string>(plan);
  run.abandon();
  assert.equal(run.begin('x').length, 1);
  assert.equal(run.stepEnded(0, { kind: 'output', payload: 'y' }).length, 1);
  run.abandon();
  assert.throws(() => run.stepEnded(0, { kind: 'failed' }), /and -1 runs/);
});

test('a sleep plan says what wakes a step before its input, and whom its answer wakes', () => {
  fc.assert(
    fc.property(plans, (plan) => {
      for (const [step, { next, functionName }] of plan.steps.entries()) {
        const sleepPlan = sleepPlanOf(plan, step);
        assert.deepEqual([sleepPlan.step, sleepPlan.functionName, sleepPlan.next], [step, functionName, next]);
        if (next !== null) assert.ok(sleepPlanOf(plan, next).before?.steps.includes(step));
        for (const before of sleepPlan.before?.steps ?? []) assert.equal(plan.steps[before]!.next, step);
        assert.deepEqual(
          sleepPlan.during.map((waker) => [waker.kind, waker.mayWait]),
          [
            ['response', false],
            ['timer', true],
          ],
        );
      }
    }),
  );
});
