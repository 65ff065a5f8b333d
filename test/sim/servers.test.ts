import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FREE, type Costs } from '../../src/sim/costs.ts';
import { Recorder } from '../../src/sim/measure/recorder.ts';
import { type Discipline, DISCIPLINE_NAMES, serversOf, type Sharing } from '../../src/sim/servers/disciplines.ts';
import type { Servers } from '../../src/sim/servers/servers.ts';
import { PLAIN_FUNCTION, type Workload } from '../../src/sim/workload.ts';
import { World } from '../../src/sim/world.ts';
import { ReferenceServers, type Task } from './reference-servers.ts';

const SERVER_COUNT = 2;
const COSTS = { ...FREE, startUs: 3.25, migrateUs: 7.125 };

/** Nobody comes by himself. Functions of one core, of two, …. */
const quiet = (coreCountMax: number): Workload => ({
  name: 'quiet',
  functions: Array.from({ length: coreCountMax }, (_, i) => ({ ...PLAIN_FUNCTION, coreCount: i + 1 })),
  phaseMax: 5,
  meanDemandUs: 1,
  ownRate: 0,
  start: () => ({ next: () => false, step: () => undefined }),
});

interface Bench {
  readonly world: World;
  readonly servers: Servers;
  readonly ended: { id: number; atUs: number }[];
  readonly add: (server: number, phasesUs: readonly number[], coreCount?: number) => number;
}

function openBench(
  discipline: Discipline,
  coreCount: number,
  costs: Costs = FREE,
  sharing: Sharing & { readonly coreCountMax?: number } = { quantumUs: 0 },
): Bench {
  const recorder = new Recorder({ warmUpUs: 0, endUs: 1e9, coreCount: coreCount * SERVER_COUNT, sampleUs: 1e9 });
  const cluster = { serverCount: SERVER_COUNT, coreCount, memoryMb: 1024 };
  const workload = quiet(sharing.coreCountMax ?? 1);
  const world = new World({ cluster, costs, workload, ratePerUs: 0, seed: 1, recorder });
  const ended: { id: number; atUs: number }[] = [];
  const servers = serversOf(
    discipline,
    world,
    (job) => {
      ended.push({ id: job, atUs: world.nowUs });
      world.jobs.remove(job);
    },
    sharing,
  );
  const add = (server: number, phasesUs: readonly number[], cores = 1): number => {
    const job = world.jobs.add(cores - 1, world.nowUs, Float64Array.from(phasesUs), phasesUs.length);
    servers.begin(server, job);
    return job;
  };
  return { world, servers, ended, add };
}

function busyCores({ world }: Bench): number {
  world.recorder.sample(world.nowUs, 0);
  return world.recorder.moments.at(-1)!.busyCores;
}

type Step =
  | {
      readonly kind: 'begin';
      readonly server: number;
      readonly phasesUs: readonly number[];
      readonly coreCount: number;
    }
  | { readonly kind: 'take' | 'move'; readonly which: number }
  | { readonly kind: 'slow'; readonly server: number; readonly factor: number }
  | { readonly kind: 'clear'; readonly server: number };

const lengthUs = fc.integer({ min: 1, max: 60 });
const server = fc.integer({ min: 0, max: SERVER_COUNT - 1 });
const phasesUs = fc.oneof(
  fc.array(lengthUs, { minLength: 1, maxLength: 1 }),
  fc.array(lengthUs, { minLength: 3, maxLength: 3 }),
  fc.array(lengthUs, { minLength: 5, maxLength: 5 }),
);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('begin' as const),
      server,
      phasesUs,
      coreCount: fc.constantFrom(1, 1, 1, 2, 3, 4),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('take' as const, 'move' as const), which: fc.nat(99) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('slow' as const), server, factor: fc.constantFrom(1, 1.5, 3.7) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('clear' as const), server }) },
);
const steps = fc.array(fc.record({ gapUs: lengthUs, step }), { minLength: 1, maxLength: 60, size: 'max' });

/** Two things at the very same time may go in either order. So no two times are alike, nor are sums of them. */
function uneven(i: number, j: number): number {
  return 1 + ((Math.abs(Math.sin(i * 12.9898 + j * 78.233)) * 43_758.5453) % 0.01);
}

function unevenStep(each: Step, i: number, coreCountMax: number): Step {
  if (each.kind !== 'begin') return each;
  const phasesUs = each.phasesUs.map((us, j) => us * uneven(i, j));
  return { ...each, phasesUs, coreCount: Math.min(each.coreCount, coreCountMax) };
}

