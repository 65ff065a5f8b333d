/** Looks at simulations that are under way for those in which virtual time stands still: a policy may go round in circles, for ever. */
import type { SimulationSpec } from '../../sim/spec.ts';

export const STILL_US = 10_000_000;

interface Watched {
  readonly spec: SimulationSpec;
  share: number;
  /** When it was seen to move on last. */
  movedUs: number;
  isSaid: boolean;
}

export class Watch {
  readonly #shares: Float64Array;
  /** By thread. */
  readonly #runs: (Watched | undefined)[] = [];

  /** `shares`: by thread, how much of its run is over. */
  constructor(shares: Float64Array) {
    this.#shares = shares;
  }

  /** null: nothing. */
  running(threadIndex: number, spec: SimulationSpec | null, nowUs: number): void {
    this.#runs[threadIndex] = spec === null ? undefined : { spec, share: 0, movedUs: nowUs, isSaid: false };
  }

  /** Those that have stood still for 10 s, each of them once. */
  look(nowUs: number): readonly SimulationSpec[] {
    const still: SimulationSpec[] = [];
    for (const [index, run] of this.#runs.entries()) {
      if (run === undefined) continue;
      const share = this.#shares[index]!;
      if (share !== run.share) {
        run.share = share;
        run.movedUs = nowUs;
      }
      if (run.isSaid || nowUs - run.movedUs < STILL_US) continue;
      run.isSaid = true;
      still.push(run.spec);
    }
    return still;
  }
}
