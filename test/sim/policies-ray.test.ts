import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Random } from '../../src/sim/engine/random.ts';
import { FREE } from '../../src/sim/costs.ts';
import type { Result } from '../../src/sim/measure/result.ts';
import { Views } from '../../src/sim/policies/ray/views.ts';
import { simulate } from '../../src/sim/simulate.ts';
import { setupOf } from '../../src/sim/spec.ts';
import { checkNobodyIsLost, play } from './given-jobs.ts';

test('ray: nobody is lost or run twice', () => {
  checkNobodyIsLost(
    fc
      .record({
        threshold: fc.constantFrom(0, 0.5, 1),
        top: fc.constantFrom(0, 0.5, 1),
        period: fc.constantFrom(0, 0.005, 0.1, 100),
        fronts: fc.constantFrom(0, 1, 2),
      })
      .map(
        ({ threshold, top, period, fronts }) =>
          `ray:threshold=${threshold},top=${top},period=${period},fronts=${fronts}`,
      ),
  );
});

function spilledOf(policy: string, jobCount: number): number {
  const jobs = Array.from({ length: jobCount }, () => ({ atUs: 10, phasesUs: [100] }));
  const cluster = { serverCount: 4, coreCount: 4, memoryMb: 4096 };
  return play({ policy: `ray:fronts=1,${policy}`, jobs, cluster }).policy.counters!()['spilled']!;
}

test('ray: it spills from the threshold on', () => {
  for (let jobCount = 1; jobCount <= 4; jobCount++) assert.equal(spilledOf('threshold=1', jobCount), 0);
  assert.equal(spilledOf('threshold=1', 5), 1);
  // A server of four cores is used by half with two.
  assert.equal(spilledOf('threshold=0.5', 2), 0);
  assert.equal(spilledOf('threshold=0.5', 3), 1);
  assert.equal(spilledOf('threshold=0', 1), 0);
  assert.equal(spilledOf('threshold=0', 2), 1);
});

test('ray: what is spilled is asked for, granted and sent; what runs where it came needs no message', () => {
  const jobs = [
    { atUs: 0, phasesUs: [100] },
    { atUs: 0, phasesUs: [100] },
  ];
  const cluster = { serverCount: 2, coreCount: 1, memoryMb: 4096 };
  const { startsUs, endsUs } = play({ policy: 'ray:fronts=1', jobs, cluster, costs: { networkUs: 20 } });
  assert.deepEqual(startsUs, [0, 60]);
  assert.deepEqual(endsUs, [100, 180]);
});

test('ray: by an old report two are sent to one core, and one is rejected', () => {
  // Two gateways on servers that are full, and one other server with one core: both of them spill to it.
  const cluster = { serverCount: 3, coreCount: 1, memoryMb: 4096 };
  const rejected = Array.from({ length: 30 }, (_, seed) => {
    const jobs = Array.from({ length: 4 }, () => ({ atUs: 0, phasesUs: [1000] }));
    const { policy, endsUs } = play({
      policy: 'ray:fronts=3,period=1000',
      jobs,
      cluster,
      costs: { networkUs: 20 },
      seed,
    });
    assert.ok(Math.max(...endsUs) < 2200, `${Math.max(...endsUs)} µs until the last end`);
    return policy.counters!()['spills rejected']!;
  });
  assert.ok(rejected.some((count) => count > 0));
});

function run(policy: string, networkUs = 0): Result {
  return simulate(
    setupOf({
      policy,
      workload: 'exponential:mean=10',
      servers: 16,
      cores: 2,
      memoryMb: 65_536,
      load: 0.9,
      costs: { ...FREE, networkUs },
      seed: 3,
      seconds: 30,
      warmUpSeconds: 4,
    }),
  );
}

test('ray: with reports at once no core is idle while somebody waits, as with one queue for all', () => {
  const [ray, central] = [run('ray:period=0'), run('perch')];
  const apart = Math.abs(ray.waitUs.mean / central.waitUs.mean - 1);
  assert.ok(apart < 0.02, `${ray.waitUs.mean} µs, and ${central.waitUs.mean} in one queue`);
});

test('ray: the older the reports, the longer the waits; never as long as without any spilling', () => {
  const [now, some, old] = [run('ray:period=0'), run('ray:period=10'), run('ray:period=100')];
  assert.ok(now.waitUs.mean < some.waitUs.mean && some.waitUs.mean < old.waitUs.mean);
  assert.ok(old.waitUs.mean < run('random:discipline=fcfs').waitUs.mean);
});

/** The hybrid policy as its source says it: sort all that have a core free, draw one of the first. Which ones those are. */
function naive(levels: readonly number[], host: number, { coreCount, threshold, topShare }: NaiveSetup): number[] {
  const scores = levels.map((free) => {
    const used = (coreCount - free) / coreCount;
    return used < threshold ? 0 : used;
  });
  const available = levels.flatMap((free, server) => (free > 0 ? [server] : []));
  const best = available.toSorted((a, b) => scores[a]! - scores[b]! || a - b);
  if (best.length === 0) return [-1];
  if (levels[host]! > 0 && scores[host]! <= scores[best[0]!]!) return [host];
  return best.slice(0, Math.max(1, Math.floor(levels.length * topShare)));
}

interface NaiveSetup {
  readonly coreCount: number;
  readonly threshold: number;
  readonly topShare: number;
}

test('ray: the choice of a server is the one that sorting all of them gives', () => {
  const given = fc
    .record({ serverCount: fc.integer({ min: 1, max: 8 }), coreCount: fc.integer({ min: 1, max: 4 }) })
    .chain(({ serverCount, coreCount }) =>
      fc.record({
        coreCount: fc.constant(coreCount),
        levels: fc.array(fc.nat(coreCount), { minLength: serverCount, maxLength: serverCount }),
        host: fc.nat(serverCount - 1),
        threshold: fc.constantFrom(0, 0.25, 0.5, 0.75, 1),
        topShare: fc.constantFrom(0, 0.3, 1),
        seed: fc.nat(1000),
      }),
    );
  fc.assert(
    fc.property(given, ({ levels, coreCount, host, threshold, topShare, seed }) => {
      const setup = { frontCount: 1, serverCount: levels.length, coreCount, threshold, topShare };
      const views = new Views(setup, new Random(seed, 0));
      for (const [server, free] of levels.entries()) {
        views.report(server, Math.min(coreCount, free + (seed % 2)));
        // What it has sent itself counts as taken.
        if (free + (seed % 2) <= coreCount && seed % 2 === 1) views.send(0, server);
        if (server !== host) assert.equal(views.freeCount(0, server), free);
      }
      for (let i = 0; i < 10; i++) {
        const chosen = views.choose(0, host, levels[host]!);
        const may = naive(levels, host, { coreCount, threshold, topShare });
        assert.ok(may.includes(chosen), `server ${chosen}, and it may be ${may.join(', ')}`);
      }
    }),
    { numRuns: 1000 },
  );
});
