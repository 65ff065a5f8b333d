import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FREE } from '../../src/sim/costs.ts';
import type { Result } from '../../src/sim/measure/result.ts';
import { movesFor, targetsFor } from '../../src/sim/policies/canary/partitions.ts';
import { simulate } from '../../src/sim/simulate.ts';
import { setupOf } from '../../src/sim/spec.ts';
import { checkNobodyIsLost, play } from './given-jobs.ts';

test('canary: nobody is lost or run twice', () => {
  checkNobodyIsLost(
    fc
      .record({
        fronts: fc.constantFrom(1, 2, 4),
        period: fc.constantFrom(0, 0.001, 0.01, 0.1),
        spread: fc.constantFrom('random', 'function'),
      })
      .map(({ fronts, period, spread }) => `canary:fronts=${fronts},period=${period},spread=${spread}`),
  );
});

interface Run {
  readonly load?: number;
  readonly servers?: number;
}

function run(policy: string, { load = 0.9, servers = 64 }: Run = {}): Result {
  return simulate(
    setupOf({
      policy,
      workload: 'exponential:mean=10',
      servers,
      cores: 2,
      memoryMb: 65_536,
      load,
      costs: FREE,
      seed: 3,
      seconds: 10,
      warmUpSeconds: 2,
    }),
  );
}

test('canary: one front is one queue for all cores', () => {
  const [one, central] = [run('canary:fronts=1'), run('perch')];
  assert.ok(Math.abs(one.waitUs.mean - central.waitUs.mean) < 1e-6 * central.waitUs.mean);
});

test('canary: between one queue and as many as there are fronts, the closer to one the more often servers move', () => {
  const [one, often, seldom, never] = [
    run('canary:fronts=1'),
    run('canary:period=2'),
    run('canary:period=20'),
    run('canary:period=0'),
  ];
  assert.equal(never.counters['servers moved'], 0);
  const waitsUs = [one, often, seldom, never].map(({ waitUs }) => waitUs.mean);
  assert.deepEqual(
    waitsUs,
    waitsUs.toSorted((a, b) => a - b),
  );
});

test('canary: servers follow the load, where all of it comes to one front', () => {
  // A quarter of the servers is not enough for it.
  const moved = run('canary:fronts=4,spread=function', { load: 0.7 });
  assert.equal(moved.unfinished, 0);
  assert.ok(moved.slowdown.p50 < 1.01, `${moved.slowdown.p50}`);
  const stuck = run('canary:fronts=4,spread=function,period=0', { load: 0.7 });
  assert.ok(stuck.slowdown.p50 > 100);
});

test('canary: who waits is heard of by the controller, and served where a server was moved', () => {
  // One function, so one front of two with one server of one core each, of which the other gives none away: at least one each.
  const cluster = { serverCount: 3, coreCount: 1, memoryMb: 1024 };
  const jobs = Array.from({ length: 3 }, () => ({ atUs: 0, phasesUs: [1000] }));
  const given = { jobs, cluster, costs: { networkUs: 10 } };
  // Server 0 and 2 are its own.
  assert.deepEqual(play({ ...given, policy: 'canary:fronts=2,spread=function,period=0' }).startsUs, [10, 10, 1030]);
  const few = { ...given, cluster: { ...cluster, serverCount: 4 } };
  // At 100 µs a report, at the controller 10 later; order, handing over and the job itself take 10 each.
  assert.deepEqual(play({ ...few, policy: 'canary:fronts=2,spread=function,period=0.1' }).startsUs, [10, 10, 140]);
});

test('canary: partitions are in proportion to the load, with at least one server each', () => {
  assert.deepEqual(targetsFor([0, 0], 5), [3, 2]);
  assert.deepEqual(targetsFor([30, 10], 8), [6, 2]);
  assert.deepEqual(targetsFor([100, 0, 0], 4), [2, 1, 1]);
  const demands = fc.array(fc.nat(1000), { minLength: 1, maxLength: 40, size: 'max' });
  fc.assert(
    fc.property(demands, fc.nat(100), (given, more) => {
      const serverCount = given.length + more;
      const targets = targetsFor(given, serverCount);
      assert.equal(
        targets.reduce((sum, target) => sum + target, 0),
        serverCount,
      );
      assert.ok(targets.every((target) => target >= 1));
      const total = given.reduce((sum, demand) => sum + demand, 0);
      const isRoomy = total > 0 && given.every((demand) => (serverCount * demand) / total >= 1);
      for (const [front, target] of targets.entries()) {
        if (isRoomy) assert.ok(Math.abs(target - (serverCount * given[front]!) / total) < 1);
      }
    }),
  );
});

test('canary: the moves lead from what fronts have to what they should have, and no server moves in vain', () => {
  const counts = fc.array(fc.tuple(fc.integer({ min: 1, max: 20 }), fc.nat(100)), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(counts, (given) => {
      const have = given.map(([count]) => count);
      const total = have.reduce((sum, count) => sum + count, 0);
      const targets = targetsFor(
        given.map(([, demand]) => demand),
        total,
      );
      const moves = movesFor(have, targets);
      const after = [...have];
      for (const { from, to } of moves) {
        assert.ok(have[from]! > targets[from]! && have[to]! < targets[to]!);
        after[from]!--;
        after[to]!++;
      }
      assert.deepEqual(after, targets);
    }),
  );
});
