import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { POLICIES } from '../../src/sim/policies/index.ts';
import { play } from './given-jobs.ts';

const HOP_US = 1000;

/** By policy: what its row says of hops. */
const ROWS: ReadonlyMap<string, string> = new Map(
  readFileSync(new URL('../../docs/POLICIES.md', import.meta.url), 'utf8')
    .split('\n')
    .map((line) => line.split(' | ').map((cell) => cell.replace(/^\| | \|$/g, '').trim()))
    .filter((cells) => cells.length === 5 && /^`[^`]+`$/.test(cells[0]!) && cells.every((cell) => cell !== ''))
    .map(([name, hops]) => [name!.slice(1, -1), hops!]),
);

test('every policy has its row in docs/POLICIES.md, and no other has one', () => {
  assert.deepEqual([...ROWS.keys()].toSorted(), POLICIES.map(({ name }) => name).toSorted());
});

for (const { name } of POLICIES) {
  test(`${name}: an invocation that comes alone takes as many hops as docs/POLICIES.md says`, () => {
    const { startsUs } = play({
      policy: name,
      // After a while: workers may have to say first that they are free.
      jobs: [{ atUs: 100_000, phasesUs: [10] }],
      cluster: { serverCount: 4, coreCount: 4, memoryMb: 4096 },
      costs: { networkUs: HOP_US },
    });
    assert.equal((startsUs[0]! - 100_000) / HOP_US, Number.parseInt(ROWS.get(name) ?? '', 10));
  });
}
