/** The rules of what to keep: each on a small cache of its own, as a comparison on a trace would use them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  FixedTime,
  GreedyDual,
  type KeepAlive,
  LeastRecentlyUsed,
  victim,
} from '../../../src/worker/machine/keep-alive.ts';

/** So many items fit; each is its own group. */
class Cache {
  readonly kept = new Set<number>();
  missCount = 0;
  nowUs = 0;
  readonly #rule: KeepAlive;
  readonly #capacity: number;
  readonly #itemCount: number;

  constructor(rule: KeepAlive, capacity: number, itemCount: number) {
    this.#rule = rule;
    this.#capacity = capacity;
    this.#itemCount = itemCount;
  }

  use(item: number, worth = 1): void {
    this.nowUs++;
    for (const kept of this.kept) if (this.#rule.expired(kept, this.nowUs)) this.#drop(kept);
    if (!this.kept.has(item)) {
      this.missCount++;
      if (this.kept.size === this.#capacity) {
        const gone = victim(this.#rule, this.#itemCount, (each) => this.kept.has(each));
        this.#rule.evicted(gone);
        this.#drop(gone);
      }
      this.kept.add(item);
      this.#rule.began(item);
    }
    this.#rule.touch(item, item, worth, this.nowUs);
  }

  #drop(item: number): void {
    this.kept.delete(item);
  }
}

const ITEMS = 8;
const rules = (): KeepAlive[] => [new GreedyDual(ITEMS), new LeastRecentlyUsed(ITEMS), new FixedTime(ITEMS, 20)];

test('under every rule, what was used last is kept, and what is used is there', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(ITEMS - 1), { maxLength: 200, size: 'max' }), (uses) => {
      for (const rule of rules()) {
        const cache = new Cache(rule, 3, ITEMS);
        for (const item of uses) {
          cache.use(item, 1 + item);
          assert.ok(cache.kept.has(item) && cache.kept.size <= 3);
        }
      }
    }),
  );
});

test('greedy-dual keeps what is used often, and what is dear for its size', () => {
  const often = new Cache(new GreedyDual(ITEMS), 2, ITEMS);
  for (let round = 0; round < 5; round++) often.use(0);
  for (const item of [1, 2, 3]) often.use(item);
  assert.deepEqual(often.kept, new Set([0, 3]));
  const dear = new Cache(new GreedyDual(ITEMS), 2, ITEMS);
  dear.use(0, 10);
  for (const item of [1, 2, 3]) dear.use(item, 1);
  assert.deepEqual(dear.kept, new Set([0, 3]));
});

test('greedy-dual lets go in the end of what was dear once and is used no more', () => {
  const cache = new Cache(new GreedyDual(ITEMS), 2, ITEMS);
  cache.use(0, 10);
  for (let round = 0; round < 12; round++) for (const item of [1, 2]) cache.use(item, 1);
  assert.ok(!cache.kept.has(0));
});

test('least recently used knows the order of uses alone; a fixed time ends what nobody needs the room of', () => {
  const lru = new Cache(new LeastRecentlyUsed(ITEMS), 2, ITEMS);
  for (const item of [0, 0, 0, 1, 2]) lru.use(item, 10 - item);
  assert.deepEqual([...lru.kept], [1, 2]);
  const fixed = new Cache(new FixedTime(ITEMS, 5), 3, ITEMS);
  fixed.use(0);
  for (let round = 0; round < 6; round++) fixed.use(1);
  assert.deepEqual([...fixed.kept], [1]);
});
