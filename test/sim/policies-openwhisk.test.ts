import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Balancer, hashOf, stepsFor } from '../../src/sim/policies/openwhisk/balancer.ts';
import { PLAIN_FUNCTION } from '../../src/sim/workload.ts';
import { checkNobodyIsLost, play } from './given-jobs.ts';
import { runMany } from './many-functions.ts';

test('openwhisk: nobody is lost or run twice', () => {
  checkNobodyIsLost(
    fc
      .record({
        fronts: fc.constantFrom(1, 2, 5),
        memory: fc.constantFrom(0, 128, 256),
        hops: fc.constantFrom(1, 2),
        discipline: fc.constantFrom('ps', 'fcfs'),
      })
      .map(
        ({ fronts, memory, hops, discipline }) =>
          `openwhisk:fronts=${fronts},memory=${memory},hops=${hops},discipline=${discipline}`,
      ),
  );
});

test('openwhisk: the steps are those of its documentation, and each leads to all servers', () => {
  assert.deepEqual(stepsFor(10), [1, 3, 7]);
  assert.deepEqual(stepsFor(1), [1]);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 300 }), fc.nat(300), (count, from) => {
      for (const step of stepsFor(count)) {
        const reached = new Set(Array.from({ length: count }, (_, i) => (from + i * step) % count));
        assert.equal(reached.size, count);
      }
    }),
  );
});

test('openwhisk: a controller fills the home server, then goes on by the step, and draws when all are full', () => {
  // Home 3, step 3, as in its documentation: 3, 6, 9, 2, 5, 8, 1, 4, 7, 0. Each has room for two.
  const balancer = new Balancer(10, 256, stepsFor(10));
  const take = (): number => balancer.take(13, 128, () => 8);
  const order = Array.from({ length: 20 }, take);
  assert.deepEqual(
    order,
    [3, 6, 9, 2, 5, 8, 1, 4, 7, 0].flatMap((server) => [server, server]),
  );
  assert.equal(balancer.overloadCount, 0);
  assert.equal(take(), 8);
  assert.equal(balancer.overloadCount, 1);
  balancer.give(8, 128);
  assert.equal(balancer.freeMb(8), 0);
  balancer.give(5, 128);
  assert.equal(take(), 5);
});

test('openwhisk: a share is never below what the smallest function takes', () => {
  assert.equal(new Balancer(1, 1, [1]).freeMb(0), 128);
});

test('openwhisk: functions are spread over servers, and always to the same one', () => {
  const homes = new Set(Array.from({ length: 200 }, (_, functionIndex) => hashOf(functionIndex) % 50));
  assert.ok(homes.size > 40, `${homes.size} of 50 servers are the home of one of 200 functions`);
  const jobs = Array.from({ length: 40 }, (_, i) => ({ atUs: i * 100, functionIndex: i % 4, phasesUs: [50] }));
  const functions = Array.from({ length: 4 }, (_, i) => ({ ...PLAIN_FUNCTION, name: `f${i}` }));
  const cluster = { serverCount: 8, coreCount: 2, memoryMb: 4096 };
  const { serversOf, world } = play({ policy: 'openwhisk', jobs, cluster, functions, costs: { coldStartUs: 10 } });
  for (const [i, server] of serversOf.entries()) assert.equal(server, serversOf[i % 4]);
  assert.equal(world.counters.coldStarts, 4);
});

test('openwhisk: what finds no memory waits on its server, in order', () => {
  // One core of 128 MB, so one at a time.
  const jobs = [1, 2, 3].map(() => ({ atUs: 0, phasesUs: [10] }));
  const cluster = { serverCount: 1, coreCount: 1, memoryMb: 1024 };
  const { endsUs, policy } = play({ policy: 'openwhisk:memory=128,fronts=1', jobs, cluster });
  assert.deepEqual(endsUs, [10, 20, 30]);
  assert.deepEqual(policy.counters?.(), { 'found all servers full': 2 });
});

test('openwhisk: there are far fewer cold starts than with servers drawn at random', () => {
  const [hashed, random] = [runMany('openwhisk', 0.4), runMany('random', 0.4)];
  const [ofHashed, ofRandom] = [hashed.counters['cold starts']!, random.counters['cold starts']!];
  assert.ok(ofHashed * 4 < ofRandom, `${ofHashed} cold starts, and ${ofRandom} at random`);
});
