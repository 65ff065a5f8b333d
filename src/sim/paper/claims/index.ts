/** In the order of the document. */
import type { Claim } from '../claim.ts';
import { central } from './central.ts';

export const CLAIMS: readonly Claim[] = [central];
