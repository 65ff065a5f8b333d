/** What Canary's controller decides: how many servers each front should have, by what their fronts have reported of their load. */
import { assert } from '../../../base/assert.ts';

/** In the proportion of the demands, at least one each; all servers are given out. Of fronts that are equal the lower numbers have more. */
export function targetsFor(demands: readonly number[], serverCount: number): number[] {
  assert(demands.length <= serverCount, 'more fronts than servers');
  const total = demands.reduce((sum, demand) => sum + demand, 0);
  const shares = demands.map(
    (demand) => (serverCount * (total === 0 ? 1 : demand)) / (total === 0 ? demands.length : total),
  );
  const targets = shares.map((share) => Math.max(1, Math.floor(share)));
  let left = serverCount - targets.reduce((sum, target) => sum + target, 0);
  for (; left > 0; left--) targets[mostOf(targets, (target, front) => shares[front]! - target)]!++;
  // So many have less than one for their own that the others give up some.
  for (; left < 0; left++) {
    targets[mostOf(targets, (target, front) => (target > 1 ? target - shares[front]! : -Infinity))]!--;
  }
  return targets;
}

/** The index at which it is greatest, the lowest of several. */
function mostOf(targets: readonly number[], of: (target: number, front: number) => number): number {
  let best = 0;
  for (let front = 1; front < targets.length; front++) {
    if (of(targets[front]!, front) > of(targets[best]!, best)) best = front;
  }
  return best;
}

/** One server each from a front to another, until all have what they should have. */
export function movesFor(counts: readonly number[], targets: readonly number[]): { from: number; to: number }[] {
  const moves: { from: number; to: number }[] = [];
  const have = [...counts];
  let to = 0;
  for (let from = 0; from < have.length; from++) {
    for (; have[from]! > targets[from]!; have[from]!--) {
      while (have[to]! >= targets[to]!) to++;
      have[to]!++;
      moves.push({ from, to });
    }
  }
  return moves;
}
