/**
 * Two gateways, two workers and a scheduler, whose lines deliver, break and come back in any order; workers die or stop,
 * schedulers start anew. Every request has exactly one end, and runs once at most; when all is well again, nothing waits.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CORES, MACHINE_LIMITS, VERSION_COUNT } from './parts.ts';
import { World } from './world.ts';

type Step = readonly [kind: number, a: number, b: number];

const STEPS: readonly (readonly [weight: number, step: (world: World, a: number, b: number) => void])[] = [
  [14, (world, a, b) => world.gateways[a % 2]!.invoke(b % VERSION_COUNT)],
  [50, (world, a) => void world.deliver(a)],
  [10, (world, a, b) => world.workers[a % 2]!.end(b % CORES, a % 4 > 0)],
  [3, (world, a, b) => world.gateways[a % 2]!.withdraw(b)],
  [5, (world, a, b) => world.gateways[a % 2]!.connect(world, b % 3)],
  [3, (world, a) => world.workers[a % 2]!.join(world)],
  [3, (world, a) => world.gateways[a % 2]!.join(world)],
  [1, (world, a) => world.workers[a % 2]!.leave(true)],
  [1, (world, a) => world.gateways[a % 2]!.leave(true)],
  [1, (world, a, b) => cut(world, a, b)],
  [1, (world, a) => world.workers[a % 2]!.die()],
  [1, (world, a) => world.workers[a % 2]!.stop()],
  [2, (world, a) => world.workers[a % 2]!.goIfStopped()],
  [1, (world) => world.restart()],
  [2, (world, a, b) => world.gateways[a % 2]!.deploy(b % VERSION_COUNT)],
  [1, (world, a, b) => world.gateways[a % 2]!.limit(b % 2, (b % 5) - 1)],
  [2, (world, a, b) => world.workers[a % 2]!.press((b % 4) * 200)],
  [3, (world, a) => world.gateways[a % 2]!.machine.tick()],
  [2, (world) => world.sweep()],
  [4, (world) => world.tick()],
];
const WEIGHTS = STEPS.reduce((sum, [weight]) => sum + weight, 0);

function cut(world: World, a: number, b: number): void {
  const worker = world.workers[a % 2]!;
  const connections = [...worker.connections];
  const connection = connections[b % Math.max(1, connections.length)];
  if (connection !== undefined) worker.cut(connection);
}

function apply(world: World, [kind, a, b]: Step): void {
  let left = kind % WEIGHTS;
  for (const [weight, step] of STEPS) {
    if (left < weight) return step(world, a, b);
    left -= weight;
  }
}

/** More than that is said only by those who do not stop. */
const MESSAGES_MAX = 1000;

function deliverAll(world: World, from: number): void {
  for (let count = 0; world.deliver(from); count++) {
    world.check();
    assert.ok(count < MESSAGES_MAX, 'they talk for ever');
  }
}

/** A failure is made smaller for so long at most, and then told with its seed. */
const MS_MAX = 100_000;

/** Everybody is back, and what runs ends. */
function heal(world: World): void {
  for (const worker of world.workers) worker.press(0);
  for (const gateway of world.gateways) for (const each of [0, 1]) gateway.limit(each, -1);
  for (let round = 0; round < 60; round++) {
    for (const each of [...world.workers, ...world.gateways]) each.join(world);
    for (const gateway of world.gateways) for (const id of [0, 1, 2, 3]) gateway.connect(world, id);
    deliverAll(world, round);
    for (const worker of world.workers) {
      for (let own = 0; own < CORES; own++) worker.end(own);
      deliverAll(world, round);
      worker.goIfStopped();
    }
    for (const gateway of world.gateways) gateway.machine.tick();
    world.sweep();
    world.tick();
    world.check();
  }
}

function finish(world: World): void {
  heal(world);
  for (const gateway of world.gateways) {
    for (const { ends, unwanted } of gateway.asks)
      assert.ok(ends.length === 1 || unwanted, 'an invocation waits for ever');
    assert.ok(gateway.isEmpty, 'a number is not free');
    for (let version = 0; version < VERSION_COUNT; version++) gateway.machine.removeVersion(version);
  }
  deliverAll(world, 0);
  for (const gateway of world.gateways) gateway.leave(true);
  for (let sweep = 0; sweep < MACHINE_LIMITS.lostTicks; sweep++) world.sweep();
  world.check();
  assert.equal(world.scheduler.machine.leasedCount, 0, 'a core is held for nobody');
  assert.equal(world.scheduler.machine.idleCount, 2 * CORES);
  assert.equal(world.scheduler.names.count, 0, 'a version has an index and no user');
}

const steps = fc.array(fc.tuple(fc.nat(WEIGHTS - 1), fc.nat(9), fc.nat(99)), { maxLength: 400, size: 'max' });

test('whatever breaks, each invocation has one end and runs once at most, and in the end nothing waits', () => {
  fc.assert(
    fc.property(steps, (all) => {
      const world = new World();
      for (const each of [...world.workers, ...world.gateways]) each.join(world);
      for (const step of all) {
        apply(world, step);
        world.check();
      }
      finish(world);
    }),
    { numRuns: 500, interruptAfterTimeLimit: MS_MAX },
  );
});
