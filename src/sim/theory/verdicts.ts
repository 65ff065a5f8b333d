/** A check's figures: theory beside what was simulated, and whether they are the same. */
import { confidenceOf } from '../measure/confidence.ts';
import type { Result } from '../measure/result.ts';
import type { Check } from './checks.ts';

/** Far enough for anybody. */
const CLOSE_SHARE = 0.01;
/** How often one of all figures may be outside its interval where all is right. */
const MISS_SHARE = 0.05;
/** Of a mean run time: what is below is rounding, or so rare that none was seen. */
const NOTHING_SHARE = 1e-6;

export interface Verdict {
  readonly queue: string;
  readonly policy: string;
  readonly load: number;
  readonly figure: string;
  readonly unit: 'ms' | 'x';
  readonly theory: number;
  readonly simulated: number;
  /** Of the 95 % interval; null: there was one seed. */
  readonly halfWidth: number | null;
  /** Of what theory says; null: it says nothing, or next to it. */
  readonly difference: number | null;
  /**
   * `outside 95 %`: as one in twenty is where all is right. `differs`: outside an interval that all figures together keep with 95 % (Bonferroni).
   * `nothing`: both are 0, or next to it. `did not end`: of what was counted some was left, and no figure says anything.
   */
  readonly verdict: 'within 1 %' | 'within the interval' | 'outside 95 %' | 'nothing' | 'differs' | 'did not end';
  readonly jobCount: number;
}

/** `figureCount`: of all checks that are made beside this one, and its own. */
export function verdictsOf(check: Check, results: readonly Result[], figureCount: number): Verdict[] {
  const jobCount = results.reduce((sum, { slowdown }) => sum + slowdown.count, 0);
  const isWhole = results.every(({ unfinished, refused, lost }) => unfinished + refused + lost === 0);
  const nothing = check.meanMs * NOTHING_SHARE;
  return check.figures.map(({ name, unit, theory, of }) => {
    const values = results.map(of);
    const { mean: simulated, halfWidth } = confidenceOf(values);
    const { halfWidth: wholeWidth } = confidenceOf(values, 1 - MISS_SHARE / figureCount);
    const isNothing = theory < nothing && simulated < nothing;
    const difference = isNothing || theory === 0 ? null : simulated / theory - 1;
    const judged = isNothing ? 'nothing' : judge(simulated - theory, theory, [halfWidth, wholeWidth]);
    const verdict = isWhole ? judged : 'did not end';
    const { queue, policy, load } = check;
    return {
      queue,
      policy,
      load,
      figure: name,
      unit,
      theory,
      simulated,
      halfWidth,
      difference,
      verdict,
      jobCount,
    };
  });
}

function judge(difference: number, theory: number, widths: readonly (number | null)[]): Verdict['verdict'] {
  if (Math.abs(difference) <= CLOSE_SHARE * theory) return 'within 1 %';
  const [own, whole] = widths.map((width) => width !== null && Math.abs(difference) <= width);
  if (own === true) return 'within the interval';
  return whole === true ? 'outside 95 %' : 'differs';
}

/** The argument of the first paper: the same cores with a queue each, and with one for all. */
export interface Argument {
  readonly cores: number;
  readonly load: number;
  readonly separate: Verdict;
  readonly central: Verdict;
}

export function argumentsOf(verdicts: readonly Verdict[]): Argument[] {
  const waits = verdicts.filter(({ figure }) => figure === 'mean wait');
  return waits.flatMap((separate) => {
    const [, cores] = /^(\d+) × M\/M\/1$/.exec(separate.queue) ?? [];
    const central = waits.find(({ queue, load }) => queue === `M/M/${cores}` && load === separate.load);
    return central === undefined ? [] : [{ cores: Number(cores), load: separate.load, separate, central }];
  });
}
