/** How the cores of a worker are shared, as it is told when it starts. */
import { Source } from '../machine/knowledge.ts';
import type { SharingPolicy } from '../machine/sharing.ts';

export type { SharingPolicy } from '../machine/sharing.ts';

export const SOURCE_NAMES = [
  'directed',
  'learning',
  'collaborative',
] as const satisfies readonly (keyof typeof Source)[];
export type SourceName = (typeof SOURCE_NAMES)[number];

export interface SharingSetting {
  readonly policy: SharingPolicy;
  /** How many invocations are admitted for each core; with `lend` at most, while others sleep. */
  readonly perCore: number;
  /** Whose word counts on who sleeps; absent: everybody's. */
  readonly sources?: readonly SourceName[];
}

/** Every core is its holder's, awake or asleep. */
export const NO_SHARING: SharingSetting = { policy: 'dedicated', perCore: 1 };

/** Whether it is decided who goes first, and so matters who sleeps: else each has its core, or the kernel shares. */
export function isOrdered({ policy }: SharingSetting): boolean {
  return policy !== 'dedicated' && policy !== 'fair';
}

/** How many seats there are beside the cores' own. */
export function extraSeatCountOf(sharing: SharingSetting, coreCount: number): number {
  const { policy, perCore } = sharing;
  return policy === 'dedicated' ? 0 : (perCore - 1) * coreCount + spareSeatCountOf(sharing, coreCount);
}

/** How many of them are only for what spare functions have of the cores' own. */
export function spareSeatCountOf(sharing: SharingSetting, coreCount: number): number {
  return isOrdered(sharing) ? coreCount : 0;
}

/** How many invocations may be admitted for each core, where a worker has so many instances: each seat needs one. */
export function perCoreMaxOf({ policy }: SharingSetting, coreCount: number, instanceCount: number): number {
  const spareCount = isOrdered({ policy, perCore: 1 }) ? 1 : 0;
  return policy === 'dedicated' ? 1 : Math.floor(instanceCount / coreCount) - spareCount;
}

/** As bits. */
export function sourcesOf({ sources = SOURCE_NAMES }: SharingSetting): number {
  return sources.reduce((bits, name) => bits | Source[name], 0);
}
