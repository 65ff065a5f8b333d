/** The report as one page that needs nothing beside it: no script, no font, no picture from elsewhere. */
import { escapeText } from '../../base/markup.ts';
import { drawBars } from './bars.ts';
import { drawChart, drawKey } from './chart.ts';
import { type Axis, barsOf, demandChart, type IndexOf, sweepChart, tailChart, timeChart } from './curves.ts';
import { digits, formatCount, formatTime } from './format.ts';
import { type Metric, metricNamed, METRICS } from './metrics.ts';
import type { Report } from './report.ts';
import { STYLE } from './style.ts';
import type { Summary } from './summary.ts';
import { columnsFor, formatConfidence, legendOf, type TableColumn, warningsOf } from './table.ts';

/** Over load or size, and for each policy where there is one of both. */
const CHARTED = [
  'slowdownMean',
  'slowdownP99',
  'slowdownP999',
  'latencyP50Us',
  'latencyP99Us',
  'waitMeanUs',
  'startP99Us',
  'chainMeanUs',
  'betweenP50Us',
  'utilisation',
  'waitingMean',
  'coldStartShare',
  'migrationsPerInvocation',
  'preemptionsPerInvocation',
  'messagesPerInvocation',
  'refusedShare',
  'lostShare',
  'retriedShare',
];
/** Loads and sizes of which everything is drawn; the page would not end otherwise. */
const DETAILED_MAX = 6;

export function toHtml(report: Report): string {
  const { summaries } = report;
  const policies = [...new Set(summaries.map(({ policy }) => policy))];
  const indexOf: IndexOf = (policy) => policies.indexOf(policy);
  const places = [...Map.groupBy(summaries, placeOf)];
  return [
    '<!doctype html>',
    '<html lang="en"><head><meta charset="utf-8"/><meta name="viewport" content="width=device-width,initial-scale=1"/>',
    `<title>${escapeText(`perch sim: ${policies.join(', ')}`)}</title>`,
    `<style>${STYLE}</style></head><body>`,
    ...headOf(report),
    ...warningBox(summaries),
    ...(places.length > 1 ? sweeps(summaries, indexOf) : []),
    ...detailsOf(places, indexOf),
    ...tables(summaries),
    ...repetition(report),
    '</body></html>',
    '',
  ].join('\n');
}

function placeOf(summary: Summary): string {
  return `${sizeOf(summary)}, ${loadOf(summary)}`;
}

function sizeOf({ servers }: Summary): string {
  return `${servers} ${servers === 1 ? 'server' : 'servers'}`;
}

function loadOf({ load }: Summary): string {
  return load === null ? 'load as recorded' : `load ${load}`;
}

function headOf({ summaries, costsName }: Report): readonly string[] {
  const first = summaries[0];
  if (first === undefined) return ['<h1>perch sim</h1><p>No simulation ended.</p>'];
  const { workload, cores, memoryMb, seconds, warmUpSeconds, faults = [] } = first.runs[0]!.spec;
  const seeds = first.runs.length === 1 ? '1 seed' : `${first.runs.length} seeds`;
  const sizes = [...new Set(summaries.map(({ servers }) => servers))].join(', ');
  const loads = [...new Set(summaries.map(({ load }) => load ?? 'as recorded'))].join(', ');
  const intervals =
    first.runs.length === 1
      ? 'One seed says nothing about how far its figures may be off.'
      : 'Figures are means over the seeds; ± and bars are 95 % confidence intervals (Student’s t). All policies of a seed have the same arrivals.';
  return [
    `<h1>${escapeText(workload)}</h1>`,
    `<p>A cluster in virtual time: ${sizes} servers of ${cores} cores and ${memoryMb} MB, load ${loads}, costs ${escapeText(costsName)}, ${seeds}, ${digits(seconds)} s counted after ${digits(warmUpSeconds)} s of warm-up.</p>`,
    ...(faults.length === 0 ? [] : [`<p>What goes wrong: ${escapeText(faults.join('; '))}.</p>`]),
    `<p class="dim">${intervals}</p>`,
  ];
}

