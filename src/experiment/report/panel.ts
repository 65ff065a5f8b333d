/** One small chart as SVG: lines over the count of chains, or bars. Nothing but text in, text out. */
import { escapeText } from '../../base/markup.ts';

export interface Series {
  readonly name: string;
  readonly color: string;
  /** [x, y]; for bars x is the place. */
  readonly points: readonly (readonly [number, number])[];
}

/** A value of the paper: from `low` to `high`, drawn across the panel or, in bars, at its place. */
export interface Range {
  readonly name: string;
  readonly low: number;
  readonly high: number;
}

export interface Panel {
  readonly title: string;
  readonly unit: string;
  readonly kind: 'lines' | 'bars' | 'ranges';
  readonly series: readonly Series[];
  readonly ranges: readonly Range[];
  /** The largest y that is drawn. */
  readonly yMax: number;
}

export const PANEL_WIDTH = 250;
export const PANEL_HEIGHT = 190;
const LEFT = 46;
const TOP = 26;
const PLOT_WIDTH = PANEL_WIDTH - LEFT - 12;
const PLOT_HEIGHT = PANEL_HEIGHT - TOP - 26;
const TICK_COUNT = 4;

export function drawPanel(panel: Panel): string {
  const parts = [
    `<text x="${LEFT}" y="12" class="title">${escapeText(panel.title)}</text>`,
    `<text x="${LEFT}" y="22" class="small">${escapeText(panel.unit)}</text>`,
    ...(panel.kind === 'ranges' && panel.ranges.length === 0 ? [] : drawAxis(panel.yMax)),
  ];
  if (panel.kind === 'lines') parts.push(...drawLines(panel));
  else if (panel.kind === 'bars') parts.push(...drawBars(panel));
  else parts.push(...drawRanges(panel));
  return parts.join('\n');
}

function yOf(value: number, yMax: number): number {
  return TOP + PLOT_HEIGHT * (1 - Math.min(1, value / yMax));
}

function drawAxis(yMax: number): string[] {
  const ticks = Array.from({ length: TICK_COUNT + 1 }, (_, index) => (yMax * index) / TICK_COUNT);
  return ticks.flatMap((value) => {
    const y = yOf(value, yMax).toFixed(1);
    return [
      `<line x1="${LEFT}" x2="${LEFT + PLOT_WIDTH}" y1="${y}" y2="${y}" class="grid"/>`,
      `<text x="${LEFT - 4}" y="${y}" dy="3" text-anchor="end" class="small">${shortNumber(value)}</text>`,
    ];
  });
}

/** Places in equal distance: 1, 10 and 50 chains would crowd at one end otherwise. */
function drawLines({ series, yMax }: Panel): string[] {
  const places = [...new Set(series.flatMap(({ points }) => points.map(([x]) => x)))].sort((a, b) => a - b);
  const xOf = (x: number): number => LEFT + (PLOT_WIDTH * (places.indexOf(x) + 0.5)) / places.length;
  const labels = places.map(
    (x) => `<text x="${xOf(x)}" y="${TOP + PLOT_HEIGHT + 13}" text-anchor="middle" class="small">${x}</text>`,
  );
  const lines = series.flatMap(({ name, color, points }) => {
    const at = points.map(([x, y]) => `${xOf(x).toFixed(1)},${yOf(y, yMax).toFixed(1)}`);
    const dots = points.map(([x, y]) => {
      const tip = `<title>${escapeText(name)}, ${x} chains: ${shortNumber(y)}</title>`;
      return `<circle cx="${xOf(x).toFixed(1)}" cy="${yOf(y, yMax).toFixed(1)}" r="3" fill="${color}">${tip}</circle>`;
    });
    return [`<polyline points="${at.join(' ')}" fill="none" stroke="${color}" stroke-width="1.5"/>`, ...dots];
  });
  return [...labels, ...lines];
}

function drawBars({ series, yMax }: Panel): string[] {
  const width = PLOT_WIDTH / Math.max(1, series.length);
  return series.flatMap(({ name, color, points }, index) =>
    points.map(([, value]) => {
      const x = LEFT + index * width + width * 0.15;
      const y = yOf(value, yMax);
      const tip = `<title>${escapeText(name)}: ${shortNumber(value)}</title>`;
      const size = `width="${(width * 0.7).toFixed(1)}" height="${(TOP + PLOT_HEIGHT - y).toFixed(1)}"`;
      return `<rect x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${size} fill="${color}">${tip}</rect>`;
    }),
  );
}

/** What the text of the paper gives: from its lowest to its highest value, one beside the other. */
function drawRanges({ ranges, yMax }: Panel): string[] {
  if (ranges.length === 0) return [`<text x="${LEFT + 8}" y="${TOP + 40}" class="small">no number in its text</text>`];
  const width = PLOT_WIDTH / ranges.length;
  return ranges.flatMap(({ name, low, high }, index) => {
    const x = LEFT + (index + 0.5) * width;
    const [top, bottom] = [yOf(high, yMax), yOf(low, yMax)];
    return [
      `<line x1="${x}" x2="${x}" y1="${top.toFixed(1)}" y2="${bottom.toFixed(1)}" stroke="#555" stroke-width="8"/>`,
      `<text x="${x}" y="${(top - 3).toFixed(1)}" text-anchor="middle" class="small">${shortNumber(high)}</text>`,
      `<text x="${x}" y="${(bottom + 9).toFixed(1)}" text-anchor="middle" class="small">${shortNumber(low)}</text>`,
      `<text x="${x}" y="${TOP + PLOT_HEIGHT + 13}" text-anchor="middle" class="small">${escapeText(name)}</text>`,
    ];
  });
}

function shortNumber(value: number): string {
  return value === 0 ? '0' : value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toPrecision(2);
}
