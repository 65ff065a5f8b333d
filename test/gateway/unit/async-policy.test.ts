import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { judge } from '../../../src/gateway/async-policy.ts';

const LIMITS = {
  retryMax: 2,
  retryDelaysMs: [60, 120],
  ageMaxMs: 10_000,
  refusedDelayMinMs: 1,
  refusedDelayMaxMs: 300,
};

test('a function error is tried again twice, with the delays of the table', () => {
  assert.deepEqual(judge('error', { acceptedMs: 0, attempts: 0 }, 5, LIMITS), {
    kind: 'retry',
    attempts: 1,
    dueMs: 65,
  });
  assert.deepEqual(judge('error', { acceptedMs: 0, attempts: 1 }, 70, LIMITS), {
    kind: 'retry',
    attempts: 2,
    dueMs: 190,
  });
  assert.deepEqual(judge('error', { acceptedMs: 0, attempts: 2 }, 200, LIMITS), {
    kind: 'give-up',
    reason: 'retries-exhausted',
  });
});

test('one whose worker was lost is tried again soon, as often as one that failed', () => {
  for (const attempts of [0, 1]) {
    const verdict = judge('lost', { acceptedMs: 0, attempts }, 50, LIMITS);
    assert.deepEqual(verdict, { kind: 'retry', attempts: attempts + 1, dueMs: 51 });
  }
  const last = judge('lost', { acceptedMs: 0, attempts: 2 }, 50, LIMITS);
  assert.deepEqual(last, { kind: 'give-up', reason: 'retries-exhausted' });
});

test('a response ends it, whatever came before', () => {
  fc.assert(
    fc.property(fc.nat(), fc.nat(), (attempts, nowMs) => {
      assert.deepEqual(judge('response', { acceptedMs: 0, attempts }, nowMs, LIMITS), { kind: 'done' });
    }),
  );
});

test('refusals count as no attempt, back off, and end by age', () => {
  let nowMs = 0;
  let refusals = 0;
  for (;;) {
    const verdict = judge('refused', { acceptedMs: 0, attempts: 1 }, nowMs, LIMITS);
    if (verdict.kind !== 'retry') {
      assert.deepEqual(verdict, { kind: 'give-up', reason: 'age-exceeded' });
      break;
    }
    assert.equal(verdict.attempts, 1);
    const delayMs = verdict.dueMs - nowMs;
    assert.ok(delayMs >= LIMITS.refusedDelayMinMs && delayMs <= LIMITS.refusedDelayMaxMs);
    nowMs = verdict.dueMs;
    refusals++;
  }
  assert.ok(nowMs <= LIMITS.ageMaxMs);
  assert.ok(refusals > 10 && refusals < 100);
});

test('a function that is not there any more ends it, whatever came before', () => {
  for (const attempts of [0, 1, 2]) {
    const verdict = judge('missing', { acceptedMs: 0, attempts }, 5, LIMITS);
    assert.deepEqual(verdict, { kind: 'give-up', reason: 'function-deleted' });
  }
});
