/**
 * The cores of a lease. Its mask has a bit for each, relative to the word of 32 cores that its lead, the lowest of them, is
 * in. A mask of 0 stands for the lead alone, so that a lease of one core needs none.
 */
const WORD_CORES = 32;

/** The mask as leases keep it: 0 where it names the lead alone. */
export function normalMask(mask: number): number {
  return (mask & (mask - 1)) === 0 ? 0 : mask | 0;
}

/** Whether the lead is the lowest core of the mask. */
export function isLedBy(lead: number, mask: number): boolean {
  return mask === 0 || (mask & -mask) === 1 << (lead & (WORD_CORES - 1));
}

/** What a frame may name: two cores or more, of which the lead is the lowest. */
export function isSeveral(lead: number, mask: number): boolean {
  return normalMask(mask) !== 0 && isLedBy(lead, mask);
}

/** What is left of the mask without its lowest bit: `for (rest = mask; rest !== 0; rest = withoutLowest(rest))`. */
export function withoutLowest(mask: number): number {
  return mask & (mask - 1);
}

/** The core that the lowest bit stands for; `lead` says in which word. */
export function lowestCore(lead: number, mask: number): number {
  return (lead & -WORD_CORES) + 31 - Math.clz32(mask & -mask);
}

export function coreCountOf(mask: number): number {
  if (mask === 0) return 1;
  let count = 0;
  for (let rest = mask; rest !== 0; rest = withoutLowest(rest)) count++;
  return count;
}

/** All cores of the lease, its lead first. */
export function coresOf(lead: number, mask: number): number[] {
  if (mask === 0) return [lead];
  const cores: number[] = [];
  for (let rest = mask; rest !== 0; rest = withoutLowest(rest)) cores.push(lowestCore(lead, rest));
  return cores;
}
