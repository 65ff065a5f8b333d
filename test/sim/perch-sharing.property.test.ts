/** The shipped sharing and scheduler machines in virtual time: all of their invariants after every event, and one end for everybody. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { cluster, costs, load, play } from './perch-load.ts';

const RUNS = Number(process.env['PERCH_FC_RUNS'] ?? 8);

for (const [name, options] of [
  ['perch-dedicated', 'queue=20'],
  ['perch-lend', 'queue=20,k=3'],
  ['perch-lend', 'k=2,lendAfter=0'],
  ['perch-packed', 'queue=20,k=3'],
  ['perch-preempt', 'queue=20,k=4'],
  ['perch-preempt', 'k=2,quantum=500'],
  ['perch-fair', 'queue=20,k=2'],
  ['perch-lend', 'k=2,spare=f0,dedicated=f1'],
  ['perch-preempt', 'k=3,spare=f0+f1,workers=real'],
  ['perch-stack', 'queue=20,k=3'],
  ['perch-shards', 'queue=20,shards=3'],
  ['perch-shards', 'shards=2,bell=0,route=function,sharing=lend,batch=2'],
  ['perch-dedicated', 'workers=real'],
  ['perch-dedicated', 'workers=real,isolation=fresh'],
  ['perch-lend', 'workers=real,isolation=process,k=2'],
  ['perch-preempt', 'workers=real,k=3,isolation=fresh,queue=20'],
  ['perch-shards', 'shards=3,workers=real,sharing=packed,k=2'],
] as const) {
  const policy = `${name}:${options}`;
  test(`${policy}: every invariant after every event, and one end for everybody`, () => {
    let stepCount = 0;
    fc.assert(
      fc.property(fc.record({ load, cluster, costs, seed: fc.nat() }), (each) => {
        stepCount += play({ policy, ...each }).stepCount;
      }),
      { numRuns: RUNS },
    );
    assert.ok(stepCount > RUNS * 50, `${stepCount} steps`);
  });
}
