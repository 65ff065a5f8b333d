/** The benchmark still runs, and says what it should; how fast it says we are does not matter here. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import type { Report } from '../../bench/lib/report.ts';

const run = promisify(execFile);
const RUN = new URL('../../bench/run.ts', import.meta.url).pathname;

test('schedule, in small', async () => {
  const { stdout } = await run(process.execPath, [RUN, 'schedule', '--smoke', '--json']);
  const report = JSON.parse(stdout) as Report & { machine: string };
  assert.equal(report.name, 'schedule');
  assert.match(report.machine, /node v24/);
  const rates = report.figures.filter(({ unit }) => unit === 'M/s');
  assert.equal(rates.length, 8);
  for (const { name, value } of rates) assert.ok(value > 0, name);
  assert.ok(rates.slice(4).every(({ against, ratio }) => against !== undefined && ratio! > 0));
});

test('without a name it lists the benchmarks, with a wrong one it says so', async () => {
  const { stdout } = await run(process.execPath, [RUN]);
  assert.match(stdout, /^schedule +decisions/m);
  await assert.rejects(run(process.execPath, [RUN, 'nonsense']), { code: 2 });
});
