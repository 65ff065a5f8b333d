/**
 * Many invocations at once, every so often, over a load that arrives at random: what the first paper calls elasticity. The bursts are a function
 * of their own, so that its instances are not those of the others.
 *
 * A load that is asked for counts both: what the bursts leave of it arrives at random. Without one (`ownRate`), there are the bursts alone.
 */
import type { Random } from '../engine/random.ts';
import { SpecError } from '../spec-error.ts';
import { type Arrival, type Arrivals, PLAIN_FUNCTION, type Workload } from '../workload.ts';
import type { Distribution } from './distributions.ts';

const ROUNDING = 1e-9;

export interface BurstSetup {
  readonly demand: Distribution;
  /** Of a burst. */
  readonly count: number;
  readonly everyUs: number;
  readonly memoryMb: number;
}

export function bursts(name: string, setup: BurstSetup): Workload {
  const { demand, count, everyUs, memoryMb } = setup;
  const burstRate = count / everyUs;
  return {
    name,
    functions: [
      { ...PLAIN_FUNCTION, name: 'steady', memoryMb },
      { ...PLAIN_FUNCTION, name: 'burst', memoryMb },
    ],
    phaseMax: 1,
    meanDemandUs: demand.mean,
    ownRate: burstRate,
    start: (ratePerUs, random) => {
      const steadyRate = ratePerUs - burstRate;
      if (steadyRate >= -ROUNDING * burstRate) return new BurstArrivals(setup, Math.max(0, steadyRate), random);
      throw new SpecError(
        `${count} invocations at once every ${everyUs / 1e6} s are more than the load that was asked for: ` +
          `every ${seconds(count / ratePerUs)} s, or at a load that is ${(burstRate / ratePerUs).toFixed(2)} times as high, they would be all of it`,
      );
    },
  };
}

function seconds(us: number): string {
  return String(Number((us / 1e6).toPrecision(3)));
}

class BurstArrivals implements Arrivals {
  readonly #setup: BurstSetup;
  readonly #gapUs: number;
  readonly #random: Random;
  #steadyUs = 0;
  #burstUs: number;
  #burstLeft: number;

  constructor(setup: BurstSetup, steadyRate: number, random: Random) {
    this.#setup = setup;
    this.#gapUs = 1 / steadyRate;
    this.#random = random;
    this.#steadyUs = this.#gap();
    this.#burstUs = setup.everyUs;
    this.#burstLeft = setup.count;
  }

  next(into: Arrival): boolean {
    if (this.#steadyUs < this.#burstUs) {
      into.timeUs = this.#steadyUs;
      into.functionIndex = 0;
      this.#steadyUs += this.#gap();
    } else {
      into.timeUs = this.#burstUs;
      into.functionIndex = 1;
      if (--this.#burstLeft === 0) {
        this.#burstUs += this.#setup.everyUs;
        this.#burstLeft = this.#setup.count;
      }
    }
    this.step(into.functionIndex, into);
    return true;
  }

  step(_functionIndex: number, into: Arrival): void {
    into.phaseCount = 1;
    into.phasesUs[0] = this.#setup.demand.draw(this.#random);
  }

  #gap(): number {
    return this.#gapUs === Infinity ? Infinity : this.#random.exponential() * this.#gapUs;
  }
}
