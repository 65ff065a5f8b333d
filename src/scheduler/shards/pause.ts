/**
 * Everybody stands still while the reaper puts right what a dead shard left. A shard asks at the top of its loop, before each buffer and
 * before it answers its bell, so nobody is in the middle of a decision; it waits with its thread, not with its event loop.
 */
import { globalWord, LINE_LOG2, type SharedMemory } from '../machine/memory.ts';

const { PAUSE } = globalWord;

/** At the top of a shard's loop. */
export function standStill({ globals, paused }: SharedMemory, shard: number): void {
  if (Atomics.load(globals, PAUSE) === 0) return;
  Atomics.store(paused, shard << LINE_LOG2, 1);
  Atomics.notify(paused, shard << LINE_LOG2);
  while (Atomics.load(globals, PAUSE) !== 0) Atomics.wait(globals, PAUSE, 1);
  Atomics.store(paused, shard << LINE_LOG2, 0);
}

/** Calls `work` once all living shards stand still, and lets them go on. One at a time. */
export async function whileAllStandStill(
  memory: SharedMemory,
  living: readonly number[],
  work: () => void,
): Promise<void> {
  const { globals, paused, bells } = memory;
  Atomics.store(globals, PAUSE, 1);
  for (const shard of living) {
    // Who sleeps has to come to the top of its loop, too.
    Atomics.or(bells, shard << LINE_LOG2, 1 << shard);
    Atomics.notify(bells, shard << LINE_LOG2);
  }
  for (const shard of living) {
    const { async, value } = Atomics.waitAsync(paused, shard << LINE_LOG2, 0);
    if (async) await value;
  }
  work();
  Atomics.store(globals, PAUSE, 0);
  Atomics.notify(globals, PAUSE);
}
