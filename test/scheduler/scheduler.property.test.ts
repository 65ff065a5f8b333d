/** Random sequences of every event, against the model, under limits so small that all paths are walked all the time. */
import fc from 'fast-check';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { COUNTER_NAMES, type CounterName } from '../../src/scheduler/machine/counters.ts';
import { Model, type World } from './model.ts';

const WORKER_SIZES = [1, 2, 3, 32, 33, 40];
const MEMORY_SIZES_MB = [1, 100, 128, 200, 256, 300, 500, 512, 1000, 3000];

const world: fc.Arbitrary<World> = fc.record({
  workers: fc.array(
    fc.record({
      coreCount: fc.constantFrom(...WORKER_SIZES),
      memoryMb: fc.constantFrom(100, 300, 600, 1000, 2500),
      extraSeatCount: fc.constantFrom(0, 0, 1, 3, 32, 34),
    }),
    { minLength: 1, maxLength: 3 },
  ),
  versions: fc.array(
    fc.record({
      functionIndex: fc.nat(2),
      memoryMb: fc.constantFrom(...MEMORY_SIZES_MB),
      coreCount: fc.constantFrom(1, 1, 1, 2, 3, 5, 32),
      isDedicated: fc.constantFrom(false, false, true),
    }),
    { minLength: 4, maxLength: 6 },
  ),
  queueMax: fc.integer({ min: 0, max: 4 }),
  overtakeMax: fc.integer({ min: 0, max: 2 }),
  firstSequence: fc.constantFrom(0, 2 ** 28 - 2),
  isShared: fc.boolean(),
});

const small: fc.Arbitrary<World> = world.map((wide) => ({
  ...wide,
  workers: wide.workers.map(({ memoryMb, extraSeatCount }, i) => ({
    coreCount: (i % 3) + 1,
    memoryMb,
    extraSeatCount: (extraSeatCount ?? 0) % 5,
  })),
  versions: wide.versions.map((version) => ({
    ...version,
    coreCount: version.coreCount === 32 ? 2 : version.coreCount,
  })),
}));

type Event = readonly [kind: number, a: number, b: number];
const events: fc.Arbitrary<Event[]> = fc.array(fc.tuple(fc.nat(35), fc.nat(999), fc.nat(999)), {
  maxLength: 200,
  size: 'max',
});

function apply(model: Model, [kind, a, b]: Event, versionCount: number, workerCount: number): void {
  const leases = [...model.leases.values()];
  const lease = leases[a % Math.max(leases.length, 1)];
  const core = model.cores[a % Math.min(model.cores.length, 4)]!;
  const extraSeat = [...model.extraSeats][a % Math.max(Math.min(model.extraSeats.size, 4), 1)];
  if (kind <= 8) {
    const request = model.freeRequest();
    if (request !== undefined) model.request(request, a % versionCount);
  } else if (kind <= 12) {
    if (lease !== undefined) model.release(lease, b % 3 > 0);
  } else if (kind === 13) {
    const late = model.over[a % Math.max(model.over.length, 1)];
    if (late !== undefined) model.release(late, true);
  } else if (kind === 14) {
    const waiter = model.waiting[a % Math.max(model.waiting.length, 1)];
    model.cancel(waiter?.request ?? b % 24);
  } else if (kind <= 16) {
    if (lease !== undefined) model.noMemory(lease);
  } else if (kind === 17) model.memoryAvailable(a % workerCount);
  else if (kind === 18) model.withdraw(core);
  else if (kind === 19) model.giveBack(core);
  else if (kind === 20) model.setConcurrency(a % 3, (b % 6) - 1);
  else if (kind === 21) model.provision(a % versionCount, b % 3);
  else if (kind <= 23) model.warmed(a % workerCount, b % versionCount);
  else if (kind <= 25) {
    const request = model.freeRequest();
    const away = [...model.withdrawn];
    if (request !== undefined && away.length > 0)
      model.resume(away[a % away.length]!, request, a % versionCount, 1 + (b % 5));
  } else if (kind <= 28) {
    const request = model.freeRequest();
    model.tell(b % 3);
    if (request !== undefined) model.requestAgain(request, a % versionCount, b % 10);
  } else if (kind === 29) model.forget(a % workerCount);
  else if (kind >= 31) {
    if (extraSeat !== undefined && kind >= 33) model.giveBack(extraSeat);
    else if (extraSeat !== undefined) model.withdraw(extraSeat);
  } else model.evicted(a % workerCount, b % versionCount);
}

for (const [name, worlds] of [
  ['1 to 3 cores a worker', small],
  ['workers of several words', world],
] as const) {
  const walked = new Map<CounterName, number>();
  test(`the machine does what the model allows: ${name}`, () => {
    fc.assert(
      fc.property(worlds, events, (w, sequence) => {
        const model = new Model(w);
        for (const event of sequence) {
          apply(model, event, w.versions.length, w.workers.length);
          model.check();
        }
        model.finish();
        for (const path of COUNTER_NAMES) walked.set(path, (walked.get(path) ?? 0) + model.scheduler.count(path));
      }),
      { numRuns: Number(process.env['PERCH_PROPERTY_RUNS'] ?? 1500) },
    );
    const missed = COUNTER_NAMES.filter((path) => walked.get(path) === 0);
    assert.deepEqual(missed, [], 'every path was walked at least once');
  });
}
