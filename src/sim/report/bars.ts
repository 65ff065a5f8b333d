/** One figure of several policies, a line for each: from 0 where they are of one size, else as places on a scale of ratios. */
import { escapeText } from '../../base/markup.ts';
import { COLOR_COUNT } from './chart.ts';
import { linearScale, logScale, type Scale } from './scale.ts';

export interface Bar {
  readonly index: number;
  readonly name: string;
  readonly value: number;
  readonly low: number;
  readonly high: number;
  /** The value as people read it. */
  readonly text: string;
}

const WIDTH = 460;
const NAME_WIDTH = 144;
const TEXT_WIDTH = 124;
const PLOT_WIDTH = WIDTH - NAME_WIDTH - TEXT_WIDTH;
const LINE = 20;
const HALF = 6;
const NAME_LENGTH_MAX = 24;
/** From so many times on, the smaller ones would not be seen. */
const RATIO_MAX = 50;

export function drawBars(title: string, bars: readonly Bar[]): string {
  const values = bars.flatMap(({ low, high, value }) => [low, high, value]);
  const least = Math.min(...bars.map(({ value }) => value));
  const isLog = least > 0 && Math.max(...values) / least > RATIO_MAX;
  const scale = isLog ? logScale([least / 2, ...values], String) : linearScale(values, String);
  const height = bars.length * LINE + 4;
  const shown = escapeText(isLog ? `${title} (log scale)` : title);
  return [
    `<figure><figcaption>${shown}</figcaption>`,
    `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${shown}">`,
    `<line x1="${NAME_WIDTH}" x2="${NAME_WIDTH}" y1="0" y2="${height}" class="axis"/>`,
    ...bars.map((bar, line) => drawBar(bar, { scale, isLog, y: line * LINE + LINE / 2 + 2 })),
    '</svg></figure>',
  ].join('\n');
}

interface Place {
  readonly scale: Scale;
  readonly isLog: boolean;
  readonly y: number;
}

function drawBar({ index, name, value, low, high, text }: Bar, { scale, isLog, y }: Place): string {
  const xOf = (of: number): string => (NAME_WIDTH + PLOT_WIDTH * scale.placeOf(of)).toFixed(1);
  const color = `s${index % COLOR_COUNT}`;
  const short = name.length > NAME_LENGTH_MAX ? `${name.slice(0, NAME_LENGTH_MAX - 1)}…` : name;
  const width = (Number(xOf(value)) - NAME_WIDTH).toFixed(1);
  const shape = isLog
    ? `<circle cx="${xOf(value)}" cy="${y}" r="4.5" class="mark ${color}"/>`
    : `<rect x="${NAME_WIDTH}" y="${y - HALF}" width="${width}" height="${2 * HALF}" class="mark ${color}"/>`;
  const interval =
    low < high
      ? `<path d="M${xOf(low)} ${y}H${xOf(high)}M${xOf(low)} ${y - 3}v6M${xOf(high)} ${y - 3}v6" class="interval"/>`
      : '';
  return [
    `<g><text x="${NAME_WIDTH - 6}" y="${y}" dy="3.5" text-anchor="end">${escapeText(short)}</text>`,
    `${shape}${interval}`,
    `<text x="${WIDTH - TEXT_WIDTH + 8}" y="${y}" dy="3.5">${escapeText(text)}</text>`,
    `<title>${escapeText(`${name}: ${text}`)}</title></g>`,
  ].join('');
}
