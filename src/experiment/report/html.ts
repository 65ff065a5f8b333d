/** One page with the figures and the table in it, which needs nothing beside it. */
import { escapeText } from '../../base/markup.ts';
import type { SleepyResult } from '../sleepy.ts';
import { FIGURES, toSvg } from './figures.ts';
import { CITATION } from './paper.ts';
import { BAR_NOTES, disturbance, tableOf } from './table.ts';

const STYLE =
  'body{font:14px/1.5 sans-serif;margin:2em;color:#222}table{border-collapse:collapse;font-size:12px}' +
  'th,td{padding:2px 8px;border-bottom:1px solid #ddd;text-align:left}.n{text-align:right}div{overflow-x:auto}';

export function toHtml(result: SleepyResult, machine: string): string {
  const columns = tableOf(result.rows);
  const cell = (tag: string, text: string, right = false): string =>
    `<${tag}${right ? ' class="n"' : ''}>${escapeText(text)}</${tag}>`;
  const head = columns.map(({ title, alignRight }) => cell('th', title, alignRight)).join('');
  const body = result.rows.map(
    (row) => `<tr>${columns.map(({ value, alignRight }) => cell('td', value(row), alignRight)).join('')}</tr>`,
  );
  return [
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>perch experiment sleepy</title>',
    `<style>${STYLE}</style>`,
    '<h1>Sleepy chains</h1>',
    `<p>${escapeText(machine)}. Chains led from step to step by the ${result.chainsBy}. Medians of ${result.rows[0]?.rounds.length ?? 0} interleaved rounds.</p>`,
    `<p>The paper's values are those that its text gives; its machines, programs and sandboxes are others. ${escapeText(CITATION)}</p>`,
    ...FIGURES.map((figure) => `<div>${toSvg(figure, result.rows)}</div>`),
    `<h2>Numbers</h2><div><table><tr>${head}</tr>${body.join('\n')}</table></div>`,
    ...BAR_NOTES.filter((note) => note !== '').map((note) => `<p>${escapeText(note)}</p>`),
    `<p>${escapeText(disturbance(result.rows) ?? '')}</p>`,
    ...result.skipped.map((skipped) => `<p>Left out: ${escapeText(skipped)}</p>`),
    '</html>',
    '',
  ].join('\n');
}
