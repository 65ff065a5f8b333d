/** Which charts there are, and what is drawn in each. */
import { confidenceOf } from '../measure/confidence.ts';
import type { Bar } from './bars.ts';
import type { Chart, Point, Series } from './chart.ts';
import { formatRatio, formatTick } from './format.ts';
import { type Metric, metricNamed } from './metrics.ts';
import { linearScale, logScale, nameScale, tailScale, tightScale, timeScale } from './scale.ts';
import { formatConfidence } from './table.ts';
import type { Done, Summary } from './summary.ts';

/** Which colour a policy has on the whole page. */
export type IndexOf = (policy: string) => number;

const POINT_COUNT_MAX = 240;

/** Of what share of invocations the slowdown is at most that, with a step for each nine. */
export function tailChart(title: string, summaries: readonly Summary[], indexOf: IndexOf): Chart {
  const series = summaries.map(({ policy, runs }) => ({ index: indexOf(policy), name: policy, points: tailOf(runs) }));
  const points = series.flatMap((each) => each.points);
  return {
    title,
    xTitle: 'slowdown',
    yTitle: 'percentile',
    x: logScale(
      points.map(({ x }) => x),
      formatTick,
    ),
    y: tailScale(Math.min(0.1, ...points.map(({ y }) => y))),
    series,
    hasMarks: false,
  };
}

/** All seeds as one: at each slowdown the mean of what share was above it. */
function tailOf(runs: readonly Done[]): readonly Point[] {
  const curves = runs.map(({ result }) => result.slowdownPoints);
  const all = [...new Set(curves.flatMap((curve) => curve.map(([value]) => value)))].sort((a, b) => a - b);
  const every = Math.ceil(all.length / POINT_COUNT_MAX);
  const values = all.filter((_, index) => index % every === 0 || index === all.length - 1);
  const count = runs.reduce((sum, { result }) => sum + result.slowdown.count, 0);
  const cursors = curves.map(() => 0);
  return values.map((x) => {
    let below = 0;
    for (const [index, curve] of curves.entries()) {
      while (cursors[index]! < curve.length && curve[cursors[index]!]![0] <= x) cursors[index]!++;
      below += cursors[index] === 0 ? 0 : curve[cursors[index]! - 1]![1];
    }
    return { x, y: Math.max(1 - below / curves.length, 1 / (count + 1)) };
  });
}

/** A slowdown for each class of demand. */
export function demandChart(figure: 'mean' | 'p99', summaries: readonly Summary[], indexOf: IndexOf): Chart {
  const names = summaries[0]!.runs[0]!.result.byDemand.map(({ name }) => name);
  const present = names.filter((_, at) => summaries.some(({ runs }) => hasClass(runs, at)));
  const series = summaries.map(({ policy, runs }) => ({
    index: indexOf(policy),
    name: policy,
    points: present.flatMap((name, x) => {
      const at = names.indexOf(name);
      if (!hasClass(runs, at)) return [];
      const values = runs.flatMap(({ result }) => {
        const { slowdown } = result.byDemand[at]!;
        return slowdown.count === 0 ? [] : [slowdown[figure]];
      });
      return [pointOf(x, values, `${name}: `)];
    }),
  }));
  return {
    title: `slowdown by CPU time of the invocation, ${figure}`,
    xTitle: 'CPU time of the invocation',
    yTitle: `slowdown, ${figure}`,
    x: nameScale(present),
    y: logScale(extentOf(series), formatTick),
    series,
    hasMarks: true,
    isApart: true,
  };
}

function hasClass(runs: readonly Done[], at: number): boolean {
  return runs.some(({ result }) => result.byDemand[at]!.slowdown.count > 0);
}

/** What comes after the counted time is not the same for all: it ends when their last invocation does. */
const AFTER_SHARE = 1.1;

