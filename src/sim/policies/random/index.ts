/** Each invocation goes to a server drawn at random, without a look at any. */
import { drawServer } from '../../faults/drawing.ts';
import type { PolicyKind } from '../../policy.ts';
import { SHARING_OPTIONS } from '../../servers/disciplines.ts';
import type { World } from '../../world.ts';
import { UnseenPolicy } from './unseen.ts';

function drawn(world: World): () => number {
  const random = world.random('policy');
  return () => drawServer(world, random);
}

export const random: PolicyKind = {
  name: 'random',
  summary: 'a server drawn at random, unseen',
  source:
    'Eager, Lazowska, Zahorjan: Adaptive Load Sharing in Homogeneous Distributed Systems, IEEE TSE 1986 ("random")',
  options: SHARING_OPTIONS,
  make: (world, options) => new UnseenPolicy(world, options, drawn(world)),
};
