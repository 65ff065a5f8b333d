import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Calendar } from '../../src/sim/engine/calendar.ts';
import { Engine } from '../../src/sim/engine/engine.ts';
import { EventQueue } from '../../src/sim/engine/event-queue.ts';
import { Random } from '../../src/sim/engine/random.ts';

const RUNS = { numRuns: Number(process.env['PERCH_PROPERTY_RUNS'] ?? 100) };

/** How far ahead events are put in: each shape is hard for a calendar in its own way. */
const SHAPES: Record<string, (random: Random) => number> = {
  'all at once': () => 0,
  'all as far': () => 1000,
  exponential: (random) => random.exponential() * 1e5,
  'heavy tail': (random) => Math.exp(random.normal() * 4),
  'now or later': (random) => (random.int32() & 1 ? 0 : 1000),
  'few times': (random) => random.below(3) * 1e9,
  'nearly the same': (random) => 1e12 + random.below(4) * 1e-3,
};

for (const [name, aheadUs] of Object.entries(SHAPES)) {
  test(`a calendar gives events in the order of a sorted list: ${name}`, () => {
    fc.assert(
      fc.property(
        fc.integer(),
        fc.integer({ min: 1, max: 4000 }),
        fc.integer({ min: 0, max: 4000 }),
        (seed, count, steps) => {
          const random = new Random(seed, 0);
          const calendar = new Calendar([]);
          const heap = new EventQueue(4);
          for (let i = 0; i < count; i++) push(aheadUs(random), i);
          for (let i = 0; i < steps; i++) {
            const nowUs = pop();
            // Now it grows, now it shrinks.
            const pushed = nowUs === Infinity ? 1 : random.below(i % 1000 < 500 ? 4 : 2);
            for (let k = 0; k < pushed; k++) push((nowUs === Infinity ? 0 : nowUs) + aheadUs(random), i);
          }
          while (heap.size > 0) pop();
          assert.equal(calendar.size, 0);
          assert.equal(calendar.headUs, Infinity);

          function push(timeUs: number, a: number): void {
            calendar.push(timeUs, a & 7, a, a ^ 5);
            heap.push(timeUs, a & 7, a, a ^ 5);
          }

          function pop(): number {
            const timeUs = heap.headUs;
            assert.equal(calendar.headUs, timeUs);
            if (timeUs === Infinity) return timeUs;
            assert.deepEqual(
              [calendar.headKind, calendar.headA, calendar.headB],
              [heap.headKind, heap.headA, heap.headB],
            );
            calendar.pop();
            heap.pop();
            assert.equal(calendar.size, heap.size);
            return timeUs;
          }
        },
      ),
      { numRuns: Math.ceil(RUNS.numRuns / 5) },
    );
  });
}

test('a calendar that had many events, and none, gives those that come then', () => {
  const calendar = new Calendar([]);
  for (let i = 0; i < 2000; i++) calendar.push(i, 0, i, 0);
  while (calendar.size > 0) calendar.pop();
  for (const timeUs of [1e6, 3000, 2e9]) {
    calendar.push(timeUs, 0, 0, 0);
    assert.equal(calendar.headUs, timeUs);
    calendar.pop();
    assert.equal(calendar.headUs, Infinity);
  }
});

test('a heap gives events of one time in the order in which they came', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 3 }), { size: 'max', maxLength: 500 }), (times) => {
      const heap = new EventQueue(1);
      for (const [i, timeUs] of times.entries()) heap.push(timeUs, 0, i, 0);
      const expected = times.map((timeUs, i) => [timeUs, i] as const).sort((a, b) => a[0] - b[0] || a[1] - b[1]);
      for (const [timeUs, i] of expected) {
        assert.deepEqual([heap.headUs, heap.headA], [timeUs, i]);
        heap.pop();
      }
    }),
    RUNS,
  );
});

test('lanes and the queue are one order, and time never goes back', () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 1, max: 3000 }), (seed, count) => {
      const random = new Random(seed, 0);
      const engine = new Engine();
      const lanes = [engine.lane(), engine.lane()];
      const delays = [5, 9];
      const happened: number[] = [];
      let left = count;
      const kind = engine.kind((a, b) => {
        assert.equal(engine.nowUs, b);
        happened.push(a);
        for (let i = random.below(3); i > 0 && left > 0; i--) put();
      });
      while (left > count / 2) put();
      engine.run(Infinity);
      assert.equal(happened.length, count - left);
      assert.equal(new Set(happened).size, happened.length);
      assert.equal(engine.pendingCount, 0);
      assert.equal(engine.eventCount, happened.length);

      function put(): void {
        const which = random.below(3);
        left--;
        const atUs = engine.nowUs + (delays[which] ?? random.below(20));
        if (which < 2) lanes[which]!.push(atUs, kind, left, atUs);
        else engine.at(atUs, kind, left, atUs);
      }
    }),
    RUNS,
  );
});

test('events in the past, and lanes that go back, are bugs', () => {
  const engine = new Engine();
  const kind = engine.kind(() => {});
  const lane = engine.lane();
  engine.at(10, kind);
  lane.push(20, kind, 0, 0);
  engine.run(15);
  assert.equal(engine.nowUs, 15);
  assert.throws(() => engine.at(14, kind), /past/);
  assert.throws(() => lane.push(19, kind, 0, 0), /earlier/);
});

test('streams of one seed are independent, and uniform', () => {
  const a = new Random(1, 0);
  const b = new Random(1, 1);
  const count = 100_000;
  let product = 0;
  let sum = 0;
  let squares = 0;
  for (let i = 0; i < count; i++) {
    const x = a.unit();
    product += (x - 0.5) * (b.unit() - 0.5);
    sum += x;
    squares += x * x;
  }
  // Four standard deviations.
  assert.ok(Math.abs(product / count) < 4 / 12 / Math.sqrt(count));
  assert.ok(Math.abs(sum / count - 0.5) < 4 / Math.sqrt(12 * count));
  assert.ok(Math.abs(squares / count - 1 / 3) < 4 * Math.sqrt(4 / 45 / count));
});

test('exponential numbers have their tail and their body', () => {
  const random = new Random(3, 0);
  const count = 400_000;
  const above = [0.001, 0.1, 0.5, 1, 2, 4, 7.5, 9];
  const seen = above.map(() => 0);
  for (let i = 0; i < count; i++) {
    const x = random.exponential();
    for (const [k, bound] of above.entries()) if (x > bound) seen[k]!++;
  }
  for (const [k, bound] of above.entries()) {
    const share = Math.exp(-bound);
    const deviation = (seen[k]! / count - share) / Math.sqrt((share * (1 - share)) / count);
    assert.ok(Math.abs(deviation) < 4, `${seen[k]} of ${count} above ${bound}: ${deviation} standard deviations off`);
  }
});
