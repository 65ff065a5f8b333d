import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Random } from '../../src/sim/engine/random.ts';
import { JobHeap } from '../../src/sim/servers/job-heap.ts';
import { JobQueues } from '../../src/sim/servers/job-queues.ts';
import { LeastCounts } from '../../src/sim/servers/least-counts.ts';

const LONG = { minLength: 1, maxLength: 300, size: 'max' } as const;

test('counts: the least, and the most below a limit, are those of a list that is looked through', () => {
  const change = fc.record({
    place: fc.nat(6),
    by: fc.integer({ min: -3, max: 4 }),
    limit: fc.integer({ min: 1, max: 9 }),
  });
  fc.assert(
    fc.property(fc.array(change, LONG), (changes) => {
      const counts = new LeastCounts(7);
      const list = Array.from({ length: 7 }, () => 0);
      const random = new Random(1, 0);
      for (const { place, by, limit } of changes) {
        list[place] = Math.max(0, list[place]! + by);
        counts.set(place, list[place]);
        const least = Math.min(...list);
        assert.equal(counts.least, least);
        assert.equal(list[counts.draw(random)], least);
        const below = list.filter((count) => count < limit);
        assert.equal(list[counts.drawMostBelow(limit, random)], below.length === 0 ? least : Math.max(...below));
        assert.deepEqual(
          list.map((_, i) => counts.count(i)),
          list,
        );
      }
    }),
  );
});

test('counts: each of those that have the least is drawn as often', () => {
  const counts = new LeastCounts(10);
  for (const place of [1, 4, 4, 7]) counts.up(place);
  const random = new Random(3, 0);
  const drawn = new Map<number, number>();
  for (let i = 0; i < 70_000; i++) {
    const place = counts.draw(random);
    drawn.set(place, (drawn.get(place) ?? 0) + 1);
  }
  assert.deepEqual(
    [...drawn.keys()].toSorted((a, b) => a - b),
    [0, 2, 3, 5, 6, 8, 9],
  );
  // Five standard deviations.
  for (const times of drawn.values()) assert.ok(Math.abs(times - 10_000) < 500, `${times} of 10,000`);
});

test('queues: first in, first out, and out of the middle', () => {
  const change = fc.record({
    kind: fc.constantFrom('push', 'push', 'shift', 'remove'),
    queue: fc.nat(2),
    which: fc.nat(99),
  });
  fc.assert(
    fc.property(fc.array(change, LONG), (changes) => {
      const queues = new JobQueues(3);
      const lists: number[][] = [[], [], []];
      let next = 0;
      for (const { kind, queue, which } of changes) {
        const list = lists[queue]!;
        if (kind === 'push') {
          list.push(next);
          queues.push(queue, next++);
        } else if (list.length === 0) {
          assert.equal(queues.first(queue), -1);
        } else if (kind === 'shift') {
          assert.equal(queues.shift(queue), list.shift());
        } else {
          const [job] = list.splice(which % list.length, 1);
          assert.ok(queues.has(queue, job!));
          queues.remove(queue, job!);
          assert.ok(!queues.has(queue, job!));
        }
        assert.equal(queues.length(queue), list.length);
        assert.equal(queues.first(queue), list[0] ?? -1);
        assert.equal(queues.total, lists.flat().length);
      }
    }),
  );
});

test('heap: the least first, of the same the one that came first, and out of the middle', () => {
  const change = fc.record({
    kind: fc.constantFrom('push', 'push', 'pop', 'remove'),
    key: fc.nat(9),
    which: fc.nat(99),
  });
  fc.assert(
    fc.property(fc.array(change, LONG), (changes) => {
      const heap = new JobHeap();
      let list: { key: number; job: number }[] = [];
      let next = 0;
      for (const { kind, key, which } of changes) {
        const sorted = list.toSorted((a, b) => a.key - b.key || a.job - b.job);
        if (kind === 'push') {
          list.push({ key, job: next });
          heap.push(key, next++);
        } else if (kind === 'pop' && list.length > 0) {
          assert.equal(heap.pop(), sorted[0]!.job);
          list = list.filter(({ job }) => job !== sorted[0]!.job);
        } else if (kind === 'remove' && list.length > 0) {
          const { key: expected, job } = list[which % list.length]!;
          assert.equal(heap.remove(job), expected);
          assert.equal(heap.remove(job), null);
          list = list.filter((each) => each.job !== job);
        }
        assert.equal(heap.size, list.length);
        assert.equal(heap.newest, list.at(-1)?.job ?? -1);
        assert.equal(heap.leastUs, Math.min(...list.map((each) => each.key)));
      }
    }),
  );
});
