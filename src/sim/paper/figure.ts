/** A figure as one SVG file that needs nothing beside it: its charts beside and below each other, and a key under them. */
import { escapeText } from '../../base/markup.ts';
import { type Chart, CHART_SIZE, drawKey, drawPlot } from '../report/chart.ts';
import { STYLE } from '../report/style.ts';
import type { Figure } from './claim.ts';

const COLUMNS = 2;
const GAP = 20;
const MARGIN = 12;
const CAPTION = 22;
const KEY_HEIGHT = 20;
const KEY_WIDTH = 240;
const KEY_MARK = 32;

interface Key {
  readonly index: number;
  readonly name: string;
}

export function drawFigure({ title, charts: given }: Figure): string {
  const keys = keysOf(given);
  const charts = given.map((chart) => coloured(chart, keys));
  const columns = Math.min(COLUMNS, charts.length);
  const rows = Math.ceil(charts.length / columns);
  const width = 2 * MARGIN + columns * CHART_SIZE.width + (columns - 1) * GAP;
  const top = MARGIN + rows * (CAPTION + CHART_SIZE.height + GAP);
  const perLine = Math.max(1, Math.floor((width - 2 * MARGIN) / KEY_WIDTH));
  const height = top + Math.ceil(keys.length / perLine) * KEY_HEIGHT + MARGIN;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escapeText(title)}">`,
    `<title>${escapeText(title)}</title>`,
    `<style>${STYLE}</style>`,
    `<rect width="${width}" height="${height}" style="fill:var(--paper)"/>`,
    ...charts.map((chart, i) => drawAt(chart, i % columns, Math.floor(i / columns))),
    ...keys.map((key, i) =>
      drawName(key, MARGIN + (i % perLine) * KEY_WIDTH, top + Math.floor(i / perLine) * KEY_HEIGHT),
    ),
    '</svg>',
    '',
  ].join('\n');
}

function drawAt(chart: Chart, column: number, row: number): string {
  const left = MARGIN + column * (CHART_SIZE.width + GAP);
  const top = MARGIN + row * (CAPTION + CHART_SIZE.height + GAP);
  return [
    `<g transform="translate(${left} ${top})"><text x="0" y="13" style="font-size:13px">${escapeText(chart.title)}</text>`,
    `<g transform="translate(0 ${CAPTION})">${drawPlot(chart)}</g></g>`,
  ].join('\n');
}

function drawName({ index, name }: Key, left: number, top: number): string {
  return `<g transform="translate(${left} ${top})">${drawKey(index)}<text x="${KEY_MARK}" y="10">${escapeText(name)}</text></g>`;
}

/** A name has the same colour in all charts. */
function keysOf(charts: readonly Chart[]): readonly Key[] {
  const names = new Set(charts.flatMap(({ series }) => series.map(({ name }) => name)));
  return [...names].map((name, index) => ({ index, name }));
}

function coloured(chart: Chart, keys: readonly Key[]): Chart {
  const indexOf = (name: string): number => keys.find((key) => key.name === name)!.index;
  return { ...chart, series: chart.series.map((each) => ({ ...each, index: indexOf(each.name) })) };
}
