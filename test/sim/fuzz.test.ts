/**
 * The bug finder in the suite: clusters from the newest commit's hash, for a fixed number of steps, and every seed that ever failed. `PERCH_FUZZ_MINUTES` has it go on for so long.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { caseOf, seedOf } from '../../src/sim/fuzz/case.ts';
import { changed, changeOf, textOf } from '../../src/sim/fuzz/change.ts';
import { fuzz } from '../../src/sim/fuzz/fuzz.ts';
import { play } from '../../src/sim/fuzz/play.ts';
import { reportOf } from '../../src/sim/fuzz/report.ts';

const STEPS = 40_000;
const SHRINK_STEPS = 200_000;
const MINUTES = Number(process.env['PERCH_FUZZ_MINUTES'] ?? 0);
const root = fileURLToPath(new URL('../..', import.meta.url));

interface Seed {
  readonly seed: number;
  readonly what: string;
  readonly change?: string;
}

const SEEDS = JSON.parse(readFileSync(new URL('fuzz-seeds.json', import.meta.url), 'utf8')) as readonly Seed[];

/** The hash of the newest commit; of a package that has no git, its version. */
function newest(): string {
  try {
    const stdio = ['ignore', 'pipe', 'ignore'] as const;
    return execFileSync('git', ['rev-parse', 'HEAD'], { cwd: root, encoding: 'utf8', stdio: [...stdio] }).trim();
  } catch {
    return (JSON.parse(readFileSync(`${root}/package.json`, 'utf8')) as { version: string }).version;
  }
}

test('clusters of the newest commit: every invariant holds after every step, and all that was accepted ends', (t) => {
  const text = newest();
  const endMs = performance.now() + MINUTES * 60_000;
  const stepMax = MINUTES > 0 ? Infinity : STEPS;
  const isOver = (): boolean => MINUTES > 0 && performance.now() >= endMs;
  const fuzzed = fuzz({ seed: seedOf(text), stepMax, isOver, shrinkStepMax: SHRINK_STEPS });
  const report = reportOf(fuzzed, { plant: '', eventCountMax: 30 });
  t.diagnostic(`${text}: ${report}`);
  assert.equal(fuzzed.found, null, report);
});

for (const { seed, what, change } of SEEDS) {
  test(`seed ${seed}: ${what}`, () => {
    const theCase = caseOf(seed);
    const { failure } = play(change === undefined ? theCase : changed(theCase, changeOf(change)!));
    assert.equal(failure, null);
  });
}

test('the same seed does the same, event by event', () => {
  const setting = { seed: 4711, stepMax: 10_000, shrinkStepMax: 0 };
  assert.deepEqual(fuzz(setting), fuzz(setting));
});

test('what was taken out of a case can be said, and read again', () => {
  const change = { workers: 2, shards: 1, arrivals: [0, 1, 2, 7, 9, 10], faults: [] };
  assert.equal(textOf(change), 'workers=2,shards=1,arrivals=0-2+7+9-10,faults=none');
  assert.deepEqual(changeOf(textOf(change)), change);
  for (const wrong of ['workers=0', 'workers', 'faults=1-', 'arrivals=1+', 'nodes=2'])
    assert.equal(changeOf(wrong), null);
  const { arrivals, workers, gatewayCount } = changed(caseOf(1), { gateways: 1, ...change });
  assert.equal(arrivals.length, 6);
  assert.equal(workers.length, 2);
  assert.ok(arrivals.every(({ gateway }) => gateway < gatewayCount));
});

test('a seed is a number, or made of a text', () => {
  assert.equal(seedOf('4294967295'), 4294967295);
  assert.notEqual(seedOf('4294967296'), 0);
  assert.notEqual(seedOf('a1b2c3'), seedOf('a1b2c4'));
});