function warningBox(summaries: readonly Summary[]): readonly string[] {
  const warnings = warningsOf(summaries);
  if (warnings.length === 0) return [];
  return ['<div class="bad" role="alert">', ...warnings.map((text) => `<p>(!) ${escapeText(text)}</p>`), '</div>'];
}

function legend(summaries: readonly Summary[], indexOf: IndexOf): string {
  const wrong = new Set(summaries.filter(({ warning }) => warning !== null).map(({ policy }) => policy));
  const keys = [...new Set(summaries.map(({ policy }) => policy))].map(
    (policy) => `<li>${drawKey(indexOf(policy))}${escapeText(policy)}${wrong.has(policy) ? ' (!)' : ''}</li>`,
  );
  return `<ul class="legend">${keys.join('')}</ul>`;
}

function charts(drawn: readonly string[]): string {
  return `<div class="charts">${drawn.join('\n')}</div>`;
}

/** Over what varies most, for each value of the other. */
function sweeps(summaries: readonly Summary[], indexOf: IndexOf): readonly string[] {
  const loadCount = new Set(summaries.map(({ load }) => load)).size;
  const sizeCount = new Set(summaries.map(({ servers }) => servers)).size;
  const axis: Axis = loadCount >= sizeCount ? 'load' : 'servers';
  const groups = [...Map.groupBy(summaries, (summary) => (axis === 'load' ? sizeOf(summary) : loadOf(summary)))];
  return groups.flatMap(([other, own]) => [
    `<h2>Over the ${axis === 'load' ? 'load' : 'size of the cluster'}${groups.length > 1 ? `, ${other}` : ''}</h2>`,
    legend(own, indexOf),
    charts(CHARTED.filter((name) => isThere(own, name)).map((name) => drawChart(sweepChart(name, axis, own, indexOf)))),
  ]);
}

function isThere(summaries: readonly Summary[], name: string): boolean {
  return summaries.some(({ metrics }) => (metrics[name]?.mean ?? 0) > 0);
}

function detailsOf(places: readonly (readonly [string, readonly Summary[]])[], indexOf: IndexOf): readonly string[] {
  const step = Math.max(1, (places.length - 1) / (DETAILED_MAX - 1));
  const shown = places.filter(
    (_, at) => places.length <= DETAILED_MAX || at === Math.round(Math.round(at / step) * step),
  );
  const left = places.length - shown.length;
  const note = left === 0 ? [] : [`<p class="dim">Of ${left} more set-ups the figures are in the table below.</p>`];
  return [...shown.flatMap(([name, own]) => detailOf(name, own, indexOf)), ...note];
}

function detailOf(name: string, summaries: readonly Summary[], indexOf: IndexOf): readonly string[] {
  const bars = CHARTED.filter((metric) => isThere(summaries, metric)).map((metric) =>
    drawBars(metricNamed(metric).title, barsOf(metric, summaries, indexOf)),
  );
  const hasWaiting = summaries.some(({ metrics }) => (metrics['waitingMax']?.mean ?? 0) > 0);
  const hasAny = summaries.some(({ runs }) => runs.some(({ result }) => result.slowdown.count > 0));
  return [
    `<h2>${escapeText(name)}</h2>`,
    legend(summaries, indexOf),
    charts([
      ...(hasAny
        ? [
            drawChart(tailChart('slowdown: the share of invocations at or below', summaries, indexOf)),
            drawChart(demandChart('p99', summaries, indexOf)),
            drawChart(demandChart('mean', summaries, indexOf)),
          ]
        : []),
      ...(hasWaiting ? [drawChart(timeChart('waiting', summaries, indexOf))] : []),
      drawChart(timeChart('busyCores', summaries, indexOf)),
    ]),
    charts(bars),
  ];
}

