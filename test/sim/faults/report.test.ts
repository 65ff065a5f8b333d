/** What every form of a report says of faults, and that it says nothing where there were none. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FREE } from '../../../src/sim/costs.ts';
import { toCsv } from '../../../src/sim/report/csv.ts';
import { toHtml } from '../../../src/sim/report/html.ts';
import { toJson } from '../../../src/sim/report/json.ts';
import type { Report } from '../../../src/sim/report/report.ts';
import { summariesOf } from '../../../src/sim/report/summary.ts';
import { columnsFor } from '../../../src/sim/report/table.ts';
import { simulate } from '../../../src/sim/simulate.ts';
import { setupOf, type SimulationSpec } from '../../../src/sim/spec.ts';
import { assertDrawable, assertWellFormed } from '../well-formed.ts';

const SPEC: SimulationSpec = {
  policy: 'random',
  workload: 'exponential:mean=5',
  servers: 2,
  cores: 2,
  memoryMb: 65_536,
  load: 0.5,
  costs: FREE,
  seed: 1,
  seconds: 1,
  warmUpSeconds: 0.1,
  silenceSeconds: 0.1,
};

function reportOf(given: Partial<SimulationSpec>): Report {
  const spec = { ...SPEC, ...given };
  const summaries = summariesOf([{ spec, result: simulate(setupOf(spec)), error: null }]);
  return { command: 'perch sim run', costsName: 'free', costs: FREE, summaries };
}

const FAULT = 'crash:server=0,at=0.2,for=0.4';
const OWN = ['LOST', 'RETRIED', 'UNAVAILABLE'];

function titlesOf({ summaries }: Report): readonly string[] {
  return columnsFor(summaries)
    .map(({ title }) => title)
    .filter((title) => OWN.includes(title));
}

test('a table has columns of faults where there were any', () => {
  assert.deepEqual(titlesOf(reportOf({})), []);
  assert.deepEqual(titlesOf(reportOf({ faults: [FAULT] })), ['LOST', 'UNAVAILABLE']);
  assert.deepEqual(titlesOf(reportOf({ faults: [FAULT], retries: 9 })), ['RETRIED', 'UNAVAILABLE']);
});

test('JSON, CSV and HTML say what went wrong, and what came of it', () => {
  const report = reportOf({ faults: [FAULT, 'lose:p=0.1'], retries: 1 });
  const [setup] = (JSON.parse(toJson(report)) as { setups: Record<string, unknown>[] }).setups;
  assert.deepEqual([setup!['faults'], setup!['retries']], [[FAULT, 'lose:p=0.1'], 1]);
  const [head, line] = toCsv(report.summaries).split('\n');
  const csv = new Map(head!.split(',').map((name, at) => [name, Number(line!.split(',')[at])]));
  assert.ok(csv.get('retried')! > 0 && csv.get('unavailableShare')! > 0.19 && csv.get('servers that failed') === 1);
  const html = toHtml(report);
  assert.ok(html.includes(`What goes wrong: ${FAULT}; lose:p=0.1.`));
  assertWellFormed(html);
  assertDrawable(html);
});
