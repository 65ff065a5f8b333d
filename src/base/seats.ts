/**
 * How the seats of a worker are numbered in a cluster: its cores from its first on, and its extra seats from the next word of 32
 * on (docs/decisions/012-sharing-cores.md). The worker's agent knows no gap: there the extra seats come right after the cores.
 *
 *   agent      0 ─ cores ─ n-1 │ n ─ extra ─ n+m-1
 *   cluster    0 ─ cores ─ n-1 │ (none, up to a multiple of 32) │ ─ extra ─          added to the worker's first core
 */
const WORD_SEATS = 32;

export interface SeatRange {
  readonly coreCount: number;
  readonly extraSeatCount: number;
}

/** Where the extra seats begin, counted from the first core. */
export function firstExtraOf(coreCount: number): number {
  return wordCountOf(coreCount) * WORD_SEATS;
}

/** The first number after the last seat, counted from the first core. */
export function seatEndOf({ coreCount, extraSeatCount }: SeatRange): number {
  return extraSeatCount === 0 ? coreCount : firstExtraOf(coreCount) + extraSeatCount;
}

/** Words of 32 that they take. */
export function seatWordCountOf({ coreCount, extraSeatCount }: SeatRange): number {
  return wordCountOf(coreCount) + wordCountOf(extraSeatCount);
}

/** A bit for each seat that there is in this word. */
export function seatsOfWord({ coreCount, extraSeatCount }: SeatRange, word: number): number {
  const ownCount = wordCountOf(coreCount);
  const count = word < ownCount ? coreCount - word * WORD_SEATS : extraSeatCount - (word - ownCount) * WORD_SEATS;
  if (count <= 0) return 0;
  return count >= WORD_SEATS ? -1 : (1 << count) - 1;
}

/** Is there such a seat, counted from the first core? */
export function isSeat(range: SeatRange, at: number): boolean {
  return at >= 0 && (at < range.coreCount || (at >= firstExtraOf(range.coreCount) && at < seatEndOf(range)));
}

/** Of all seats, counted from the first core: the cores, then the extra ones. */
export function* seatsOf(range: SeatRange): Generator<number> {
  for (let core = 0; core < range.coreCount; core++) yield core;
  for (let at = firstExtraOf(range.coreCount); at < seatEndOf(range); at++) yield at;
}

/** The agent's number for it; -1: there is none such. */
export function seatAt(range: SeatRange, at: number): number {
  if (!isSeat(range, at)) return -1;
  return at < range.coreCount ? at : at - firstExtraOf(range.coreCount) + range.coreCount;
}

/** The other way round. */
export function placeOfSeat({ coreCount }: SeatRange, seat: number): number {
  return seat < coreCount ? seat : firstExtraOf(coreCount) + seat - coreCount;
}

function wordCountOf(seatCount: number): number {
  return Math.ceil(seatCount / WORD_SEATS);
}
