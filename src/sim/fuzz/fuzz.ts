/** Plays one case after the other, each from a seed that follows from the one before, until there were enough steps or one fails. */
import { caseOf, seedAfter } from './case.ts';
import { type Change, changed } from './change.ts';
import { play, type Played } from './play.ts';
import { shrink, type Shrunk } from './shrink.ts';

export interface FuzzSetting {
  /** Of the first case. */
  readonly seed: number;
  /** No other case is begun after so many steps. */
  readonly stepMax: number;
  /** Nor once this says so; for a shell with a clock. */
  readonly isOver?: () => boolean;
  /** Of the first case, which is then the only one. */
  readonly change?: Change;
  /** Steps in which a failing case is made smaller; 0: it is not. */
  readonly shrinkStepMax: number;
  readonly played?: (seed: number, played: Played) => void;
}

export interface Found {
  readonly seed: number;
  readonly played: Played;
  readonly shrunk: Shrunk | null;
}

export interface Fuzzed {
  readonly seed: number;
  readonly caseCount: number;
  readonly stepCount: number;
  readonly invocationCount: number;
  readonly virtualUs: number;
  /** Those of all cases. */
  readonly traceHashes: readonly string[];
  /** Null: all held in all cases. */
  readonly found: Found | null;
}

export function fuzz(setting: FuzzSetting): Fuzzed {
  const { stepMax, change, isOver = () => false } = setting;
  const sums = { stepCount: 0, invocationCount: 0, virtualUs: 0 };
  const traceHashes: string[] = [];
  let found: Found | null = null;
  for (let seed = setting.seed; found === null; seed = seedAfter(seed)) {
    const theCase = caseOf(seed);
    const played = play(change === undefined ? theCase : changed(theCase, change));
    sums.stepCount += played.stepCount;
    sums.invocationCount += played.invocationCount;
    sums.virtualUs += played.virtualUs;
    traceHashes.push(played.traceHash);
    setting.played?.(seed, played);
    if (played.failure !== null) found = { seed, played, shrunk: shrunkOf(seed, played, setting) };
    if (change !== undefined || sums.stepCount >= stepMax || isOver()) break;
  }
  return { seed: setting.seed, caseCount: traceHashes.length, ...sums, traceHashes, found };
}

function shrunkOf(seed: number, { failure }: Played, { change, shrinkStepMax }: FuzzSetting): Shrunk | null {
  if (failure === null || change !== undefined || shrinkStepMax === 0) return null;
  return shrink(caseOf(seed), failure, shrinkStepMax);
}
