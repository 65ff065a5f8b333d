/**
 * What a front of Hermod knows of its servers, and the choice of one. Servers are kept in lists by how many invocations the front has there,
 * so that the fullest one that has a core left is found in as many steps as a server has cores, and the least loaded one in one.
 *
 * Which functions are warm where is known from answers that came back: an instance rests there, as far as the front knows. That a server gives one up for
 * want of memory it is not told.
 */
import { assert } from '../../../base/assert.ts';

const NONE = -1;

export interface PlacementSetup {
  /** Of the cluster; the front has `count` of them from `first` on. */
  readonly first: number;
  readonly count: number;
  /** Of each server. */
  readonly coreCount: number;
  readonly functionCount: number;
  /** Whether it matters which functions are warm. */
  readonly knowsWarm: boolean;
}

export class Placement {
  readonly #setup: PlacementSetup;
  readonly #counts: Int32Array;
  /** By number of invocations: the first server of that list. */
  readonly #heads: number[] = [];
  readonly #after: Int32Array;
  readonly #before: Int32Array;
  #leastCount = 0;
  /** By function: how many instances rest on which server. */
  readonly #resting: readonly Map<number, number>[];

  constructor(setup: PlacementSetup) {
    const { count, knowsWarm, functionCount } = setup;
    this.#setup = setup;
    this.#counts = new Int32Array(count);
    this.#after = new Int32Array(count);
    this.#before = new Int32Array(count);
    this.#resting = Array.from({ length: knowsWarm ? functionCount : 0 }, () => new Map());
    this.#heads.push(NONE);
    // So that the lowest numbers come first.
    for (let place = count - 1; place >= 0; place--) this.#link(place);
  }

  count(server: number): number {
    return this.#counts[server - this.#setup.first]!;
  }

  /** Whether some server has a core that nobody was sent to. */
  get hasIdleCore(): boolean {
    return this.#leastCount < this.#setup.coreCount;
  }

  /** A server in use that has a core left, warm ones first; else an idle one; where all cores are taken, the least loaded. */
  hybrid(functionIndex: number): number {
    const { coreCount, first } = this.#setup;
    const place = this.hasIdleCore ? this.#packed(functionIndex, coreCount) : this.#least(functionIndex);
    return first + place;
  }

  leastLoaded(functionIndex: number): number {
    return this.#setup.first + this.#least(functionIndex);
  }

  /** An invocation was sent there. */
  assign(server: number, functionIndex: number): void {
    const place = server - this.#setup.first;
    this.#unlink(place);
    this.#counts[place]!++;
    this.#link(place);
    while (this.#heads[this.#leastCount] === NONE) this.#leastCount++;
    const resting = this.#resting[functionIndex];
    const count = resting?.get(place) ?? 0;
    if (count > 1) resting?.set(place, count - 1);
    else resting?.delete(place);
  }

  /** Its answer came back. */
  release(server: number, functionIndex: number): void {
    const place = server - this.#setup.first;
    assert(this.#counts[place]! > 0, 'an answer from a server where nobody was');
    this.#unlink(place);
    const count = --this.#counts[place]!;
    this.#link(place);
    this.#leastCount = Math.min(this.#leastCount, count);
    const resting = this.#resting[functionIndex];
    resting?.set(place, (resting.get(place) ?? 0) + 1);
  }

  #packed(functionIndex: number, coreCount: number): number {
    const warm = this.#warm(functionIndex, 1, coreCount - 1);
    if (warm !== NONE) return warm;
    for (let count = coreCount - 1; count > 0; count--) {
      const place = this.#heads[count] ?? NONE;
      if (place !== NONE) return place;
    }
    return this.#least(functionIndex);
  }

  #least(functionIndex: number): number {
    const warm = this.#warm(functionIndex, this.#leastCount, this.#leastCount);
    return warm === NONE ? this.#heads[this.#leastCount]! : warm;
  }

  /** The first server where the function is warm that has so many invocations. Looks at those where it is warm. */
  #warm(functionIndex: number, countMin: number, countMax: number): number {
    const resting = this.#resting[functionIndex];
    if (resting === undefined) return NONE;
    for (const place of resting.keys()) {
      const count = this.#counts[place]!;
      if (count >= countMin && count <= countMax) return place;
    }
    return NONE;
  }

  #link(place: number): void {
    const count = this.#counts[place]!;
    if (count === this.#heads.length) this.#heads.push(NONE);
    const head = this.#heads[count]!;
    this.#after[place] = head;
    this.#before[place] = NONE;
    if (head !== NONE) this.#before[head] = place;
    this.#heads[count] = place;
  }

  #unlink(place: number): void {
    const after = this.#after[place]!;
    const before = this.#before[place]!;
    if (before === NONE) this.#heads[this.#counts[place]!] = after;
    else this.#after[before] = after;
    if (after !== NONE) this.#before[after] = before;
  }
}
