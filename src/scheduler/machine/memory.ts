/**
 * All that the shards of one scheduler share, allocated once and in one place. A shard is a thread; it is posted this bundle and
 * makes its machine over it: `new Scheduler(limits, { memory, shard })`.
 *
 * What is here and is written by several threads follows docs/decisions/008-wait-release-steal.md, access by access.
 *
 *   words        a record for each word of 32 cores: idle bits, the wish, memory of its worker (words.ts)
 *   leases       two words for each core (leases.ts)
 *   masks        which cores a lease of several cores has (leases.ts)
 *   rooms        the nodes of the summary (summary.ts)
 *   extraRooms   the same for extra seats
 *   globals      KEPT, PAUSE, and what grows when a worker is added, each on a line of its own
 *   flags, bells one of each for each shard, on lines of their own (turns.ts, bells.ts)
 *   shards       what one shard alone writes and others may read: its counts, for views and the reaper
 */
import { assert } from '../../base/assert.ts';
import { COUNTER_NAMES } from './counters.ts';
import { LEASE_FREE } from './leases.ts';
import type { SchedulerLimits } from './limits.ts';
import { sharedInt32, type SharedInt32 } from './shared.ts';
import { Summary } from './summary.ts';
import { makeWords, type Words } from './words.ts';

/** 64 that decide, and the control. A bell has a word for each 32 of them (bells.ts). */
export const SHARD_COUNT_MAX = 65;
/** In KEPT: so many lower bits say which shard it is. */
export const KEPT_SHARD_LOG2 = 7;
/** Integers to a cache line: what different threads write lies that far apart. */
export const LINE_LOG2 = 4;

/** Indices in `globals`. */
export const globalWord = {
  /** (home + 1) << KEPT_SHARD_LOG2 | shard of the worker that is kept for somebody; 0: none is. */
  KEPT: 0,
  /** 1: the reaper wants every shard to stand still at the top of its loop. */
  PAUSE: 1 << LINE_LOG2,
  WORD_COUNT: 2 << LINE_LOG2,
  WORKER_COUNT: (2 << LINE_LOG2) + 1,
  REGISTERED_COUNT: (2 << LINE_LOG2) + 2,
  MEMORY_MB_MAX: (2 << LINE_LOG2) + 3,
  PROVISIONED_COUNT: (2 << LINE_LOG2) + 4,
  /** No version asks more memory, in MB: a power of two (rooms.ts). */
  LARGEST_MB: (2 << LINE_LOG2) + 5,
  /** No version that is set has this index or a higher one. */
  VERSION_END: (2 << LINE_LOG2) + 6,
  /** + k: the most memory that a worker has in all which has k cores in a word, for k of 0 to 32; 0: none has. */
  MEMORY_MB_MAX_OF: 3 << LINE_LOG2,
  /** Extra seats of all workers. */
  EXTRA_COUNT: (2 << LINE_LOG2) + 7,
} as const;
const GLOBAL_COUNT = 6 << LINE_LOG2;

/** Indices in the `counts` of a shard: how much it has changed them, so that the sum over all shards is what there is. */
export const countWord = { IDLE: 0, LEASED: 1, WITHDRAWN: 2 } as const;

/** Written by one shard alone. */
export interface ShardMemory {
  readonly counters: Float64Array;
  readonly counts: SharedInt32;
  /** For each version: requests that entered here, and that left. Both only grow. */
  readonly versions: SharedInt32;
  /** For each function: how much this shard has changed the number of its requests while it had no limit. */
  readonly functions: SharedInt32;
  /** For each version: requests that wait here. */
  readonly waiting: SharedInt32;
}

export interface SharedMemory {
  readonly words: Words;
  /** Which bits of each word stand for a core at all. */
  readonly registered: SharedInt32;
  readonly leases: SharedInt32;
  /** Cores of each lease of several cores, at its lead. */
  readonly masks: SharedInt32;
  readonly rooms: SharedInt32;
  readonly extraRooms: SharedInt32;
  /** The home of each worker, and back. */
  readonly homes: SharedInt32;
  readonly workerOfHome: SharedInt32;
  readonly versions: SharedInt32;
  readonly provisioned: SharedInt32;
  readonly functions: SharedInt32;
  readonly globals: SharedInt32;
  readonly flags: SharedInt32;
  readonly bells: SharedInt32;
  /** 1: the shard stands still for the reaper. */
  readonly paused: SharedInt32;
  readonly shards: readonly ShardMemory[];
}

/** What a part is made over. */
export interface Place {
  readonly memory: SharedMemory;
  readonly shard: number;
  /** Do other threads use the same memory? Else plain loads and stores do: atomics are calls out of compiled code. */
  readonly isShared: boolean;
}

export function makeMemory(limits: SchedulerLimits, shardCount: number): SharedMemory {
  assert(shardCount >= 1 && shardCount <= SHARD_COUNT_MAX, `${shardCount} shards: 1 to ${SHARD_COUNT_MAX}`);
  const { workerCountMax, functionCountMax, versionCountMax } = limits;
  const wordCount = Math.ceil(limits.coreCountMax / 32);
  const leases = sharedInt32(wordCount * 64);
  for (let core = 0; core < wordCount * 32; core++) leases[core << 1] = ((limits.firstSequence ?? 0) << 4) | LEASE_FREE;
  const functions = sharedInt32(functionCountMax * 2, -1);
  for (let i = 0; i < functionCountMax; i++) functions[i * 2] = 0;
  return {
    words: makeWords(wordCount),
    registered: sharedInt32(wordCount),
    leases,
    masks: sharedInt32(wordCount * 32),
    rooms: sharedInt32(Summary.lengthFor(wordCount), -1),
    extraRooms: sharedInt32(Summary.lengthFor(wordCount), -1),
    homes: sharedInt32(workerCountMax),
    workerOfHome: sharedInt32(wordCount),
    versions: sharedInt32(versionCountMax * 4),
    provisioned: sharedInt32(versionCountMax),
    functions,
    globals: sharedInt32(GLOBAL_COUNT),
    flags: sharedInt32(shardCount << LINE_LOG2),
    bells: sharedInt32(shardCount << LINE_LOG2),
    paused: sharedInt32(shardCount << LINE_LOG2),
    shards: Array.from({ length: shardCount }, () => ({
      counters: new Float64Array(new SharedArrayBuffer(COUNTER_NAMES.length * Float64Array.BYTES_PER_ELEMENT)),
      counts: sharedInt32(1 << LINE_LOG2),
      versions: sharedInt32(versionCountMax * 2),
      functions: sharedInt32(functionCountMax),
      waiting: sharedInt32(versionCountMax),
    })),
  };
}

/** Adds up what the shards have changed. While they go on, the sum is of no one moment. */
export function sumCounts({ shards }: SharedMemory, index: number): number {
  let sum = 0;
  for (const { counts } of shards) sum += counts[index]!;
  return sum;
}
