/** What an invocation of a function does: for how long it runs, sleeps, runs, …. */
import { assert } from '../../base/assert.ts';
import type { Random } from '../engine/random.ts';
import type { Arrival } from '../workload.ts';
import type { Distribution } from './distributions.ts';

export interface Program {
  readonly phaseMax: number;
  /** CPU time of one core. */
  readonly meanDemandUs: number;
  /** Its phases, and nothing else of the arrival. */
  draw(random: Random, into: Arrival): void;
}

/** It runs from its start to its end. */
export function runs(demand: Distribution): Program {
  return {
    phaseMax: 1,
    meanDemandUs: demand.mean,
    draw: (random, into) => {
      into.phaseCount = 1;
      into.phasesUs[0] = demand.draw(random);
    },
  };
}

/** It runs, and `sleepCount` times it sleeps and runs again; each run and each sleep is drawn of its own. */
export function runsAndSleeps(run: Distribution, sleep: Distribution, sleepCount: number): Program {
  assert(sleepCount > 0, 'a function that sleeps has a sleep');
  const phaseMax = 2 * sleepCount + 1;
  return {
    phaseMax,
    meanDemandUs: run.mean * (sleepCount + 1),
    draw: (random, into) => {
      into.phaseCount = phaseMax;
      for (let phase = 0; phase < phaseMax; phase++) {
        into.phasesUs[phase] = (phase % 2 === 0 ? run : sleep).draw(random);
      }
    },
  };
}
