/** In the order of the document. */
import type { Claim } from '../claim.ts';
import { central } from './central.ts';
import { coldStarts } from './cold-starts.ts';
import { elasticity } from './elasticity.ts';
import { granularity } from './granularity.ts';
import { heavyTail } from './heavy-tail.ts';
import { lending } from './lending.ts';
import { multicore } from './multicore.ts';
import { overcommit } from './overcommit.ts';
import { queues } from './queues.ts';
import { scale } from './scale.ts';
import { stealing } from './stealing.ts';

export const CLAIMS: readonly Claim[] = [
  queues,
  central,
  granularity,
  stealing,
  heavyTail,
  elasticity,
  scale,
  multicore,
  coldStarts,
  lending,
  overcommit,
];
