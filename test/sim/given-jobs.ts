/** Plays a given list of jobs under a policy on a small cluster, with the policy's invariants checked after each event. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type Costs, FREE } from '../../src/sim/costs.ts';
import type { Jobs } from '../../src/sim/jobs.ts';
import { Recorder } from '../../src/sim/measure/recorder.ts';
import type { Policy } from '../../src/sim/policy.ts';
import { parsePolicy } from '../../src/sim/spec.ts';
import { type FunctionShape, PLAIN_FUNCTION, type Workload } from '../../src/sim/workload.ts';
import { type Cluster, World } from '../../src/sim/world.ts';

export interface GivenJob {
  readonly atUs: number;
  readonly functionIndex?: number;
  /** Run, sleep, run, … */
  readonly phasesUs: readonly number[];
}

export interface Play {
  readonly policy: string;
  readonly jobs: readonly GivenJob[];
  readonly cluster: Cluster;
  readonly costs?: Partial<Costs>;
  readonly functions?: readonly FunctionShape[];
  readonly seed?: number;
}

export interface Played {
  /** In the order of the jobs. */
  readonly endsUs: readonly number[];
  readonly startsUs: readonly number[];
  readonly serversOf: readonly number[];
  readonly world: World;
  readonly policy: Policy;
}

const PHASE_MAX = 3;
const STEP_MAX = 1_000_000;
/** Long after the last end, for what a message takes here: all have arrived. */
const QUIET_US = 1000;

class Watch extends Recorder {
  readonly endsUs: number[] = [];
  readonly startsUs: number[] = [];
  readonly serversOf: number[] = [];
  readonly #indices = new Map<number, number>();
  arrivals = 0;
  ends = 0;

  override arrived(jobs: Jobs, job: number): void {
    super.arrived(jobs, job);
    this.#indices.set(job, this.arrivals++);
  }

  override finished(jobs: Jobs, job: number, endUs: number, isLast: boolean): void {
    super.finished(jobs, job, endUs, isLast);
    const index = this.#indices.get(job);
    assert.ok(index !== undefined && this.endsUs[index] === undefined, `job ${job} ends, and has ended or never came`);
    this.endsUs[index] = endUs;
    this.startsUs[index] = jobs.startedUs(job);
    this.#indices.delete(job);
    this.ends++;
  }

  /** Where those that are under way are: servers forget them at their end. */
  look(jobs: Jobs): void {
    for (const [job, index] of this.#indices) {
      if (jobs.server(job) >= 0) this.serversOf[index] = jobs.server(job);
    }
  }
}

export function play({
  policy: text,
  jobs,
  cluster,
  costs = {},
  functions = [PLAIN_FUNCTION],
  seed = 1,
}: Play): Played {
  const sorted = jobs.toSorted((a, b) => a.atUs - b.atUs);
  const coreCount = cluster.serverCount * cluster.coreCount;
  const watch = new Watch({ warmUpUs: 0, endUs: 1e15, coreCount, sampleUs: 1e15 });
  const workload = workloadOf(sorted, functions);
  const world = new World({ cluster, costs: { ...FREE, ...costs }, workload, ratePerUs: 1, seed, recorder: watch });
  const { kind, options } = parsePolicy(text);
  const policy = kind.make(world, options);
  world.open(policy);
  for (let steps = 0; watch.ends < sorted.length; steps++) {
    const isUnderWay = world.engine.step(1e15) && steps < STEP_MAX;
    assert.ok(isUnderWay, `${watch.ends} of ${sorted.length} have ended: ${policy.pending?.().join('; ')}`);
    policy.check?.();
    watch.look(world.jobs);
  }
  world.engine.run(world.engine.nowUs + QUIET_US);
  policy.check?.();
  assert.equal(policy.waitingCount, 0);
  assert.equal(world.jobs.count, 0);
  assert.deepEqual(policy.pending?.() ?? [], []);
  return { endsUs: watch.endsUs, startsUs: watch.startsUs, serversOf: watch.serversOf, world, policy };
}

function workloadOf(jobs: readonly GivenJob[], functions: readonly FunctionShape[]): Workload {
  return {
    name: 'given',
    functions,
    phaseMax: PHASE_MAX,
    meanDemandUs: 1,
    ownRate: null,
    start: () => {
      let next = 0;
      return {
        next: (into) => {
          const job = jobs[next++];
          if (job === undefined) return false;
          into.timeUs = job.atUs;
          into.functionIndex = job.functionIndex ?? 0;
          into.phaseCount = job.phasesUs.length;
          into.phasesUs.set(job.phasesUs);
          return true;
        },
        step: () => undefined,
      };
    },
  };
}

/** Many at once now and then, whole microseconds, so that much happens at the same time. */
const GIVEN_JOBS: fc.Arbitrary<GivenJob[]> = fc.array(
  fc.record({
    atUs: fc.nat(200),
    functionIndex: fc.nat(2),
    phasesUs: fc.oneof(fc.tuple(fc.integer({ min: 1, max: 60 })), fc.tuple(fc.nat(30), fc.nat(30), fc.nat(30))),
  }),
  { minLength: 1, maxLength: 60, size: 'max' },
);

const ANY_COSTS: fc.Arbitrary<Partial<Costs>> = fc.record({
  networkUs: fc.constantFrom(0, 1, 7),
  gatewayUs: fc.constantFrom(0, 3),
  decisionUs: fc.constantFrom(0, 1),
  startUs: fc.constantFrom(0, 2),
  coldStartUs: fc.constantFrom(0, 50),
  endUs: fc.constantFrom(0, 5),
  switchUs: fc.constantFrom(0, 1),
});

const FUNCTIONS: readonly FunctionShape[] = [
  PLAIN_FUNCTION,
  { ...PLAIN_FUNCTION, name: 'g', memoryMb: 256 },
  { ...PLAIN_FUNCTION, name: 'large', memoryMb: 700 },
];

/** Whoever comes ends once, on random small clusters, whatever things cost. `policyOf`: the policy's text. */
export function checkNobodyIsLost(policyOf: fc.Arbitrary<string>, numRuns = 150): void {
  const clusters = fc.record({
    serverCount: fc.integer({ min: 1, max: 6 }),
    coreCount: fc.integer({ min: 1, max: 3 }),
    memoryMb: fc.constantFrom(512, 4096),
  });
  const plays = fc.record({ jobs: GIVEN_JOBS, cluster: clusters, costs: ANY_COSTS, seed: fc.nat(1000) });
  fc.assert(
    fc.property(policyOf, plays, (policy, given) => {
      const { endsUs } = play({ ...given, policy, functions: FUNCTIONS });
      assert.equal(endsUs.length, given.jobs.length);
      for (const [index, job] of given.jobs.toSorted((a, b) => a.atUs - b.atUs).entries()) {
        const aloneUs = job.phasesUs.reduce((sum, phaseUs) => sum + phaseUs, 0);
        assert.ok(endsUs[index]! >= job.atUs + aloneUs - 1e-6, `job ${index} ends sooner than it can`);
      }
    }),
    { numRuns },
  );
}
