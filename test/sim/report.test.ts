/** Reports: what several seeds say together, and that each form says it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FREE } from '../../src/sim/costs.ts';
import type { Run } from '../../src/sim/batch/batch.ts';
import { simulate } from '../../src/sim/simulate.ts';
import { setupOf, type SimulationSpec } from '../../src/sim/spec.ts';
import { toCsv } from '../../src/sim/report/csv.ts';
import { digits, formatCount, formatRatio, formatShare, formatTime } from '../../src/sim/report/format.ts';
import { toHtml } from '../../src/sim/report/html.ts';
import { toJson } from '../../src/sim/report/json.ts';
import { METRICS } from '../../src/sim/report/metrics.ts';
import type { Report } from '../../src/sim/report/report.ts';
import { linearScale, logScale, tailScale, tightScale } from '../../src/sim/report/scale.ts';
import { type Summary, summariesOf } from '../../src/sim/report/summary.ts';
import { columnsFor, warningsOf } from '../../src/sim/report/table.ts';
import { assertDrawable, assertSelfContained, assertWellFormed } from './well-formed.ts';

const SPEC: SimulationSpec = {
  policy: 'perch',
  workload: 'exponential:mean=1',
  servers: 2,
  cores: 2,
  memoryMb: 65_536,
  load: 0.8,
  costs: FREE,
  seed: 1,
  seconds: 0.5,
  warmUpSeconds: 0.1,
};

function runOf(spec: SimulationSpec): Run {
  return { spec, result: simulate(setupOf(spec)), error: null };
}

function runsOf(varied: readonly Partial<SimulationSpec>[], seedCount = 3): readonly Run[] {
  return varied.flatMap((each) =>
    Array.from({ length: seedCount }, (_, seed) => runOf({ ...SPEC, ...each, seed: seed + 1 })),
  );
}

function reportOf(summaries: readonly Summary[]): Report {
  return { command: "perch sim compare 'a & b' <c>", costsName: 'free', costs: FREE, summaries };
}

const COMPARED = runsOf([{ policy: 'perch' }, { policy: 'random:discipline=fcfs' }]);

test('seeds of one set-up are one summary, and ratios are against the first policy, seed by seed', () => {
  const [perch, random] = summariesOf(COMPARED);
  assert.equal(perch?.runs.length, 3);
  assert.equal(random?.policy, 'random:discipline=fcfs');
  const { mean, halfWidth, count } = random!.metrics['slowdownMean']!;
  assert.equal(count, 3);
  assert.ok(mean > perch!.metrics['slowdownMean']!.mean);
  assert.ok(halfWidth! > 0);
  assert.deepEqual(perch!.ratios['slowdownMean'], { mean: 1, halfWidth: 0, count: 3 });
  const bySeed = random!.runs.map(({ result }, seed) => result.slowdown.mean / perch!.runs[seed]!.result.slowdown.mean);
  assert.ok(Math.abs(random!.ratios['slowdownMean']!.mean - bySeed.reduce((sum, each) => sum + each, 0) / 3) < 1e-12);
});

test('a set-up of which a seed is missing is left out, and the others stay', () => {
  const failed: Run = { ...COMPARED[1]!, result: null, error: { message: 'it failed', details: '' } };
  const summaries = summariesOf([COMPARED[0]!, failed, ...COMPARED.slice(2)]);
  assert.deepEqual(
    summaries.map(({ policy }) => policy),
    ['random:discipline=fcfs'],
  );
  assert.equal(summaries[0]!.ratios['slowdownMean']?.mean, 1);
});

test('what a cluster cannot bear is said in every form', () => {
  const summaries = summariesOf(runsOf([{ load: 0.5 }, { load: 1.5 }], 2));
  assert.equal(summaries[0]!.warning, null);
  assert.match(summaries[1]!.warning!, /CANNOT BEAR THIS LOAD/);
  assert.deepEqual(
    columnsFor(summaries)
      .find(({ title }) => title === 'POLICY')!
      .value(summaries[1]!),
    'perch (!)',
  );
  assert.match(warningsOf(summaries).join(), /^perch, 2 servers, load 1.5: THE CLUSTER/);
  assert.match(toHtml(reportOf(summaries)), /role="alert">\s*<p>\(!\) perch, 2 servers, load 1.5: THE CLUSTER CANNOT/);
  assert.match(toJson(reportOf(summaries)), /"warning":"THE CLUSTER CANNOT/);
});

test('a queue that only grows is found without a word about the load, and one that wanders is not', () => {
  const grown = { load: null, seconds: 5, warmUpSeconds: 1 };
  const warningAt = (load: number): string | null => {
    const run = runOf({ ...SPEC, seconds: 5, warmUpSeconds: 1, load });
    return summariesOf([{ ...run, spec: { ...run.spec, ...grown } }])[0]!.warning;
  };
  assert.match(warningAt(1.3)!, /CANNOT BEAR THIS LOAD: those that waited grew from \d+ to \d+/);
  for (const load of [0.3, 0.8, 0.95]) assert.equal(warningAt(load), null);
});

test('unfinished invocations: more than the cluster bears, or only long ones', () => {
  const run = runOf(SPEC);
  const result = { ...run.result!, unfinished: 7 };
  const warningWith = (busyCores: number): string =>
    summariesOf([{ ...run, result: { ...result, moments: [{ timeUs: 1, waiting: 0, busyCores }] } }])[0]!.warning!;
  assert.match(warningWith(4), /^THE CLUSTER CANNOT BEAR THIS LOAD: 7 of \d+ invocations had not ended/);
  assert.match(warningWith(1), /^NOT ALL ENDED: 7 of/);
});

test('a load that was not reached while invocations were counted', () => {
  const spec = {
    ...SPEC,
    workload: 'bimodal:short=1,long=10000,share=0.01',
    seconds: 2,
    warmUpSeconds: 0.2,
    servers: 50,
  };
  const [summary] = summariesOf([runOf(spec)]);
  assert.match(
    summary!.warning!,
    /^NOT AT THIS LOAD YET: \d+\.\d % of the cores were at work where the load asks for 80\.0 %/,
  );
});

test('the page is well-formed, needs nothing beside it, and has every set-up and trace in it', () => {
  const cases = [
    COMPARED,
    runsOf([{ policy: 'perch' }], 1),
    runsOf(
      [0.3, 0.6, 0.9, 1.2].flatMap((load) => ['perch', 'random'].map((policy) => ({ load, policy }))),
      2,
    ),
    runsOf([1, 4].flatMap((servers) => [0.5, 0.9].map((load) => ({ servers, load })))),
    runsOf(
      [1, 2, 3, 4, 5, 6, 7, 8].map((servers) => ({ servers })),
      1,
    ),
    // Nobody arrives.
    runsOf([{ load: 1e-6 }], 1),
  ];
  for (const runs of cases) {
    const html = toHtml(reportOf(summariesOf(runs)));
    assertWellFormed(html);
    assertSelfContained(html);
    assertDrawable(html);
    for (const { result } of runs) assert.ok(html.includes(result!.traceHash));
    assert.ok(html.includes("<pre>perch sim compare 'a &amp; b' &lt;c&gt;</pre>"));
  }
  assertWellFormed(toHtml(reportOf([])));
});

test('CSV: a line for each simulation, as many cells as the head has, and what it says is what was simulated', () => {
  const [head, ...lines] = toCsv(summariesOf(COMPARED)).trimEnd().split('\n');
  const names = head!.split(',');
  assert.equal(lines.length, COMPARED.length);
  assert.equal(new Set(names).size, names.length);
  for (const [index, line] of lines.entries()) {
    const cells = line.split(',');
    assert.equal(cells.length, names.length);
    const { spec, result } = COMPARED[index]!;
    assert.equal(cells[names.indexOf('seed')], String(spec.seed));
    assert.equal(cells[names.indexOf('slowdownP99')], String(result!.slowdown.p99));
    assert.equal(cells[names.indexOf('traceHash')], result!.traceHash);
    assert.equal(cells[names.indexOf('cold starts')], String(result!.counters['cold starts']));
  }
});

test('CSV: cells with commas are quoted', () => {
  const workload = 'bimodal:short=1,long=10';
  assert.ok(toCsv(summariesOf(runsOf([{ workload }], 1))).includes(`\nperch,"${workload}",2,`));
});

test('JSON: one document, the costs once, the results of each seed', () => {
  const document = JSON.parse(toJson(reportOf(summariesOf(COMPARED)))) as Record<string, any>;
  assert.equal(document['format'], 'perch-sim-1');
  assert.deepEqual(document['costs'], FREE);
  assert.equal(document['setups'].length, 2);
  assert.deepEqual(document['setups'][1].results[2], COMPARED[5]!.result);
  assert.equal(document['setups'][1].workload, SPEC.workload);
});

test('metrics have names of their own, and all of them have a line that explains them', () => {
  assert.equal(new Set(METRICS.map(({ name }) => name)).size, METRICS.length);
  for (const { name, help } of METRICS) {
    assert.match(name, /^[a-z][A-Za-z0-9]+$/);
    assert.ok(help.length > 10);
  }
});

test('numbers as people read them', () => {
  assert.deepEqual(
    [0, 1e-11, 0.5, 12.34, 999.9, 1e4, 59e6, 3600e6].map((us) => formatTime(us)),
    ['0', '0', '0.500 µs', '12.3 µs', '1.00 ms', '10.0 ms', '59.0 s', '60.0 min'],
  );
  assert.equal(formatTime(3.21, 1e3), '0.00 ms');
  assert.deepEqual(
    [1, 1.23456, 12.345, 12_345].map((value) => formatRatio(value)),
    ['1.000', '1.235', '12.3', '12345'],
  );
  assert.equal(formatRatio(0.4567, 20), '0.5');
  assert.deepEqual(
    [0, 0.5, 0.0001, 1].map((value) => formatShare(value)),
    ['0.0 %', '50.0 %', '0.0100 %', '100.0 %'],
  );
  assert.deepEqual(
    [3, 3.14159, 2e7].map((value) => formatCount(value)),
    ['3', '3.14', '2.00e7'],
  );
  assert.deepEqual(
    [99.96, 9.996, 0.000123].map((value) => digits(value)),
    ['100', '10.0', '0.000123'],
  );
});

test('scales keep the order, stay within the axis, and their marks have places of their own', () => {
  const values = fc.array(fc.double({ min: 1e-3, max: 1e9, noNaN: true }), { minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(values, (drawn) => {
      for (const scaleOf of [linearScale, logScale, tightScale]) {
        const { placeOf, ticks } = scaleOf(drawn, String);
        const places = [...drawn].sort((a, b) => a - b).map(placeOf);
        for (const [index, place] of places.entries()) {
          assert.ok(place >= 0 && place <= 1, `${scaleOf.name} puts ${drawn.join()} at ${place}`);
          if (index > 0) assert.ok(place >= places[index - 1]!);
        }
        assert.ok(ticks.length <= 20, `${scaleOf.name} has ${ticks.length} marks`);
        for (const { at } of ticks) assert.ok(Number.isFinite(at) && Number.isFinite(placeOf(at)));
      }
    }),
  );
  const tail = tailScale(1e-5);
  assert.deepEqual(
    [1, 0.1, 0.01, 1e-5].map((above) => Number(tail.placeOf(above).toFixed(6))),
    [0, 0.2, 0.4, 1],
  );
  assert.deepEqual(
    tail.ticks.map(({ label }) => label),
    ['0', 'p90', 'p99', 'p99.9', 'p99.99', 'p99.999'],
  );
});
