/** The benchmarks still run, and say what they should; how fast they say we are does not matter here. */
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { test } from 'node:test';
import { promisify } from 'node:util';
import type { Report } from '../../bench/lib/report.ts';
import { NO_HOSTS } from '../cluster/hosts/requirements.ts';

const run = promisify(execFile);
const RUN = new URL('../../bench/run.ts', import.meta.url).pathname;

/** All its parts, or those. */
async function smoke(name: string, ...parts: readonly string[]): Promise<Report> {
  const only = parts.flatMap((part) => ['--only', part]);
  const { stdout } = await run(process.execPath, [RUN, name, '--smoke', '--json', ...only]);
  const report = JSON.parse(stdout) as Report & { machine: string };
  assert.equal(report.name, name);
  assert.match(report.machine, /node v24/);
  return report;
}

function missing(...commands: string[]): string | false {
  const absent = commands.filter((command) => spawnSync('sh', ['-c', `command -v ${command}`]).status !== 0);
  return absent.length === 0 ? false : `SKIPPED: needs ${absent.join(', ')}`;
}

test('invoke, in small', { skip: missing('wrk', 'bwrap') }, async () => {
  const report = await smoke('invoke');
  for (const what of ['rate at 1', 'p50 at 1', 'p99 at 32']) {
    const compared = report.figures.filter(({ name }) => name === `perch, ${what}`).map(({ against }) => against);
    assert.deepEqual(compared, [`node:http, ${what}`, `workerd, ${what}`]);
  }
});

const tooFew = availableParallelism() < 2 ? 'SKIPPED: needs two CPUs' : false;
test('interference, in small', { skip: tooFew || missing('wrk', 'taskset', 'bwrap') }, async () => {
  const report = await smoke('interference');
  const p99 = report.figures.find(({ name }) => name === 'beside a burner, p99');
  assert.equal(p99?.against, 'alone, p99');
  assert.ok(p99.ratio! > 0);
});

test('cluster, in small: what needs no hosts', async () => {
  const report = await smoke('cluster', 'decisions', 'rate', 'latency', 'restart');
  assert.ok(report.figures.length > 0);
  // In so short a time the kernel counts no CPU time.
  for (const { name, value } of report.figures) assert.ok(value >= 0, name);
  const names = report.figures.map(({ name }) => name);
  // Beside each rate, what it costs; `alone` and `over alone` state one of the others again, with its bar.
  const rates = names.filter((name) => /^decisions, |, invocations$/.test(name) && !name.endsWith('alone'));
  assert.ok(rates.length > 10);
  for (const name of rates) {
    const costs = ['each,', 'CPU each,'].map((cost) => name.replace('decisions,', cost));
    const cost = name.replace(/invocations$/, 'CPU time each');
    assert.ok(
      [...costs, cost].some((each) => each !== name && names.includes(each)),
      name,
    );
  }
  assert.equal(names.filter((name) => name.startsWith('growth ')).length, 5);
});

test('cluster, in small: what several hosts add', { skip: NO_HOSTS || missing('bwrap') }, async () => {
  const { figures } = await smoke('cluster', 'hosts');
  for (const { name, value } of figures) assert.ok(Number.isFinite(value), name);
  const added = figures.filter(({ name }) => name.includes('added'));
  assert.deepEqual(
    added.map(({ against }) => against),
    ['TCP echo between two hosts, p50', 'TCP echo between two hosts, p50'],
  );
});

test('cluster, in small: overload', { skip: NO_HOSTS || missing('bwrap', 'taskset') }, async () => {
  const { figures } = await smoke('cluster', 'overload');
  const served = figures.filter(({ name }) => name.endsWith(', served'));
  assert.equal(served.length, 4);
  for (const { name, value, against } of served) assert.ok(value > 0 && against !== undefined, name);
  // How many are refused in so short a time, nobody knows; but never in another way.
  const unexpected = figures.filter(({ name }) => name.endsWith('neither 200 nor 429'));
  assert.deepEqual(
    unexpected.map(({ met }) => met),
    [true, true, true, true],
  );
});

test('sim, in small', async () => {
  const report = await smoke('sim');
  assert.deepEqual(
    report.figures.filter(({ unit }) => unit === 'M/s' || unit === 's/s').map(({ value }) => value > 0),
    [true, true, true],
  );
  assert.ok(report.figures.some(({ bar, ratio }) => bar !== undefined && ratio! > 0));
});

