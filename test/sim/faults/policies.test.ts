import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FREE } from '../../../src/sim/costs.ts';
import type { Result } from '../../../src/sim/measure/result.ts';
import { POLICIES } from '../../../src/sim/policies/index.ts';
import { openWorld, simulate } from '../../../src/sim/simulate.ts';
import { setupOf, type SimulationSpec } from '../../../src/sim/spec.ts';
import { SpecError } from '../../../src/sim/spec-error.ts';

const SPEC: SimulationSpec = {
  policy: 'perch',
  workload: 'sleepy:mean=4,sleeps=2',
  servers: 4,
  cores: 2,
  memoryMb: 2048,
  load: 0.25,
  costs: { ...FREE, networkUs: 20, startUs: 10, coldStartUs: 500, endUs: 5, decisionUs: 1, gatewayUs: 30 },
  seed: 3,
  seconds: 0.5,
  warmUpSeconds: 0.1,
  silenceSeconds: 0.1,
};

/** All at once, again and again. */
const MANY = ['crash:mtbf=0.6,for=0.1', 'partition:mtbf=0.6,for=0.15', 'slow:mtbf=1,for=0.2', 'lose:p=0.01,rto=5'];

function run(given: Partial<SimulationSpec>): Result {
  return simulate(setupOf({ ...SPEC, ...given }));
}

function checkCounts({ arrived, slowdown, lost, refused, unfinished }: Result, what: string): void {
  assert.equal(slowdown.count + lost + refused + unfinished, arrived, what);
  assert.equal(unfinished, 0, `${what}: ${unfinished} of ${arrived} are left`);
}

/** Milliseconds as seconds. */
const TIME = fc.integer({ min: 1, max: 300 }).map((ms) => ms / 1000);
const SERVER = fc.nat(SPEC.servers - 1);
const FAULT: fc.Arbitrary<string> = fc.oneof(
  fc.tuple(SERVER, TIME, TIME).map(([server, at, time]) => `crash:server=${server},at=${at},for=${time}`),
  fc.tuple(SERVER, TIME, TIME).map(([server, at, time]) => `partition:server=${server},at=${at},for=${time}`),
  fc.tuple(SERVER, TIME, TIME).map(([server, at, time]) => `slow:server=${server},at=${at},for=${time},factor=3`),
  fc.tuple(TIME, TIME).map(([at, time]) => `crash:server=scheduler,at=${at},for=${time}`),
  fc.tuple(TIME, TIME).map(([at, time]) => `lose:p=0.05,rto=3,at=${at},for=${time}`),
);
const WORKLOADS = [SPEC.workload, 'chains:length=3,mean=2', 'exponential:mean=3', 'multicore:mean=3'];

/** Whoever has one core for each invocation says so. */
function bears(policy: string, workload: string): boolean {
  try {
    openWorld(setupOf({ ...SPEC, policy, workload }));
    return true;
  } catch (error) {
    if (error instanceof SpecError) return false;
    throw error;
  }
}

/** What it is, in options that change what it does where something goes wrong. */
const VARIANTS: readonly string[] = [
  ...POLICIES.map(({ name }) => name),
  'perch-lend:workers=real',
  'perch-preempt:workers=real,isolation=fresh',
  'perch-shards:workers=real,sharing=lend',
  'random:discipline=fcfs',
  'least-loaded:view=own,discipline=fb',
  'least-loaded:view=reports,report=5,discipline=stack',
  'jbsq:per=server',
  'pull:poll=3,batch=2',
  'hermod:binding=late,fronts=2',
  'hermod:balance=random',
  'sparrow:d=1',
  'ray:fronts=2',
];

for (const policy of VARIANTS) {
  test(`${policy}: whatever goes wrong, whoever arrives ends, is lost or is refused`, () => {
    const faults = fc.array(FAULT, { minLength: 1, maxLength: 6, size: 'max' });
    const workload = fc.constantFrom(...WORKLOADS.filter((each) => bears(policy, each)));
    const given = fc.record({ faults, retries: fc.nat(2), workload, seed: fc.nat(1000) });
    fc.assert(
      fc.property(given, (each) => {
        const setup = setupOf({ ...SPEC, ...each, policy });
        checkCounts(simulate(setup), each.faults.join(' '));
      }),
      { numRuns: Number(process.env['RUNS'] ?? 12) },
    );
  });
}

for (const { name: policy } of POLICIES) {
  test(`${policy}: the same faults, the same bytes, and its invariants hold at each step`, () => {
    const given = { policy, faults: MANY, retries: 1, seconds: 0.2, warmUpSeconds: 0.05 };
    assert.deepEqual(run(given), run(given));
    const { world, policy: made } = openWorld(setupOf({ ...SPEC, ...given }));
    world.open(made);
    for (let step = 0; world.engine.step(250_000); step++) if (step % 4 === 0) made.check?.();
  });
}
