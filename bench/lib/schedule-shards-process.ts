/**
 * The measured part of `bench/schedule.ts` for several shards: threads with a machine each over one cluster. A core is released at the shard
 * to which its worker belongs, whichever granted it. All decide at the same time, batch by batch, and wait for each other in
 * between, while nothing is timed and the next batch is drawn: so a batch takes as long as its slowest thread.
 */
import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { makeMemory, type SharedMemory } from '../../src/scheduler/machine/memory.ts';
import { Scheduler } from '../../src/scheduler/machine/scheduler.ts';
import { sharedInt32 } from '../../src/scheduler/machine/shared.ts';
import {
  addWorkers,
  Driver,
  limitsFor,
  noSequences,
  setVersions,
  type ScheduleInput,
  warmUpCount,
} from './schedule-driver.ts';

export interface ShardsOutput {
  readonly millionsPerSecond: number;
  /** CPU time of all threads, while they decided, for each decision. */
  readonly cpuNsEach: number;
}

interface ThreadInput {
  readonly input: ScheduleInput;
  readonly shard: number;
  readonly memory: SharedMemory;
  readonly sequences: Int32Array;
  /** How many threads have come to how many meetings. */
  readonly meeting: Int32Array;
}

interface ThreadOutput {
  readonly count: number;
  /** Of each batch: when it began and when it ended, in nanoseconds of one clock. */
  readonly begins: readonly number[];
  readonly ends: readonly number[];
  readonly cpuNs: number;
}

const NS_PER_US = 1000;

/** Far more than a batch takes, on a busy machine too. */
const MEETING_MS_MAX = 60_000;
/** So often it is looked at the clock. */
const SPINS = 1 << 16;

/** All go on once all have come. Throws where one does not: it has ended, or makes fewer batches. */
export function meet(meeting: Int32Array, threadCount: number, msMax: number = MEETING_MS_MAX): void {
  const arrived = Atomics.add(meeting, 0, 1);
  const enough = (Math.floor(arrived / threadCount) + 1) * threadCount;
  const startMs = performance.now();
  for (let spins = 1; Atomics.load(meeting, 0) < enough; spins++) {
    if (spins % SPINS === 0 && performance.now() - startMs > msMax)
      throw new Error(`a thread has not come to a meeting of ${threadCount} in ${msMax} ms`);
  }
}

function cpuNs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) * NS_PER_US;
}

function runThread({ input, shard, memory, sequences, meeting }: ThreadInput): ThreadOutput {
  const scheduler = new Scheduler(limitsFor(input), { memory, shard });
  for (let turn = 0; turn < input.shardCount; turn++) {
    if (turn === shard) addWorkers(scheduler, input);
    meet(meeting, input.shardCount);
  }
  const driver = new Driver(input, scheduler, sequences);
  const begins: number[] = [];
  const ends: number[] = [];
  let count = 0;
  let cpu = 0;
  // All threads leave both loops after the same batch, as each makes as many decisions.
  const warmUp = warmUpCount(input) / input.shardCount;
  const end = warmUp + input.decisionCount / input.shardCount;
  for (let decided = 0; decided < end;) {
    driver.prepare();
    meet(meeting, input.shardCount);
    const cpuBefore = cpuNs();
    const begin = Number(process.hrtime.bigint());
    const batch = driver.decideAll();
    const isTimed = decided >= warmUp;
    decided += batch;
    if (isTimed) {
      begins.push(begin);
      ends.push(Number(process.hrtime.bigint()));
      cpu += cpuNs() - cpuBefore;
      count += batch;
    }
    meet(meeting, input.shardCount);
    driver.collect();
    meet(meeting, input.shardCount);
  }
  return { count, begins, ends, cpuNs: cpu };
}

async function measure(input: ScheduleInput): Promise<ShardsOutput> {
  const limits = limitsFor(input);
  const memory = makeMemory(limits, input.shardCount);
  const scheduler = new Scheduler(limits, { memory, shard: 0 });
  setVersions(scheduler, input);
  const sequences = noSequences(scheduler.cores.coreCountMax);
  const meeting = sharedInt32(16);
  const outputs = await Promise.all(
    Array.from({ length: input.shardCount }, async (_, shard) => {
      const thread = new Worker(new URL(import.meta.url), {
        workerData: { input, shard, memory, sequences, meeting } satisfies ThreadInput,
      });
      const [output] = (await once(thread, 'message')) as [ThreadOutput];
      return output;
    }),
  );
  let nanoseconds = 0;
  for (let i = 0; i < outputs[0]!.begins.length; i++) {
    const begin = Math.min(...outputs.map(({ begins }) => begins[i]!));
    nanoseconds += Math.max(...outputs.map(({ ends }) => ends[i]!)) - begin;
  }
  const count = outputs.reduce((sum, output) => sum + output.count, 0);
  const cpuNsAll = outputs.reduce((sum, output) => sum + output.cpuNs, 0);
  return { millionsPerSecond: (count / nanoseconds) * 1000, cpuNsEach: cpuNsAll / count };
}

if (!isMainThread) parentPort!.postMessage(runThread(workerData as ThreadInput));
else if (import.meta.main) console.log(JSON.stringify(await measure(JSON.parse(process.argv[2]!) as ScheduleInput)));
