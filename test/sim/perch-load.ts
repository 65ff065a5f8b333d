/** A load of every kind at once for Perch's own policies, small enough to look at everything after each event: sleeps, chains, several cores, little memory. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Random } from '../../src/sim/engine/random.ts';
import type { Jobs } from '../../src/sim/jobs.ts';
import { COST_NAMES, type Costs, FREE } from '../../src/sim/costs.ts';
import { Recorder } from '../../src/sim/measure/recorder.ts';
import { parsePolicy } from '../../src/sim/spec.ts';
import type { Arrival, Arrivals, FunctionShape, Workload } from '../../src/sim/workload.ts';
import { type Cluster, World } from '../../src/sim/world.ts';

export interface Load {
  readonly functions: readonly FunctionShape[];
  readonly phaseMax: number;
  readonly arrivalCount: number;
  /** Of what all cores can do; more than 1 where they cannot. */
  readonly load: number;
}

const MEAN_US = 5000;

export function mixed({ functions, phaseMax, arrivalCount }: Load): Workload {
  return {
    name: 'mixed',
    functions,
    phaseMax,
    meanDemandUs: MEAN_US,
    ownRate: null,
    start: (ratePerUs, random) => new MixedArrivals(functions, arrivalCount, ratePerUs, random),
  };
}

class MixedArrivals implements Arrivals {
  readonly #functions: readonly FunctionShape[];
  readonly #gapUs: number;
  readonly #random: Random;
  #left: number;
  #timeUs = 0;

  constructor(functions: readonly FunctionShape[], count: number, ratePerUs: number, random: Random) {
    this.#functions = functions;
    this.#left = count;
    this.#gapUs = 1 / ratePerUs;
    this.#random = random;
  }

  next(into: Arrival): boolean {
    if (this.#left-- === 0) return false;
    // Some come together.
    if (this.#random.unit() > 0.2) this.#timeUs += this.#random.exponential() * this.#gapUs;
    into.timeUs = this.#timeUs;
    into.functionIndex = this.#random.below(this.#functions.length);
    this.step(into.functionIndex, into);
    return true;
  }

  step(_functionIndex: number, into: Arrival): void {
    const { phasesUs } = into;
    into.phaseCount = 1 + 2 * this.#random.below((phasesUs.length + 1) / 2);
    for (let phase = 0; phase < into.phaseCount; phase++) {
      const isNothing = this.#random.unit() < 0.1;
      const isLong = this.#random.unit() < 0.1;
      phasesUs[phase] = isNothing ? 0 : this.#random.exponential() * MEAN_US * (isLong ? 10 : 0.5);
    }
  }
}

const shape = fc.record({
  memoryMb: fc.constantFrom(64, 128, 256, 700),
  coreCount: fc.constantFrom(1, 1, 1, 1, 2, 3),
  initUs: fc.constantFrom(-1, 0, 3000),
});

/** Chains go to functions that stand later, so they end. */
export const load: fc.Arbitrary<Load> = fc
  .record({
    shapes: fc.array(shape, { minLength: 2, maxLength: 4, size: 'max' }),
    nexts: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
    phaseMax: fc.constantFrom(1, 3, 5),
    arrivalCount: fc.integer({ min: 20, max: 120 }),
    load: fc.constantFrom(0.4, 0.9, 1.5, 4),
  })
  .map(({ shapes, nexts, ...rest }) => ({
    ...rest,
    functions: shapes.map((each, i) => {
      const next = nexts[i]! && i + 1 < shapes.length ? i + 1 : -1;
      return { ...each, name: `f${i}`, next };
    }),
  }));

export const cluster: fc.Arbitrary<Cluster> = fc.record({
  serverCount: fc.integer({ min: 1, max: 3 }),
  coreCount: fc.integer({ min: 1, max: 4 }),
  memoryMb: fc.constantFrom(700, 1500, 5000),
});

const anyCosts: fc.Arbitrary<Costs> = fc
  .array(fc.constantFrom(0, 0, 7, 300, 2500), { minLength: COST_NAMES.length, maxLength: COST_NAMES.length })
  .map((values) => ({ ...FREE, ...Object.fromEntries(COST_NAMES.map((name, i) => [name, values[i]!])) }));

export const costs: fc.Arbitrary<Costs> = fc.oneof(fc.constant(FREE), anyCosts, anyCosts);

export interface Case {
  readonly policy: string;
  readonly load: Load;
  readonly cluster: Cluster;
  readonly costs: Costs;
  readonly seed: number;
}

export interface Played {
  readonly stepCount: number;
  /** The world's and the policy's own. */
  readonly counters: Readonly<Record<string, number>>;
}

/** Adds up what all who ended needed of cores, and sees to it that nobody was faster than alone. */
class Work extends Recorder {
  needUs = 0;
  readonly #functions: readonly FunctionShape[];

  constructor(functions: readonly FunctionShape[]) {
    super({ warmUpUs: 0, endUs: Infinity, coreCount: 1, sampleUs: 1 });
    this.#functions = functions;
  }

  override finished(jobs: Jobs, job: number, endUs: number, isLast: boolean): void {
    const aloneUs = jobs.demandUs(job) + jobs.sleepUs(job);
    const tookUs = endUs - jobs.arrivalUs(job);
    assert.ok(tookUs > aloneUs - CLOSE_US, `it took ${tookUs} µs, and takes ${aloneUs} alone`);
    this.needUs += jobs.demandUs(job) * this.#functions[jobs.functionOf(job)]!.coreCount;
    super.finished(jobs, job, endUs, isLast);
  }
}

const STEPS_MAX = 200_000;
const CLOSE_US = 0.01;

/** Until nothing is to come, and looks at everything after each event. */
export function play({ policy: name, load: of, cluster: on, costs: at, seed }: Case, checkEach = 1): Played {
  const { kind, options } = parsePolicy(name);
  const recorder = new Work(of.functions);
  const ratePerUs = (of.load * on.serverCount * on.coreCount) / MEAN_US;
  const world = new World({ cluster: on, costs: at, workload: mixed(of), ratePerUs, seed, recorder });
  const policy = kind.make(world, options);
  world.open(policy);
  let stepCount = 0;
  while (stepCount < STEPS_MAX && world.engine.step(Infinity)) {
    stepCount++;
    if (stepCount % checkEach === 0) policy.check?.();
  }
  assert.ok(stepCount < STEPS_MAX, `it goes on for ever: ${policy.pending?.().join('; ')}`);
  assert.equal(world.jobs.count, 0, `some never ended: ${policy.pending?.().join('; ')}`);
  assert.equal(recorder.openCount, 0);
  const endedCount = recorder.latencyUs.count + recorder.refusedCount + recorder.lostCount;
  assert.equal(endedCount, recorder.arrivedCount, 'one end for each');
  const { nowUs } = world.engine;
  const busyUs = nowUs === 0 ? 0 : recorder.utilisation(nowUs) * nowUs;
  const isFree = Object.values(at).every((cost) => cost === 0) && !name.includes('workers=real');
  const message = `cores were at work for ${busyUs} µs, and ${recorder.needUs} were needed`;
  assert.ok(busyUs > recorder.needUs - CLOSE_US * stepCount, message);
  assert.ok(!isFree || busyUs < recorder.needUs + CLOSE_US * stepCount, message);
  const { coldStarts, migrations, preemptions, messages } = world.counters;
  return { stepCount, counters: { coldStarts, migrations, preemptions, messages, ...policy.counters?.() } };
}
