/**
 * The shipped machines in virtual time: all of their invariants after every event, one end for everybody, and no work lost or made up. A fixed number of
 * cases comes from a fixed seed, so that what each policy is for is seen to happen; PERCH_FC_RUNS more are drawn anew each time.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { cluster, costs, load, play } from './perch-load.ts';

const RUNS = Number(process.env['PERCH_FC_RUNS'] ?? 4);
const FIXED_RUNS = 8;
const CASE = fc.record({ load, cluster, costs, seed: fc.nat() });

const HANDED_ON = 'steps on the core of the one before';
const EXTRA = 'grants of extra seats';
const NO_MEMORY = 'refused for memory by workers';

const POLICIES: readonly { readonly policy: string; readonly sees: readonly string[] }[] = [
  { policy: 'perch-dedicated:queue=20', sees: [HANDED_ON] },
  { policy: 'perch-lend:queue=20,k=3', sees: [HANDED_ON, EXTRA, 'places changed', 'switches'] },
  { policy: 'perch-lend:k=2,lendAfter=0', sees: [EXTRA, 'places changed'] },
  { policy: 'perch-packed:queue=20,k=3', sees: [EXTRA, 'places changed', 'switches'] },
  { policy: 'perch-preempt:queue=20,k=4', sees: [EXTRA, 'preemptions', 'places changed'] },
  { policy: 'perch-preempt:k=2,quantum=500', sees: ['preemptions'] },
  { policy: 'perch-fair:queue=20,k=2', sees: [EXTRA] },
  { policy: 'perch-lend:k=2,spare=f0,dedicated=f1', sees: [EXTRA, 'places changed'] },
  { policy: 'perch-preempt:k=3,spare=f0+f1,workers=real', sees: ['coldStarts'] },
  { policy: 'perch-stack:queue=20,k=3', sees: ['preemptions', EXTRA] },
  { policy: 'perch-shards:queue=20,shards=3', sees: ['steals', HANDED_ON] },
  { policy: 'perch-shards:shards=2,bell=0,route=function,sharing=lend,batch=2', sees: ['steals', EXTRA] },
  { policy: 'perch-dedicated:workers=real', sees: ['coldStarts', NO_MEMORY, HANDED_ON] },
  { policy: 'perch-dedicated:workers=real,isolation=fresh', sees: ['coldStarts', NO_MEMORY] },
  { policy: 'perch-lend:workers=real,isolation=process,k=2', sees: ['coldStarts', EXTRA] },
  { policy: 'perch-preempt:workers=real,k=3,isolation=fresh,queue=20', sees: ['coldStarts', 'preemptions'] },
  { policy: 'perch-shards:shards=3,workers=real,sharing=packed,k=2', sees: ['steals', EXTRA, NO_MEMORY] },
];

for (const { policy, sees } of POLICIES) {
  test(`${policy}: every invariant after every event, and one end for everybody`, () => {
    const sums = new Map<string, number>();
    for (const each of fc.sample(CASE, { numRuns: FIXED_RUNS, seed: 1 })) {
      for (const [name, count] of Object.entries(play({ policy, ...each }).counters))
        sums.set(name, (sums.get(name) ?? 0) + count);
    }
    for (const name of sees) assert.ok(sums.get(name)! > 0, `nothing is seen of ${name}`);
    fc.assert(
      fc.property(CASE, (each) => {
        play({ policy, ...each });
      }),
      { numRuns: RUNS },
    );
  });
}
