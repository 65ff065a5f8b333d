/** Figures as they stand in the document. */
import type { Confidence } from '../measure/confidence.ts';
import { type Format, formatRatio } from '../report/format.ts';
import { formatConfidence } from '../report/table.ts';
import type { Cell, Table } from './claim.ts';
import type { Measure, Study } from './study.ts';

export interface Shape {
  readonly measure: Measure;
  readonly format: Format;
}

/** Mean ± half the interval; `(!)` where the run's figures do not hold, `–` where there is none. */
export function figureOf(study: Study, cell: Cell, { measure, format }: Shape): string {
  const confidence = study.of(cell, measure);
  if (confidence === null) return '–';
  return formatConfidence(confidence, format) + markOf(study, cell);
}

export function markOf(study: Study, cell: Cell): string {
  return study.warning(cell) === null ? '' : ' (!)';
}

export function ratioText(ratio: Confidence | null): string {
  return ratio === null ? '–' : formatConfidence(ratio, formatRatio);
}

export function tableText({ columns, rows }: Table): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(columns), line(columns.map(() => '---')), ...rows.map(line)].join('\n');
}
