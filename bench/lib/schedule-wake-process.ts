/**
 * Two measurements of `bench/schedule.ts` that need sleeping shards: how long after a release here a waiter there has its core, where that shard
 * sleeps in its event loop; and how long the others stand still when a shard has died.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { Grant } from '../../src/scheduler/machine/actions.ts';
import { makeMemory, type SharedMemory } from '../../src/scheduler/machine/memory.ts';
import { reap, silence, wakeAll } from '../../src/scheduler/machine/reaper.ts';
import { Scheduler } from '../../src/scheduler/machine/scheduler.ts';
import { hearBell } from '../../src/scheduler/shards/doorbell.ts';
import { standStill, whileAllStandStill } from '../../src/scheduler/shards/pause.ts';
import { quantile } from './report.ts';
import { addWorkers, limitsFor, setVersions, type ScheduleInput } from './schedule-driver.ts';

export interface WakeOutput {
  /** Half of a core's way to the other shard and back, median. */
  readonly wakeUs: number;
  /** From the moment at which the last shard stands still until they go on. */
  readonly stillMs: number;
}

interface ThreadInput {
  readonly input: ScheduleInput;
  readonly memory: SharedMemory;
}

const OTHER = 1;
const MAIN = 0;
/** Far longer than one way takes on a machine that is busy with other things. */
const WAIT_MS_MAX = 20_000;

class Partner {
  readonly machine: Scheduler;
  readonly #grant = new Grant();
  readonly #request: number;
  readonly #onGrant: () => boolean;

  /** `onGrant`: is another one to be asked for? */
  constructor(machine: Scheduler, onGrant: () => boolean) {
    this.machine = machine;
    this.#request = machine.shard * 2;
    this.#onGrant = onGrant;
  }

  ask(): void {
    this.machine.request(this.#request, 0);
    this.carryOut();
  }

  /** A core is released once the other shard waits for it, and asked for again once that has it: so who is given it sleeps. */
  carryOut(): void {
    standStill(this.machine.memory, this.machine.shard);
    this.machine.settleBatch();
    if (!this.machine.takeGrant(this.#grant)) return;
    const { core, sequence } = this.#grant;
    const { turns, leases } = this.machine;
    if (!this.#onGrant()) return;
    when(
      () => !turns.raised().isEmpty,
      () => {
        this.machine.release(core, sequence, true);
        this.machine.settleBatch();
        when(
          // Held or not: who has it from now on may have let it go again.
          () => leases.sequence(core) !== sequence,
          () => this.ask(),
        );
      },
    );
  }
}

function when(condition: () => boolean, then: () => void, deadlineMs = performance.now() + WAIT_MS_MAX): void {
  if (condition()) return then();
  assert.ok(performance.now() < deadlineMs, 'a core does not reach the other shard');
  setImmediate(() => when(condition, then, deadlineMs));
}

function runThread({ input, memory }: ThreadInput): void {
  // Whoever holds the core waits until somebody else wants it, so this side never stops asking.
  const partner = new Partner(new Scheduler(limitsFor(input), { memory, shard: OTHER }), () => true);
  const doorbell = hearBell(partner.machine, () => partner.carryOut());
  // Keeps the thread alive, as a socket would, until it is terminated.
  parentPort!.on('message', () => doorbell.close());
  partner.ask();
  parentPort!.postMessage('ready');
}

async function measureWake(roundCount: number): Promise<number> {
  const input: ScheduleInput = { ...SMALL, shardCount: 2 };
  const memory = makeMemory(limitsFor(input), 2);
  const times: number[] = [];
  let resolve = (): void => {};
  const done = new Promise<void>((end) => (resolve = end));
  const partner = new Partner(new Scheduler(limitsFor(input), { memory, shard: MAIN }), () => {
    times.push(performance.now());
    if (times.length === roundCount) resolve();
    return times.length < roundCount;
  });
  setVersions(partner.machine, input);
  partner.machine.addWorker(1, 65_536);
  const thread = new Worker(new URL(import.meta.url), { workerData: { input, memory } satisfies ThreadInput });
  await once(thread, 'message');
  const doorbell = hearBell(partner.machine, () => partner.carryOut());
  partner.ask();
  await done;
  doorbell.close();
  await thread.terminate();
  const waits = times.slice(1).map((time, i) => ((time - times[i]!) * 1000) / 2);
  return quantile(waits, 0.5);
}

async function measureReaping(input: ScheduleInput): Promise<number> {
  const limits = limitsFor(input);
  const memory = makeMemory(limits, 2);
  for (let shard = 0; shard < input.shardCount; shard++) addWorkers(new Scheduler(limits, { memory, shard }), input);
  let began = 0;
  silence(memory, OTHER);
  await whileAllStandStill(memory, [], () => {
    began = performance.now();
    reap(new Scheduler(limits, { memory, shard: OTHER }));
  });
  const stillMs = performance.now() - began;
  wakeAll(memory, OTHER);
  return stillMs;
}

const SMALL: ScheduleInput = {
  way: 'steady',
  coreCount: 1,
  leasedShare: 0,
  versionCount: 1,
  decisionCount: 0,
  seed: 1,
  shardCount: 2,
};

if (!isMainThread) runThread(workerData as ThreadInput);
else if (import.meta.main) {
  const input = JSON.parse(process.argv[2]!) as ScheduleInput;
  const output: WakeOutput = { wakeUs: await measureWake(input.decisionCount), stillMs: await measureReaping(input) };
  console.log(JSON.stringify(output));
}
