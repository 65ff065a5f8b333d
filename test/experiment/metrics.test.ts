/** The paper's metrics and ours, of chains whose every number is known. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { measure, median, quantile, wantedUs, wantingSpans } from '../../src/experiment/metrics.ts';
import type { ChainRun, StepRecord } from '../../src/experiment/records.ts';

const QUIET = { coreCount: 1, platformUs: 0, objectServerUs: 0, harnessUs: 0 };

/** A step of 100 µs: 20 of work, 60 of waiting of which `spun` burn the CPU, 20 of work. The response is sent after 50. */
function step(startUs: number, spun: number, id: string): StepRecord {
  return {
    name: 'step',
    build: 'poll',
    startUs,
    endUs: startUs + 100,
    cpuStartUs: 1000,
    cpuEndUs: 1000 + 20 + spun + 20,
    childCpuUs: 0,
    waits: [{ id, sentUs: startUs + 20, heardUs: startUs + 80, cpuSentUs: 1020, cpuHeardUs: 1020 + spun }],
  };
}

function respondedAt(run: ChainRun): { id: string; receivedUs: number; respondedUs: number }[] {
  return run.steps.flatMap(({ waits }) =>
    waits.map(({ id, sentUs }) => ({ id, receivedUs: sentUs, respondedUs: sentUs + 50 })),
  );
}

test('one chain by itself: every metric by hand', () => {
  const run: ChainRun = {
    kind: 'only',
    triggerUs: 0,
    refusedCount: 0,
    answeredUs: 250,
    steps: [step(10, 60, 'a'), step(130, 30, 'b')],
  };
  const metrics = measure([run], respondedAt(run), { ...QUIET, busyUs: 170 });
  assert.equal(metrics.trigMeanUs, 10);
  assert.equal(metrics.interMeanUs, 20);
  assert.equal(metrics.execMeanUs, 230);
  assert.equal(metrics.idleTimeShare, (60 / 100 + 30 / 70) / 2);
  assert.equal(metrics.idleTimeShareOfAll, 90 / 170);
  assert.equal(metrics.chainCpuUs, 170);
  assert.equal(metrics.chainIdleUs, 90);
  assert.equal(metrics.makespanUs, 230);
  // It wants the core for all its life but for two waits of 50 µs, and 80 of these 130 µs were work.
  assert.equal(metrics.unservedShare, 50 / 230);
  assert.equal(metrics.wasteShare, 50 / 230);
  assert.equal(metrics.boundUs, 80 + 80 + 100);
  assert.equal(metrics.makespanOverBound, 230 / (80 + 80 + 100));
  assert.equal(metrics.makespanOverBoundOfAll, metrics.makespanOverBound);
  const served = measure([run], respondedAt(run), { ...QUIET, busyUs: 210, objectServerUs: 30, harnessUs: 10 });
  assert.equal(served.makespanOverBound, metrics.makespanOverBound);
  assert.equal(served.makespanOverBoundOfAll, 230 / (80 + 40 + 80 + 100));
});

test('what others took is no waste', () => {
  const run: ChainRun = { kind: 'only', triggerUs: 0, refusedCount: 0, answeredUs: 110, steps: [step(0, 0, 'a')] };
  const alone = measure([run], respondedAt(run), { ...QUIET, busyUs: 40 });
  assert.equal(alone.wasteShare, 10 / 100);
  const beside = measure([run], respondedAt(run), { ...QUIET, busyUs: 100 });
  assert.equal(beside.unservedShare, alone.unservedShare);
  assert.ok(beside.wasteShare < alone.wasteShare);
  assert.ok(beside.wasteShare >= 0);
});

test('of two chains that take turns on one core nothing is wasted', () => {
  const first: ChainRun = {
    kind: 'only',
    triggerUs: 0,
    refusedCount: 0,
    answeredUs: 0,
    steps: [{ ...step(0, 0, 'a'), waits: [] }],
  };
  const work = { ...first.steps[0]!, cpuStartUs: 0, cpuEndUs: 100 };
  const runs = [
    { ...first, steps: [work] },
    { ...first, steps: [{ ...work, startUs: 100, endUs: 200 }] },
  ];
  const metrics = measure(runs, [], { ...QUIET, busyUs: 200 });
  assert.equal(metrics.wasteShare, 0);
  assert.equal(metrics.usefulShare, 1);
  assert.equal(metrics.boundUs, 200 + 100);
});

test('a wait ends when the response was sent, and never outside of what the function saw', () => {
  const run: ChainRun = { kind: 'only', triggerUs: 0, refusedCount: 0, answeredUs: 0, steps: [step(0, 0, 'a')] };
  const spans = (respondedUs: number): unknown =>
    wantingSpans(run, new Map([['a', { id: 'a', receivedUs: 0, respondedUs }]]));
  const around = (fromUs: number): unknown => [
    { fromUs: 0, toUs: 20 },
    { fromUs, toUs: 100 },
  ];
  assert.deepEqual(spans(50), around(50));
  assert.deepEqual(spans(90), around(80));
  assert.deepEqual(spans(5), around(20));
  assert.deepEqual(wantingSpans(run, new Map()), around(80));
});

test('what is wanted, by counting every microsecond', () => {
  const span = fc.tuple(fc.nat(40), fc.nat(12)).map(([fromUs, length]) => ({ fromUs, toUs: fromUs + length }));
  const chain = fc.uniqueArray(span, { maxLength: 3, selector: ({ fromUs }) => fromUs }).map((spans) => {
    const sorted = spans.toSorted((a, b) => a.fromUs - b.fromUs);
    return sorted.map((each, i) => ({ ...each, toUs: Math.min(each.toUs, sorted[i + 1]?.fromUs ?? Infinity) }));
  });
  fc.assert(
    fc.property(fc.array(chain, { maxLength: 8 }), fc.integer({ min: 1, max: 4 }), (chains, coreCount) => {
      let expected = 0;
      for (let us = 0; us < 60; us++) {
        const wanting = chains.filter((spans) => spans.some(({ fromUs, toUs }) => fromUs <= us && us < toUs)).length;
        expected += Math.min(coreCount, wanting);
      }
      assert.equal(wantedUs(chains, coreCount), expected);
    }),
  );
});

test('quantiles and medians', () => {
  assert.equal(quantile([3, 1, 2], 0.5), 2);
  assert.equal(quantile([3, 1, 2], 0.99), 3);
  assert.ok(Number.isNaN(quantile([], 0.5)));
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.equal(median([5]), 5);
});
