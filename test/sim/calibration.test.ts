/** What `--costs measured` is, and the replay with which it is held to the real platform. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { costsWith, readCalibration } from '../../bench/lib/calibrate/calibration-file.ts';
import { compareQuantiles } from '../../bench/lib/calibrate/confidence.ts';
import { simulatedLatenciesUs } from '../../bench/lib/calibrate/replay.ts';
import { burstOf, CALIBRATION_WORKLOADS, openLoopOf } from '../../bench/lib/calibrate/workloads.ts';
import { costsOf } from '../../src/cli/sim/costs-option.ts';
import { COST_NAMES, FREE } from '../../src/sim/costs.ts';
import { Random } from '../../src/sim/engine/random.ts';

test('the calibration that ships has every cost, between the bounds that it states', () => {
  const costs = costsOf('measured');
  const file = readCalibration();
  assert.ok(file !== null && file.machine !== '' && file.version !== '');
  assert.deepEqual(file.costs, costs);
  assert.deepEqual(Object.keys(costs), [...COST_NAMES]);
  for (const name of COST_NAMES) {
    const [low, high] = file.spread[name];
    assert.ok(costs[name] > 0 && low <= costs[name] && costs[name] <= high, `${name}: ${low}, ${costs[name]}, ${high}`);
  }
});

test('what is measured now counts before what was; all has to be known', () => {
  const before = readCalibration();
  const measured = { networkUs: { p50: 7, low: 6, high: 8 } };
  assert.equal(costsWith(measured, before)?.networkUs, 7);
  assert.equal(costsWith(measured, before)?.endUs, before?.costs.endUs);
  assert.equal(costsWith(measured, null), null);
});

const SENT = fc.array(fc.record({ gapUs: fc.nat(3000), demandUs: fc.integer({ min: 1, max: 2500 }) }), {
  minLength: 1,
  maxLength: 100,
  size: 'max',
});

test('the replay on one core is first come, first served, with what the platform takes before, between and after', () => {
  fc.assert(
    fc.property(SENT, fc.nat(50), fc.nat(50), (gaps, gatewayUs, endUs) => {
      const costs = { ...FREE, gatewayUs, startUs: 5, endUs };
      let atUs = 0;
      const sent = gaps.map(({ gapUs, demandUs }) => ({ sentUs: (atUs += gapUs), demandUs }));
      let freeUs = 0;
      const expected = sent.map(({ sentUs, demandUs }) => {
        freeUs = Math.max(freeUs, sentUs + gatewayUs) + 5 + demandUs + endUs;
        return freeUs - sentUs;
      });
      const latenciesUs = simulatedLatenciesUs(sent, 1, costs);
      for (const [index, us] of expected.entries()) assert.ok(Math.abs(latenciesUs[index]! - us) < 0.01, `${index}`);
    }),
    { numRuns: 100 },
  );
});

test('each workload comes at its load, with its mean', () => {
  for (const workload of CALIBRATION_WORKLOADS) {
    const seconds = 2000;
    const plan = openLoopOf(workload, { coreCount: 2, seconds, random: new Random(1, 0) });
    const demandUs = plan.reduce((sum, each) => sum + each.demandUs, 0);
    assert.ok(Math.abs(demandUs / (2 * seconds * 1e6) / workload.load - 1) < 0.03, workload.name);
    assert.ok(Math.abs(demandUs / plan.length / workload.meanUs - 1) < 0.03, workload.name);
    assert.ok(plan.every(({ atUs }, index) => index === 0 || atUs > plan[index - 1]!.atUs));
    assert.equal(burstOf(workload, 5, new Random(1, 0)).length, 5);
  }
});

test('a quantile is within its interval, and a simulation that is right within that of the ratio', () => {
  const random = new Random(1, 0);
  const pairs = Array.from({ length: 800 }, (_, index) => {
    const us = 1000 * random.exponential();
    return { block: Math.floor(index / 20), measuredUs: us, simulatedUs: us * (0.99 + 0.02 * random.unit()) };
  });
  for (const [share, expected] of [
    [0.5, Math.LN2],
    [0.99, Math.log(100)],
  ] as const) {
    const { measured, simulated, measuredInterval, ratioInterval } = compareQuantiles(pairs, share);
    assert.ok(measuredInterval.low <= measured && measured <= measuredInterval.high);
    assert.ok(measuredInterval.low <= expected * 1000 && expected * 1000 <= measuredInterval.high);
    assert.ok(Math.abs(simulated / measured - 1) < 0.02);
    assert.ok(ratioInterval.low > 0.98 && ratioInterval.high < 1.02);
  }
});
