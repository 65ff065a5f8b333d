import { setTimeout as sleep } from 'node:timers/promises';

/** Most functions wait most of their time: for a database, a service, a model. This one waits for a timer.
 * @param {{ ms?: number }} event */
export async function handler(event) {
  const beforeMs = performance.now();
  await sleep(event.ms ?? 50);
  return { waitedMs: Math.round(performance.now() - beforeMs) };
}
