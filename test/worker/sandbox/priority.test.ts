/** What the platform does with its own priority, and what becomes of that in what it starts. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ROOT_ONLY } from './harness.ts';

const PRIORITY = fileURLToPath(new URL('../../../src/worker/sandbox/priority.ts', import.meta.url));
const PROGRAM = `
import os from 'node:os';
import { execFileSync } from 'node:child_process';
import { goBeforeFunctions } from ${JSON.stringify(PRIORITY)};
const could = goBeforeFunctions();
const child = Number(execFileSync('nice').toString());
process.stdout.write(JSON.stringify({ could, own: os.getPriority(), child }));
`;

function priorities(command: string, ...args: readonly string[]): { could: boolean; own: number; child: number } {
  const said = execFileSync(command, [...args, '--input-type=module', '-e', PROGRAM]);
  return JSON.parse(said.toString()) as ReturnType<typeof priorities>;
}

test('who goes before functions starts them with the ordinary priority', { skip: ROOT_ONLY }, () => {
  assert.deepEqual(priorities(process.execPath), { could: true, own: -10, child: 0 });
});

test('without the right to it everything stays as it is', { skip: ROOT_ONLY }, () => {
  assert.deepEqual(priorities('setpriv', '--bounding-set=-sys_nice', '--inh-caps=-sys_nice', process.execPath), {
    could: false,
    own: 0,
    child: 0,
  });
});
