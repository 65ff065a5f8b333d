/**
 * What this gateway has run on each core of each worker, for views: how often, and since when it is as it is. A worker's cores are counted
 * from its first, since they have other numbers when the scheduler gives it another range; so are its extra seats.
 * `mask`: all cores of a lease, as bits of the word of its lead; 0: the lead alone.
 */
import { lowestCore, withoutLowest } from '../../base/core-mask.ts';

const FIRST_LENGTH = 64;

interface Uses {
  /** When the gateway was told of the worker. */
  readonly toldUs: number;
  counts: Int32Array;
  /** 0: nothing has run there. */
  sinceUs: Float64Array;
}

export class CoreUses {
  readonly #byWorker: Uses[] = [];

  /** Another worker has this number from now on. */
  begin(worker: number, nowUs: number): void {
    const counts = new Int32Array(FIRST_LENGTH);
    this.#byWorker[worker] = { toldUs: nowUs, counts, sinceUs: new Float64Array(FIRST_LENGTH) };
  }

  used(worker: number, { lead, mask }: { lead: number; mask: number }, nowUs: number): void {
    const uses = this.#byWorker[worker]!;
    use(uses, lead, nowUs);
    for (let rest = withoutLowest(mask); rest !== 0; rest = withoutLowest(rest))
      use(uses, lowestCore(lead, rest), nowUs);
  }

  ended(worker: number, { lead, mask }: { lead: number; mask: number }, nowUs: number): void {
    const { sinceUs } = this.#byWorker[worker]!;
    sinceUs[lead] = nowUs;
    for (let rest = withoutLowest(mask); rest !== 0; rest = withoutLowest(rest))
      sinceUs[lowestCore(lead, rest)] = nowUs;
  }

  count(worker: number, at: number): number {
    return this.#byWorker[worker]!.counts[at] ?? 0;
  }

  sinceUs(worker: number, at: number): number {
    const { sinceUs, toldUs } = this.#byWorker[worker]!;
    return sinceUs[at] || toldUs;
  }
}

function use(uses: Uses, at: number, nowUs: number): void {
  if (at >= uses.counts.length) grow(uses, at);
  uses.counts[at]!++;
  uses.sinceUs[at] = nowUs;
}

function grow(uses: Uses, at: number): void {
  let { length } = uses.counts;
  while (length <= at) length *= 2;
  const counts = new Int32Array(length);
  const sinceUs = new Float64Array(length);
  counts.set(uses.counts);
  sinceUs.set(uses.sinceUs);
  Object.assign(uses, { counts, sinceUs });
}
