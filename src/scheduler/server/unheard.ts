/**
 * Leases that were granted, and of which nothing was heard: their gateway may have died, or have forgotten them. A decision
 * pays nothing for it. Each sweep looks at all leases; one that was there at the sweep before, under the same sequence, has its
 * worker asked, once. A sweep of 640,000 cores reads 8 MB.
 */
import type { Leases } from '../machine/leases.ts';

/** Beyond the 28 bits of a sequence. */
const ASKED = 1 << 30;

export class Unheard {
  /** Of each core the sequence at the last sweep at which it was leased; -1: none yet. */
  readonly #seen: Int32Array;

  constructor(coreCountMax: number) {
    this.#seen = new Int32Array(coreCountMax).fill(-1);
  }

  /** The worker has said that it runs this lease, and is not asked. */
  heard(core: number, sequence: number): void {
    this.#seen[core] = sequence | ASKED;
  }

  sweep(leases: Leases, [first, end]: readonly [number, number], ask: (core: number, sequence: number) => void): void {
    const seen = this.#seen;
    for (let core = first; core < end; core++) {
      if (!leases.isLead(core)) continue;
      const sequence = leases.sequence(core);
      if (seen[core] === (sequence | ASKED)) continue;
      if (seen[core] === sequence) {
        seen[core] = sequence | ASKED;
        ask(core, sequence);
      } else seen[core] = sequence;
    }
  }
}
