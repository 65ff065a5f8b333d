/**
 * Each function arrives by a process of its own, with gaps that are independent and gamma-distributed: regular ones (timers), as at random, or
 * in bursts, by their coefficient of variation. Who comes next is the least of a heap: log2 of the number of functions for each arrival.
 *
 * A process is under way at time 0 as if it had been for ever: the gap that lies over that moment is longer than others (twice, where they are
 * exponential), and the moment lies anywhere in it.
 */
import type { Random } from '../engine/random.ts';
import type { Arrival, Arrivals, Workload } from '../workload.ts';
import { gamma } from './distributions.ts';
import { type Member, statedOf } from './members.ts';

export interface RenewalMember extends Member {
  /** Standard deviation of the gaps over their mean; 0: a timer. */
  readonly gapCv: number;
}

export function renewal(name: string, members: readonly RenewalMember[]): Workload {
  return {
    name,
    ...statedOf(members),
    ownRate: null,
    start: (ratePerUs, random) => new RenewalArrivals(members, ratePerUs, random),
  };
}

class RenewalArrivals implements Arrivals {
  readonly #members: readonly RenewalMember[];
  readonly #random: Random;
  /** By function. */
  readonly #gapUs: Float64Array;
  readonly #nextUs: Float64Array;
  /** Those that arrive by themselves, the next one first. */
  readonly #heap: Int32Array;

  constructor(members: readonly RenewalMember[], ratePerUs: number, random: Random) {
    const weights = members.reduce((sum, { weight }) => sum + weight, 0);
    this.#members = members;
    this.#random = random;
    this.#gapUs = Float64Array.from(members, ({ weight }) => weights / (weight * ratePerUs));
    this.#nextUs = Float64Array.from(members, ({ gapCv }, i) => {
      return random.unit() * this.#gapUs[i]! * (gapCv === 0 ? 1 : gamma(random, gapCv ** -2 + 1) * gapCv ** 2);
    });
    this.#heap = Int32Array.from([...members.keys()].filter((i) => members[i]!.weight > 0));
    for (let at = (this.#heap.length >> 1) - 1; at >= 0; at--) this.#lower(at);
  }

  next(into: Arrival): boolean {
    const functionIndex = this.#heap[0]!;
    into.timeUs = this.#nextUs[functionIndex]!;
    into.functionIndex = functionIndex;
    this.#nextUs[functionIndex] = into.timeUs + this.#gap(functionIndex);
    this.#lower(0);
    this.step(functionIndex, into);
    return true;
  }

  step(functionIndex: number, into: Arrival): void {
    this.#members[functionIndex]!.program.draw(this.#random, into);
  }

  #gap(functionIndex: number): number {
    const { gapCv } = this.#members[functionIndex]!;
    const meanUs = this.#gapUs[functionIndex]!;
    if (gapCv === 0) return meanUs;
    return meanUs * (gapCv === 1 ? this.#random.exponential() : gamma(this.#random, gapCv ** -2) * gapCv ** 2);
  }

  #lower(from: number): void {
    const heap = this.#heap;
    const nextUs = this.#nextUs;
    const moved = heap[from]!;
    const movedUs = nextUs[moved]!;
    let at = from;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && nextUs[heap[child + 1]!]! < nextUs[heap[child]!]!) child++;
      if (nextUs[heap[child]!]! >= movedUs) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = moved;
  }
}
