/** One simulation, from its set-up to its result. The same set-up gives the same result, byte for byte. */
import { assert } from '../base/assert.ts';
import type { Costs } from './costs.ts';
import type { FaultSetup } from './faults/fault-spec.ts';
import { Recorder } from './measure/recorder.ts';
import { type Result, resultOf } from './measure/result.ts';
import type { OptionValues, Policy, PolicyKind } from './policy.ts';
import { SpecError } from './spec-error.ts';
import type { Workload } from './workload.ts';
import { type Cluster, World } from './world.ts';

export interface Setup {
  readonly policy: PolicyKind;
  readonly options: OptionValues;
  readonly workload: Workload;
  readonly cluster: Cluster;
  readonly costs: Costs;
  /** Work that arrives, over what all cores can do; null: as the workload was recorded. */
  readonly load: number | null;
  readonly seed: number;
  /** What arrives before is not counted: the cluster is empty at first. */
  readonly warmUpUs: number;
  /** What arrives from then on is not counted either; the load goes on until all that was counted has ended. */
  readonly endUs: number;
  /** Then it stops all the same, and says what was left. */
  readonly drainedUs: number;
  /** Nothing goes wrong unless given. */
  readonly faults?: FaultSetup | null;
}

const SAMPLE_COUNT = 400;

/** `sampled`: hears now and then how much of the virtual time is over; 1 and more: it waits for those that were counted. */
export function simulate(setup: Setup, sampled: (share: number) => void = () => undefined): Result {
  const { world, policy } = openWorld(setup);
  const { engine, recorder } = world;
  const sampleUs = recorder.setup.sampleUs;
  world.open(policy);
  let nextUs = 0;
  while (nextUs < setup.endUs || recorder.openCount > 0) {
    if (nextUs >= setup.drainedUs || (engine.pendingCount === 0 && nextUs >= setup.endUs)) break;
    nextUs += sampleUs;
    engine.run(nextUs);
    recorder.sample(nextUs, policy.waitingCount);
    sampled(nextUs / setup.endUs);
  }
  return resultOf(setup, world, policy);
}

export function openWorld(setup: Setup): { world: World; policy: Policy } {
  const { cluster, workload, costs, seed, warmUpUs, endUs, faults = null } = setup;
  assert(warmUpUs < endUs && endUs <= setup.drainedUs, 'warm-up, end and drained are not in this order');
  const coreCount = cluster.serverCount * cluster.coreCount;
  const recorder = new Recorder({ warmUpUs, endUs, coreCount, sampleUs: endUs / SAMPLE_COUNT });
  const world = new World({ cluster, costs, workload, ratePerUs: rateOf(setup), seed, recorder, faults });
  return { world, policy: policyOf(setup, world) };
}

/** At which invocations arrive, for each microsecond. */
export function rateOf({ cluster, workload, load }: Setup): number {
  const coreCount = cluster.serverCount * cluster.coreCount;
  const ratePerUs = load === null ? workload.ownRate : (load * coreCount) / workload.meanDemandUs;
  assert(ratePerUs !== null, `the workload ${workload.name} has no rate of its own, so a load has to be given`);
  return ratePerUs;
}

/** Others write policies too, in files that nobody has checked. */
function policyOf({ policy: kind, options }: Setup, world: World): Policy {
  const made: unknown = kind.make(world, options);
  const { arrive, waitingCount } = (made ?? {}) as Partial<Record<keyof Policy, unknown>>;
  if (typeof arrive === 'function' && typeof waitingCount === 'number') return made as Policy;
  const lacks = typeof arrive === 'function' ? 'a number waitingCount' : 'a method arrive(job)';
  const shown = typeof made === 'object' && made !== null ? `an object without ${lacks}` : String(made);
  throw new SpecError(
    `policy ${kind.name}: make(world, options) returned ${shown}: it has to return an object with arrive(job) and waitingCount`,
  );
}
