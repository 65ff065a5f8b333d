/** A shard in a thread of its own turns when there is something to be told, and then sleeps. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ShardedScheduler } from './sharded-scheduler.ts';

test('a turn asks for no other one, or the thread would never sleep', () => {
  const scheduler = new ShardedScheduler(
    {
      epoch: 1,
      coreCountMax: 64,
      workerCountMax: 2,
      functionCountMax: 2,
      versionCountMax: 3,
      requestCountMax: 8,
      queueMax: 8,
      overtakeMax: 2,
      warmHintMax: 3,
    },
    2,
  );
  const [shard] = scheduler.shards;
  let askedCount = 0;
  shard!.onTurn(() => askedCount++);
  shard!.sweep();
  assert.equal(askedCount, 1);
  shard!.turn();
  assert.equal(askedCount, 1, 'the turn has asked for another one');
  shard!.sweep();
  assert.equal(askedCount, 2, 'after it, one can be asked for again');
});
