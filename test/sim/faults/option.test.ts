import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { faultsOf } from '../../../src/cli/sim/faults-option.ts';

function inFile(text: string, look: (file: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'perch-faults-'));
  try {
    const file = join(folder, 'faults.json');
    writeFileSync(file, text);
    look(file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('a file of faults has texts and objects, and goes before what is given beside it', () => {
  inFile('["slow:factor=3", {"kind": "crash", "server": 3, "at": 2, "for": 1}, {"kind": "lose"}]', (file) => {
    const faults = faultsOf({ faults: file, fault: ['partition:servers=10%'] });
    assert.deepEqual(faults, ['slow:factor=3', 'crash:server=3,at=2,for=1', 'lose', 'partition:servers=10%']);
  });
  assert.deepEqual(faultsOf({}), []);
});

test('what is no list of faults is refused', () => {
  for (const text of [
    '{',
    '{"kind": "crash"}',
    '[3]',
    '[{"server": 3}]',
    '[null]',
    '[{"kind": "crash", "server": [3]}]',
  ])
    inFile(text, (file) => assert.throws(() => faultsOf({ faults: file }), /faults\.json/, text));
  assert.throws(() => faultsOf({ faults: '/nowhere/faults.json' }), /cannot be read/);
});
