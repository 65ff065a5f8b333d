import { LIMITS } from '../../base/limits.ts';
import type { DialerDelays } from './dialer.ts';
import type { LinkLimits } from './link.ts';

export const LINK_LIMITS: LinkLimits = {
  silenceMs: LIMITS.linkSilenceMs,
  beatMs: LIMITS.linkBeatMs,
  backlogBytesMax: LIMITS.linkBacklogBytesMax,
};

export const DIALER_DELAYS: DialerDelays = {
  minMs: LIMITS.dialDelayMinMs,
  maxMs: LIMITS.dialDelayMaxMs,
};
