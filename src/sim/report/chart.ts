/**
 * One chart as SVG, for a page that has the colours (`style.ts`). Text in, text out. Series differ by colour, mark and dashes, so that they can be
 * told from each other on paper too.
 */
import { escapeText } from '../../base/markup.ts';
import type { Scale } from './scale.ts';

export interface Point {
  readonly x: number;
  readonly y: number;
  /** Of the confidence interval. */
  readonly low?: number;
  readonly high?: number;
  /** What is said when one points at it. */
  readonly label?: string;
}

export interface Series {
  /** Which colour and mark it has: the same in all charts of a page. */
  readonly index: number;
  readonly name: string;
  readonly points: readonly Point[];
}

export interface Chart {
  readonly title: string;
  readonly xTitle: string;
  readonly yTitle: string;
  readonly x: Scale;
  readonly y: Scale;
  readonly series: readonly Series[];
  /** Marks at the points, for few of them; their intervals are drawn then. */
  readonly hasMarks: boolean;
  /** Names, not numbers, lie along x: their points are drawn beside each other and no line joins them. */
  readonly isApart?: boolean;
}

const WIDTH = 460;
const HEIGHT = 280;
const LEFT = 62;
const RIGHT = 14;
const TOP = 12;
const BOTTOM = 44;
export const CHART_SIZE = { width: WIDTH, height: HEIGHT } as const;
const PLOT_WIDTH = WIDTH - LEFT - RIGHT;
const PLOT_HEIGHT = HEIGHT - TOP - BOTTOM;
const MARK_SIZE = 4;
/** Of the distance between two names. */
const APART_SHARE = 0.7;
const WHISKER = 3;

export const COLOR_COUNT = 12;
const MARK_COUNT = 6;

export function drawChart(chart: Chart): string {
  const title = escapeText(chart.title);
  return [
    `<figure><figcaption>${title}</figcaption>`,
    `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title}">`,
    drawPlot(chart),
    '</svg></figure>',
  ].join('\n');
}

/** The chart alone, as wide and high as `CHART_SIZE` says, for whoever has a drawing of several. */
export function drawPlot(chart: Chart): string {
  return [drawAxes(chart), ...chart.series.map((series, order) => drawSeries(chart, series, order))].join('\n');
}

/** As in the charts, for a legend. */
export function drawKey(index: number): string {
  const line = `<line x1="0" x2="26" y1="6" y2="6" class="line ${classOf(index)}"/>`;
  return `<svg viewBox="0 0 26 12" width="26" height="12" aria-hidden="true">${line}${markAt(index, 13, 6)}</svg>`;
}

function drawAxes({ x, y, xTitle, yTitle }: Chart): string {
  const bottom = TOP + PLOT_HEIGHT;
  const rows = y.ticks.map(({ at, label }) => {
    const place = number(yOf(y, at));
    const line = `<line x1="${LEFT}" x2="${LEFT + PLOT_WIDTH}" y1="${place}" y2="${place}" class="grid"/>`;
    return `${line}<text x="${LEFT - 6}" y="${place}" dy="3.5" text-anchor="end">${escapeText(label)}</text>`;
  });
  const columns = x.ticks.map(({ at, label }) => {
    const place = number(xOf(x, at));
    const line = `<line x1="${place}" x2="${place}" y1="${bottom}" y2="${bottom + 4}" class="axis"/>`;
    return `${line}<text x="${place}" y="${bottom + 16}" text-anchor="middle">${escapeText(label)}</text>`;
  });
  return [
    ...rows,
    ...columns,
    `<path d="M${LEFT} ${TOP}V${bottom}H${LEFT + PLOT_WIDTH}" class="axis"/>`,
    `<text x="${LEFT + PLOT_WIDTH / 2}" y="${HEIGHT - 6}" text-anchor="middle" class="name">${escapeText(xTitle)}</text>`,
    `<text transform="translate(11 ${TOP + PLOT_HEIGHT / 2}) rotate(-90)" text-anchor="middle" class="name">${escapeText(yTitle)}</text>`,
  ].join('\n');
}

