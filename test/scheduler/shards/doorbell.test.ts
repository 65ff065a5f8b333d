/** A shard that sleeps in its event loop is woken for each core that another shard releases. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { Grant } from '../../../src/scheduler/machine/actions.ts';
import { LINE_LOG2, makeMemory } from '../../../src/scheduler/machine/memory.ts';
import { Scheduler } from '../../../src/scheduler/machine/scheduler.ts';
import { hearBell } from '../../../src/scheduler/shards/doorbell.ts';
import { whileAllStandStill } from '../../../src/scheduler/shards/pause.ts';

const LIMITS = {
  epoch: 1,
  coreCountMax: 32,
  workerCountMax: 1,
  functionCountMax: 1,
  versionCountMax: 1,
  requestCountMax: 16,
  queueMax: 8,
  overtakeMax: 64,
  warmHintMax: 2,
};
const COUNT = 200;

test('two shards that sleep hand one core to and fro', async () => {
  const memory = makeMemory(LIMITS, 2);
  const machine = new Scheduler(LIMITS, { memory, shard: 0 });
  machine.addWorker(1, 1000);
  machine.setVersion(0, 0, 100);
  const grant = new Grant();
  machine.request(8, 0);
  assert.ok(machine.takeGrant(grant));

  const thread = new Worker(new URL('doorbell-thread.ts', import.meta.url), {
    workerData: { limits: LIMITS, memory, count: COUNT },
  });
  assert.deepEqual(await once(thread, 'message'), [0], 'it waits');
  const done = once(thread, 'message');
  let granted = 0;
  let isOver = false;
  const carryOut = (): void => {
    machine.settleBatch();
    while (machine.takeGrant(grant)) {
      const { core, sequence } = grant;
      granted++;
      setImmediate(() => {
        machine.release(core, sequence, true);
        if (!isOver) machine.request(8 + (granted % 8), 0);
        carryOut();
      });
    }
  };
  const doorbell = hearBell(machine, carryOut);
  machine.release(grant.core, grant.sequence, true);
  machine.request(9, 0);
  carryOut();
  assert.deepEqual(await done, [COUNT]);
  isOver = true;
  let stood = 0;
  await whileAllStandStill(memory, [1], () => (stood = Atomics.load(memory.paused, 1 << LINE_LOG2)));
  assert.equal(stood, 1, 'it stood still');
  doorbell.close();
  thread.postMessage('end');
  await once(thread, 'exit');
});
