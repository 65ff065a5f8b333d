/** Policies that send each invocation to a server without a queue of their own: random, round robin, least loaded, power of two, server-granular. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FREE } from '../../src/sim/costs.ts';
import { confidenceOf } from '../../src/sim/measure/confidence.ts';
import type { Result } from '../../src/sim/measure/result.ts';
import { simulate } from '../../src/sim/simulate.ts';
import { setupOf, type SimulationSpec } from '../../src/sim/spec.ts';
import { checkNobodyIsLost, play } from './given-jobs.ts';

const SPEC: SimulationSpec = {
  policy: '',
  workload: 'exponential:mean=1',
  servers: 20,
  cores: 4,
  memoryMb: 65_536,
  load: 0.9,
  costs: FREE,
  seed: 5,
  seconds: 0.8,
  warmUpSeconds: 0.2,
};

function run(policy: string, spec: Partial<SimulationSpec> = {}): Result {
  return simulate(setupOf({ ...SPEC, policy, ...spec }));
}

const DISCIPLINES = fc
  .record({ discipline: fc.constantFrom('ps', 'fcfs', 'fb', 'stack'), quantum: fc.constantFrom(0, 0.01) })
  .map(({ discipline, quantum }) => `discipline=${discipline},quantum=${quantum}`);

const KINDS: readonly [name: string, options: fc.Arbitrary<string>][] = [
  ['random', fc.constant('')],
  ['round-robin', fc.constantFrom('fronts=1', 'fronts=3')],
  ['least-loaded', fc.constantFrom('view=central', 'view=own,fronts=2', 'view=reports,fronts=2,report=0.1')],
  ['power-of-two', fc.constantFrom('d=1', 'd=2,fronts=1', 'd=9,fronts=3')],
  ['server-granular', fc.constantFrom('report=0', 'report=0.05', 'place=pack,slots=2')],
];

for (const [name, options] of KINDS) {
  test(`${name}: nobody is lost or run twice`, () => {
    const texts = fc
      .tuple(options, DISCIPLINES)
      .map((parts) => `${name}:${parts.filter((each) => each !== '').join(',')}`);
    checkNobodyIsLost(texts, 60);
  });
}

test('round robin: one gateway goes through the servers one after the other', () => {
  const jobs = Array.from({ length: 8 }, (_, i) => ({ atUs: i, phasesUs: [100] }));
  const { serversOf } = play({
    policy: 'round-robin:fronts=1',
    jobs,
    cluster: { serverCount: 4, coreCount: 2, memoryMb: 1024 },
  });
  const first = serversOf[0]!;
  assert.deepEqual(
    serversOf,
    jobs.map((_, i) => (first + i) % 4),
  );
});

test('round robin: the more gateways, the nearer to random', () => {
  const fcfs = 'discipline=fcfs';
  const one = run(`round-robin:fronts=1,${fcfs}`).waitUs.mean;
  const many = run(`round-robin:fronts=64,${fcfs}`).waitUs.mean;
  const random = run(`random:${fcfs}`).waitUs.mean;
  assert.ok(one < many && many < random, `${one}, ${many}, ${random} µs`);
});

for (const discipline of ['fcfs', 'ps', 'fb']) {
  test(`power of two: between random and least loaded, ${discipline}`, () => {
    const [random, two, three, least] = ['random', 'power-of-two:d=2', 'power-of-two:d=3', 'least-loaded'].map(
      (policy) => run(`${policy}${policy.includes(':') ? ',' : ':'}discipline=${discipline}`).waitUs.mean,
    ) as [number, number, number, number];
    assert.ok(two < random / 3, `${two} µs, and ${random} at random`);
    assert.ok(three < two && least < three, `${least}, ${three}, ${two} µs`);
  });
}

test('power of two: on many servers of one core each, the time that the limit of infinitely many foretells', () => {
  // Mitzenmacher 2001: the mean time in the system is the sum of load^((d^i - d) / (d - 1)), i = 1, 2, …
  const load = 0.8;
  const foretold = Array.from({ length: 12 }, (_, i) => load ** (2 ** (i + 1) - 2)).reduce((a, b) => a + b);
  const means = [1, 2, 3].map((seed) => {
    const spec = { servers: 400, cores: 1, load, seed, seconds: 0.3, warmUpSeconds: 0.05 };
    return run('power-of-two:discipline=fcfs', spec).latencyUs.mean / 1000;
  });
  const { mean, halfWidth } = confidenceOf(means);
  // 400 are not infinitely many: a little more.
  assert.ok(Math.abs(mean - foretold) < foretold * 0.01 + halfWidth!, `${mean} ± ${halfWidth}, foretold ${foretold}`);
});

test('power of two: asks, and so takes a round trip more than one that does not', () => {
  const cluster = { serverCount: 3, coreCount: 1, memoryMb: 1024 };
  const jobs = [{ atUs: 0, phasesUs: [100] }];
  const costs = { networkUs: 10, gatewayUs: 3, startUs: 2, endUs: 1 };
  const endOf = (policy: string): number => play({ policy, jobs, cluster, costs }).endsUs[0]!;
  assert.equal(endOf('random'), 3 + 10 + 2 + 100 + 1 + 10);
  assert.equal(endOf('power-of-two'), endOf('random') + 20);
  assert.equal(endOf('least-loaded:view=own'), endOf('random'));
  assert.equal(endOf('least-loaded:view=central'), endOf('random') + 20);
});

test('least loaded: with one gateway its own view is all there is to know', () => {
  const [central, own, many] = ['view=central', 'view=own,fronts=1', 'view=own,fronts=64'].map((options) =>
    run(`least-loaded:${options},discipline=fcfs`),
  ) as [Result, Result, Result];
  const difference = Math.abs(central.waitUs.mean - own.waitUs.mean);
  assert.ok(difference < central.waitUs.mean * 0.05, `${central.waitUs.mean} and ${own.waitUs.mean} µs`);
  assert.ok(many.waitUs.mean > own.waitUs.mean * 1.5, `${many.waitUs.mean} µs`);
});

test('least loaded: the older the reports, the longer the waits; very old ones are worse than none', () => {
  const waits = [0.1, 2, 50].map(
    (report) => run(`least-loaded:view=reports,report=${report},discipline=fcfs`).waitUs.mean,
  );
  const random = run('random:discipline=fcfs').waitUs.mean;
  assert.ok(waits[0]! < waits[1]! && waits[1]! < waits[2]!, waits.join(', '));
  assert.ok(waits[2]! > random, `${waits[2]!} µs, and ${random} at random`);
});

test('server-granular: what has ended is known with the next report', () => {
  const [soon, late] = [0, 20].map((report) => run(`server-granular:report=${report}`).slowdown.mean);
  assert.ok(soon! < late!, `${soon}, ${late}`);
});

test('server-granular: where few are awake, packed servers are as many as are needed', () => {
  const jobs = Array.from({ length: 40 }, (_, i) => ({ atUs: i * 50, phasesUs: [100] }));
  const cluster = { serverCount: 8, coreCount: 4, memoryMb: 1024 };
  const usedBy = (place: string): number =>
    new Set(play({ policy: `server-granular:place=${place}`, jobs, cluster }).serversOf).size;
  assert.equal(usedBy('pack'), 1);
  assert.ok(usedBy('spread') > 4);
});

test('server-granular: kernels switch, and that costs; a core for each does not', () => {
  const costs = { ...FREE, switchUs: 300 };
  const spec = { costs, workload: 'exponential:mean=10', seconds: 5, load: 0.9 };
  const [free, paid] = [run('server-granular', { ...spec, costs: FREE }), run('server-granular', spec)];
  assert.ok(paid.counters['preemptions']! > 1000);
  assert.ok(paid.slowdown.mean > free.slowdown.mean, `${paid.slowdown.mean}, ${free.slowdown.mean}`);
  assert.equal(run('perch', spec).slowdown.mean, run('perch', { ...spec, costs: FREE }).slowdown.mean);
});

test('ps of one core: the slowdown is 1 / (1 - load), whatever the run times', () => {
  for (const workload of ['exponential:mean=1', 'deterministic:mean=1', 'bimodal:short=0.5,long=20,share=0.02']) {
    const slowdowns = [1, 2, 3, 4, 5].map((seed) => {
      const spec = { workload, servers: 20, cores: 1, load: 0.7, seed, seconds: 2, warmUpSeconds: 0.4 };
      return run('random:discipline=ps,quantum=0', spec).slowdown.mean;
    });
    const { mean, halfWidth } = confidenceOf(slowdowns);
    // Random placement of Poisson arrivals: each server has Poisson arrivals of its own.
    assert.ok(Math.abs(mean - 1 / 0.3) < Math.max(1.5 * halfWidth!, 0.05), `${workload}: ${mean} ± ${halfWidth}`);
  }
});

test('fb: best where run times differ much, first come first served worst; the other way round where all are the same', () => {
  const slowdownsOf = (workload: string): number[] =>
    ['fb,quantum=0', 'ps,quantum=0', 'fcfs'].map(
      (discipline) => run(`random:discipline=${discipline}`, { workload, load: 0.8, seconds: 1 }).slowdown.mean,
    );
  const [fb, ps, fcfs] = slowdownsOf('bimodal:short=0.1,long=50,share=0.005') as [number, number, number];
  assert.ok(fb < ps && ps < fcfs, `${fb}, ${ps}, ${fcfs}`);
  const [same, sharing, first] = slowdownsOf('deterministic:mean=1') as [number, number, number];
  assert.ok(first < sharing && sharing < same, `${first}, ${sharing}, ${same}`);
});

test('stack: on two cores some functions wait for thousands of times as long as they run; with fb they do not', () => {
  const spec = { workload: 'lognormal', servers: 1, cores: 2, load: 0.95, seconds: 100_000, warmUpSeconds: 10_000 };
  const [stack, fb] = [run('random:discipline=stack', spec), run('random:discipline=fb,quantum=0', spec)];
  assert.ok(stack.slowdown.max > 1000, `${stack.slowdown.max}`);
  assert.ok(fb.slowdown.max < stack.slowdown.max / 10, `${fb.slowdown.max}`);
});
