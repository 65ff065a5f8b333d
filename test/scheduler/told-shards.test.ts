/** What a shard has to be told of by another one, in cases that the fuzzer has found (docs/FUZZING.md). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Grant } from '../../src/scheduler/machine/actions.ts';
import { makeMemory } from '../../src/scheduler/machine/memory.ts';
import { Scheduler } from '../../src/scheduler/machine/scheduler.ts';
import type { Granted } from '../../src/scheduler/server/ports.ts';
import { ShardedScheduler } from './sharded-scheduler.ts';

const LIMITS = {
  epoch: 1,
  coreCountMax: 64,
  workerCountMax: 2,
  functionCountMax: 2,
  versionCountMax: 3,
  requestCountMax: 8,
  queueMax: 8,
  overtakeMax: 0,
  warmHintMax: 3,
};

test('a worker is kept, and what it keeps for a version is given: who waits for that elsewhere is told', () => {
  const memory = makeMemory(LIMITS, 2);
  const [here, there] = [0, 1].map((shard) => new Scheduler({ ...LIMITS, isShared: true }, { memory, shard }));
  const grant = new Grant();
  here!.addWorker(3, 1000);
  here!.setVersion(0, 0, 700);
  here!.setVersion(1, 1, 128);
  here!.provision(1, 1);
  there!.warmed(0, 1);
  here!.request(0, 0);
  here!.request(1, 1);
  assert.ok(here!.takeGrant(grant) && here!.takeGrant(grant));
  assert.equal(grant.request, 1);
  // The large one waits for memory, and the small one may not pass it: so the worker is kept.
  here!.request(2, 0);
  here!.request(3, 1);
  assert.equal(here!.overtaking.keptHome, 0);
  there!.request(4, 1);
  for (const each of [here, there, here]) each!.settleBatch();
  assert.equal(there!.bells.isRung, false);
  const { core, sequence } = grant;
  here!.release(core, sequence, false);
  here!.settleBatch();
  assert.equal(there!.bells.isRung, true, 'it is not told that an instance is free that is kept for its version');
  there!.settleBatch();
  assert.ok(there!.takeGrant(grant));
  assert.equal(grant.request, 4);
});

test('a worker has no memory, and has it again before the refusal has reached the shard of the request', () => {
  const scheduler = new ShardedScheduler(LIMITS, 2);
  const [here, there] = scheduler.shards;
  const quiet = (): void => assert.ok({});
  const worker = here!.joinWorker(
    { probe: quiet, dropped: quiet, provision: quiet },
    { name: 'w', host: 'w', port: 1, life: 1, coreCount: 1, memoryMb: 1000, running: [] },
  );
  if (typeof worker === 'string') assert.fail(worker);
  const grants: Granted[] = [];
  const gateway = there!.joinGateway(
    {
      granted: (_request, { core, sequence, warm, mask }) => void grants.push({ core, sequence, warm, mask }),
      refused: () => assert.fail('it is refused'),
      cancelled: quiet,
      workerJoined: quiet,
      workerLeft: quiet,
      provisioned: quiet,
    },
    'g',
  );
  const index = gateway.name({ key: 'v', functionKey: 'f', memoryMb: 128, coreCount: 1 });
  assert.ok(gateway.request(0, index));
  scheduler.quiet();
  assert.equal(grants.length, 1);
  // One after the other, as the worker says them; the other shard hears of them later.
  worker.noMemory(grants[0]!.core, grants[0]!.sequence);
  worker.memoryAvailable();
  scheduler.quiet();
  assert.equal(grants.length, 2, 'it waits beside an idle core');
});
