/**
 * The requests of all gateways under one numbering: each gateway numbers its own, and the machine wants small integers.
 * A number is in use from its request to the release of its lease, or to its refusal or withdrawal.
 */
const NONE = -1;
const FIRST_LENGTH = 1024;

/** Whose a request is. */
export interface Requester {
  /** Index by number; grows as its numbers do. */
  indexes: Int32Array;
}

export class Requests<R extends Requester> {
  readonly #free: Int32Array;
  #freeCount: number;
  readonly #requesters: (R | null)[];
  readonly #numbers: Int32Array;

  constructor(countMax: number) {
    this.#free = Int32Array.from({ length: countMax }, (_, index) => countMax - 1 - index);
    this.#freeCount = countMax;
    this.#requesters = new Array<R | null>(countMax).fill(null);
    this.#numbers = new Int32Array(countMax);
  }

  get inUse(): number {
    return this.#free.length - this.#freeCount;
  }

  /** One that nobody here waits for. -1: all are in use. */
  addNobodys(): number {
    return this.#freeCount === 0 ? NONE : this.#free[--this.#freeCount]!;
  }

  /** -1: all are in use. */
  add(requester: R, number: number): number {
    const index = this.addNobodys();
    if (index === NONE) return NONE;
    this.#requesters[index] = requester;
    this.#numbers[index] = number;
    if (number >= requester.indexes.length) grow(requester, number);
    requester.indexes[number] = index;
    return index;
  }

  /** -1: it has no request of this number. */
  find(requester: R, number: number): number {
    return number < requester.indexes.length ? requester.indexes[number]! : NONE;
  }

  remove(index: number): void {
    const requester = this.#requesters[index];
    if (requester !== null && requester !== undefined) requester.indexes[this.#numbers[index]!] = NONE;
    this.#requesters[index] = null;
    this.#free[this.#freeCount++] = index;
  }

  /** Null: it has left; the index stays in use until it is removed. */
  requester(index: number): R | null {
    return this.#requesters[index]!;
  }

  number(index: number): number {
    return this.#numbers[index]!;
  }

  /** Its requests are nobody's from now on; answers their indexes. */
  disown(requester: R): readonly number[] {
    const indexes = [...requester.indexes].filter((index) => index !== NONE);
    for (const index of indexes) this.#requesters[index] = null;
    requester.indexes = new Int32Array(0);
    return indexes;
  }
}

export function noIndexes(): Int32Array {
  return new Int32Array(FIRST_LENGTH).fill(NONE);
}

function grow(requester: Requester, number: number): void {
  let length = Math.max(FIRST_LENGTH, requester.indexes.length);
  while (length <= number) length *= 2;
  const grown = new Int32Array(length).fill(NONE);
  grown.set(requester.indexes);
  requester.indexes = grown;
}
