/** docs/ERRORS.md says what the code does: every code, and every row of bad input. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { API_ERRORS, FUNCTION_ERRORS } from '../../src/base/errors.ts';
import { BAD_FUNCTIONS, BAD_REQUESTS, ODD_FUNCTIONS } from './bad-input.ts';

const text = readFileSync(path.join(import.meta.dirname, '../../docs/ERRORS.md'), 'utf8');

/** The rows of the table under a heading, without its head. */
function table(heading: string): string[] {
  const section = text.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  return section
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .slice(2);
}

test('every API error is documented as the table in the code has it', () => {
  const rows = Object.entries(API_ERRORS).map(
    ([code, spec]) => `| \`${code}\` | ${spec.status} | ${spec.meaning} | ${spec.action} |`,
  );
  assert.deepEqual(table('API errors'), rows);
});

test('every function error is documented as the table in the code has it', () => {
  const rows = Object.entries(FUNCTION_ERRORS).map(
    ([type, spec]) => `| \`${type}\` | ${spec.meaning} | ${spec.action} |`,
  );
  assert.deepEqual(table('Function errors'), rows);
});

test('the table of bad input and its tests agree', () => {
  const rows = [
    ...BAD_REQUESTS.map(
      (row) => `| ${row.input} | \`${row.expected}\` (${API_ERRORS[row.expected as keyof typeof API_ERRORS].status}) |`,
    ),
    ...BAD_FUNCTIONS.map((row) => `| ${row.input} | function error \`${row.expected}\` |`),
    ...ODD_FUNCTIONS.map((row) => `| ${row.input} | no error: \`${row.answer}\` |`),
  ];
  assert.deepEqual(table('What bad input gets'), rows);
});
