/** Invocations that arrive at random, independently of each other: a Poisson process, shared among functions in proportion to their weights. */
import type { Random } from '../engine/random.ts';
import type { Arrival, Arrivals, Workload } from '../workload.ts';
import { AliasTable } from './alias-table.ts';
import { type Member, statedOf } from './members.ts';

export function poisson(name: string, members: readonly Member[]): Workload {
  const table = members.length === 1 ? null : new AliasTable(members.map(({ weight }) => weight));
  return {
    name,
    ...statedOf(members),
    ownRate: null,
    start: (ratePerUs, random) => new PoissonArrivals({ members, table, gapUs: 1 / ratePerUs }, random),
  };
}

interface PoissonSetup {
  readonly members: readonly Member[];
  /** null: there is one function. */
  readonly table: AliasTable | null;
  readonly gapUs: number;
}

class PoissonArrivals implements Arrivals {
  readonly #setup: PoissonSetup;
  readonly #random: Random;
  #timeUs = 0;

  constructor(setup: PoissonSetup, random: Random) {
    this.#setup = setup;
    this.#random = random;
  }

  next(into: Arrival): boolean {
    const { table, gapUs } = this.#setup;
    this.#timeUs += this.#random.exponential() * gapUs;
    into.timeUs = this.#timeUs;
    into.functionIndex = table === null ? 0 : table.draw(this.#random);
    this.step(into.functionIndex, into);
    return true;
  }

  step(functionIndex: number, into: Arrival): void {
    this.#setup.members[functionIndex]!.program.draw(this.#random, into);
  }
}