function tables(summaries: readonly Summary[]): readonly string[] {
  const naming = columnsFor(summaries).filter(({ title }) => ['SERVERS', 'LOAD', 'POLICY'].includes(title));
  const present = METRICS.filter(({ name }) => summaries.some(({ metrics }) => metrics[name] !== undefined));
  const families = [...Map.groupBy(present, ({ family }) => family ?? 'cores, queue, what else was counted')];
  return [
    '<h2>Figures</h2>',
    tableOf(columnsFor(summaries), summaries),
    `<p class="dim">${legendOf(summaries).map(escapeText).join('. ')}.</p>`,
    '<h2>All figures</h2>',
    ...families.flatMap(([family, metrics]) => [
      `<h3>${escapeText(family)}</h3>`,
      tableOf([...naming, ...metrics.map(columnOf)], summaries),
    ]),
    '<h3>counted by the policies, over all of the simulation</h3>',
    tableOf([...naming, ...counterColumns(summaries)], summaries),
  ];
}

function counterColumns(summaries: readonly Summary[]): readonly TableColumn[] {
  const names = new Set(summaries.flatMap(({ counters }) => Object.keys(counters)));
  return [...names].map((name) => ({
    title: name,
    value: ({ counters }) => (counters[name] === undefined ? '' : formatConfidence(counters[name], formatCount)),
    alignRight: true,
  }));
}

function columnOf({ name, family, title, unit }: Metric): TableColumn {
  return {
    title: family === null ? title : title.slice(family.length + 1),
    value: ({ metrics }) => (metrics[name] === undefined ? '' : formatConfidence(metrics[name], unit.format)),
    alignRight: true,
  };
}

function tableOf(columns: readonly TableColumn[], summaries: readonly Summary[]): string {
  const cell = (tag: string, text: string, classes: string): string =>
    `<${tag}${classes.trim() === '' ? '' : ` class="${classes.trim()}"`}>${escapeText(text)}</${tag}>`;
  const head = columns.map(({ title, alignRight }) => cell('th', title, alignRight === true ? 'n' : '')).join('');
  const rows = summaries.map((summary) => {
    const wrong = summary.warning === null ? '' : 'wrong';
    const cells = columns.map(({ value, alignRight }) =>
      cell('td', value(summary), `${alignRight === true ? 'n ' : ''}${wrong}`),
    );
    return `<tr>${cells.join('')}</tr>`;
  });
  return `<div class="scroll"><table><thead><tr>${head}</tr></thead><tbody>${rows.join('\n')}</tbody></table></div>`;
}

/** What it takes to have the same once more, and to see that it is the same. */
function repetition({ command, costs, summaries }: Report): readonly string[] {
  const costRows = Object.entries(costs).map(
    ([name, us]) => `<tr><td class="mono">${name}</td><td class="n">${formatTime(us as number)}</td></tr>`,
  );
  const runs = summaries.flatMap((summary) => summary.runs);
  const rows = runs.map(({ spec, result }) => {
    const cells = [spec.policy, spec.servers, spec.load ?? 'as recorded', spec.seed, result.arrived, result.eventCount];
    const plain = cells.map((value) => `<td>${escapeText(String(value))}</td>`).join('');
    return `<tr>${plain}<td class="mono">${result.traceHash}</td></tr>`;
  });
  const head = ['policy', 'servers', 'load', 'seed', 'invocations', 'events', 'trace'].map(
    (each) => `<th>${each}</th>`,
  );
  return [
    '<h2>To repeat it</h2>',
    '<p>The same command gives the same figures, whatever machine it runs on. The trace stands for every event: where it is the same, everything happened in the same way.</p>',
    `<pre>${escapeText(command)}</pre>`,
    '<h3>Traces</h3>',
    `<div class="scroll"><table><thead><tr>${head.join('')}</tr></thead><tbody>${rows.join('\n')}</tbody></table></div>`,
    '<h3>Costs</h3>',
    `<div class="scroll"><table><tbody>${costRows.join('')}</tbody></table></div>`,
  ];
}
