/** docs/ATTACKS.md has a row for each attempt, and none beside them. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { TABLES } from './rows.ts';

const text = readFileSync(path.join(import.meta.dirname, '../../docs/ATTACKS.md'), 'utf8');

for (const [heading, rows] of Object.entries(TABLES)) {
  test(`docs/ATTACKS.md: ${heading}`, () => {
    const section = text.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
    const documented = section.split('\n').filter((line) => line.startsWith('| '));
    assert.deepEqual(documented.slice(2), rows);
  });
}
