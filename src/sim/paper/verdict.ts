/**
 * Verdicts. A statement is looked at in several places (a load, a workload), each of which says yes, no, or nothing: the confidence interval is on one
 * side of a limit, on the other, or on both. Where a run's figures do not hold (it could not bear its load, or did not end), a place says yes only
 * if what is wrong with them speaks against the statement.
 */
import type { Confidence } from '../measure/confidence.ts';

export type Answer = 'yes' | 'no' | 'open';

export interface Place {
  /** What places are grouped by: a workload. */
  readonly group: string;
  /** A load, a size. */
  readonly at: string;
  readonly answer: Answer;
}

export type Outcome = 'holds' | 'holds when' | 'does not hold' | 'not decided';

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
}

/** Whether the ratio is below the limit. A rival whose figures do not hold has too good ones, so they need not. */
export function belowLimit({ group, at, ratio, isSound }: Judged, limit: number): Place {
  return { group, at, answer: answerOf(ratio, limit, isSound) };
}

function answerOf(ratio: Confidence | null, limit: number, isSound: boolean): Answer {
  if (ratio === null || ratio.halfWidth === null) return 'open';
  const half = ratio.halfWidth;
  if (ratio.mean + half < limit) return isSound ? 'yes' : 'open';
  return ratio.mean - half >= limit ? 'no' : 'open';
}

export function aboveLimit({ group, at, ratio, isSound }: Judged, limit: number): Place {
  if (ratio === null || ratio.halfWidth === null || !isSound) return { group, at, answer: 'open' };
  const half = ratio.halfWidth;
  if (ratio.mean - half > limit) return { group, at, answer: 'yes' };
  return { group, at, answer: ratio.mean + half <= limit ? 'no' : 'open' };
}

export function verdictOf(statement: string, rule: string, places: readonly Place[]): Verdict {
  const has = (answer: Answer): readonly Place[] => places.filter((place) => place.answer === answer);
  const [yes, no, open] = [has('yes'), has('no'), has('open')];
  const outcome = outcomeOf(yes.length, no.length, places.length);
  const said = [
    ...(outcome === 'holds when' ? [regionOf(yes, places)] : []),
    ...(outcome === 'holds when' && no.length > 0 ? [`not at ${regionOf(no, places)}`] : []),
    ...(open.length > 0 && outcome !== 'not decided' ? [`not decided at ${regionOf(open, places)}`] : []),
  ];
  return { statement, rule, outcome, where: said.join('; ') };
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
