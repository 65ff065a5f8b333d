/** What Perch's own policies do, in cases small enough to be told beforehand, and against what theory knows. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FREE } from '../../src/sim/costs.ts';
import type { Result } from '../../src/sim/measure/result.ts';
import { Random } from '../../src/sim/engine/random.ts';
import { simulate } from '../../src/sim/simulate.ts';
import { setupOf, SpecError, type SimulationSpec } from '../../src/sim/spec.ts';
import { Arrival, PLAIN_FUNCTION } from '../../src/sim/workload.ts';
import { stream } from '../../src/sim/world.ts';
import { type GivenJob, play } from './given-jobs.ts';

const ONE_CORE = { serverCount: 1, coreCount: 1, memoryMb: 4096 };
const SLEEPER: GivenJob = { atUs: 0, phasesUs: [10_000, 20_000, 10_000] };
const RUNNER: GivenJob = { atUs: 12_000, phasesUs: [30_000] };

test('dedicated: a core is its holder’s while it sleeps', () => {
  const { endsUs } = play({ policy: 'perch-dedicated', cluster: ONE_CORE, jobs: [SLEEPER, RUNNER] });
  assert.deepEqual(endsUs, [40_000, 70_000]);
});

test('lend: a borrower has the core while its holder sleeps, and gives it back at once', () => {
  const { endsUs, startsUs } = play({ policy: 'perch-lend:k=2', cluster: ONE_CORE, jobs: [SLEEPER, RUNNER] });
  assert.deepEqual(endsUs, [40_000, 52_000]);
  assert.deepEqual(startsUs, [0, 12_000]);
});

test('lend: what the platform hears late delays who comes, and never the holder', () => {
  const jobs = [SLEEPER, { ...RUNNER, atUs: 5000 }];
  const costs = { sleepSeenUs: 6000, wakeSeenUs: 3000 };
  const { endsUs, startsUs } = play({ policy: 'perch-lend:k=2,lendAfter=0', cluster: ONE_CORE, jobs, costs });
  assert.equal(endsUs[0], 40_000);
  assert.deepEqual(startsUs, [0, 16_000]);
  assert.equal(endsUs[1], 40_000 + 30_000 - 14_000);
});

test('lend: a switch costs whoever has the core next, each time', () => {
  const costs = { switchUs: 100 };
  const { endsUs } = play({ policy: 'perch-lend:k=2', cluster: ONE_CORE, jobs: [SLEEPER, RUNNER], costs });
  // To the borrower, to the holder, and to the borrower again.
  assert.deepEqual(endsUs, [40_100, 40_100 + 30_000 - 17_900 + 100]);
});

test('packed: who came first goes first, and others have what is left', () => {
  const second: GivenJob = { atUs: 1000, phasesUs: [5000] };
  const third: GivenJob = { atUs: 2000, phasesUs: [1000] };
  const { endsUs } = play({ policy: 'perch-packed:k=2', cluster: ONE_CORE, jobs: [SLEEPER, second, third] });
  assert.deepEqual(endsUs, [40_000, 15_000, 16_000]);
});

test('preempt: who comes new goes before one that has had its quantum', () => {
  const jobs = [
    { atUs: 0, phasesUs: [100_000] },
    { atUs: 50_000, phasesUs: [1000] },
  ];
  const free = play({ policy: 'perch-preempt:k=2', cluster: ONE_CORE, jobs });
  assert.deepEqual(free.endsUs, [101_000, 51_000]);
  assert.equal(free.world.counters.preemptions, 1);
  const costs = { switchUs: 100 };
  assert.deepEqual(play({ policy: 'perch-preempt:k=2', cluster: ONE_CORE, jobs, costs }).endsUs, [101_200, 51_100]);
  assert.deepEqual(play({ policy: 'perch-stack:k=2', cluster: ONE_CORE, jobs }).endsUs, [101_000, 51_000]);
});

test('stack: one below goes on on its own core only; with a pool it has the first that is free', () => {
  const cluster = { ...ONE_CORE, coreCount: 2 };
  const jobs = [
    { atUs: 0, phasesUs: [100_000] },
    { atUs: 0, phasesUs: [60_000] },
    { atUs: 30_000, phasesUs: [60_000] },
  ];
  const pool = play({ policy: 'perch-preempt:k=2', cluster, jobs }).endsUs;
  const stack = play({ policy: 'perch-stack:k=2', cluster, jobs }).endsUs;
  assert.equal(Math.max(...stack), 160_000);
  assert.ok(Math.max(...pool) < 140_000, `${pool.join(', ')}`);
});

test('fair: all have the same part of all cores', () => {
  const jobs = [0, 0, 0].map((atUs) => ({ atUs, phasesUs: [10_000] }));
  const cluster = { ...ONE_CORE, coreCount: 2 };
  assert.deepEqual(play({ policy: 'perch-fair:k=2', cluster, jobs }).endsUs, [15_000, 15_000, 15_000]);
});

test('several cores: one waits until as many are idle on one server, and nobody runs beside it', () => {
  const functions = [PLAIN_FUNCTION, { ...PLAIN_FUNCTION, coreCount: 2 }];
  const jobs = [
    { atUs: 0, phasesUs: [10_000] },
    { atUs: 1000, functionIndex: 1, phasesUs: [10_000] },
    { atUs: 2000, phasesUs: [5000] },
  ];
  for (const policy of ['perch-dedicated', 'perch-lend:k=2', 'perch-shards:shards=2']) {
    const { endsUs } = play({ policy, cluster: { ...ONE_CORE, coreCount: 2 }, jobs, functions });
    assert.ok(endsUs[1]! >= 20_000, `${policy}: ${endsUs.join(', ')}`);
  }
});

test('real workers: what is not there is started, and kept for the next', () => {
  const jobs = [
    { atUs: 0, phasesUs: [1000] },
    { atUs: 100_000, phasesUs: [1000] },
  ];
  const costs = { coldStartUs: 50_000 };
  const policy = 'perch-dedicated:workers=real,isolation=process';
  const { endsUs, world } = play({ policy, cluster: ONE_CORE, jobs, costs });
  assert.deepEqual(endsUs, [51_000, 101_000]);
  assert.equal(world.counters.coldStarts, 1);
});

test('real workers: with too little memory for two, one goes for the other', () => {
  const functions = [0, 1].map((index) => ({ ...PLAIN_FUNCTION, name: `f${index}`, memoryMb: 400, initUs: 20_000 }));
  const jobs = Array.from({ length: 10 }, (_, i) => ({
    atUs: i * 100_000,
    functionIndex: i % 2,
    phasesUs: [1000],
  }));
  const policy = 'perch-dedicated:workers=real,isolation=process';
  const coldStarts = (memoryMb: number): number =>
    play({ policy, cluster: { ...ONE_CORE, memoryMb }, jobs, functions }).world.counters.coldStarts;
  assert.equal(coldStarts(4096), 2);
  assert.equal(coldStarts(500), 10);
});

test('real workers: each invocation of fresh isolation has a copy, made ahead where there is time', () => {
  const jobs = Array.from({ length: 20 }, (_, i) => ({ atUs: i * 100_000, phasesUs: [1000] }));
  const costs = { coldStartUs: 30_000 };
  const policy = 'perch-dedicated:workers=real,isolation=fresh,fork=2000,exit=500';
  const { endsUs } = play({ policy, cluster: ONE_CORE, jobs, costs });
  assert.ok(endsUs[0]! >= 31_000);
  assert.deepEqual(
    endsUs.slice(1),
    jobs.slice(1).map(({ atUs }) => atUs + 1000),
  );
});

const SPEC: SimulationSpec = {
  policy: 'perch-dedicated',
  workload: 'exponential:mean=1',
  servers: 3,
  cores: 4,
  memoryMb: 65_536,
  load: 0.9,
  costs: FREE,
  seed: 3,
  seconds: 3,
  warmUpSeconds: 0.5,
};

function run(change: Partial<SimulationSpec>): Result {
  return simulate(setupOf({ ...SPEC, ...change }));
}

for (const policy of ['perch-dedicated', 'perch-lend:k=2', 'perch-dedicated:workers=real']) {
  test(`${policy}: without costs and sleep it is one queue for all cores, first come, first served`, () => {
    for (const workload of ['exponential:mean=1', 'bimodal:short=1,long=50,share=0.01']) {
      const { latencyUs, arrived } = run({ policy, workload });
      const expectedUs = meanLatencyUs(workload);
      assert.equal(latencyUs.count, arrived);
      assert.ok(Math.abs(latencyUs.mean / expectedUs - 1) < 1e-6, `${latencyUs.mean} µs, not ${expectedUs}`);
    }
  });
}

/** Each goes to the core that is free first. */
function meanLatencyUs(workload: string): number {
  const setup = setupOf({ ...SPEC, workload });
  const coreCount = SPEC.servers * SPEC.cores;
  const arrivals = setup.workload.start((SPEC.load! * coreCount) / setup.workload.meanDemandUs, randomOf());
  const arrival = new Arrival(setup.workload.phaseMax);
  const freeUs = new Float64Array(coreCount);
  let sumUs = 0;
  let count = 0;
  while (arrivals.next(arrival) && arrival.timeUs < setup.endUs) {
    const core = freeUs.indexOf(Math.min(...freeUs));
    freeUs[core] = Math.max(freeUs[core]!, arrival.timeUs) + arrival.phasesUs[0]!;
    if (arrival.timeUs < setup.warmUpUs) continue;
    sumUs += freeUs[core]! - arrival.timeUs;
    count++;
  }
  return sumUs / count;
}