for (const discipline of DISCIPLINE_NAMES) {
  test(`${discipline}: does what its definition says, whatever happens`, () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 40 }),
        steps,
        (coreCount, hurry, events) => {
          // A stack has one core.
          const coreCountMax = discipline === 'stack' ? 1 : coreCount;
          const bench = openBench(discipline, coreCount, COSTS, { quantumUs: 0, coreCountMax });
          const reference = new ReferenceServers(discipline, coreCount, COSTS);
          let timeUs = 0;
          for (const [i, { gapUs, step: each }] of events.entries()) {
            timeUs += (gapUs * uneven(i, 9)) / hurry;
            bench.world.engine.run(timeUs);
            reference.run(timeUs);
            carryOut(unevenStep(each, i, coreCountMax), bench, reference);
            assertSame(bench, reference);
          }
          bench.world.engine.run(Infinity);
          reference.run(Infinity);
          assertSame(bench, reference);
          assertEnds(bench, reference);
          assert.equal(bench.world.jobs.count, 0);
        },
      ),
      { numRuns: 200 },
    );
  });
}

function carryOut(each: Step, { world, servers, add }: Bench, reference: ReferenceServers): void {
  switch (each.kind) {
    case 'begin':
      reference.begin(each.server, add(each.server, each.phasesUs, each.coreCount), each.phasesUs, each.coreCount);
      return;
    case 'slow':
      servers.slow(each.server, each.factor);
      reference.slow(each.server, each.factor);
      return;
    case 'clear': {
      const lost: number[] = [];
      servers.clear(each.server, (job) => lost.push(job));
      assert.deepEqual(
        lost.toSorted((a, b) => a - b),
        reference.clear(each.server),
      );
      for (const job of lost) world.jobs.remove(job);
      return;
    }
    default: {
      const here = liveJobs(world);
      if (here.length === 0) return;
      const job = here[each.which % here.length]!;
      const from = world.jobs.server(job);
      servers.take(from, job);
      const task: Task = reference.take(job);
      assertClose(world.jobs.leftUs(job), task.phasesUs[0]!, `what is left of ${job}`);
      if (each.kind === 'take') world.jobs.remove(job);
      else {
        servers.resume(1 - from, job);
        reference.resume(1 - from, task);
      }
    }
  }
}

function liveJobs(world: World): number[] {
  return Array.from({ length: world.jobs.capacity }, (_, job) => job).filter((job) => world.jobs.isLive(job));
}

function assertSame(bench: Bench, reference: ReferenceServers): void {
  let busy = 0;
  let waiting = 0;
  for (let each = 0; each < SERVER_COUNT; each++) {
    assert.equal(bench.servers.count(each), reference.count(each), 'who is there');
    assert.equal(bench.servers.waiting(each), reference.waiting(each), 'who waits');
    assert.equal(bench.servers.spare(each) >= 0, reference.waiting(each) > 0, 'who may be given away');
    waiting += reference.waitingCount(each);
    busy += reference.busy(each);
  }
  assert.equal(bench.servers.waitingCount, waiting);
  assert.equal(busyCores(bench), busy, 'busy cores');
}

function assertEnds({ ended }: Bench, reference: ReferenceServers): void {
  assert.deepEqual(
    ended.map(({ id }) => id),
    reference.ended.map(({ id }) => id),
  );
  for (const [i, { id, atUs }] of ended.entries()) assertClose(atUs, reference.ended[i]!.atUs, `the end of ${id}`);
}

function assertClose(value: number, right: number, what: string): void {
  assert.ok(Math.abs(value - right) < 1e-4 + Math.abs(right) * 1e-9, `${what} is ${value}, not ${right}`);
}

test('ps: with a quantum, shared cores lose the part of their time that switching takes', () => {
  const costs = { ...FREE, switchUs: 250 };
  const bench = openBench('ps', 2, costs, { quantumUs: 1000 });
  // Three on two cores: one core is shared, and does 0.8 of its work.
  for (let i = 0; i < 3; i++) bench.add(0, [18_000]);
  bench.world.engine.run(Infinity);
  for (const { atUs } of bench.ended) assertClose(atUs, (3 * 18_000) / 1.8, 'the end');
  assert.equal(bench.world.counters.preemptions, 24);
});

test('ps: with a quantum, nobody pays where there is a core for each', () => {
  const bench = openBench('ps', 2, { ...FREE, switchUs: 250 }, { quantumUs: 1000 });
  for (let i = 0; i < 2; i++) bench.add(0, [18_000]);
  bench.world.engine.run(Infinity);
  for (const { atUs } of bench.ended) assertClose(atUs, 18_000, 'the end');
  assert.equal(bench.world.counters.preemptions, 0);
});

test('fb: with a quantum, a newcomer has the core once the slice is over, and the other pays when it goes on', () => {
  const bench = openBench('fb', 1, { ...FREE, switchUs: 10 }, { quantumUs: 100 });
  const first = bench.add(0, [1000]);
  bench.world.engine.run(50);
  const second = bench.add(0, [60]);
  bench.world.engine.run(Infinity);
  // 100 of its slice, a switch, 60 for the newcomer, a switch, what is left.
  assert.deepEqual(bench.ended, [
    { id: second, atUs: 170 },
    { id: first, atUs: 1080 },
  ]);
  assert.equal(bench.world.counters.preemptions, 1);
});

