/** All policies, in the order of the help text. */
import type { PolicyKind } from '../policy.ts';
import { perch } from './perch/index.ts';
import { random } from './random/index.ts';
import { sparrow } from './sparrow/index.ts';

export const POLICIES: readonly PolicyKind[] = [perch, random, sparrow];
