/**
 * The requests of all gateways under one numbering: each gateway numbers its own, and the machine wants small integers.
 * The gateway's number is in use while the request waits; ours until its lease is released. The gateway hears from the
 * worker that an invocation has ended, perhaps before we do, and may then use the number again: so there may be several
 * of one number, of which all but the latest hold a core that is about to be released.
 */
const NONE = -1;
const FIRST_LENGTH = 1024;

/** Whose a request is. */
export interface Requester {
  /** Of those that wait or hold a core, the latest of each number; grows as its numbers do. */
  indexes: Int32Array;
}

const WAITS = 1;
const WAS_QUEUED = 2;

export class Requests<R extends Requester> {
  readonly #free: Int32Array;
  #freeCount: number;
  readonly #requesters: (R | null)[];
  readonly #numbers: Int32Array;
  readonly #versions: Uint16Array;
  readonly #flags: Uint8Array;

  constructor(countMax: number) {
    this.#free = Int32Array.from({ length: countMax }, (_, index) => countMax - 1 - index);
    this.#freeCount = countMax;
    this.#requesters = new Array<R | null>(countMax).fill(null);
    this.#numbers = new Int32Array(countMax);
    this.#versions = new Uint16Array(countMax);
    this.#flags = new Uint8Array(countMax);
  }

  get inUse(): number {
    return this.#free.length - this.#freeCount;
  }

  /** One that nobody here waits for. -1: all are in use. */
  addNobodys(): number {
    return this.#freeCount === 0 ? NONE : this.#free[--this.#freeCount]!;
  }

  /** It waits. -1: all are in use. */
  add(requester: R, number: number, version: number): number {
    const index = this.addNobodys();
    if (index === NONE) return NONE;
    this.#requesters[index] = requester;
    this.#numbers[index] = number;
    this.#versions[index] = version;
    this.#flags[index] = WAITS;
    if (number >= requester.indexes.length) grow(requester, number);
    requester.indexes[number] = index;
    return index;
  }

  /** The latest of this number, whether it waits or holds a core; -1: it has none. */
  find(requester: R, number: number): number {
    return number < requester.indexes.length ? requester.indexes[number]! : NONE;
  }

  waits(index: number): boolean {
    return (this.#flags[index]! & WAITS) !== 0;
  }

  /** It is in the queue. */
  queued(index: number): void {
    this.#flags[index] = WAITS | WAS_QUEUED;
  }

  wasQueued(index: number): boolean {
    return (this.#flags[index]! & WAS_QUEUED) !== 0;
  }

  /** It waits no more. */
  granted(index: number): void {
    this.#flags[index]! &= ~WAITS;
  }

  remove(index: number): void {
    this.disown(index);
    this.#free[this.#freeCount++] = index;
  }

  /** Null: it has left; the index stays in use until it is removed. */
  requester(index: number): R | null {
    return this.#requesters[index]!;
  }

  number(index: number): number {
    return this.#numbers[index]!;
  }

  /** The index of what it asks for; not of nobody's. */
  version(index: number): number {
    return this.#versions[index]!;
  }

  /** It is nobody's from now on. */
  disown(index: number): void {
    const requester = this.#requesters[index]!;
    if (requester === null) return;
    const number = this.#numbers[index]!;
    if (requester.indexes[number] === index) requester.indexes[number] = NONE;
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
