import { assert } from '../../base/assert.ts';
import { REQUEST_COUNT_MAX } from './leases.ts';
import { OVERTAKE_COUNT_MAX } from './queue.ts';
import { VERSION_COUNT_MAX } from './versions.ts';

/** What a scheduler is made for; its memory is allocated once, from these. */
export interface SchedulerLimits {
  /** Which life of the scheduler this is; part of every lease's name. */
  readonly epoch: number;
  /** Highest core index + 1. Each worker takes whole words of 32. */
  readonly coreCountMax: number;
  readonly workerCountMax: number;
  readonly functionCountMax: number;
  readonly versionCountMax: number;
  /** Requests that wait or hold a core at one time. */
  readonly requestCountMax: number;
  /** Requests that agents refused for memory wait again beyond it: they were accepted once. */
  readonly queueMax: number;
  readonly overtakeMax: number;
  /** Warm hints kept for each version. */
  readonly warmHintMax: number;
  /** Do other threads claim cores in the same words? Then every claim is a compare-and-swap. */
  readonly isShared?: boolean;
  /** Sequence of each core before its first lease: so that tests can make it wrap. */
  readonly firstSequence?: number;
}

export function assertLimits(limits: SchedulerLimits): void {
  const { versionCountMax, requestCountMax, overtakeMax, warmHintMax, workerCountMax, coreCountMax } = limits;
  assert(versionCountMax <= VERSION_COUNT_MAX, `versionCountMax ${versionCountMax}: at most ${VERSION_COUNT_MAX}`);
  assert(requestCountMax <= REQUEST_COUNT_MAX, `requestCountMax ${requestCountMax}: at most ${REQUEST_COUNT_MAX}`);
  assert(overtakeMax <= OVERTAKE_COUNT_MAX, `overtakeMax ${overtakeMax}: at most ${OVERTAKE_COUNT_MAX}`);
  assert(warmHintMax >= 1, `warmHintMax ${warmHintMax}: at least 1`);
  assert(workerCountMax >= 1 && coreCountMax >= 1, 'a scheduler needs room for a worker and a core');
}
