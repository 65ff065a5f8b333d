/**
 * Does something to every thread of a sandbox. A thread that is made during a pass inherits from its maker, which may be
 * as before, so passes repeat until one finds nobody new.
 */

/** A sandbox that makes threads faster than we reach them is stopped from that by its limit on processes. */
const PASS_COUNT_MAX = 8;
const ESRCH = -3;

/** `act` answers 0 or the negative error number. False where it failed, or there was nobody. */
export function forEveryTask(taskIds: () => readonly number[], act: (taskId: number) => number): boolean {
  const done = new Set<number>();
  for (let pass = 0; pass < PASS_COUNT_MAX; pass++) {
    let newCount = 0;
    for (const taskId of taskIds()) {
      if (done.has(taskId)) continue;
      const result = act(taskId);
      if (result !== 0 && result !== ESRCH) return false;
      if (result === 0) newCount++;
      done.add(taskId);
    }
    if (newCount === 0) return done.size > 0;
  }
  return false;
}
