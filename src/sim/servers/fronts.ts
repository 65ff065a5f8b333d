/** Gateways of which each decides for itself: an option of policies that have several. */
import type { OptionSpec } from '../policy.ts';

export const FRONTS_OPTION: OptionSpec = {
  help: 'gateways that decide for themselves; each invocation reaches one at random',
  default: 16,
  min: 1,
  max: 1024,
  isWhole: true,
};
