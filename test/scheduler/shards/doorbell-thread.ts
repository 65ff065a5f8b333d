/** A shard that only sleeps, hears its bell, and ends what it is granted. */
import { parentPort, workerData } from 'node:worker_threads';
import { Grant } from '../../../src/scheduler/machine/actions.ts';
import type { SchedulerLimits } from '../../../src/scheduler/machine/limits.ts';
import type { SharedMemory } from '../../../src/scheduler/machine/memory.ts';
import { Scheduler } from '../../../src/scheduler/machine/scheduler.ts';
import { hearBell } from '../../../src/scheduler/shards/doorbell.ts';
import { standStill } from '../../../src/scheduler/shards/pause.ts';

const { limits, memory, count } = workerData as { limits: SchedulerLimits; memory: SharedMemory; count: number };
const machine = new Scheduler(limits, { memory, shard: 1 });
const grant = new Grant();
let granted = 0;

function carryOut(): void {
  machine.settleBatch();
  while (machine.takeGrant(grant)) {
    const { core, sequence } = grant;
    granted++;
    if (granted === count) parentPort!.postMessage(granted);
    setImmediate(() => {
      machine.release(core, sequence, true);
      if (granted < count) machine.request(granted % 8, 0);
      carryOut();
    });
  }
}

const doorbell = hearBell(machine, () => {
  standStill(memory, 1);
  carryOut();
});
// The port keeps the thread alive, as a socket would.
parentPort!.on('message', () => {
  doorbell.close();
  parentPort!.close();
});
machine.request(0, 0);
carryOut();
parentPort!.postMessage(granted);
