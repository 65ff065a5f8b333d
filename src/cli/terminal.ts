/** What `perch` prints and how: results on stdout, everything else on stderr, colour and progress only for people. */
import { styleText } from 'node:util';

type Style = 'green' | 'red' | 'yellow' | 'dim' | 'bold';

/** Styled where stdout is a terminal and NO_COLOR is not set. */
export function style(style: Style, text: string): string {
  return styleText(style, text, { stream: process.stdout });
}

export function printLine(text: string): void {
  process.stdout.write(text + '\n');
}

export function printJson(value: unknown): void {
  process.stdout.write(JSON.stringify(value) + '\n');
}

export function printNote(text: string): void {
  process.stderr.write(text + '\n');
}

export interface Column<Row> {
  readonly title: string;
  readonly value: (row: Row) => string;
  readonly alignRight?: boolean;
  readonly paint?: (row: Row) => Style | undefined;
}

/** Columns as wide as their widest cell, two spaces between them, no lines: easy to read and to cut. */
export function formatTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  const widths = columns.map((column) =>
    rows.reduce((width, row) => Math.max(width, column.value(row).length), column.title.length),
  );
  const line = (cell: (column: Column<Row>, pad: (text: string) => string) => string): string =>
    columns
      .map((column, index) => {
        const width = widths[index] ?? 0;
        const last = index === columns.length - 1;
        return cell(column, (text) => {
          if (column.alignRight === true) return text.padStart(width);
          return last ? text : text.padEnd(width);
        });
      })
      .join('  ');
  const head = line((column, pad) => style('dim', pad(column.title)));
  const body = rows.map((row) =>
    line((column, pad) => {
      const text = pad(column.value(row));
      const paint = column.paint?.(row);
      return paint === undefined ? text : style(paint, text);
    }),
  );
  return [head, ...body].join('\n') + '\n';
}

/** A line on the terminal that says what takes so long; nothing where stderr is no terminal. */
export class Progress {
  readonly #shown = process.stderr.isTTY;

  say(text: string): void {
    if (this.#shown) process.stderr.write(`\r\x1b[2K${text}`);
  }

  clear(): void {
    if (this.#shown) process.stderr.write('\r\x1b[2K');
  }
}

const MINUTE_US = 60_000_000;
const HOUR_US = 60 * MINUTE_US;
const DAY_US = 24 * HOUR_US;

/** Microseconds as people read them: 840 µs, 1.52 ms, 3.10 s, 12 min, 5 h, 30 d. */
export function formatUs(us: number): string {
  if (us < 1000) return `${Math.round(us)} µs`;
  if (us < 1_000_000) return `${(us / 1000).toPrecision(3)} ms`;
  if (us < 2 * MINUTE_US) return `${(us / 1_000_000).toPrecision(3)} s`;
  if (us < 2 * HOUR_US) return `${Math.floor(us / MINUTE_US)} min`;
  return us < 2 * DAY_US ? `${Math.floor(us / HOUR_US)} h` : `${Math.floor(us / DAY_US)} d`;
}
