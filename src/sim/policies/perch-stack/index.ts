/** The shipped scheduler machine over servers that keep a stack on each core: what Perch's pool for each server is compared with. */
import { makePerch } from '../../perch/make.ts';
import { FLEET, perCore, QUEUE } from '../../perch/options.ts';
import { StackSharing } from './stack-sharing.ts';
import type { PolicyKind } from '../../policy.ts';

export const perchStack: PolicyKind = {
  name: 'perch-stack',
  summary: 'who comes new preempts whoever has run longest; each core has a stack of those that it put off',
  source: 'Perch, for comparison: last come, first served with preemption on each core; not shipped',
  options: { queue: QUEUE, k: perCore('invocations for each core at most', 8), ...FLEET },
  make: (world, options) =>
    makePerch({ sharing: 'preempt', sharingOf: (cores, extra) => new StackSharing(cores, extra) }, world, options),
};
