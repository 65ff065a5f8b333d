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
  /** By number, two words each: the core and the sequence of the lease that it was granted last, which may be over. */
  leases: Int32Array;
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
  /** Numbers of this table are from here on, so that those of different shards differ. */
  readonly #first: number;
  readonly #end: number;

  constructor(countMax: number, first = 0) {
    this.#first = first;
    this.#end = first + countMax;
    this.#free = Int32Array.from({ length: countMax }, (_, index) => first + countMax - 1 - index);
    this.#freeCount = countMax;
    this.#requesters = new Array<R | null>(countMax).fill(null);
    this.#numbers = new Int32Array(countMax);
    this.#versions = new Uint16Array(countMax);
    this.#flags = new Uint8Array(countMax);
  }

  get inUse(): number {
    return this.#free.length - this.#freeCount;
  }

  /** Else it is of another shard, or of nobody. */
  isOwn(index: number): boolean {
    return index >= this.#first && index < this.#end;
  }

  /** These are in use, for nobody; none is yet. */
  hold(requests: readonly number[]): void {
    const held = new Set(requests);
    let count = 0;
    for (const index of this.#free) if (!held.has(index)) this.#free[count++] = index;
    this.#freeCount = count;
  }

  /** It waits. -1: all are in use. */
  add(requester: R, number: number, version: number): number {
    if (this.#freeCount === 0) return NONE;
    const index = this.#free[--this.#freeCount]!;
    const at = index - this.#first;
    this.#requesters[at] = requester;
    this.#numbers[at] = number;
    this.#versions[at] = version;
    this.#flags[at] = WAITS;
    if (number >= requester.indexes.length) grow(requester, number);
    requester.indexes[number] = index;
    return index;
  }

  /** The latest of this number, whether it waits or holds a core; -1: it has none. */
  find(requester: R, number: number): number {
    return number < requester.indexes.length ? requester.indexes[number]! : NONE;
  }

  waits(index: number): boolean {
    return (this.#flags[index - this.#first]! & WAITS) !== 0;
  }

  /** It is in the queue. */
  queued(index: number): void {
    this.#flags[index - this.#first] = WAITS | WAS_QUEUED;
  }

  wasQueued(index: number): boolean {
    return (this.#flags[index - this.#first]! & WAS_QUEUED) !== 0;
  }

  /** It waits no more: this is its lease. */
  granted(index: number, core: number, sequence: number): void {
    const at = index - this.#first;
    this.#flags[at]! &= ~WAITS;
    const requester = this.#requesters[at]!;
    if (requester === null) return;
    const lease = this.#numbers[at]! * 2;
    requester.leases[lease] = core;
    requester.leases[lease + 1] = sequence;
  }

  /** No later lease was granted to this number; this one may be over. */
  isLastLease({ leases }: R, number: number, { core, sequence }: { core: number; sequence: number }): boolean {
    return leases[number * 2] === core && leases[number * 2 + 1] === sequence;
  }

  remove(index: number): void {
    this.disown(index);
    this.#free[this.#freeCount++] = index;
  }

  /** Null: it has left; the index stays in use until it is removed. */
  requester(index: number): R | null {
    return this.#requesters[index - this.#first]!;
  }

  number(index: number): number {
    return this.#numbers[index - this.#first]!;
  }

  /** The index of what it asks for. */
  version(index: number): number {
    return this.#versions[index - this.#first]!;
  }

  /** It is nobody's from now on. */
  disown(index: number): void {
    const at = index - this.#first;
    const requester = this.#requesters[at]!;
    if (requester === null) return;
    const number = this.#numbers[at]!;
    if (requester.indexes[number] === index) requester.indexes[number] = NONE;
    this.#requesters[at] = null;
  }
}

export function noRequests(): Requester {
  return { indexes: filled(FIRST_LENGTH), leases: filled(FIRST_LENGTH * 2) };
}

function grow(requester: Requester, number: number): void {
  let length = Math.max(FIRST_LENGTH, requester.indexes.length);
  while (length <= number) length *= 2;
  const { indexes, leases } = requester;
  requester.indexes = filled(length);
  requester.indexes.set(indexes);
  requester.leases = filled(length * 2);
  requester.leases.set(leases);
}

function filled(length: number): Int32Array {
  return new Int32Array(length).fill(NONE);
}
