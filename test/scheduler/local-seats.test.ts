/** Seats on one machine, as the gateway and the agent beside it see them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SchedulerLimits } from '../../src/scheduler/machine/limits.ts';
import { LocalScheduler, outcome, seatSpaceOf } from '../../src/scheduler/server/local.ts';

interface Granted {
  readonly seat: number;
  readonly sequence: number;
}

class World {
  readonly scheduler: LocalScheduler;
  readonly granted: Map<number, Granted> = new Map();

  constructor(coreCount: number, extraSeatCount: number, memoryMb = 1000) {
    const limits: SchedulerLimits = {
      epoch: 1,
      coreCountMax: seatSpaceOf(coreCount, extraSeatCount),
      workerCountMax: 1,
      functionCountMax: 4,
      versionCountMax: 4,
      requestCountMax: 100,
      queueMax: 20,
      overtakeMax: 2,
      warmHintMax: 4,
    };
    this.scheduler = new LocalScheduler(limits, { coreCount, memoryMb, extraSeatCount });
    this.scheduler.onGrant((request, seat, sequence) => void this.granted.set(request, { seat, sequence }));
    this.scheduler.setVersion(0, 0, { memoryMb: 100, coreCount: 1 });
    this.scheduler.setVersion(1, 1, { memoryMb: 100, coreCount: 1, isDedicated: true });
    this.scheduler.setVersion(2, 2, { memoryMb: 100, coreCount: 2 });
  }

  /** The seat; -1: it waits. */
  ask(request: number, version: number): number {
    const answer = this.scheduler.request(request, version);
    assert.ok(answer === outcome.granted || answer === outcome.queued);
    this.scheduler.machine.checkInvariants();
    return this.seatOf(request);
  }

  seatOf(request: number): number {
    return this.granted.get(request)?.seat ?? -1;
  }

  end(request: number): void {
    const { seat, sequence } = this.granted.get(request)!;
    assert.ok(this.scheduler.release(seat, sequence, true));
    this.scheduler.machine.checkInvariants();
  }
}

test('an extra seat is closed until it is opened, comes after the cores, and is taken last', () => {
  const world = new World(2, 3);
  const { scheduler } = world;
  assert.equal(scheduler.seatCount, 5);
  for (const seat of [2, 3, 4]) assert.equal(scheduler.stateOf(seat), 'withdrawn');
  assert.ok(scheduler.openSeat(3));
  assert.ok(!scheduler.openSeat(3), 'once');
  assert.deepEqual(new Set([world.ask(0, 0), world.ask(1, 0)]), new Set([0, 1]));
  assert.equal(world.ask(2, 0), 3);
  assert.equal(world.ask(3, 0), -1);
  scheduler.openSeat(4);
  assert.equal(world.seatOf(3), 4, 'who waits has the seat that is opened');
  assert.equal(scheduler.machine.count('grantExtra'), 2);
});

test('a seat that is closed keeps who has it, and has nobody after him', () => {
  const world = new World(1, 1);
  world.scheduler.openSeat(1);
  world.ask(0, 0);
  assert.equal(world.ask(1, 0), 1);
  assert.equal(world.ask(2, 0), -1);
  assert.ok(world.scheduler.closeSeat(1));
  assert.ok(!world.scheduler.closeSeat(1), 'once');
  assert.equal(world.scheduler.stateOf(1), 'leased');
  world.end(1);
  assert.equal(world.seatOf(2), -1);
  assert.equal(world.scheduler.stateOf(1), 'withdrawn');
  world.end(0);
  assert.equal(world.seatOf(2), 0);
});

test('who is dedicated, or asks for several cores, has no extra seat, and nobody stands behind him for it', () => {
  const world = new World(2, 2);
  for (const seat of [2, 3]) world.scheduler.openSeat(seat);
  assert.ok(world.ask(0, 2) === 0, 'both cores');
  assert.equal(world.ask(1, 1), -1);
  assert.equal(world.ask(2, 0), 2, 'past the dedicated one, which does not wait for it');
  assert.equal(world.ask(3, 0), 3);
  world.end(2);
  assert.equal(world.seatOf(1), -1);
  world.end(0);
  assert.equal(world.seatOf(1), 0);
});

test('many pass one that is dedicated on extra seats, as long as its memory is there; then a worker is kept for it', () => {
  const world = new World(1, 20);
  for (let seat = 1; seat <= 20; seat++) world.scheduler.openSeat(seat);
  world.ask(0, 1);
  assert.equal(world.ask(1, 1), -1);
  // 1000 MB: nine in all leave room for the one that waits.
  for (let request = 2; request < 10; request++) assert.ok(world.ask(request, 0) > 0);
  assert.equal(world.scheduler.machine.count('overtakes'), 0);
  assert.ok(world.ask(10, 0) > 0, 'what it takes is missing beside the core');
  assert.equal(world.scheduler.machine.count('overtakes'), 1);
  world.end(0);
  assert.equal(world.seatOf(1), 0);
});

test('what ran on an extra seat is warm on the cores', () => {
  const world = new World(1, 1);
  world.scheduler.openSeat(1);
  world.ask(0, 1);
  assert.equal(world.ask(1, 0), 1);
  world.end(1);
  world.scheduler.closeSeat(1);
  world.end(0);
  assert.equal(world.ask(2, 0), 0);
  assert.equal(world.scheduler.machine.count('grantWarmCore'), 1);
});
