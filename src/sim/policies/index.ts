/** All policies, in the order of the help text. */
import type { PolicyKind } from '../policy.ts';
import { canary } from './canary/index.ts';
import { hermod } from './hermod/index.ts';
import { openwhisk } from './openwhisk/index.ts';
import { perch } from './perch/index.ts';
import { perchSharing } from './perch-sharing/index.ts';
import { random } from './random/index.ts';
import { ray } from './ray/index.ts';
import { sparrow } from './sparrow/index.ts';

export const POLICIES: readonly PolicyKind[] = [
  perch,
  ...perchSharing,
  random,
  sparrow,
  openwhisk,
  hermod,
  ray,
  canary,
];
