/**
 * Verdicts. A statement is looked at in several places (a load, a workload), each of which says yes, no, or nothing: the confidence interval is on one
 * side of a limit, on the other, or on both. Where a run's figures do not hold (it could not bear its load, or did not end) they are too good, and a
 * place says something only if that does not matter.
 */
import type { Confidence } from '../measure/confidence.ts';

export type Answer = 'yes' | 'same' | 'no' | 'open';

export interface Place {
  /** What places are grouped by: a workload. */
  readonly group: string;
  /** A load, a size. */
  readonly at: string;
  readonly answer: Answer;
}

export const OUTCOMES = ['holds', 'holds when', 'does not hold', 'not decided'] as const;
export type Outcome = (typeof OUTCOMES)[number];

export interface Verdict {
  /** That something is so. */
  readonly statement: string;
  /** How it was decided. */
  readonly rule: string;
  readonly outcome: Outcome;
  /** Where it holds, and where nothing can be said: in words; empty where there is nothing to add. */
  readonly where: string;
}

export interface Judged {
  readonly group: string;
  readonly at: string;
  /** Of the one that is said to be better over the other one; null: a run has no such figure. */
  readonly ratio: Confidence | null;
  /** Its own figures hold. */
  readonly isSound: boolean;
  /** Those of the other one do, or there is no other one. */
  readonly isOtherSound: boolean;
}

/** What is closer than that is the same. */
const MARGIN = 0.01;

export const LESS_RULE =
  'yes where the ratio’s interval lies below 0.99, the same where it lies between 0.99 and 1.01, no where it lies above 1.01';
export const NOT_MORE_RULE = 'yes where the ratio’s interval lies below 1.01, no where it lies above';

/** Less than the other one, by more than a hundredth. */
export function isLess(judged: Judged): Place {
  return placeOf(judged, answerOf(judged, 1 - MARGIN, 1 + MARGIN));
}

/** At most the other one, but for a hundredth. */
export function isNotMore(judged: Judged): Place {
  return isAtMost(judged, 1 + MARGIN);
}

export function isAtMost(judged: Judged, limit: number): Place {
  return placeOf(judged, answerOf(judged, limit, limit));
}

export function isAtLeast(judged: Judged, limit: number): Place {
  const answer = answerOf(judged, limit, limit);
  return placeOf(judged, answer === 'yes' ? 'no' : answer === 'no' ? 'yes' : answer);
}

function placeOf({ group, at }: Judged, answer: Answer): Place {
  return { group, at, answer };
}

/** Yes: below both. Figures that do not hold are too good: so the one's cannot make it better than the other one, and the other's cannot make it worse. */
function answerOf({ ratio, isSound, isOtherSound }: Judged, low: number, high: number): Answer {
  if (ratio === null || ratio.halfWidth === null) return 'open';
  const [from, to] = [ratio.mean - ratio.halfWidth, ratio.mean + ratio.halfWidth];
  if (to < low) return isSound ? 'yes' : 'open';
  if (from > high || (low === high && from === high)) return isOtherSound ? 'no' : 'open';
  const isSame = low < high && from >= low && to <= high;
  return isSame && isSound && isOtherSound ? 'same' : 'open';
}

export function verdictOf(statement: string, rule: string, places: readonly Place[]): Verdict {
  const has = (answer: Answer): readonly Place[] => places.filter((place) => place.answer === answer);
  const yes = has('yes');
  const outcome = outcomeOf(yes.length, has('no').length + has('same').length, places.length);
  const named = (word: string, some: readonly Place[]): readonly string[] =>
    some.length === 0 ? [] : [`${word} ${regionOf(some, places)}`];
  const where =
    outcome === 'holds'
      ? []
      : [
          ...(yes.length === 0 ? [] : [regionOf(yes, places)]),
          ...named('the same:', has('same')),
          ...named('not:', has('no')),
          ...named('not decided:', has('open')),
        ];
  return { statement, rule, outcome, where: where.join(' — ') };
}

function outcomeOf(yes: number, no: number, all: number): Outcome {
  if (yes === all && all > 0) return 'holds';
  if (yes > 0) return 'holds when';
  return no > 0 ? 'does not hold' : 'not decided';
}

/** In the order of all places, and neighbours as a range: `exponential: 0.7 to 0.95; bimodal: 0.8`. */
function regionOf(some: readonly Place[], all: readonly Place[]): string {
  const groups = [...Map.groupBy(all, ({ group }) => group)];
  return groups
    .flatMap(([group, own]) => {
      const chosen = own.filter((place) => some.includes(place));
      if (chosen.length === 0) return [];
      const ranges = chosen.length === own.length && own.length > 1 ? 'everywhere' : rangesOf(chosen, own);
      if (group === '') return [ranges];
      return [own.length === 1 && own[0]!.at === '' ? group : `${group}: ${ranges}`];
    })
    .join('; ');
}

function rangesOf(chosen: readonly Place[], own: readonly Place[]): string {
  const runs: Place[][] = [];
  for (const place of chosen) {
    const last = runs.at(-1)?.at(-1);
    const isNext = last !== undefined && own.indexOf(place) === own.indexOf(last) + 1;
    if (isNext) runs.at(-1)!.push(place);
    else runs.push([place]);
  }
  return runs
    .map((run) => (run.length < 3 ? run.map(({ at }) => at).join(', ') : `${run[0]!.at} to ${run.at(-1)!.at}`))
    .join(', ');
}
