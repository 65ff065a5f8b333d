import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../src/sim/engine/random.ts';
import { confidenceOf, studentT } from '../../src/sim/measure/confidence.ts';

/** From the tables that every book of statistics has. */
const TABLE = [
  [1, 12.706],
  [2, 4.303],
  [3, 3.182],
  [4, 2.776],
  [9, 2.262],
  [10, 2.228],
  [29, 2.045],
  [30, 2.042],
  [120, 1.98],
  [100_000, 1.96],
] as const;

for (const [freedom, expected] of TABLE) {
  test(`t at ${freedom} degrees of freedom, 95 %`, () => {
    assert.ok(Math.abs(studentT(freedom) - expected) < 6e-4, `${studentT(freedom)}`);
  });
}

test('t at another level', () => {
  assert.ok(Math.abs(studentT(5, 0.99) - 4.032) < 1e-3);
  assert.ok(Math.abs(studentT(5, 0.9) - 2.015) < 1e-3);
});

test('one number says nothing about its own error; equal ones have none', () => {
  assert.deepEqual(confidenceOf([3]), { mean: 3, halfWidth: null, count: 1 });
  assert.deepEqual(confidenceOf([3, 3, 3]), { mean: 3, halfWidth: 0, count: 3 });
});

test('the interval holds the true mean in 95 of 100 cases', () => {
  const random = new Random(1, 0);
  const caseCount = 4000;
  let heldCount = 0;
  for (let i = 0; i < caseCount; i++) {
    const { mean, halfWidth } = confidenceOf(Array.from({ length: 5 }, () => 7 + random.normal()));
    if (Math.abs(mean - 7) <= halfWidth!) heldCount++;
  }
  assert.ok(Math.abs(heldCount / caseCount - 0.95) < 0.015, `${heldCount} of ${caseCount}`);
});
