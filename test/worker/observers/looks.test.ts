/** When the observer in the kernel looks, in simulated time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimulatedClock } from '../../../src/base/clock.ts';
import { Looks } from '../../../src/worker/observers/ebpf/looks.ts';

/** Something happens `news` times, and is seen by the looks after it. */
class World {
  readonly clock = new SimulatedClock();
  readonly seen: string[] = [];
  news = 0;
  /** Happens just before the places ring. */
  newsOnListening = 0;
  isRinging = false;
  readonly looks = new Looks(this.clock, {
    look: (isTurnOver) => {
      this.seen.push(isTurnOver ? 'turn' : 'look');
      if (this.news === 0) return false;
      this.news--;
      return true;
    },
    listen: (isListening) => {
      assert.notEqual(this.isRinging, isListening);
      this.isRinging = isListening;
      this.news = this.newsOnListening;
      this.newsOnListening = 0;
    },
  });

  /** Looks in so many milliseconds. */
  count(ms: number): number {
    const before = this.seen.length;
    for (let us = 0; us < ms * 1000; us += 1000) this.clock.advanceUs(1000);
    return this.seen.length - before;
  }

  listens(): void {
    while (!this.isRinging) this.count(1);
  }
}

test('it looks at each tick while things happen, and seldom once nothing does', () => {
  const world = new World();
  world.looks.begin();
  world.news = 50;
  assert.equal(world.count(50), 50);
  assert.ok(!world.isRinging);
  world.listens();
  assert.equal(world.count(1000), 10);
});

test('a ring is looked at at once, and has it tick', () => {
  const world = new World();
  world.looks.begin();
  world.listens();
  world.looks.heard();
  assert.equal(world.seen.at(-1), 'turn');
  assert.ok(!world.isRinging);
  assert.equal(world.count(2), 2);
  // While it ticks a late one is no news.
  const { length } = world.seen;
  world.looks.heard();
  assert.equal(world.seen.length, length);
});

test('what happens as it begins to listen, or without a ring, has it tick', () => {
  const world = new World();
  world.looks.begin();
  world.newsOnListening = 1;
  world.count(3);
  assert.deepEqual([world.isRinging, world.newsOnListening], [false, 0]);
  world.listens();
  world.news = 1;
  world.clock.advanceUs(100_000);
  assert.ok(!world.isRinging);
});

test('whoever asks has it tick, and once it has ended nobody looks', () => {
  const world = new World();
  world.looks.begin();
  world.listens();
  world.looks.begin();
  assert.ok(!world.isRinging);
  assert.equal(world.count(2), 2);
  world.listens();
  world.looks.end();
  assert.ok(!world.isRinging);
  assert.equal(world.count(1000), 0);
  world.looks.heard();
  assert.equal(world.count(1000), 0);
  world.looks.begin();
  assert.equal(world.count(1), 1);
});
