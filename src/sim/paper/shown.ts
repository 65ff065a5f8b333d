/** The figures that claims look at, with the names that they have in the document. */
import type { Result } from '../measure/result.ts';
import { formatRatio, formatShare, formatTime, shareTick, timeTick } from '../report/format.ts';
import type { SimulationSpec } from '../spec.ts';
import type { Shown } from './grid.ts';
import { type Measure, metric } from './study.ts';

export const SLOWDOWN_P99: Shown = { title: 'p99 slowdown', measure: metric('slowdownP99'), format: formatRatio };
export const SLOWDOWN_MEAN: Shown = { title: 'mean slowdown', measure: metric('slowdownMean'), format: formatRatio };
export const LATENCY_P99: Shown = {
  title: 'p99 latency',
  measure: metric('latencyP99Us'),
  format: formatTime,
  tick: timeTick,
};
export const WAIT_MEAN: Shown = {
  title: 'mean wait',
  measure: metric('waitMeanUs'),
  format: formatTime,
  tick: timeTick,
};
export const WAIT_P99: Shown = { title: 'p99 wait', measure: metric('waitP99Us'), format: formatTime, tick: timeTick };
export const START_P99: Shown = {
  title: 'p99 time to a core',
  measure: metric('startP99Us'),
  format: formatTime,
  tick: timeTick,
};
export const CHAIN_MEAN: Shown = {
  title: 'mean time of a chain',
  measure: metric('chainMeanUs'),
  format: formatTime,
  tick: timeTick,
};
export const BETWEEN_P50: Shown = {
  title: 'median time between steps',
  measure: metric('betweenP50Us'),
  format: formatTime,
  tick: timeTick,
};
export const BETWEEN_P99: Shown = {
  title: 'p99 time between steps',
  measure: metric('betweenP99Us'),
  format: formatTime,
  tick: timeTick,
};
export const UTILISATION: Shown = {
  title: 'cores at work',
  measure: metric('utilisation'),
  format: formatShare,
  tick: shareTick,
};

export const COLD_SHARE: Shown = {
  title: 'cold starts',
  measure: metric('coldStartShare'),
  format: formatShare,
  tick: shareTick,
};
export const MIGRATIONS: Shown = {
  title: 'migrations for each invocation',
  measure: metric('migrationsPerInvocation'),
  format: formatRatio,
};

/** Of all that a policy counted, how much there was for each invocation; where it counts no such thing, none. */
export function perInvocation(...counters: readonly string[]): Measure {
  return ({ counters: counted, seconds, arrived }: Result, spec: SimulationSpec) => {
    const count = counters.reduce((sum, name) => sum + (counted[name] ?? 0), 0);
    return arrived === 0 ? null : (count * spec.seconds) / (seconds * arrived);
  };
}

/** Slowdown of those of one class by what they need (measure/recorder.ts); null: there was none. */
export function ofClass(name: string, figure: 'mean' | 'p99'): Measure {
  return ({ byDemand }) => {
    const found = byDemand.find((each) => each.name === name);
    return found === undefined || found.slowdown.count === 0 ? null : found.slowdown[figure];
  };
}
