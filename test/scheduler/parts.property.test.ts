/** The parts of the scheduler that are data structures of their own, each against the obvious array. */
import fc from 'fast-check';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sharedInt32 } from '../../src/scheduler/machine/shared.ts';
import { Summary } from '../../src/scheduler/machine/summary.ts';
import { Warm } from '../../src/scheduler/machine/warm.ts';

test('warm hints: a ring is a list that forgets its oldest', () => {
  const steps = fc.array(fc.tuple(fc.nat(5), fc.nat(7), fc.nat(7)), { maxLength: 60, size: 'max' });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), steps, (hintMax, sequence) => {
      const warm = new Warm(3, hintMax);
      warm.push(0, 99);
      warm.push(2, 99);
      // The latest first.
      let model: number[] = [];
      for (const [kind, a, b] of sequence) {
        if (kind <= 1) {
          warm.push(1, a);
          model = [a, ...model].slice(0, hintMax);
        } else if (kind === 2 && model.length > 0) {
          warm.drop(1);
          model.shift();
        } else if (kind === 3 && model.length > 0) {
          warm.sink(1);
          model.push(model.shift()!);
        } else if (kind === 4) {
          warm.forget(1, a, a + b);
          model = model.filter((core) => core < a || core >= a + b);
        } else if (kind === 5) {
          const index = model.slice(0, 4).findIndex((core) => core >= a && core < a + b);
          assert.equal(warm.take(1, a, a + b), index >= 0);
          if (index >= 0) {
            model[index] = model[0]!;
            model.shift();
          }
        }
        assert.equal(warm.count(1), model.length);
      }
      for (const core of model) {
        assert.equal(warm.peek(1), core);
        warm.drop(1);
      }
      assert.deepEqual([warm.count(0), warm.peek(0), warm.count(2), warm.peek(2)], [1, 99, 1, 99]);
    }),
    { numRuns: 1000 },
  );
});

for (const isShared of [false, true]) {
  test(`summary: the leftmost with enough room, and the greatest room of all${isShared ? ', as a shard sees it' : ''}`, () => {
    const changes = fc.array(fc.tuple(fc.nat(999), fc.integer({ min: -1, max: 5 })), { maxLength: 100, size: 'max' });
    fc.assert(
      fc.property(fc.constantFrom(1, 2, 15, 16, 17, 255, 256, 257, 700), changes, (count, sequence) => {
        const summary = new Summary(sharedInt32(Summary.lengthFor(count), -1), count, isShared);
        const model = new Array<number>(count).fill(-1);
        for (const [worker, room] of sequence) {
          model[worker % count] = room;
          if (isShared) summary.swap(worker % count, room);
          else summary.set(worker % count, room);
          assert.equal(summary.room(worker % count), room);
          assert.equal(summary.greatest, Math.max(...model));
          for (let memoryMb = 1; memoryMb <= summary.greatest; memoryMb++) {
            const expected = model.findIndex((has) => has >= memoryMb);
            assert.equal(isShared ? summary.seek(memoryMb) : summary.find(memoryMb), expected);
          }
        }
        assert.ok(summary.agrees());
      }),
      { numRuns: 300 },
    );
  });
}