function drawSeries(chart: Chart, { index, name, points }: Series, order: number): string {
  const shift = chart.isApart === true ? shiftOf(chart, order) : 0;
  const placed = points.map((point) => ({ point, left: xOf(chart.x, point.x) + shift, top: yOf(chart.y, point.y) }));
  const path = placed.map(({ left, top }, at) => `${at === 0 ? 'M' : 'L'}${number(left)} ${number(top)}`).join('');
  const line = chart.isApart === true || points.length < 2 ? '' : `<path d="${path}" class="line ${classOf(index)}"/>`;
  if (!chart.hasMarks) return `<g>${line}<title>${escapeText(name)}</title></g>`;
  const marks = placed.map(({ point, left, top }) => {
    const said = point.label === undefined ? name : `${name}: ${point.label}`;
    return `<g>${whisker(chart, { point, left, index })}${markAt(index, left, top)}<title>${escapeText(said)}</title></g>`;
  });
  return `<g>${line}${marks.join('')}</g>`;
}

function shiftOf({ series, x }: Chart, order: number): number {
  const room = (PLOT_WIDTH / Math.max(1, x.ticks.length)) * APART_SHARE;
  return room * ((order + 0.5) / series.length - 0.5);
}

interface Whisker {
  readonly point: Point;
  readonly left: number;
  readonly index: number;
}

function whisker({ y }: Chart, { point: { low, high }, left, index }: Whisker): string {
  if (low === undefined || high === undefined) return '';
  const [top, bottom] = [yOf(y, high), yOf(y, low)];
  if (bottom - top < 1) return '';
  const across = (place: number): string => `M${number(left - WHISKER)} ${number(place)}h${2 * WHISKER}`;
  const path = `M${number(left)} ${number(top)}V${number(bottom)}${across(top)}${across(bottom)}`;
  return `<path d="${path}" class="whisker ${classOf(index)}"/>`;
}

function markAt(index: number, left: number, top: number): string {
  const at = (shape: string): string => `<path d="${shape}" class="mark ${classOf(index)}"/>`;
  const [x, y, s] = [number(left), number(top), MARK_SIZE];
  switch (index % MARK_COUNT) {
    case 0:
      return `<circle cx="${x}" cy="${y}" r="${s - 0.5}" class="mark ${classOf(index)}"/>`;
    case 1:
      return at(`M${x} ${y}m${-s + 0.5} ${-s + 0.5}h${2 * s - 1}v${2 * s - 1}h${1 - 2 * s}z`);
    case 2:
      return at(`M${x} ${y}m0 ${-s - 0.5}l${s + 0.5} ${2 * s}h${-2 * s - 1}z`);
    case 3:
      return at(`M${x} ${y}m0 ${-s - 1}l${s + 1} ${s + 1}l${-s - 1} ${s + 1}l${-s - 1} ${-s - 1}z`);
    case 4:
      return at(`M${x} ${y}m0 ${s + 0.5}l${s + 0.5} ${-2 * s}h${-2 * s - 1}z`);
    default:
      return at(
        `M${x} ${y}m${-s} -1.2h${s - 1.2}v${1.2 - s}h2.4v${s - 1.2}h${s - 1.2}v2.4h${1.2 - s}v${s - 1.2}h-2.4v${1.2 - s}h${1.2 - s}z`,
      );
  }
}

function classOf(index: number): string {
  return `s${index % COLOR_COUNT}`;
}

function xOf(scale: Scale, value: number): number {
  return LEFT + PLOT_WIDTH * scale.placeOf(value);
}

function yOf(scale: Scale, value: number): number {
  return TOP + PLOT_HEIGHT * (1 - scale.placeOf(value));
}

/** A tenth of a pixel is enough. */
function number(value: number): string {
  return String(Math.round(value * 10) / 10);
}
