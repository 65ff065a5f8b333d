/**
 * The worker's own numbers of function versions, by key: they outlive the scheduler, so that what is warm stays warm when
 * the indexes of the next epoch are others. A number is one version's until nothing uses it; those that were free longest
 * are given again first, since an instance of the last one may be on its way out.
 */
import { assert } from '../../base/assert.ts';
import { NO_INDEX } from '../../wire/cluster-frame.ts';
import type { Described } from './ports.ts';

export interface OwnVersion {
  readonly number: number;
  readonly described: Described;
  /** What it is called in this epoch; NO_INDEX: that is not known. */
  index: number;
  /** The agent has an instance or a zygote of it. */
  warm: boolean;
  /** The scheduler has taken the index back. */
  dropped: boolean;
  leaseCount: number;
  /** Gateways that have told of it, and not of another one under its index. */
  bindingCount: number;
  provisioned: number;
  /** Invocations that run and are followed by one of it. */
  wantedCount: number;
  /** Counts uses: of those that nothing needs, the one that was used longest ago goes first. */
  usedAt: number;
}

export class OwnVersions {
  readonly #byKey = new Map<string, OwnVersion>();
  readonly #byNumber: (OwnVersion | null)[];
  /** A ring: taken at its head, given back at its tail. */
  readonly #free: Int32Array;
  #freeHead = 0;
  #freeCount: number;
  #useCount = 0;

  constructor(countMax: number) {
    this.#byNumber = new Array<OwnVersion | null>(countMax).fill(null);
    this.#free = Int32Array.from({ length: countMax }, (_, number) => number);
    this.#freeCount = countMax;
  }

  get isFull(): boolean {
    return this.#freeCount === 0;
  }

  get count(): number {
    return this.#byKey.size;
  }

  find(key: string): OwnVersion | null {
    return this.#byKey.get(key) ?? null;
  }

  at(number: number): OwnVersion | null {
    return this.#byNumber[number] ?? null;
  }

  all(): Iterable<OwnVersion> {
    return this.#byKey.values();
  }

  use(version: OwnVersion): void {
    version.usedAt = ++this.#useCount;
  }

  /** There is room. */
  add(described: Described): OwnVersion {
    assert(!this.isFull && !this.#byKey.has(described.key), `no number for the version ${described.key}`);
    const number = this.#free[this.#freeHead]!;
    this.#freeHead = (this.#freeHead + 1) % this.#free.length;
    this.#freeCount--;
    const version: OwnVersion = {
      number,
      described,
      index: NO_INDEX,
      warm: false,
      dropped: false,
      leaseCount: 0,
      bindingCount: 0,
      provisioned: 0,
      wantedCount: 0,
      usedAt: ++this.#useCount,
    };
    this.#byKey.set(described.key, version);
    this.#byNumber[number] = version;
    return version;
  }

  remove(version: OwnVersion): void {
    const { number, described } = version;
    assert(version.leaseCount === 0, `the version ${described.key} goes and is in use`);
    this.#byKey.delete(described.key);
    this.#byNumber[number] = null;
    this.#free[(this.#freeHead + this.#freeCount++) % this.#free.length] = number;
  }

  /** What nothing needs, used longest ago, what is not warm before what is; null: all are needed. */
  leastNeeded(): OwnVersion | null {
    let found: OwnVersion | null = null;
    for (const each of this.#byKey.values()) {
      if (each.leaseCount > 0 || each.provisioned > 0 || each.wantedCount > 0) continue;
      const isBetter = found === null || (each.warm === found.warm ? each.usedAt < found.usedAt : found.warm);
      if (isBetter) found = each;
    }
    return found;
  }

  checkInvariants(): void {
    assert(this.#byKey.size + this.#freeCount === this.#byNumber.length, 'a number is lost');
    for (const [key, each] of this.#byKey) {
      assert(each.described.key === key && this.#byNumber[each.number] === each, `the version ${key} has no number`);
    }
  }
}
