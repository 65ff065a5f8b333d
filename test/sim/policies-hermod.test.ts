import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FREE } from '../../src/sim/costs.ts';
import { Recorder } from '../../src/sim/measure/recorder.ts';
import type { Result } from '../../src/sim/measure/result.ts';
import { Placement } from '../../src/sim/policies/hermod/placement.ts';
import { Instances } from '../../src/sim/servers/instances.ts';
import { simulate } from '../../src/sim/simulate.ts';
import { setupOf } from '../../src/sim/spec.ts';
import { type Arrivals, PLAIN_FUNCTION } from '../../src/sim/workload.ts';
import { World } from '../../src/sim/world.ts';
import { checkNobodyIsLost, play } from './given-jobs.ts';
import { runMany } from './many-functions.ts';

test('hermod: nobody is lost or run twice', () => {
  checkNobodyIsLost(
    fc
      .record({
        binding: fc.constantFrom('early', 'late'),
        balance: fc.constantFrom('hybrid', 'least-loaded', 'locality', 'random'),
        fronts: fc.constantFrom(1, 2, 9),
        discipline: fc.constantFrom('ps', 'fcfs'),
      })
      .map(
        ({ binding, balance, fronts, discipline }) =>
          `hermod:binding=${binding},balance=${balance},fronts=${fronts},discipline=${discipline}`,
      ),
  );
});

interface Run {
  readonly load: number;
  readonly workload?: string;
  readonly seconds?: number;
}

function run(policy: string, { load, workload = 'exponential:mean=10', seconds = 20 }: Run): Result {
  return simulate(
    setupOf({
      policy,
      workload,
      servers: 16,
      cores: 4,
      memoryMb: 65_536,
      load,
      costs: FREE,
      seed: 5,
      seconds,
      warmUpSeconds: seconds / 5,
    }),
  );
}

test('hermod: at a low load it uses few servers', () => {
  // Five or six at once.
  const jobs = Array.from({ length: 200 }, (_, i) => ({ atUs: i * 10, phasesUs: [55] }));
  const cluster = { serverCount: 16, coreCount: 4, memoryMb: 65_536 };
  const used = (policy: string): number => new Set(play({ policy, jobs, cluster }).serversOf).size;
  assert.equal(used('hermod'), 2);
  assert.ok(used('hermod:balance=least-loaded') > 5);
});

test('hermod: there are fewer cold starts than with servers drawn at random', () => {
  const [packed, random] = [runMany('hermod', 0.2), runMany('random', 0.2)];
  const [ofPacked, ofRandom] = [packed.counters['cold starts']!, random.counters['cold starts']!];
  assert.ok(ofPacked < ofRandom, `${ofPacked} cold starts, and ${ofRandom} at random`);
});

test('hermod: cold starts that meet on a server are as many as its memory takes', () => {
  // All come while the first ones start, so none is warm until then.
  const jobs = Array.from({ length: 100 }, (_, i) => ({ atUs: i, phasesUs: [10] }));
  const cluster = { serverCount: 2, coreCount: 2, memoryMb: 1024 };
  const { world } = play({ policy: 'hermod', jobs, cluster, costs: { coldStartUs: 10_000 } });
  assert.equal(world.counters.coldStarts, 16);
});

test('hermod: early binding with one core for each is not worse than one queue while all have a core', () => {
  const [early, late] = [run('hermod', { load: 0.4 }), run('hermod:binding=late', { load: 0.4 })];
  assert.ok(Math.abs(early.slowdown.mean - late.slowdown.mean) < 0.001);
});

test("hermod: late binding is one queue for all cores, as Perch's own", () => {
  const [late, central] = [run('hermod:binding=late', { load: 0.9 }), run('perch', { load: 0.9 })];
  assert.ok(Math.abs(late.waitUs.mean - central.waitUs.mean) < 1e-6 * central.waitUs.mean);
});

test('hermod: sharing a core beats waiting for one where few jobs are very long', () => {
  const workload = 'bimodal:short=1,long=1000,share=0.01';
  const given = { load: 0.9, workload, seconds: 30 };
  const [early, late] = [run('hermod', given), run('hermod:binding=late', given)];
  assert.ok(early.slowdown.p99 * 3 < late.slowdown.p99, `${early.slowdown.p99} and ${late.slowdown.p99}`);
});

const MEMORY_MB = 512;

