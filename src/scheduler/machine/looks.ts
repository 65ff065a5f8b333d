/**
 * Where those who wait for several cores have to look again: for each class of them nowhere, at one worker, or everywhere. Who is first
 * in its class has once looked everywhere in vain; from then on only a worker to which something was given is worth a look, so that a release
 * costs a look at its own worker, however large the cluster. Whoever becomes first has to look everywhere.
 */
import { SEVERAL_CLASS_COUNT } from './queue.ts';

const NOWHERE = -2;
export const EVERYWHERE = -1;

export class Looks {
  readonly #where = new Int32Array(SEVERAL_CLASS_COUNT).fill(EVERYWHERE);

  /** The home of a worker, or EVERYWHERE; less: nowhere. */
  where(several: number): number {
    return this.#where[several]!;
  }

  looked(several: number): void {
    this.#where[several] = NOWHERE;
  }

  /** Something was given there, or may have been. */
  gave(where: number): void {
    for (let several = 0; several < SEVERAL_CLASS_COUNT; several++) {
      const before = this.#where[several]!;
      this.#where[several] = before === NOWHERE || before === where ? where : EVERYWHERE;
    }
  }

  /** Another one is first in the class. */
  changed(several: number): void {
    this.#where[several] = EVERYWHERE;
  }
}
