/** A shard dies before each of its accesses to shared words in turn, and afterwards nothing is lost. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Grant } from '../../../src/scheduler/machine/actions.ts';
import { checkInvariants } from '../../../src/scheduler/machine/invariants.ts';
import { makeMemory } from '../../../src/scheduler/machine/memory.ts';
import { reap, silence, wakeAll } from '../../../src/scheduler/machine/reaper.ts';
import { Scheduler } from '../../../src/scheduler/machine/scheduler.ts';
import { Door } from './door.ts';

const LIMITS = {
  epoch: 1,
  coreCountMax: 64,
  workerCountMax: 2,
  functionCountMax: 2,
  versionCountMax: 2,
  requestCountMax: 32,
  queueMax: 8,
  overtakeMax: 1,
  warmHintMax: 2,
  isShared: true,
};
const DEAD = 0;

class Death extends Error {}

let stepsLeft = Infinity;
const door = new Door(() => {
  if (stepsLeft-- <= 0) throw new Death();
});
door.replaceAtomics(() => undefined);

function takeAll(machine: Scheduler): void {
  const grant = new Grant();
  while (machine.takeGrant(grant));
}

/** False: it came to its end alive. */
function diesAt(step: number): boolean {
  const memory = makeMemory(LIMITS, 3);
  const wrapped = door.wrapMemory(memory);
  const [dying, ...living] = [0, 1, 2].map(
    (shard) => new Scheduler(LIMITS, { memory: shard === DEAD ? wrapped : memory, shard }),
  ) as [Scheduler, Scheduler, Scheduler];
  stepsLeft = Infinity;
  living[0]!.addWorker(2, 1000);
  living[0]!.addWorker(1, 500);
  living[0]!.setVersion(0, 0, 400);
  living[0]!.setVersion(1, 1, 700);
  living[0]!.setConcurrency(1, 3);
  living[0]!.request(0, 0);
  const grant = new Grant();
  assert.ok(living[0]!.takeGrant(grant));
  living[1]!.request(20, 1);
  living[1]!.settleBatch();

  let isAlive = true;
  stepsLeft = step;
  try {
    live(dying, grant);
  } catch (error) {
    if (!(error instanceof Death)) throw error;
    isAlive = false;
  }
  stepsLeft = Infinity;

  silence(memory, DEAD);
  for (const machine of living) takeAll(machine);
  const reaper = new Scheduler(LIMITS, { memory, shard: DEAD });
  reap(reaper);
  wakeAll(memory, DEAD);
  do for (const machine of living) machine.settleBatch();
  while (living.some(({ bells }) => bells.isRung));
  checkInvariants([reaper, ...living]);
  endAll(living);
  checkInvariants([reaper, ...living]);
  assert.deepEqual([reaper.leasedCount, living[0]!.queue.length, living[1]!.queue.length], [0, 0, 0]);
  return !isAlive;
}

/** What a shard does. */
function live(machine: Scheduler, held: Grant): void {
  machine.request(1, 0);
  machine.request(2, 1);
  machine.settleBatch();
  machine.withdraw(32);
  machine.release(held.core, held.sequence, true);
  machine.settleBatch();
  machine.request(3, 0);
  machine.request(4, 1);
  machine.cancel(3);
  machine.giveBack(32);
  machine.forget();
  machine.settleBatch();
}

/** Whoever is probed runs nothing. */
function endAll(living: readonly Scheduler[]): void {
  const [machine] = living as [Scheduler];
  for (let round = 0; round < 8; round++) {
    for (let core = 0; core < LIMITS.coreCountMax; core++) {
      if (machine.cores.isRegistered(core) && machine.leases.isLeased(core))
        assert.ok(machine.release(core, machine.leases.sequence(core), false));
      if (machine.cores.isRegistered(core)) machine.giveBack(core);
    }
    for (const each of living) {
      each.settleBatch();
      takeAll(each);
    }
  }
}

test('a shard dies before each of its accesses', (t) => {
  let step = 0;
  while (diesAt(step)) step++;
  t.diagnostic(`${step} deaths`);
  assert.ok(step > 200, `only ${step} accesses`);
});