test('fb: with a quantum, equals take turns', () => {
  const bench = openBench('fb', 1, { ...FREE, switchUs: 0 }, { quantumUs: 100 });
  bench.add(0, [1000]);
  bench.add(0, [1000]);
  bench.world.engine.run(Infinity);
  assert.deepEqual(
    bench.ended.map(({ atUs }) => atUs),
    [1900, 2000],
  );
});

test('fb: the shorter the quantum, the nearer to what it is without one', () => {
  const endsOf = (quantumUs: number): number[] => {
    const bench = openBench('fb', 2, FREE, { quantumUs });
    for (const [i, us] of [900, 300, 700, 50, 410, 220].entries()) {
      bench.world.engine.run(i * 37);
      bench.add(0, [us, 40, us / 3]);
    }
    bench.world.engine.run(Infinity);
    return bench.ended.toSorted((a, b) => a.id - b.id).map(({ atUs }) => atUs);
  };
  const exact = endsOf(0);
  const offBy = (quantumUs: number): number =>
    Math.max(...endsOf(quantumUs).map((atUs, i) => Math.abs(atUs - exact[i]!)));
  assert.ok(offBy(0.01) < 0.1, `${offBy(0.01)} µs off`);
  assert.ok(offBy(1) < 10, `${offBy(1)} µs off`);
  assert.ok(offBy(100) > 10, `${offBy(100)} µs off`);
});

test('stack: the newcomer has the core at once, and those below go on when it ends, and pay', () => {
  const bench = openBench('stack', 1, { ...FREE, switchUs: 10 });
  const first = bench.add(0, [1000]);
  bench.world.engine.run(50);
  const second = bench.add(0, [60]);
  bench.world.engine.run(70);
  const third = bench.add(0, [5]);
  bench.world.engine.run(Infinity);
  assert.deepEqual(bench.ended, [
    { id: third, atUs: 85 },
    { id: second, atUs: 145 },
    { id: first, atUs: 1105 },
  ]);
  assert.equal(bench.world.counters.preemptions, 2);
});

for (const discipline of DISCIPLINE_NAMES) {
  test(`${discipline}: with a quantum and costs, nobody is lost, and no core is idle beside one who waits`, () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }),
        fc.constantFrom(0.5, 7, 40),
        steps,
        (coreCount, quantumUs, events) => {
          const bench = openBench(discipline, coreCount, { ...COSTS, switchUs: 0.75 }, { quantumUs });
          let timeUs = 0;
          let goneCount = 0;
          const check = (): void => assertConserving(bench, discipline, coreCount);
          for (const [i, { gapUs, step: each }] of events.entries()) {
            timeUs += (gapUs * uneven(i, 9)) / 8;
            while (bench.world.engine.step(timeUs)) check();
            bench.world.engine.run(timeUs);
            goneCount += carryOutAlone(unevenStep(each, i, 1), bench);
            check();
          }
          while (bench.world.engine.step(Infinity)) check();
          assert.equal(bench.world.jobs.count, 0);
          assert.equal(busyCores(bench), 0);
          assert.equal(bench.ended.length + goneCount, events.filter(({ step: each }) => each.kind === 'begin').length);
        },
      ),
      { numRuns: 200 },
    );
  });
}

/** How many jobs are gone without an end. */
function carryOutAlone(each: Step, { world, servers, add }: Bench): number {
  if (each.kind === 'begin') add(each.server, each.phasesUs);
  else if (each.kind === 'slow') servers.slow(each.server, each.factor);
  else if (each.kind === 'clear') {
    const lost: number[] = [];
    servers.clear(each.server, (job) => lost.push(job));
    for (const job of lost) world.jobs.remove(job);
    return lost.length;
  } else {
    const here = liveJobs(world);
    if (here.length === 0) return 0;
    const job = here[each.which % here.length]!;
    const from = world.jobs.server(job);
    servers.take(from, job);
    if (each.kind === 'move') servers.resume(1 - from, job);
    else world.jobs.remove(job);
    return each.kind === 'take' ? 1 : 0;
  }
  return 0;
}

function assertConserving(bench: Bench, discipline: Discipline, coreCount: number): void {
  const { world, servers } = bench;
  let busy = 0;
  let waiting = 0;
  let count = 0;
  for (let each = 0; each < SERVER_COUNT; each++) {
    busy += coreCount - servers.idle(each);
    waiting += servers.waiting(each);
    count += servers.count(each);
    // In a stack one waits for its own core, whatever the others do.
    if (discipline !== 'stack') assert.ok(servers.idle(each) === 0 || servers.waiting(each) === 0, 'an idle core');
  }
  assert.equal(busyCores(bench), busy);
  assert.equal(servers.waitingCount, waiting);
  assert.equal(world.jobs.count, count);
}
