/** A load of many functions on servers that have room for few of them, to count cold starts with. */
import { FREE } from '../../src/sim/costs.ts';
import type { Result } from '../../src/sim/measure/result.ts';
import { simulate } from '../../src/sim/simulate.ts';
import { parsePolicy } from '../../src/sim/spec.ts';
import { PLAIN_FUNCTION, type Workload } from '../../src/sim/workload.ts';

/** Many functions that are all invoked as often. */
function many(functionCount: number): Workload {
  return {
    name: 'many',
    functions: Array.from({ length: functionCount }, (_, i) => ({ ...PLAIN_FUNCTION, name: `f${i}` })),
    phaseMax: 1,
    meanDemandUs: 10_000,
    ownRate: null,
    start: (ratePerUs, random) => {
      let timeUs = 0;
      return {
        next: (into) => {
          timeUs += random.exponential() / ratePerUs;
          into.timeUs = timeUs;
          into.functionIndex = random.below(functionCount);
          into.phaseCount = 1;
          into.phasesUs[0] = random.exponential() * 10_000;
          return true;
        },
        step: () => undefined,
      };
    },
  };
}

export function runMany(policy: string, load: number): Result {
  const { kind, options } = parsePolicy(policy);
  return simulate({
    policy: kind,
    options,
    workload: many(100),
    // Room for 20 instances on each: a fifth of the functions.
    cluster: { serverCount: 10, coreCount: 4, memoryMb: 20 * 128 },
    costs: { ...FREE, coldStartUs: 5000 },
    load,
    seed: 1,
    warmUpUs: 1e6,
    endUs: 11e6,
    drainedUs: 100e6,
  });
}
