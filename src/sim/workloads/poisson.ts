/** One function whose invocations arrive at random, independently of each other, and run for times of one distribution. */
import type { Random } from '../engine/random.ts';
import { type Arrival, type Arrivals, PLAIN_FUNCTION, type Workload } from '../workload.ts';
import type { Distribution } from './distributions.ts';

export function poisson(name: string, demand: Distribution): Workload {
  return {
    name,
    functions: [PLAIN_FUNCTION],
    phaseMax: 1,
    meanDemandUs: demand.mean,
    ownRate: null,
    start: (ratePerUs, random) => new PoissonArrivals(demand, ratePerUs, random),
  };
}

class PoissonArrivals implements Arrivals {
  readonly #demand: Distribution;
  readonly #gapUs: number;
  readonly #random: Random;
  #timeUs = 0;

  constructor(demand: Distribution, ratePerUs: number, random: Random) {
    this.#demand = demand;
    this.#gapUs = 1 / ratePerUs;
    this.#random = random;
  }

  next(into: Arrival): boolean {
    this.#timeUs += this.#random.exponential() * this.#gapUs;
    into.timeUs = this.#timeUs;
    into.functionIndex = 0;
    into.phaseCount = 1;
    into.phasesUs[0] = this.#demand.draw(this.#random);
    return true;
  }

  step(_functionIndex: number, into: Arrival): void {
    into.phaseCount = 1;
    into.phasesUs[0] = this.#demand.draw(this.#random);
  }
}
