/** Policies with a queue from which cores have their work, or that move it: JBSQ, pull, work stealing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FREE } from '../../src/sim/costs.ts';
import type { Result } from '../../src/sim/measure/result.ts';
import { simulate } from '../../src/sim/simulate.ts';
import { setupOf, type SimulationSpec } from '../../src/sim/spec.ts';
import { checkNobodyIsLost, play } from './given-jobs.ts';

const SPEC: SimulationSpec = {
  policy: '',
  workload: 'exponential:mean=1',
  servers: 8,
  cores: 4,
  memoryMb: 65_536,
  load: 0.9,
  costs: FREE,
  seed: 5,
  seconds: 1,
  warmUpSeconds: 0.2,
};

function run(policy: string, spec: Partial<SimulationSpec> = {}): Result {
  return simulate(setupOf({ ...SPEC, policy, ...spec }));
}

test('jbsq: nobody is lost or run twice, and no place has more than n', () => {
  checkNobodyIsLost(
    fc
      .record({ n: fc.integer({ min: 1, max: 4 }), per: fc.constantFrom('core', 'server') })
      .map(({ n, per }) => `jbsq:n=${n},per=${per}`),
  );
});

test('pull: nobody is lost or run twice', () => {
  checkNobodyIsLost(
    fc
      .record({ batch: fc.integer({ min: 1, max: 5 }), poll: fc.constantFrom(0, 0.005) })
      .map(({ batch, poll }) => `pull:batch=${batch},poll=${poll}`),
  );
});

test('work stealing: nobody is lost or run twice', () => {
  checkNobodyIsLost(
    fc
      .record({
        tries: fc.constantFrom(1, 3),
        retry: fc.constantFrom(0, 0.003),
        discipline: fc.constantFrom('fcfs', 'ps', 'fb', 'stack'),
        quantum: fc.constantFrom(0, 0.01),
      })
      .map((each) => {
        const { tries, retry, discipline, quantum } = each;
        return `work-stealing:tries=${tries},retry=${retry},discipline=${discipline},quantum=${quantum}`;
      }),
  );
});

for (const policy of ['jbsq:n=1', 'jbsq:n=1,per=server', 'pull']) {
  test(`${policy}: one queue for all cores, where messages take no time`, () => {
    const [result, central] = [run(policy), run('perch')];
    assert.equal(result.slowdown.count, central.slowdown.count);
    assert.ok(Math.abs(result.waitUs.mean - central.waitUs.mean) < 1e-6 * central.waitUs.mean);
    assert.ok(Math.abs(result.waitUs.max - central.waitUs.max) < 1e-6 * central.waitUs.max);
  });
}

test('jbsq: the longer the queues at the cores, the nearer to a queue for each that the least loaded has', () => {
  const [one, two, unbounded] = [1, 2, 1024].map((n) => run(`jbsq:n=${n}`, { load: 0.95 }).waitUs.mean) as [
    number,
    number,
    number,
  ];
  assert.ok(one * 1.2 < two && one * 1.2 < unbounded, `${one}, ${two}, ${unbounded} µs`);
  const spec = { servers: SPEC.servers * SPEC.cores, cores: 1, load: 0.95 };
  const leastLoaded = run('least-loaded:discipline=fcfs', spec).waitUs.mean;
  assert.ok(Math.abs(unbounded - leastLoaded) < leastLoaded * 0.05, `${unbounded}, ${leastLoaded} µs`);
});

test('jbsq: with n = 2 the next invocation is there when one ends; with n = 1 the core waits for it', () => {
  // Of 100 µs, 40 go by until a core that has said that it is free has the next one: too much at this load.
  const spec = {
    workload: 'exponential:mean=0.1',
    load: 0.85,
    seconds: 0.2,
    warmUpSeconds: 0.05,
    costs: { ...FREE, networkUs: 20 },
  };
  const [one, two] = [run('jbsq:n=1', spec), run('jbsq:n=2', spec)];
  assert.ok(one.utilisation < 0.78, `${one.utilisation}`);
  assert.ok(two.utilisation > 0.82, `${two.utilisation}`);
  assert.ok(two.waitUs.p99 < one.waitUs.p50, `${two.waitUs.p99}, ${one.waitUs.p50} µs`);
});

test('pull: the round trip is paid where there is a queue, and once for a batch', () => {
  const cluster = { serverCount: 1, coreCount: 1, memoryMb: 1024 };
  const jobs = Array.from({ length: 4 }, () => ({ atUs: 0, phasesUs: [100] }));
  const endsOf = (policy: string): number[] => [...play({ policy, jobs, cluster, costs: { networkUs: 10 } }).endsUs];
  // There and back between two of them.
  assert.deepEqual(endsOf('pull'), [130, 250, 370, 490]);
  assert.deepEqual(endsOf('pull:batch=2'), [130, 250, 350, 470]);
});

test('pull: a worker that asks now and then finds what has come between', () => {
  const [parked, polled] = [run('pull', { load: 0.5 }), run('pull:poll=1', { load: 0.5 })];
  assert.equal(parked.counters['asked in vain'], 0);
  assert.ok(polled.counters['asked in vain']! > 1000);
  assert.ok(polled.waitUs.mean > parked.waitUs.mean);
});

test('work stealing: half of all invocations move, and more, where each core has a queue of its own', () => {
  // As in ZygOS: 16 cores, exponential run times, idle cores that look at all others all the time.
  const spec = { servers: 16, cores: 1, load: 0.7, seconds: 1 };
  const stealing = run('work-stealing:tries=15,retry=0.1', spec);
  const share = stealing.counters['steals']! / (stealing.arrived * (1.2 / 1));
  assert.ok(share > 0.5 && share < 0.8, `${share} stolen`);
  assert.equal(stealing.counters['migrations'], 0);
  const [random, central] = [run('random:discipline=fcfs', spec), run('perch', spec)];
  assert.ok(stealing.waitUs.mean < random.waitUs.mean / 5);
  assert.ok(stealing.waitUs.mean > central.waitUs.mean);
});

test('work stealing: who shares a core has begun, so to move it is a migration, and costs', () => {
  const spec = { servers: 16, cores: 1, load: 0.7, seconds: 1 };
  const free = run('work-stealing:discipline=ps,quantum=0', spec);
  const paid = run('work-stealing:discipline=ps,quantum=0', { ...spec, costs: { ...FREE, migrateUs: 500 } });
  assert.equal(free.counters['steals'], 0);
  assert.ok(free.counters['migrations']! > 400);
  assert.ok(paid.waitUs.mean > free.waitUs.mean, `${paid.waitUs.mean}, ${free.waitUs.mean} µs`);
});

test('work stealing: an invocation that has not begun pays for its start where it runs, and for no migration', () => {
  const cluster = { serverCount: 2, coreCount: 1, memoryMb: 1024 };
  const costs = { networkUs: 10, startUs: 5, migrateUs: 1000 };
  const jobs = Array.from({ length: 12 }, () => ({ atUs: 0, phasesUs: [100] }));
  const { endsUs, world } = play({ policy: 'work-stealing:retry=0.05', jobs, cluster, costs });
  assert.ok(Math.max(...endsUs) < 10 * 105, `${Math.max(...endsUs)} µs`);
  assert.equal(world.counters.migrations, 0);
});