function randomOf(): Random {
  return new Random(SPEC.seed, stream.arrivals);
}

test('options that cannot be are refused', () => {
  for (const policy of ['perch-lend:k=1.5', 'perch-shards:shards=2.5', 'perch-shards:shards=65', 'perch-lend:spare=x'])
    assert.throws(() => run({ policy }), SpecError, policy);
});

test('spare: it runs where nobody else wants the core', () => {
  const functions = [PLAIN_FUNCTION, { ...PLAIN_FUNCTION, name: 'spare' }];
  const jobs = [
    { atUs: 0, functionIndex: 1, phasesUs: [50_000] },
    { atUs: 10_000, phasesUs: [20_000] },
  ];
  const endsOf = (policy: string): readonly number[] => play({ policy, cluster: ONE_CORE, jobs, functions }).endsUs;
  assert.deepEqual(endsOf('perch-lend:k=2'), [50_000, 70_000]);
  assert.deepEqual(endsOf('perch-lend:k=2,spare=spare'), [70_000, 30_000]);
});

test('where functions sleep for most of their time, lending bears what dedicated cores cannot', () => {
  const workload = 'sleepy:mean=1,share=80';
  const dedicated = run({ policy: 'perch-dedicated:queue=200', workload, load: 0.5 });
  const lend = run({ policy: 'perch-lend:k=8,lendAfter=0', workload, load: 0.5 });
  assert.ok(dedicated.refused > dedicated.arrived * 0.3, `${dedicated.refused} of ${dedicated.arrived} were refused`);
  assert.equal(lend.refused + lend.unfinished, 0);
  assert.ok(lend.utilisation > dedicated.utilisation * 1.5, `${lend.utilisation} and ${dedicated.utilisation}`);
});

test('shards: all cores are found by each of them; what a bell takes is what it costs', () => {
  const costs = { ...FREE, networkUs: 20, decisionUs: 0.5 };
  const spec = { costs, servers: 8, seconds: 1, warmUpSeconds: 0.2 };
  const central = run({ ...spec, policy: 'perch-dedicated' });
  for (const shards of [1, 64]) {
    for (const bell of [0, 50]) {
      const each = run({ ...spec, policy: `perch-shards:shards=${shards},bell=${bell}` });
      assert.equal(each.unfinished + each.refused, 0);
      assert.equal(each.counters['steals']! > 0, shards > 1);
      assert.equal(each.counters['µs in which somebody did']! > 5000, shards > 1 && bell > 0);
      const more = each.latencyUs.mean / central.latencyUs.mean;
      const most = bell === 0 ? 1.05 : 1.5;
      assert.ok(more > 0.95 && more < most, `${shards} shards, ${bell} µs: ${more} times as long as one`);
    }
  }
});
