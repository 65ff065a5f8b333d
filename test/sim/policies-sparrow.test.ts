import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FREE } from '../../src/sim/costs.ts';
import type { Result } from '../../src/sim/measure/result.ts';
import { simulate } from '../../src/sim/simulate.ts';
import { setupOf } from '../../src/sim/spec.ts';
import { checkNobodyIsLost, play } from './given-jobs.ts';

const CLUSTER = { serverCount: 4, coreCount: 1, memoryMb: 1024 };

test('sparrow: nobody is lost or run twice', () => {
  checkNobodyIsLost(
    fc
      .record({
        d: fc.constantFrom(1, 1.05, 2, 5),
        fronts: fc.constantFrom(1, 3),
        gather: fc.constantFrom(0, 10),
        cancel: fc.constantFrom('yes', 'no'),
      })
      .map(({ d, fronts, gather, cancel }) => `sparrow:d=${d},fronts=${fronts},gather=${gather},cancel=${cancel}`),
  );
});

function run(policy: string): Result {
  return simulate(
    setupOf({
      policy,
      workload: 'exponential:mean=10',
      servers: 16,
      cores: 2,
      memoryMb: 65_536,
      load: 0.9,
      costs: FREE,
      seed: 3,
      seconds: 20,
      warmUpSeconds: 4,
    }),
  );
}

test('sparrow: with reservations at all workers it is one queue for all cores', () => {
  const all = run('sparrow:d=16');
  const central = run('perch');
  assert.equal(all.slowdown.count, central.slowdown.count);
  assert.ok(Math.abs(all.waitUs.mean - central.waitUs.mean) < 1e-6 * central.waitUs.mean);
  assert.ok(Math.abs(all.slowdown.p99 - central.slowdown.p99) < 1e-6 * central.slowdown.p99);
});

test('sparrow: two reservations lie between one and all', () => {
  const [one, two, all] = [run('sparrow:d=1'), run('sparrow:d=2'), run('sparrow:d=16')];
  assert.ok(two.waitUs.mean < one.waitUs.mean / 2, `${two.waitUs.mean} µs, and ${one.waitUs.mean} with one`);
  assert.ok(all.waitUs.mean < two.waitUs.mean);
});

test('sparrow: what a batch needs no more is cancelled, and changes nothing where messages take no time', () => {
  const [cancelled, asked] = [run('sparrow:cancel=yes'), run('sparrow:cancel=no')];
  assert.ok(cancelled.counters['reservations cancelled']! > 1000);
  assert.equal(asked.counters['reservations cancelled'], 0);
  assert.equal(asked.waitUs.mean, cancelled.waitUs.mean);
  assert.ok(asked.counters['reservations in vain']! > cancelled.counters['reservations in vain']!);
});

test('sparrow: a batch shares its reservations', () => {
  // All four servers hold one of its reservations, and the busy one is asked by nobody.
  const long = { atUs: 0, phasesUs: [1000] };
  const batch = Array.from({ length: 3 }, () => ({ atUs: 10, phasesUs: [10] }));
  const { endsUs } = play({ policy: 'sparrow:d=1.3,fronts=1', jobs: [long, ...batch], cluster: CLUSTER });
  assert.deepEqual(endsUs, [1000, 20, 20, 20]);
});

test('sparrow: from the gateway to the core it takes a probe, a question and an answer', () => {
  const { startsUs, endsUs } = play({
    policy: 'sparrow',
    jobs: [{ atUs: 100, phasesUs: [10] }],
    cluster: CLUSTER,
    costs: { gatewayUs: 30, networkUs: 20, startUs: 2, endUs: 5 },
  });
  assert.deepEqual(startsUs, [100 + 30 + 3 * 20]);
  assert.deepEqual(endsUs, [100 + 30 + 3 * 20 + 2 + 10 + 5 + 20]);
});
