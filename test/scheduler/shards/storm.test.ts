/** Random events at full speed on real threads; then nothing moves any more, and everything has to add up. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import type { SchedulerLimits } from '../../../src/scheduler/machine/limits.ts';
import { makeMemory } from '../../../src/scheduler/machine/memory.ts';
import { Scheduler } from '../../../src/scheduler/machine/scheduler.ts';
import { sharedInt32 } from '../../../src/scheduler/machine/shared.ts';
import { problemOf } from './problem.ts';
import type { StormData, StormReport } from './storm-control.ts';

/** For each shard. */
const GRANT_COUNT = Number(process.env['PERCH_STORM_GRANTS'] ?? 10_000);
const FIRST_SEED = Number(process.env['PERCH_SEED'] ?? 1);
const ROUNDS = Number(process.env['PERCH_STORM_ROUNDS'] ?? 1);

interface World {
  readonly name: string;
  readonly shardCount: number;
  readonly workers: readonly (readonly [coreCount: number, memoryMb: number])[];
  readonly memoriesMb: readonly number[];
  readonly overtakeMax: number;
}

const many = (count: number, coreCount: number, memoryMb: number): (readonly [number, number])[] =>
  Array.from({ length: count }, () => [coreCount, memoryMb] as const);

const WORLDS: readonly World[] = [
  { name: 'two shards, two cores', shardCount: 2, workers: [[2, 4096]], memoriesMb: [128], overtakeMax: 2 },
  {
    name: 'three shards, memory short',
    shardCount: 3,
    workers: many(3, 4, 1024),
    memoriesMb: [100, 256, 700],
    overtakeMax: 1,
  },
  {
    name: 'four shards, two levels of the summary',
    shardCount: 4,
    workers: many(40, 3, 512),
    memoriesMb: [64, 200, 500],
    overtakeMax: 8,
  },
  {
    name: 'two shards, a worker of three words',
    shardCount: 2,
    workers: [
      [70, 9000],
      [1, 100],
    ],
    memoriesMb: [50, 90, 300],
    overtakeMax: 0,
  },
];

async function storm(world: World, seed: number): Promise<readonly StormReport[]> {
  const { shardCount, workers, memoriesMb } = world;
  const wordCount = workers.reduce((sum, [coreCount]) => sum + Math.ceil(coreCount / 32), 0);
  const limits: SchedulerLimits = {
    epoch: 1,
    coreCountMax: wordCount * 32,
    workerCountMax: workers.length,
    functionCountMax: 2,
    versionCountMax: memoriesMb.length,
    requestCountMax: shardCount * 4096,
    queueMax: 16,
    overtakeMax: world.overtakeMax,
    warmHintMax: 3,
    firstSequence: 2 ** 28 - 50,
    isShared: true,
  };
  const memory = makeMemory(limits, shardCount);
  const machine = new Scheduler(limits, { memory, shard: 0 });
  for (const [coreCount, memoryMb] of workers) machine.addWorker(coreCount, memoryMb);
  memoriesMb.forEach((memoryMb, version) => machine.setVersion(version, version % 2, memoryMb));
  const running = sharedInt32(limits.coreCountMax);
  const inUse = sharedInt32(limits.requestCountMax);
  const phases = sharedInt32(shardCount);
  const cores = Array.from({ length: limits.coreCountMax }, (_, core) => core).filter((core) =>
    machine.cores.isRegistered(core),
  );
  const threads = Array.from({ length: shardCount }, (_, shard) => {
    const workerData: StormData = {
      shard,
      shardCount,
      seed,
      grantCount: GRANT_COUNT,
      limits,
      memory,
      workerCount: workers.length,
      versionCount: memoriesMb.length,
      running,
      inUse,
      cores,
      phases,
    };
    return new Worker(new URL('storm-thread.ts', import.meta.url), { workerData });
  });
  const reports = await Promise.all(threads.map(async (thread) => (await once(thread, 'message'))[0] as StormReport));
  const errors = reports.map(({ error }) => error).filter((error) => error !== null);
  assert.deepEqual(errors, [], `seed ${seed}`);
  assert.equal(problemOf(limits, memory, { running, waitingMax: 0 }), null, `seed ${seed}`);
  return reports;
}

for (const world of WORLDS) {
  test(`a storm: ${world.name}`, async (t) => {
    for (let round = 0; round < ROUNDS; round++) {
      const reports = await storm(world, FIRST_SEED + round);
      const sum = (name: 'granted' | 'woken'): number => reports.reduce((all, report) => all + report[name], 0);
      t.diagnostic(`seed ${FIRST_SEED + round}: ${sum('granted')} grants, ${sum('woken')} times woken`);
    }
  });
}
