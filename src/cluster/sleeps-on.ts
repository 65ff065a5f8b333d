/** What a step of a chain may sleep on, as bits of ASSIGN. */
import type { WakerKind } from '../workflow/sleep-plans.ts';

/** In the order of their bits. */
const WAKERS: readonly WakerKind[] = ['output', 'response', 'timer'];

export function sleepsOnBits(kinds: readonly WakerKind[]): number {
  return kinds.reduce((bits, kind) => bits | (1 << WAKERS.indexOf(kind)), 0);
}

export function sleepsOnOf(bits: number): readonly WakerKind[] {
  return WAKERS.filter((_, bit) => (bits & (1 << bit)) !== 0);
}