test('calibrate, in small', { skip: tooFew || missing('taskset', 'bwrap', 'python3') }, async () => {
  const report = await smoke('calibrate');
  for (const cost of ['networkUs', 'decisionUs', 'gatewayUs', 'startUs', 'endUs', 'coldStartUs', 'migrateUs'])
    assert.ok(report.figures.find(({ name }) => name === cost)!.value >= 0, cost);
  // In a busy moment the platform may refuse, and then there is nothing to compare.
  for (const { name, value, ratio } of report.figures.filter(({ bar }) => bar?.startsWith('within') === true))
    assert.ok(value > 0 && ratio! > 0, name);
  await assert.rejects(run(process.execPath, [RUN, 'calibrate', '--smoke', '--write']), { code: 1 });
});

test('schedule, in small', async () => {
  const report = await smoke('schedule');
  const rates = report.figures.filter(({ unit }) => unit === 'M/s');
  const [alone, shards] = [rates.slice(0, 8), rates.slice(8)];
  assert.deepEqual([alone.length, shards.length], [8, 3]);
  for (const { name, value } of rates) assert.ok(value > 0, name);
  assert.ok(alone.slice(4).every(({ against, ratio }) => against !== undefined && ratio! > 0));
  assert.ok(shards.some(({ name, bar }) => name.startsWith('decisions, 2 shards') && bar !== undefined));
});

test('start, in small', { skip: tooFew || missing('wrk', 'taskset', 'bwrap') }, async () => {
  const report = await smoke('start');
  const promised = report.figures.filter(({ bar }) => bar !== undefined).map(({ name }) => name);
  assert.deepEqual(promised, [
    'node, fresh, p50',
    'node, copy, fork to ready, p50',
    'node, copy, answer to reaped, p50',
    'node, 100 ms of work, fresh, throughput',
    'node, 1 MB, first invocation',
    'node, memory of each further copy that waits',
    'wasm: make and run it, p50',
  ]);
  for (const { name, value } of report.figures) assert.ok(Number.isFinite(value), name);
  for (const start of ['python, fresh', 'python, 1 MB, first', 'node, 6 first', 'node, 20 invocations at once, fresh'])
    assert.ok(
      report.figures.some(({ name, ratio }) => name.startsWith(start) && ratio! > 0),
      start,
    );
});

test('a part of a benchmark can be run alone; one that is not there is refused', async () => {
  const { stdout } = await run(process.execPath, [RUN, 'start', '--smoke', '--json', '--only', 'wasm']);
  const report = JSON.parse(stdout) as Report;
  assert.ok(report.figures.length > 0 && report.figures.every(({ name }) => name.startsWith('wasm')));
  await assert.rejects(run(process.execPath, [RUN, 'start', '--only', 'nonsense']), { code: 2 });
});

test('sleep, in small', { skip: tooFew || missing('python3') }, async () => {
  const report = await smoke('sleep');
  for (const { name, value } of report.figures) assert.ok(Number.isFinite(value) && value >= 0, name);
  // What cannot be measured here says so.
  for (const [part, figure] of [
    ['actuators', 'SCHED_IDLE, away'],
    ['round-trip', 'SCHED_IDLE neighbour, p50'],
    ['look', 'sampling, a look at one asleep'],
    ['switch', 'a switch, nothing attached'],
    ['programs', 'an empty system call, nothing attached'],
  ]) {
    const isSkipped = report.notes.includes(`${part}: CANNOT BE MEASURED HERE`);
    assert.equal(
      report.figures.some(({ name }) => name === figure),
      !isSkipped,
      part,
    );
  }
});

test('keep-alive, in small', async () => {
  const report = await smoke('keep-alive');
  const rules = new Set(report.figures.map(({ name }) => name.split(', ').at(-2)));
  assert.deepEqual([...rules], ['greedy-dual', 'least recently used', 'ten minutes', 'greedy-dual by function']);
  assert.ok(report.notes.some((line) => line.startsWith('greedy-dual loses')));
});

test('without a name it lists the benchmarks, with a wrong one it says so', async () => {
  const { stdout } = await run(process.execPath, [RUN]);
  assert.match(stdout, /^schedule +\S/m);
  await assert.rejects(run(process.execPath, [RUN, 'nonsense']), { code: 2 });
});
