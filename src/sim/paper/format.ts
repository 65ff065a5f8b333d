/** Figures as they stand in the document. */
import type { Format } from '../report/format.ts';
import { formatConfidence } from '../report/table.ts';
import type { Cell, Table } from './claim.ts';
import type { Measure, Study } from './study.ts';

/** An interval that is too small to be seen. */
const NOTHING = / ±0(\.0+)?( [^ ]+)?$/;

export interface Shape {
  readonly measure: Measure;
  readonly format: Format;
}

/** Mean ± half the interval; `(!)` where the run's figures do not hold, `–` where there is none. */
export function figureOf(study: Study, cell: Cell, { measure, format }: Shape): string {
  const confidence = study.of(cell, measure);
  if (confidence === null) return '–';
  const mark = study.warning(cell) === null ? '' : ' (!)';
  return formatConfidence(confidence, format).replace(NOTHING, '') + mark;
}

/** A load, as short as it may be. */
export function loadText(load: number): string {
  return String(Number(load.toPrecision(2)));
}

export function tableText({ columns, rows }: Table): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(columns), line(columns.map(() => '---')), ...rows.map(line)].join('\n');
}
