/**
 * M/M/n: arrivals at random, exponential run times, one queue for n cores, first come first served (Erlang, 1917). Times are in mean run times.
 */
import { assert } from '../../base/assert.ts';

/** `offered`: work that arrives, in cores. The share of arrivals that find all of n cores taken, if they left then. Stable: it only divides and adds. */
export function erlangB(n: number, offered: number): number {
  let blocked = 1;
  for (let cores = 1; cores <= n; cores++) blocked = (offered * blocked) / (cores + offered * blocked);
  return blocked;
}

/** The share of arrivals that have to wait. */
export function erlangC(n: number, load: number): number {
  assert(load > 0 && load < 1, `a load of ${load}`);
  const blocked = erlangB(n, n * load);
  return blocked / (1 - load * (1 - blocked));
}

export function waitMeanOf(n: number, load: number): number {
  return erlangC(n, load) / (n * (1 - load));
}

/** As long as `share` of all wait at most: who waits at all waits for an exponential time. */
export function waitQuantileOf(n: number, load: number, share: number): number {
  const above = erlangC(n, load) / (1 - share);
  return above <= 1 ? 0 : Math.log(above) / (n * (1 - load));
}
