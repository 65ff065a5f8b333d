/** Every sequence of events up to a length, on two cores with room for two in the queue: nothing is left to luck. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Model, type World } from './model.ts';

const DEPTH = 6;

/** A big version needs the worker for itself, a small one leaves room for another small one. */
const worlds: Record<string, World> = {
  'one worker of two cores': {
    workers: [{ coreCount: 2, memoryMb: 256 }],
    versions: [
      { functionIndex: 0, memoryMb: 256 },
      { functionIndex: 1, memoryMb: 128 },
    ],
    queueMax: 2,
    overtakeMax: 1,
    firstSequence: 2 ** 28 - 2,
    isShared: false,
  },
  'two workers of one core': {
    workers: [
      { coreCount: 1, memoryMb: 256 },
      { coreCount: 1, memoryMb: 128 },
    ],
    versions: [
      { functionIndex: 0, memoryMb: 256 },
      { functionIndex: 1, memoryMb: 128 },
    ],
    queueMax: 2,
    overtakeMax: 1,
    firstSequence: 0,
    isShared: true,
  },
};

/** Answers false where the event cannot happen: then the sequence need not be followed further. */
type Event = (model: Model) => boolean;

const request =
  (version: number): Event =>
  (model) => {
    const index = model.freeRequest();
    if (index === undefined) return false;
    model.request(index, version);
    return true;
  };

const onLease =
  (nth: number, act: (model: Model, lease: Parameters<Model['release']>[0]) => void): Event =>
  (model) => {
    const lease = model.leases.get(model.cores[nth]!);
    if (lease === undefined) return false;
    act(model, lease);
    return true;
  };

const events: readonly Event[] = [
  request(0),
  request(1),
  onLease(0, (model, lease) => model.release(lease, true)),
  onLease(1, (model, lease) => model.release(lease, true)),
  onLease(0, (model, lease) => model.noMemory(lease)),
  onLease(1, (model, lease) => model.noMemory(lease)),
  (model) => {
    const late = model.over.at(-1);
    if (late === undefined) return false;
    model.release(late, true);
    return true;
  },
  (model) => {
    const waiter = model.waiting[0];
    if (waiter === undefined) return false;
    model.cancel(waiter.request);
    return true;
  },
  (model) => {
    const core = model.cores[0]!;
    if (model.withdrawn.has(core)) model.giveBack(core);
    else model.withdraw(core);
    return true;
  },
];

function explore(world: World, path: readonly Event[]): number {
  const model = new Model(world);
  for (const [i, event] of path.entries()) {
    const happened = event(model);
    if (i < path.length - 1) continue;
    if (!happened) return 0;
    model.check();
  }
  let count = 1;
  if (path.length < DEPTH) for (const event of events) count += explore(world, [...path, event]);
  else model.finish();
  return count;
}

for (const [name, world] of Object.entries(worlds)) {
  test(`all sequences of ${DEPTH} events: ${name}`, () => {
    const count = explore(world, []);
    assert.ok(count > 10_000, `only ${count} sequences`);
  });
}
