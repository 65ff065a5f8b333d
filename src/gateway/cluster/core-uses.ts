/**
 * What this gateway has run on each core, for views: how often, and since when it is as it is. Grows with the cores it is granted.
 * `mask`: all cores of a lease, as bits of the word of its lead; 0: the lead alone.
 */
import { lowestCore, withoutLowest } from '../../base/core-mask.ts';

const FIRST_LENGTH = 1024;

export class CoreUses {
  #counts = new Int32Array(FIRST_LENGTH);
  #sinceUs = new Float64Array(FIRST_LENGTH);

  used(lead: number, mask: number, nowUs: number): void {
    this.#use(lead, nowUs);
    for (let rest = withoutLowest(mask); rest !== 0; rest = withoutLowest(rest))
      this.#use(lowestCore(lead, rest), nowUs);
  }

  ended(lead: number, mask: number, nowUs: number): void {
    this.#sinceUs[lead] = nowUs;
    for (let rest = withoutLowest(mask); rest !== 0; rest = withoutLowest(rest))
      this.#sinceUs[lowestCore(lead, rest)] = nowUs;
  }

  count(core: number): number {
    return this.#counts[core] ?? 0;
  }

  sinceUs(core: number): number {
    return this.#sinceUs[core] ?? 0;
  }

  #use(core: number, nowUs: number): void {
    if (core >= this.#counts.length) this.#grow(core);
    this.#counts[core]!++;
    this.#sinceUs[core] = nowUs;
  }

  #grow(core: number): void {
    let { length } = this.#counts;
    while (length <= core) length *= 2;
    const counts = new Int32Array(length);
    const sinceUs = new Float64Array(length);
    counts.set(this.#counts);
    sinceUs.set(this.#sinceUs);
    this.#counts = counts;
    this.#sinceUs = sinceUs;
  }
}
