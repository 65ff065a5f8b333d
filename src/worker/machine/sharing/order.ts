/**
 * The residents that have no core of their own, in the order in which cores are given out: the spare ones last, then the
 * least attained service (`serviceOf`), then who came first. Without `used` it is first come, first served. An array that is kept in order:
 * who comes goes to its end as a rule.
 */
import { assert } from '../../../base/assert.ts';
import type { Residents } from './residents.ts';

/**
 * 0 below a quantum, and one more each time that it has doubled: who comes new goes before everybody who has had a quantum, and one that
 * runs for long is overtaken some ten times in its life, and not at each look. Whole quanta would be either too coarse for who comes new,
 * or turn two who both run for long about each other.
 */
export function serviceOf(cpuUs: number, quantumUs: number): number {
  return cpuUs < quantumUs ? 0 : 1 + Math.floor(Math.log2(cpuUs / quantumUs));
}

/** The CPU time from which on its service is more than at `cpuUs`. */
export function nextServiceUs(cpuUs: number, quantumUs: number): number {
  return quantumUs * 2 ** serviceOf(cpuUs, quantumUs);
}

export class Order {
  /** The first `count` of it. */
  readonly seats: Int32Array;
  count = 0;
  /** Where the spare ones begin. */
  firstSpare = 0;
  readonly #residents: Residents;

  constructor(residents: Residents) {
    this.#residents = residents;
    this.seats = new Int32Array(residents.seatCount);
  }

  /** Whether `a` goes before `b`. */
  precedes(a: number, b: number): boolean {
    const { isSpare, service, sequence } = this.#residents;
    if (isSpare[a] !== isSpare[b]) return isSpare[b] === 1;
    if (service[a] !== service[b]) return service[a]! < service[b]!;
    return sequence[a]! < sequence[b]!;
  }

  add(seat: number): void {
    if (this.#residents.isSpare[seat] === 0) this.firstSpare++;
    let at = this.count++;
    for (; at > 0 && this.precedes(seat, this.seats[at - 1]!); at--) this.seats[at] = this.seats[at - 1]!;
    this.seats[at] = seat;
  }

  remove(seat: number): void {
    const at = this.seats.indexOf(seat);
    assert(at >= 0 && at < this.count, `seat ${seat} is not in the order`);
    this.seats.copyWithin(at, at + 1, this.count);
    this.count--;
    if (at < this.firstSpare) this.firstSpare--;
  }
}
