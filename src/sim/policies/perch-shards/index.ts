/** Perch's own, with a scheduler of several shards: the shipped machines over one memory, each at work for itself. */
import type { SharingPolicy } from '../../../worker/machine/sharing.ts';
import { SHARD_COUNT_MAX } from '../../../scheduler/machine/memory.ts';
import { makePerch } from '../../perch/make.ts';
import { FLEET, LEND_AFTER, numberOf, perCore, QUANTUM, QUEUE } from '../../perch/options.ts';
import { KIND_OPTIONS } from '../../perch/resident-kinds.ts';
import { ShardedScheduler, type ShardsSetup } from '../../perch/shards.ts';
import type { PolicyKind } from '../../policy.ts';

export const perchShards: PolicyKind = {
  name: 'perch-shards',
  summary: 'as perch, with several shards that take idle cores from each other',
  source: 'Kaffes, Yadwadkar, Kozyrakis: Centralized Core-granular Scheduling for Serverless Functions, SoCC 2019, 3',
  options: {
    // One more is the control's.
    shards: {
      help: 'how many',
      default: 4,
      min: 1,
      max: SHARD_COUNT_MAX - 1,
      isWhole: true,
    },
    route: {
      help: 'how a request finds its shard: at random, or by its function',
      default: 'random',
      choices: ['random', 'function'],
    },
    bell: { help: 'until a shard that sleeps hears another one, µs', default: 50, min: 0, max: 1e9 },
    batch: { help: 'frames that a shard decides in one turn at most', default: 128, min: 1, max: 1e6, isWhole: true },
    queue: QUEUE,
    sharing: {
      help: 'how the cores of a worker are shared',
      default: 'dedicated',
      choices: ['dedicated', 'lend', 'packed', 'preempt'],
    },
    k: perCore('invocations for each core at most, where cores are shared', 3),
    lendAfter: LEND_AFTER,
    quantum: QUANTUM,
    ...KIND_OPTIONS,
    ...FLEET,
  },
  make: (world, options) => {
    const shards = {
      shardCount: numberOf(options, 'shards'),
      route: options['route'] as ShardsSetup['route'],
      bellUs: numberOf(options, 'bell'),
      batchMax: numberOf(options, 'batch'),
    };
    return makePerch(
      {
        sharing: options['sharing'] as SharingPolicy,
        schedulerOf: (of, events) => new ShardedScheduler({ ...of, ...shards }, events),
      },
      world,
      options,
    );
  },
};
