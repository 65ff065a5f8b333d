/** docs/ERRORS.md and docs/API.md say what the code does: every code, every row of bad input, every route. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { API_ERRORS, FUNCTION_ERRORS } from '../../../src/base/errors.ts';
import { LAMBDA_ROUTES } from '../../../src/gateway/lambda/routes.ts';
import { PERCH_ROUTES } from '../../../src/gateway/perch/routes.ts';
import { BAD_FUNCTIONS, BAD_REQUESTS, ODD_FUNCTIONS } from '../bad-input.ts';

const text = readFileSync(path.join(import.meta.dirname, '../../../docs/ERRORS.md'), 'utf8');

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

test('docs/API.md lists every route', () => {
  const api = readFileSync(path.join(import.meta.dirname, '../../../docs/API.md'), 'utf8');
  for (const { method, path: route, operation } of LAMBDA_ROUTES) {
    assert.ok(api.includes(`| ${operation} | \`${method} ${route}\` |`), operation);
  }
  for (const { method, path: route } of PERCH_ROUTES) assert.ok(api.includes(`\`${method} ${route}\``), route);
});
