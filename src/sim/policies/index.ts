/** All policies, in the order of the help text. */
import type { PolicyKind } from '../policy.ts';
import { canary } from './canary/index.ts';
import { hermod } from './hermod/index.ts';
import { jbsq } from './jbsq/index.ts';
import { leastLoaded } from './least-loaded/index.ts';
import { openwhisk } from './openwhisk/index.ts';
import { perchShards } from './perch-shards/index.ts';
import { perchSharing } from './perch-sharing/index.ts';
import { perchStack } from './perch-stack/index.ts';
import { perch } from './perch/index.ts';
import { powerOfTwo } from './power-of-two/index.ts';
import { pull } from './pull/index.ts';
import { random } from './random/index.ts';
import { ray } from './ray/index.ts';
import { roundRobin } from './round-robin/index.ts';
import { serverGranular } from './server-granular/index.ts';
import { sparrow } from './sparrow/index.ts';
import { workStealing } from './work-stealing/index.ts';

export const POLICIES: readonly PolicyKind[] = [
  perch,
  ...perchSharing,
  perchStack,
  perchShards,
  serverGranular,
  random,
  roundRobin,
  leastLoaded,
  powerOfTwo,
  jbsq,
  pull,
  workStealing,
  sparrow,
  openwhisk,
  hermod,
  ray,
  canary,
];
