/** For policies that draw servers: those that are taken to be gone are left out, while there are others. */
import type { Random } from '../engine/random.ts';
import type { World } from '../world.ts';

/** Whether to draw another: enough others are left. */
export function isAvoided({ faults }: World, server: number, wantedCount = 1): boolean {
  return faults !== null && faults.isGone(server) && faults.knownCount >= wantedCount;
}

export function drawServer(world: World, random: Random): number {
  let server: number;
  do server = random.below(world.cluster.serverCount);
  while (isAvoided(world, server));
  return server;
}
