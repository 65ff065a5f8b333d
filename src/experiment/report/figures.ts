/**
 * The paper's figures 2 and 3, ours beside what the text of the paper says of its own. A column for the paper, then one for each
 * pipeline, build and latency that was measured; a row for each metric; a colour for each policy.
 */
import { escapeText } from '../../base/markup.ts';
import type { BurstMetrics } from '../burst.ts';
import type { SleepyRow } from '../sleepy.ts';
import { PANEL_HEIGHT, PANEL_WIDTH, type Panel, type Range, type Series, drawPanel } from './panel.ts';
import { EXEC_SECONDS, IDLE_SHARES, type PaperValue, SINGLE_CHAIN_IDLE } from './paper.ts';
import { nameOf } from './table.ts';

interface FigureRow {
  readonly title: string;
  readonly unit: string;
  readonly metric: keyof BurstMetrics;
  readonly scale: number;
  readonly paper: readonly Range[];
  /** The paper's panel in a unit of its own. */
  readonly paperUnit?: string;
}

export interface Figure {
  readonly name: string;
  readonly title: string;
  readonly kind: 'lines' | 'bars';
  readonly rows: readonly FigureRow[];
}

const PERCENT = 100;
const US_TO_MS = 1e-3;
const US_TO_S = 1e-6;

function rangesOf(values: readonly PaperValue[], scale: number): readonly Range[] {
  return values.map(({ from, low, high }) => ({
    name: from.replace(/^the paper, /, '').replace('microVMs, ', ''),
    low: low * scale,
    high: high * scale,
  }));
}

const IDLE: Omit<FigureRow, 'paper'> = {
  title: 'idleTime',
  unit: '% of the CPU time of functions',
  metric: 'idleTimeShare',
  scale: PERCENT,
};
const INTER: FigureRow = { title: 'avgInterTime', unit: 'ms', metric: 'interMeanUs', scale: US_TO_MS, paper: [] };

export const FIGURES: readonly Figure[] = [
  {
    name: 'figure-2',
    title: 'Figure 2: the fewest chains that were measured',
    kind: 'bars',
    rows: [
      { title: 'CPU time of a chain', unit: 'ms', metric: 'chainCpuUs', scale: US_TO_MS, paper: [] },
      { title: 'of it idle', unit: 'ms', metric: 'chainIdleUs', scale: US_TO_MS, paper: [] },
      { ...IDLE, paper: rangesOf([SINGLE_CHAIN_IDLE], PERCENT) },
      INTER,
    ],
  },
  {
    name: 'figure-3',
    title: 'Figure 3: chains triggered at once',
    kind: 'lines',
    rows: [
      { title: 'a. trigTime', unit: 'ms', metric: 'trigMeanUs', scale: US_TO_MS, paper: [] },
      {
        title: 'b. execTime',
        unit: 's',
        metric: 'execMeanUs',
        scale: US_TO_S,
        paper: rangesOf(EXEC_SECONDS, 1),
        paperUnit: 's, another machine and other programs',
      },
      { ...IDLE, title: 'c. idleTime', paper: rangesOf(IDLE_SHARES, PERCENT) },
      { ...INTER, title: 'd. avgInterTime' },
      { title: 'waste (ours)', unit: '% of all core-seconds', metric: 'wasteShare', scale: PERCENT, paper: [] },
      { title: 'makespan over its bound (ours)', unit: '×', metric: 'makespanOverBound', scale: 1, paper: [] },
    ],
  },
];

const COLORS = [
  '#0b6e99',
  '#d9730d',
  '#448361',
  '#9065b0',
  '#c4554d',
  '#787774',
  '#cb912f',
  '#337ea9',
  '#c14c8a',
  '#5b8c5a',
];
const LEGEND_LINE = 16;
const HEAD = 48;

export function toSvg(figure: Figure, rows: readonly SleepyRow[]): string {
  const settings = [...new Set(rows.map(nameOf))];
  const columns = [...Map.groupBy(rows, (row) => `${row.pipeline}, ${row.build}, ${row.latency}`)];
  const titles = ['the paper', ...columns.map(([title]) => title)].map(
    (title, column) => `<text x="${column * PANEL_WIDTH + 46}" y="38" class="title">${escapeText(title)}</text>`,
  );
  const panels = figure.rows.flatMap((row, line) =>
    [paperPanel(row), ...columns.map(([, own]) => ourPanel(figure, row, { rows: own, all: rows, settings }))].map(
      (panel, column) =>
        `<g transform="translate(${column * PANEL_WIDTH},${HEAD + line * PANEL_HEIGHT})">${drawPanel(panel)}</g>`,
    ),
  );
  const width = (columns.length + 1) * PANEL_WIDTH;
  const legendY = HEAD + figure.rows.length * PANEL_HEIGHT;
  const legend = settings.map((name, index) => {
    const y = legendY + 12 + index * LEGEND_LINE;
    return `<rect x="46" y="${y - 9}" width="10" height="10" fill="${colorOf(index)}"/><text x="62" y="${y}">${escapeText(name)}</text>`;
  });
  const height = legendY + settings.length * LEGEND_LINE + 12;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">`,
    '<style>text{font:11px sans-serif;fill:#222}.small{font-size:9px;fill:#555}.title{font-weight:bold}.grid{stroke:#ddd}</style>',
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    `<text x="46" y="18" style="font-size:14px">${escapeText(figure.title)}</text>`,
    ...titles,
    ...panels,
    ...legend,
    '</svg>',
    '',
  ].join('\n');
}

function colorOf(index: number): string {
  return COLORS[index % COLORS.length]!;
}

function paperPanel(row: FigureRow): Panel {
  const yMax = niceMax(Math.max(0, ...row.paper.map(({ high }) => high)));
  const unit = row.paperUnit ?? row.unit;
  return { title: row.title, unit, kind: 'ranges', series: [], ranges: row.paper, yMax };
}

interface Column {
  readonly rows: readonly SleepyRow[];
  readonly all: readonly SleepyRow[];
  readonly settings: readonly string[];
}

/** Builds and latencies of a pipeline have one scale, so that they can be compared. */
function ourPanel(figure: Figure, row: FigureRow, { rows, all, settings }: Column): Panel {
  const of = ({ metrics }: SleepyRow): number => metrics[row.metric] * row.scale;
  const shown = shownIn(figure, rows);
  const series: Series[] = settings.map((name, index) => ({
    name,
    color: colorOf(index),
    points: shown
      .filter((each) => nameOf(each) === name)
      .map((each) => [each.chainCount, of(each)] as const)
      .sort((a, b) => a[0] - b[0]),
  }));
  const alike = shownIn(
    figure,
    all.filter(({ pipeline }) => pipeline === rows[0]?.pipeline),
  );
  const yMax = niceMax(Math.max(0, ...alike.map(of)));
  return { title: row.title, unit: row.unit, kind: figure.kind, series, ranges: [], yMax };
}

/** Bars are of the fewest chains, as the paper's figure 2 is of one. */
function shownIn({ kind }: Figure, rows: readonly SleepyRow[]): readonly SleepyRow[] {
  const fewest = Math.min(...rows.map(({ chainCount }) => chainCount));
  return kind === 'bars' ? rows.filter(({ chainCount }) => chainCount === fewest) : rows;
}

/** The next of 1, 2, 4, 5, 8 × 10ⁿ. */
function niceMax(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 5, 8, 10].map((step) => step * power).find((step) => step >= value) ?? value;
}
