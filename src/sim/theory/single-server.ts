/**
 * One core, arrivals at random, run times of any law: M/G/1, under three disciplines. Kleinrock, Queueing Systems II (1976), has all
 * of them; Harchol-Balter, Performance Modeling and Design of Computer Systems (2013), too. Slowdown is response over run time.
 */
import type { Law, SmoothLaw } from './laws.ts';

/** First come, first served: Pollaczek and Khinchine. ms. */
export function waitMeanFirstCome(law: Law, load: number): number {
  return (load * law.square) / (2 * law.mean * (1 - load));
}

/** Processor sharing: of runs of any length the same, whatever the law. */
export function slowdownProcessorSharing(load: number): number {
  return 1 / (1 - load);
}

/** Foreground–background: of a run of x ms, which has whoever has had less than x before it, and nobody else. ms. */
export function responseForegroundBackground(law: SmoothLaw, load: number, x: number): number {
  const rate = load / law.mean;
  const left = 1 - rate * law.cutMean(x);
  return (x * left + (rate * law.cutSquare(x)) / 2) / (left * left);
}

export function responseMeanForegroundBackground(law: SmoothLaw, load: number): number {
  return meanOver(law, (x) => responseForegroundBackground(law, load, x));
}

/** Of runs from `from` to `to` ms. */
export function slowdownForegroundBackground(law: SmoothLaw, load: number, from = 0, to = Infinity): number {
  return meanOver(law, (x) => (x === 0 ? 1 : responseForegroundBackground(law, load, x) / x), from, to);
}

/** Over −ln of the share above, so that the rarest runs have as many steps as the others; beyond e^-40 nothing is left. */
const LOG_MAX = 40;
const STEP_COUNT = 20_000;

/** The mean of what `value` says of each run from `from` to `to` ms: Simpson's rule. */
export function meanOver(law: SmoothLaw, value: (x: number) => number, from = 0, to = Infinity): number {
  const low = -Math.log(law.shareAbove(from));
  const high = Math.min(LOG_MAX, -Math.log(to === Infinity ? 0 : law.shareAbove(to)));
  const step = (high - low) / STEP_COUNT;
  let sum = 0;
  for (let i = 0; i <= STEP_COUNT; i++) {
    const share = Math.exp(-(low + i * step));
    const weight = i === 0 || i === STEP_COUNT ? 1 : i % 2 === 1 ? 4 : 2;
    sum += weight * share * value(law.above(share));
  }
  return (sum * step) / 3 / (Math.exp(-low) - Math.exp(-high));
}
