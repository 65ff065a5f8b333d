/**
 * What a front of Hermod knows of its servers, and the choice of one. Servers are kept in lists by how many cores the front's invocations want there,
 * so that the fullest one that has a core left is found in as many steps as a server has cores, and the least loaded one in one. The source has invocations of one core;
 * one of several cores counts as many here, and is packed where all of them are left.
 *
 * Which functions are warm where the front reckons from what it has sent and what came back: it knows the memory of each server, and so what a
 * server must have given up by now. The source keeps such a record too, and does not say how it hears of what is given up.
 */
import { assert } from '../../../base/assert.ts';
import type { Instances } from '../../servers/instances.ts';

const NONE = -1;

export interface PlacementSetup {
  /** Of the cluster; the front has `count` of them from `first` on. */
  readonly first: number;
  readonly count: number;
  /** Of each server. */
  readonly coreCount: number;
  /** Cores that an invocation of each function has. */
  readonly coresOf: readonly number[];
  /** What rests on the servers, by the fronts' reckoning; null: it does not matter. */
  readonly books: Instances | null;
}

export class Placement {
  readonly #setup: PlacementSetup;
  readonly #counts: Int32Array;
  /** By number of cores: the first server of that list. */
  readonly #heads: number[] = [];
  readonly #after: Int32Array;
  readonly #before: Int32Array;
  #leastCount = 0;
  readonly #isOut: Uint8Array;
  #outCount = 0;
  /** By function: the servers where an instance of it was put to rest, and may be there still. */
  readonly #rested: readonly Set<number>[];

  constructor(setup: PlacementSetup) {
    const { count, books, coresOf } = setup;
    this.#setup = setup;
    this.#counts = new Int32Array(count);
    this.#after = new Int32Array(count);
    this.#before = new Int32Array(count);
    this.#isOut = new Uint8Array(count);
    this.#rested = Array.from({ length: books === null ? 0 : coresOf.length }, () => new Set());
    this.#heads.push(NONE);
    // So that the lowest numbers come first.
    for (let place = count - 1; place >= 0; place--) this.#link(place);
  }

  count(server: number): number {
    return this.#counts[server - this.#setup.first]!;
  }

  /** Whether some server has as many cores as the function wants that nobody was sent to. */
  hasRoom(functionIndex: number): boolean {
    const { coreCount, coresOf } = this.#setup;
    return this.#leastCount + coresOf[functionIndex]! <= coreCount;
  }

  /** A server in use that has its cores left, warm ones first; else an idle one; where none has, the least loaded. */
  hybrid(functionIndex: number): number {
    const { coreCount, coresOf, first } = this.#setup;
    const countMax = coreCount - coresOf[functionIndex]!;
    const place = this.#leastCount <= countMax ? this.#packed(functionIndex, countMax) : this.#least(functionIndex);
    return first + place;
  }

  /** Warm or not. */
  leastLoaded(): number {
    return this.#setup.first + this.#heads[this.#leastCount]!;
  }

  /** An invocation was sent there. */
  assign(server: number, functionIndex: number): void {
    const place = server - this.#setup.first;
    this.#change(place, this.#setup.coresOf[functionIndex]!);
    while (this.#heads[this.#leastCount] === NONE) this.#leastCount++;
    this.#setup.books?.take(server, functionIndex);
  }

  /** Its answer came back. */
  release(server: number, functionIndex: number): void {
    const place = server - this.#setup.first;
    const coreCount = this.#setup.coresOf[functionIndex]!;
    assert(this.#counts[place]! >= coreCount, 'an answer from a server where nobody was');
    this.#change(place, -coreCount);
    this.#setup.books?.put(server, functionIndex);
    this.#rested[functionIndex]?.add(place);
  }

  /** It is chosen no more, but where all others are out too. */
  takeOut(server: number): void {
    const place = server - this.#setup.first;
    if (this.#outCount === this.#setup.count - 1) return;
    this.#unlink(place);
    this.#isOut[place] = 1;
    this.#outCount++;
    while (this.#heads[this.#leastCount] === NONE) this.#leastCount++;
  }

  putBack(server: number): void {
    const place = server - this.#setup.first;
    if (this.#isOut[place] === 0) return;
    this.#isOut[place] = 0;
    this.#outCount--;
    this.#link(place);
    this.#leastCount = Math.min(this.#leastCount, this.#counts[place]!);
  }

  #change(place: number, change: number): void {
    const isIn = this.#isOut[place] === 0;
    if (isIn) this.#unlink(place);
    this.#counts[place]! += change;
    if (!isIn) return;
    this.#link(place);
    this.#leastCount = Math.min(this.#leastCount, this.#counts[place]!);
  }

  #packed(functionIndex: number, countMax: number): number {
    const warm = this.#warm(functionIndex, 1, countMax);
    if (warm !== NONE) return warm;
    for (let count = countMax; count > 0; count--) {
      const place = this.#heads[count] ?? NONE;
      if (place !== NONE) return place;
    }
    return this.#least(functionIndex);
  }

  #least(functionIndex: number): number {
    const warm = this.#warm(functionIndex, this.#leastCount, this.#leastCount);
    return warm === NONE ? this.#heads[this.#leastCount]! : warm;
  }

  /** The first server where the function is warm of which so many cores are wanted. Looks at those where it was warm. */
  #warm(functionIndex: number, countMin: number, countMax: number): number {
    const { books, first } = this.#setup;
    if (books === null) return NONE;
    const rested = this.#rested[functionIndex]!;
    for (const place of rested) {
      if (!books.isWarm(first + place, functionIndex)) rested.delete(place);
      else if (this.#isOut[place] === 0 && this.#counts[place]! >= countMin && this.#counts[place]! <= countMax)
        return place;
    }
    return NONE;
  }

  #link(place: number): void {
    const count = this.#counts[place]!;
    while (count >= this.#heads.length) this.#heads.push(NONE);
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
