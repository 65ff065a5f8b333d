/**
 * The measured part of `bench/schedule.ts`, in a process of its own: drives the scheduler machine whole, in one of a
 * few ways, and prints what it saw as JSON.
 */
import { getHeapStatistics } from 'node:v8';
import { COUNTER_NAMES } from '../../src/scheduler/machine/counters.ts';
import { Scheduler } from '../../src/scheduler/machine/scheduler.ts';
import {
  addWorkers,
  Driver,
  limitsFor,
  noSequences,
  setVersions,
  type ScheduleInput,
  warmUpCount,
} from './schedule-driver.ts';

export interface ScheduleOutput {
  readonly nanosecondsEach: number;
  readonly bytesEach: number;
  /** Counters of the timed part, by name, for each decision. */
  readonly shares: Readonly<Record<string, number>>;
}

function measure(input: ScheduleInput): ScheduleOutput {
  const scheduler = new Scheduler(limitsFor(input));
  setVersions(scheduler, input);
  addWorkers(scheduler, input);
  const driver = new Driver(input, scheduler, noSequences(scheduler.cores.coreCountMax));
  driver.run(warmUpCount(input));

  const before = Float64Array.from(scheduler.counters);
  const { count, nanoseconds } = driver.run(input.decisionCount);
  const shares: Record<string, number> = {};
  COUNTER_NAMES.forEach((name, i) => {
    shares[name] = (scheduler.counters[i]! - before[i]!) / count;
  });

  // The young generation is set so large that no collection falls into this part, so growth is what was allocated.
  const usedBefore = getHeapStatistics().used_heap_size;
  const { count: countAgain } = driver.run(input.decisionCount);
  const used = getHeapStatistics().used_heap_size - usedBefore;
  scheduler.checkInvariants();
  return { nanosecondsEach: nanoseconds / count, bytesEach: used / countAgain, shares };
}

if (import.meta.main) console.log(JSON.stringify(measure(JSON.parse(process.argv[2]!) as ScheduleInput)));
