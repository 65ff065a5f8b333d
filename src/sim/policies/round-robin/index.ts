/** Each gateway goes through all servers in a circle, from a place of its own, and looks at none. */
import { isAvoided } from '../../faults/drawing.ts';
import type { PolicyKind } from '../../policy.ts';
import { SHARING_OPTIONS } from '../../servers/disciplines.ts';
import { FRONTS_OPTION } from '../../servers/fronts.ts';
import type { World } from '../../world.ts';
import { UnseenPolicy } from '../random/unseen.ts';

function nextOf(world: World, frontCount: number): () => number {
  const random = world.random('policy');
  const { serverCount } = world.cluster;
  const next = Int32Array.from({ length: frontCount }, () => random.below(serverCount));
  return () => {
    const front = random.below(frontCount);
    let server = next[front]!;
    while (isAvoided(world, server)) server = (server + 1) % serverCount;
    next[front] = (server + 1) % serverCount;
    return server;
  };
}

export const roundRobin: PolicyKind = {
  name: 'round-robin',
  summary: 'each gateway sends to one server after the other, unseen',
  source:
    'Ephremides, Varaiya, Walrand: A Simple Dynamic Routing Problem, IEEE Transactions on Automatic Control 25(4), 1980',
  options: { fronts: FRONTS_OPTION, ...SHARING_OPTIONS },
  make: (world, options) => new UnseenPolicy(world, options, nextOf(world, options['fronts'] as number)),
};
