/** Who waits at one shard is served beside another that claims again whatever it releases, before it tells anybody of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Grant } from '../../../src/scheduler/machine/actions.ts';
import { makeMemory, type SharedMemory } from '../../../src/scheduler/machine/memory.ts';
import { outcome, Scheduler } from '../../../src/scheduler/machine/scheduler.ts';
import { Door } from './door.ts';

const OVERTAKE_MAX = 8;
const LIMITS = {
  epoch: 1,
  coreCountMax: 32,
  workerCountMax: 1,
  functionCountMax: 1,
  versionCountMax: 2,
  requestCountMax: 16,
  queueMax: 8,
  overtakeMax: OVERTAKE_MAX,
  warmHintMax: 2,
};
const WAITER = 15;
/** Of the summary's top, in `rooms` (machine/summary.ts). */
const TOP = 15;

class Pair {
  readonly busy: Scheduler;
  readonly waiting: Scheduler;
  readonly #grant = new Grant();
  readonly #held: { readonly core: number; readonly sequence: number }[] = [];
  #nextRequest = 0;
  /** Grants of the busy shard. */
  passedCount = 0;
  isServed = false;

  constructor(coreCount: number, versionsMb: readonly number[], wrap = (memory: SharedMemory): SharedMemory => memory) {
    const memory = wrap(makeMemory(LIMITS, 2));
    this.busy = new Scheduler(LIMITS, { memory, shard: 0 });
    this.waiting = new Scheduler(LIMITS, { memory, shard: 1 });
    this.busy.addWorker(coreCount, 200);
    versionsMb.forEach((memoryMb, version) => this.busy.setVersion(version, 0, memoryMb));
  }

  wait(version: number): void {
    assert.equal(this.waiting.request(WAITER, version), outcome.queued);
    this.settle();
  }

  request(): void {
    this.busy.request(this.#nextRequest, 0);
    this.#nextRequest = (this.#nextRequest + 1) % WAITER;
    this.#take();
  }

  release(): void {
    const lease = this.#held.shift();
    if (lease !== undefined) this.busy.release(lease.core, lease.sequence, true);
    this.#take();
  }

  settle(): void {
    while (this.busy.bells.isRung || this.waiting.bells.isRung) {
      this.busy.settleBatch();
      this.waiting.settleBatch();
    }
    this.busy.settleBatch();
    this.waiting.settleBatch();
    this.#take();
  }

  /** Releases and requests in one batch, until the one who waits is served or was passed so often. */
  pass(countMax: number): void {
    for (this.passedCount = 0; !this.isServed && this.passedCount <= countMax;) {
      const before = this.passedCount;
      this.release();
      this.request();
      this.settle();
      if (this.passedCount === before && !this.isServed) assert.equal(this.busy.overtaking.homeKept, 0, 'it stops');
    }
  }

  #take(): void {
    while (this.busy.takeGrant(this.#grant)) {
      const { core, sequence } = this.#grant;
      this.#held.push({ core, sequence });
      this.passedCount++;
    }
    while (this.waiting.takeGrant(this.#grant)) this.isServed = true;
  }
}

test('one who looks while a core comes and goes does not stand aside', () => {
  let before: ((access: number) => void) | null = null;
  let accessCount = 0;
  let top = -1;
  const door = new Door((word) => {
    if (word !== top) return;
    const act = before;
    before = null;
    act?.(accessCount++);
    before = act;
  });
  door.replaceAtomics(() => {});
  // Of the top of the summary alone: whether anything is idle is read there.
  const wrap = (memory: SharedMemory): SharedMemory => {
    const { rooms } = door.wrapMemory(memory);
    top = door.wordOf(rooms, TOP);
    return { ...memory, rooms };
  };
  // The core is idle, and nobody was told of it yet. Before which accesses of a look it is claimed, released and claimed again:
  for (let first = 0, isInside = true; isInside; first++) {
    for (let second = first; isInside; second++) {
      for (let third = second; isInside; third++) {
        const pair = new Pair(1, [100], wrap);
        pair.request();
        pair.wait(0);
        pair.release();
        accessCount = 0;
        before = (access) => {
          if (access === first) pair.request();
          if (access === second) pair.release();
          if (access === third) pair.request();
        };
        pair.waiting.forget();
        before = null;
        isInside = third <= accessCount;
        if (!pair.isServed) pair.pass(OVERTAKE_MAX + 1);
        assert.ok(pair.isServed, `passed ${pair.passedCount} times: accesses ${first}, ${second}, ${third}`);
      }
      isInside = second <= accessCount;
    }
    isInside = first <= accessCount;
  }
});

test('one who stands aside is served where no core is ever idle when others are told', () => {
  const pair = new Pair(2, [10, 200]);
  pair.request();
  // A core is idle, and it lacks the memory.
  pair.wait(1);
  assert.ok(pair.waiting.turns.isAside);
  pair.request();
  pair.settle();
  pair.pass(OVERTAKE_MAX * (OVERTAKE_MAX + 1) + 1);
  assert.ok(pair.isServed, `passed ${pair.passedCount} times`);
});

test('what was given and not told yet goes to the one who waits, before a newcomer who asks less', () => {
  const pair = new Pair(1, [10, 100]);
  pair.request();
  pair.wait(1);
  pair.release();
  assert.equal(pair.waiting.request(WAITER - 1, 0), outcome.queued);
  const grant = new Grant();
  assert.ok(pair.waiting.takeGrant(grant));
  assert.equal(grant.request, WAITER);
});
