/** Whom a gateway gives up for those that come, in simulated time: one core, a line that is served in order. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LIMITS } from '../../../src/base/limits.ts';
import { type Waiter, WaitingLine } from '../../../src/gateway/waiting-line.ts';

const LATE_MS = LIMITS.lateWaitMs;
const STANDING_MS = LIMITS.standingLineMs;

interface Request extends Waiter {
  readonly entry: { readonly runUs: number };
}

interface Outcome {
  /** How long each waited that was served while more came. */
  readonly servedAfterMs: number[];
  /** The same of those after that. */
  readonly drainedAfterMs: number[];
  readonly refusedAfterMs: number[];
  readonly leftCount: number;
}

interface Load {
  /** When each comes, in order. */
  readonly comesAtMs: readonly number[];
  readonly runMs: number;
  /** Leaves after so long. */
  readonly patienceMs?: number;
}

/** Serves until nobody waits. */
function serve({ comesAtMs, runMs, patienceMs = Infinity }: Load): Outcome {
  const line = new WaitingLine<Request>();
  const servedAfterMs: number[] = [];
  const drainedAfterMs: number[] = [];
  const refusedAfterMs: number[] = [];
  let leftCount = 0;
  let next = 0;
  let freeAtMs = 0;
  for (let nowMs = 0; ; nowMs++) {
    const refuse = ({ acceptedUs }: Request): void => void refusedAfterMs.push(nowMs - acceptedUs / 1000);
    for (const waiter of Array.from(line.waiters())) {
      if (nowMs - waiter.acceptedUs / 1000 <= patienceMs) break;
      line.remove(waiter);
      leftCount++;
    }
    for (; next < comesAtMs.length && comesAtMs[next]! <= nowMs; next++) {
      line.comes(nowMs * 1000, refuse);
      const entry = { runUs: runMs * 1000 };
      line.add({ acceptedUs: nowMs * 1000, entry, older: null, newer: null, isInLine: false });
    }
    const [oldest] = line.waiters();
    if (oldest === undefined && next === comesAtMs.length)
      return { servedAfterMs, drainedAfterMs, refusedAfterMs, leftCount };
    if (oldest === undefined || nowMs < freeAtMs) continue;
    if (line.isStanding) line.ends(nowMs * 1000, refuse);
    if (!oldest.isInLine) continue;
    line.remove(oldest);
    const served = next === comesAtMs.length ? drainedAfterMs : servedAfterMs;
    served.push(nowMs - oldest.acceptedUs / 1000);
    freeAtMs = nowMs + runMs;
  }
}

function every(intervalMs: number, untilMs: number): number[] {
  return Array.from({ length: Math.floor(untilMs / intervalMs) }, (_, index) => index * intervalMs);
}

test('a burst is served whole, however long that takes', () => {
  const { drainedAfterMs, refusedAfterMs } = serve({ comesAtMs: new Array<number>(1000).fill(0), runMs: 10 });
  assert.equal(drainedAfterMs.length, 1000);
  assert.deepEqual(refusedAfterMs, []);
});

test('five times more than can be served: the cores work for those that are there, and the line is short at the end', () => {
  for (const patienceMs of [1000, 5000, Infinity]) {
    const runMs = 10;
    const comesAtMs = every(runMs / 5, 30_000);
    const { servedAfterMs, drainedAfterMs, refusedAfterMs, leftCount } = serve({ comesAtMs, runMs, patienceMs });
    assert.ok(servedAfterMs.length >= (0.9 * 30_000) / runMs, `${servedAfterMs.length} were served`);
    const servedCount = servedAfterMs.length + drainedAfterMs.length;
    assert.equal(servedCount + refusedAfterMs.length + leftCount, comesAtMs.length);
    // After the time in which it may still be a burst.
    const late = servedAfterMs.slice((STANDING_MS + 2 * LATE_MS) / runMs);
    assert.ok(
      late.every((waitedMs) => waitedMs <= LATE_MS + runMs),
      `somebody waited ${Math.max(...late)} ms`,
    );
  }
});

test('who comes when the load ends is served as soon as any of its last, who comes a moment later at once', () => {
  const runMs = 10;
  const endMs = 30_000;
  const load = every(runMs / 5, endMs);
  const { drainedAfterMs: first } = serve({ comesAtMs: [...load, endMs], runMs });
  assert.ok(Math.max(...first) <= LATE_MS + 2 * runMs);
  const { drainedAfterMs: second } = serve({ comesAtMs: [...load, endMs + LATE_MS + runMs], runMs });
  assert.equal(second.length, 1);
  assert.ok(second[0]! <= runMs);
});

test('what runs long may wait long', () => {
  const runMs = 2000;
  const { refusedAfterMs, servedAfterMs, drainedAfterMs } = serve({ comesAtMs: every(runMs, 60_000), runMs });
  assert.deepEqual(refusedAfterMs, []);
  assert.equal(servedAfterMs.length + drainedAfterMs.length, 30);
  // Ten times its own time, and no longer.
  const overloaded = serve({ comesAtMs: every(runMs / 5, 120_000), runMs });
  assert.ok(Math.min(...overloaded.refusedAfterMs) >= 10 * runMs);
  assert.ok(Math.max(...overloaded.servedAfterMs) <= 11 * runMs + LATE_MS);
});

test('nobody is refused who has not waited too long, and nobody while the line is not standing', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 8000 }), { size: 'max', maxLength: 1000 }),
      fc.integer({ min: 1, max: 200 }),
      (moments, runMs) => {
        const comesAtMs = moments.toSorted((a, b) => a - b);
        const { servedAfterMs, drainedAfterMs, refusedAfterMs } = serve({ comesAtMs, runMs });
        assert.equal(servedAfterMs.length + drainedAfterMs.length + refusedAfterMs.length, comesAtMs.length);
        for (const waitedMs of refusedAfterMs) assert.ok(waitedMs >= Math.max(LATE_MS, 10 * runMs));
        const lastMs = comesAtMs.at(-1) ?? 0;
        if (lastMs < STANDING_MS) assert.deepEqual(refusedAfterMs, []);
      },
    ),
    { numRuns: 50 },
  );
});

test('the line is what was put in and not taken out, in order', () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 20 }), { size: 'max', maxLength: 200 }), (steps) => {
      const line = new WaitingLine<Request>();
      const model: Request[] = [];
      for (const [index, step] of steps.entries()) {
        const gone = model[step];
        if (gone === undefined) {
          const one = { acceptedUs: index, entry: { runUs: 0 }, older: null, newer: null, isInLine: false };
          line.add(one);
          model.push(one);
        } else {
          line.remove(gone);
          line.remove(gone);
          model.splice(step, 1);
        }
        assert.deepEqual(
          [...line.waiters()].map(({ acceptedUs }) => acceptedUs),
          model.map((each) => each.acceptedUs),
        );
      }
    }),
  );
});
