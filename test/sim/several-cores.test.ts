/** Functions of several cores: nobody is lost, all their work is done, on as many cores as they want; and who cannot do that says so. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FREE } from '../../src/sim/costs.ts';
import { simulate } from '../../src/sim/simulate.ts';
import { setupOf } from '../../src/sim/spec.ts';
import { SpecError } from '../../src/sim/spec-error.ts';
import { PLAIN_FUNCTION } from '../../src/sim/workload.ts';
import { play } from './given-jobs.ts';

const CORES = [1, 2, 4];
const FUNCTIONS = CORES.map((coreCount) => ({ ...PLAIN_FUNCTION, name: `${coreCount} cores`, coreCount }));
const COSTS = { startUs: 2, endUs: 1, networkUs: 3 };

const BEAR = [
  'server-granular',
  'random',
  'random:discipline=fcfs',
  'random:discipline=fb,quantum=0',
  'round-robin',
  'least-loaded',
  'least-loaded:view=own,discipline=fcfs',
  'power-of-two:discipline=fcfs',
  'jbsq:per=server',
  'pull',
  'pull:batch=3',
  'work-stealing',
  'work-stealing:discipline=ps',
  'openwhisk',
  'hermod',
  'hermod:binding=late,discipline=fcfs',
  'perch-dedicated',
  'perch-shards:shards=3',
];

const CLUSTERS = fc.record({
  serverCount: fc.integer({ min: 1, max: 4 }),
  coreCount: fc.constantFrom(4, 5, 8),
  memoryMb: fc.constant(65_536),
});
const JOBS = fc.array(
  fc.record({ atUs: fc.nat(100), functionIndex: fc.nat(2), phasesUs: fc.tuple(fc.integer({ min: 1, max: 60 })) }),
  { minLength: 1, maxLength: 40, size: 'max' },
);

for (const policy of BEAR) {
  test(`${policy}: all work is done, on as many cores as it wants`, () => {
    fc.assert(
      fc.property(CLUSTERS, JOBS, fc.nat(100), (cluster, jobs, seed) => {
        const { endsUs, world } = play({ policy, jobs, cluster, seed, functions: FUNCTIONS, costs: COSTS });
        let workUs = 0;
        for (const [index, { atUs, functionIndex, phasesUs }] of jobs.toSorted((a, b) => a.atUs - b.atUs).entries()) {
          const heldUs = phasesUs[0] + COSTS.startUs + COSTS.endUs;
          workUs += heldUs * CORES[functionIndex]!;
          assert.ok(endsUs[index]! > atUs + heldUs - 1e-6, `job ${index} ends sooner than it can`);
        }
        const coreCount = cluster.serverCount * cluster.coreCount;
        const busyUs = world.recorder.utilisation(world.nowUs) * world.nowUs * coreCount;
        assert.ok(Math.abs(busyUs - workUs) < 1e-3, `cores were busy for ${busyUs} µs, not ${workUs}`);
      }),
      { numRuns: 40 },
    );
  });
}

/** On one server of four cores. */
function endsOf(policy: string, ...jobs: readonly (readonly [atUs: number, cores: number, runUs: number])[]): number[] {
  const { endsUs } = play({
    policy,
    cluster: { serverCount: 1, coreCount: 4, memoryMb: 65_536 },
    functions: FUNCTIONS,
    jobs: jobs.map(([atUs, cores, runUs]) => ({ atUs, functionIndex: CORES.indexOf(cores), phasesUs: [runUs] })),
  });
  return endsUs.map((us) => Math.round(us * 1e6) / 1e6);
}

test('fcfs: who wants four of four cores waits for all of them, and nobody passes him', () => {
  assert.deepEqual(endsOf('random:discipline=fcfs', [0, 2, 10], [1, 4, 10], [2, 1, 5]), [10, 20, 25]);
  assert.deepEqual(endsOf('pull', [0, 2, 10], [1, 4, 10], [2, 1, 5]), [10, 20, 25]);
});

test('ps: a job of k cores has k shares', () => {
  assert.deepEqual(endsOf('random:quantum=0', [0, 4, 10], [0, 4, 10]), [20, 20]);
  assert.deepEqual(endsOf('random:quantum=0', [0, 2, 10], [0, 2, 10]), [10, 10]);
  assert.deepEqual(endsOf('random:quantum=0', [0, 4, 8], [0, 1, 8]), [10, 10]);
});

test('fb: who has had least has his cores first, and others share what is left', () => {
  assert.deepEqual(endsOf('random:discipline=fb,quantum=0', [0, 4, 10], [5, 2, 4]), [12, 9]);
});

test('hermod: a server in use is packed where all cores are left', () => {
  const played = play({
    policy: 'hermod',
    cluster: { serverCount: 2, coreCount: 4, memoryMb: 65_536 },
    functions: FUNCTIONS,
    jobs: [1, 4, 2, 1].map((cores, i) => ({ atUs: i, functionIndex: CORES.indexOf(cores), phasesUs: [100] })),
  });
  const [first, second, third, fourth] = played.serversOf;
  assert.notEqual(first, second);
  assert.deepEqual([third, fourth], [first, first]);
});

const REFUSE = [
  'perch',
  'sparrow',
  'canary',
  'ray',
  'jbsq',
  'random:discipline=stack',
  'random:discipline=fb',
] as const;

test('whoever has one core for each invocation says so, and so does a cluster of small servers', () => {
  const run = (policy: string, cores: number): unknown =>
    simulate(
      setupOf({
        policy,
        workload: 'multicore:cores=4,share=0.5',
        servers: 2,
        cores,
        memoryMb: 4096,
        costs: FREE,
        load: 0.5,
        seconds: 0.1,
        warmUpSeconds: 0,
        seed: 1,
      }),
    );
  for (const policy of REFUSE) {
    assert.throws(
      () => run(policy, 4),
      (error) =>
        error instanceof SpecError && /on one core, and the workload multicore.* wants several/.test(error.message),
      policy,
    );
  }
  for (const policy of ['random', 'hermod', 'jbsq:per=server'])
    assert.throws(() => run(policy, 2), /wants 4 cores of one server, and servers have 2/);
});
