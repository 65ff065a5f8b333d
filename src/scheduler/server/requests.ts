/**
 * The requests of all gateways under one numbering: each gateway numbers its own, and the machine wants small integers.
 * The gateway's number is in use while the request waits; ours until its lease is released. The gateway hears from the
 * worker that an invocation has ended, perhaps before we do, and may then use the number again.
 */
const NONE = -1;
const FIRST_LENGTH = 1024;

/** Whose a request is. */
export interface Requester {
  /** Of those that wait, index by number; grows as its numbers do. */
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
    this.waits(index);
    return index;
  }

  /** Of those that wait; -1: it has none of this number. */
  find(requester: R, number: number): number {
    return number < requester.indexes.length ? requester.indexes[number]! : NONE;
  }

  /** Again, or for the first time. */
  waits(index: number): void {
    const requester = this.#requesters[index]!;
    const number = this.#numbers[index]!;
    if (requester === null) return;
    if (number >= requester.indexes.length) grow(requester, number);
    requester.indexes[number] = index;
  }

  /** It waits no more. */
  granted(index: number): void {
    const requester = this.#requesters[index]!;
    const number = this.#numbers[index]!;
    if (requester !== null && requester.indexes[number] === index) requester.indexes[number] = NONE;
  }

  remove(index: number): void {
    this.granted(index);
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

  /** It is nobody's from now on. */
  disown(index: number): void {
    this.granted(index);
    this.#requesters[index] = null;
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
