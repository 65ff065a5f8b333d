/** How many cores of its server each job runs on, as its function wants it. */
import { SpecError } from '../spec-error.ts';
import type { World } from '../world.ts';

export class CoresWanted {
  readonly #world: World;
  readonly #byFunction: Int32Array;
  readonly #isOne: boolean;

  constructor(world: World) {
    this.#world = world;
    this.#byFunction = Int32Array.from(world.workload.functions, ({ coreCount }) => coreCount);
    this.#isOne = !hasSeveral(world);
  }

  of(job: number): number {
    return this.#isOne ? 1 : this.#byFunction[this.#world.jobs.functionOf(job)]!;
  }
}

function hasSeveral({ workload }: World): boolean {
  return workload.functions.some(({ coreCount }) => coreCount > 1);
}

/** Who has one core for each invocation says so, and does not give less than was asked for. `who` as the beginning of a sentence. */
export function refuseSeveral(world: World, who: string): void {
  if (!hasSeveral(world)) return;
  throw new SpecError(`${who} runs an invocation on one core, and the workload ${world.workload.name} wants several`);
}

/** Whoever waits for more cores than a server has would wait for ever. */
export function refuseTooLarge({ workload, cluster }: World): void {
  const large = workload.functions.find(({ coreCount }) => coreCount > cluster.coreCount);
  if (large === undefined) return;
  throw new SpecError(
    `function ${large.name} wants ${large.coreCount} cores of one server, and servers have ${cluster.coreCount}`,
  );
}
