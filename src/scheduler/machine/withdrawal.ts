/**
 * A core on its way between those who own it and nobody: idle, or out of the platform where that is wished.
 *
 *   wish     a bit of the word: 1, the core shall not be granted any more
 *   out      a state of the lease word: it is not
 *
 * Whoever sets a core's bit then looks at the wish, and if there is one tries to claim the core back; whoever wishes then tries to claim it.
 * Whoever takes it out then looks whether the wish is still there; whoever ends the wish then swaps *out* to *free*. So of each
 * two one sees the other, and a swap decides who acts (models/withdraw.pml).
 */
import { coreCountOf, lowestCore, withoutLowest } from '../../base/core-mask.ts';
import type { Cores } from './cores.ts';
import type { Leases } from './leases.ts';
import { countWord } from './memory.ts';
import type { SharedInt32 } from './shared.ts';

const { IDLE, WITHDRAWN } = countWord;

interface Parts {
  readonly cores: Cores;
  readonly leases: Leases;
  readonly counts: SharedInt32;
}

export class Withdrawal {
  readonly #cores: Cores;
  readonly #leases: Leases;
  readonly #counts: SharedInt32;

  constructor(parts: Parts) {
    this.#cores = parts.cores;
    this.#leases = parts.leases;
    this.#counts = parts.counts;
  }

  /** The core is owned and not leased, and nobody's afterwards. True: it is idle, or was. False: it is out. */
  put(core: number): boolean {
    do {
      this.#counts[IDLE]! += 1;
      this.#cores.free(core);
      if (!this.#cores.isWithdrawn(core) || !this.claimIdle(core)) return true;
    } while (!this.#takeOut(core));
    return false;
  }

  /** As `put`, of all these cores at once. Answers those of them that are idle, or were. */
  putSeveral(lead: number, mask: number): number {
    const index = lead >>> 5;
    this.#counts[IDLE]! += coreCountOf(mask);
    this.#cores.freeSeveral(index, mask);
    let idle = mask;
    for (let rest = this.#cores.withdrawnOf(index, mask); rest !== 0; rest = withoutLowest(rest))
      if (this.tryOut(lowestCore(lead, rest))) idle &= ~(rest & -rest);
    return idle;
  }

  /** Takes the core out if nobody else has it; true if it is out. The wish is there already. */
  tryOut(core: number): boolean {
    if (!this.claimIdle(core)) return false;
    return this.#takeOut(core) || !this.put(core);
  }

  /** The wish is gone. True: the core was out and is owned now. */
  comeIn(core: number): boolean {
    if (!this.#leases.comeIn(core)) return false;
    this.#counts[WITHDRAWN]! -= 1;
    return true;
  }

  claimIdle(core: number): boolean {
    if (!this.#cores.claim(core)) return false;
    this.#counts[IDLE]! -= 1;
    return true;
  }

  /** The core is owned. False: the wish was taken back meanwhile, and it is owned still. */
  #takeOut(core: number): boolean {
    this.#counts[WITHDRAWN]! += 1;
    this.#leases.goOut(core);
    return this.#cores.isWithdrawn(core) || !this.comeIn(core);
  }
}