function emptyWorld(serverCount: number): World {
  const functions = [128, 256, 300].map((memoryMb, i) => ({ ...PLAIN_FUNCTION, name: `f${i}`, memoryMb }));
  const start = (): Arrivals => ({ next: () => false, step: () => undefined });
  const workload = { name: 'none', functions, phaseMax: 1, meanDemandUs: 1, ownRate: null, start };
  const cluster = { serverCount, coreCount: 1, memoryMb: MEMORY_MB };
  const recorder = new Recorder({ warmUpUs: 0, endUs: 1, coreCount: 1, sampleUs: 1 });
  return new World({ cluster, costs: FREE, workload, ratePerUs: 1, seed: 1, recorder });
}

/** What `Placement` says in its comments, by looking at all. */
class Naive {
  readonly counts: number[];
  readonly coreCount: number;
  readonly books: Instances;
  readonly coresOf: readonly number[];

  constructor(count: number, coreCount: number, books: Instances, coresOf: readonly number[]) {
    this.coresOf = coresOf;
    this.counts = Array.from({ length: count }, () => 0);
    this.coreCount = coreCount;
    this.books = books;
  }

  /** Where hybrid may go: any of these. */
  hybrid(functionIndex: number): number[] {
    const inUse = this.servers((count) => count > 0 && this.fits(count, functionIndex));
    if (inUse.length === 0) return this.warmBefore(functionIndex, this.leastLoaded());
    const warm = this.warmOf(functionIndex, inUse);
    if (warm.length > 0) return warm;
    const fullest = Math.max(...inUse.map((server) => this.counts[server]!));
    return inUse.filter((server) => this.counts[server] === fullest);
  }

  fits(count: number, functionIndex: number): boolean {
    return count + this.coresOf[functionIndex]! <= this.coreCount;
  }

  leastLoaded(): number[] {
    const least = Math.min(...this.counts);
    return this.servers((count) => count === least);
  }

  assign(server: number, functionIndex: number): void {
    this.counts[server]! += this.coresOf[functionIndex]!;
    this.books.take(server, functionIndex);
  }

  release(server: number, functionIndex: number): void {
    this.counts[server]! -= this.coresOf[functionIndex]!;
    this.books.put(server, functionIndex);
  }

  private warmBefore(functionIndex: number, servers: number[]): number[] {
    const warm = this.warmOf(functionIndex, servers);
    return warm.length > 0 ? warm : servers;
  }

  private servers(has: (count: number) => boolean): number[] {
    return this.counts.flatMap((count, server) => (has(count) ? [server] : []));
  }

  private warmOf(functionIndex: number, servers: readonly number[]): number[] {
    return servers.filter((server) => this.books.isWarm(server, functionIndex));
  }
}

test('hermod: the choice of a server is the one that looking at all servers gives', () => {
  const steps = fc.array(fc.record({ functionIndex: fc.nat(2), end: fc.option(fc.nat(1000), { freq: 2 }) }), {
    maxLength: 200,
    size: 'max',
  });
  const shapes = fc.record({
    count: fc.integer({ min: 1, max: 6 }),
    coreCount: fc.integer({ min: 1, max: 4 }),
    first: fc.nat(10),
    isHybrid: fc.boolean(),
    several: fc.integer({ min: 1, max: 3 }),
  });
  fc.assert(
    fc.property(shapes, steps, ({ count, coreCount, first, isHybrid, several }, given) => {
      const world = emptyWorld(first + count);
      const coresOf = [1, Math.min(coreCount, several), 1];
      const placement = new Placement({ first, count, coreCount, coresOf, books: new Instances(world) });
      const naive = new Naive(count, coreCount, new Instances(world), coresOf);
      const running: { server: number; functionIndex: number }[] = [];
      for (const { functionIndex, end } of given) {
        if (end !== null && running.length > 0) {
          const [ended] = running.splice(end % running.length, 1);
          placement.release(ended!.server + first, ended!.functionIndex);
          naive.release(ended!.server, ended!.functionIndex);
        } else {
          const server = isHybrid ? placement.hybrid(functionIndex) : placement.leastLoaded();
          const may = isHybrid ? naive.hybrid(functionIndex) : naive.leastLoaded();
          assert.ok(may.includes(server - first), `server ${server - first}, and it may be ${may.join(', ')}`);
          placement.assign(server, functionIndex);
          naive.assign(server - first, functionIndex);
          running.push({ server: server - first, functionIndex });
        }
        assert.equal(placement.hasRoom(1), naive.fits(Math.min(...naive.counts), 1));
      }
    }),
    { numRuns: 300 },
  );
});
