/**
 * The record of each word of 32 cores, and of the worker that it belongs to. All that a decision asks of a worker lies
 * in one cache line, because on a large cluster the lines are what a decision costs:
 *
 *   [ idle | withdrawn | listed | home | word counts | free | cap | total ]        32 bytes
 *     a bit for each core                 of the worker; only in the record of its home
 *
 * The home of a worker is its first word; the others point to it. Up to 32 cores are one word and one record. The words of its
 * extra seats, if it has any, come after those of its cores.
 */
import { sharedInt32, type SharedInt32 } from './shared.ts';

/**
 * Offsets. Files that use them copy them into constants of their own, once: the compiler folds those into the code,
 * where a constant that is imported is loaded and checked at each use (that made a decision 1.5 times slower).
 */
export const word = {
  STRIDE_LOG2: 3,
  /** A bit for each core: 1 is idle. The truth (see cores.ts). */
  IDLE: 0,
  /** A bit for each core: 1 is not to be granted: out of the platform or, while leased, as soon as it is released. */
  WITHDRAWN: 1,
  /** A bit for each core: 1 is in the idle list (see idle-list.ts). */
  LISTED: 2,
  HOME: 3,
  /** Lower 16 bits: words of its cores; upper 16: words of its extra seats. */
  WORD_COUNTS: 4,
  /** Memory in MB (see workers.ts). */
  FREE: 5,
  CAP: 6,
  TOTAL: 7,
} as const;

export type Words = SharedInt32;

export function makeWords(wordCountMax: number): Words {
  return sharedInt32(wordCountMax << word.STRIDE_LOG2);
}

export function wordCountOf(words: Words): number {
  return words.length >>> word.STRIDE_LOG2;
}