/** Over virtual time, of the first seed. */
export function timeChart(what: 'waiting' | 'busyCores', summaries: readonly Summary[], indexOf: IndexOf): Chart {
  const series = summaries.map(({ policy, runs }) => ({
    index: indexOf(policy),
    name: policy,
    points: runs[0]!.result.moments
      .map((moment) => ({ x: moment.timeUs / 1e6, y: moment[what] }))
      .filter(({ x }) => x <= (runs[0]!.spec.warmUpSeconds + runs[0]!.spec.seconds) * AFTER_SHARE),
  }));
  const title = what === 'waiting' ? 'invocations that wait' : 'cores at work';
  return {
    title: `${title}, over time (seed ${summaries[0]!.runs[0]!.spec.seed})`,
    xTitle: 'virtual time, s',
    yTitle: title,
    x: timeScale(Math.max(...series.flatMap(({ points }) => points.map(({ x }) => x))), formatTick),
    y: linearScale(extentOf(series), formatTick),
    series,
    hasMarks: false,
  };
}

export type Axis = 'load' | 'servers';

/** Of latencies and ratios small differences at the low end count as much as great ones at the high one. */
const LOG_METRICS = /^(slowdown|latency|chain)/;

/** A metric over the load or the size of the cluster. */
export function sweepChart(name: string, axis: Axis, summaries: readonly Summary[], indexOf: IndexOf): Chart {
  const metric = metricNamed(name);
  const series = [...Map.groupBy(summaries, ({ policy }) => policy)].map(([policy, own]) => ({
    index: indexOf(policy),
    name: policy,
    points: own.flatMap((summary) => sweepPoint(metric, axis, summary)).sort((a, b) => a.x - b.x),
  }));
  const values = extentOf(series);
  const isLog = LOG_METRICS.test(name) && values.every((value) => value > 0);
  const places = series.flatMap(({ points }) => points.map(({ x }) => x));
  return {
    title: metric.title,
    xTitle: axis,
    yTitle: metric.title,
    x: axis === 'load' ? tightScale(places, formatTick) : logScale(places, formatTick),
    y: (isLog ? logScale : linearScale)(values, metric.unit.tick),
    series,
    hasMarks: true,
  };
}

function sweepPoint({ name, unit: { format } }: Metric, axis: Axis, summary: Summary): readonly Point[] {
  const confidence = summary.metrics[name];
  const x = summary[axis];
  if (confidence === undefined || x === null) return [];
  const { mean, halfWidth } = confidence;
  const label = `${axis} ${x}: ${formatConfidence(confidence, format)}${summary.warning === null ? '' : ' (!)'}`;
  return [{ x, y: mean, ...intervalOf(mean, halfWidth), label }];
}

export function barsOf(name: string, summaries: readonly Summary[], indexOf: IndexOf): readonly Bar[] {
  const { format } = metricNamed(name).unit;
  return summaries.flatMap(({ policy, metrics, warning }) => {
    const confidence = metrics[name];
    if (confidence === undefined) return [];
    const { mean, halfWidth } = confidence;
    const text = `${formatConfidence(confidence, format)}${warning === null ? '' : ' (!)'}`;
    return [{ index: indexOf(policy), name: policy, value: mean, ...intervalOf(mean, halfWidth), text }];
  });
}

/** Nothing that is drawn goes below 0: an interval is of the mean, and the mean of such numbers does not. */
function intervalOf(mean: number, halfWidth: number | null): { low: number; high: number } {
  const half = halfWidth ?? 0;
  return { low: Math.max(0, mean - half), high: mean + half };
}

function pointOf(x: number, values: readonly number[], prefix: string): Point {
  const confidence = confidenceOf(values);
  const { mean, halfWidth } = confidence;
  return { x, y: mean, ...intervalOf(mean, halfWidth), label: prefix + formatConfidence(confidence, formatRatio) };
}

/** Without the lower ends of intervals, which may come near 0 and would take most of a scale of ratios. */
function extentOf(series: readonly Series[]): readonly number[] {
  return series.flatMap(({ points }) => points.flatMap(({ y, high }) => [y, high ?? y]));
}
