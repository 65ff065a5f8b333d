/** Recordings in the formats that are published, and in a plain one. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { FREE } from '../../src/sim/costs.ts';
import { Random } from '../../src/sim/engine/random.ts';
import { simulate } from '../../src/sim/simulate.ts';
import { parseWorkload, setupOf, SpecError } from '../../src/sim/spec.ts';
import { Arrival, type Workload } from '../../src/sim/workload.ts';
import { eachLine } from '../../src/sim/workloads/readers/lines.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'perch-recordings-'));
after(() => rmSync(folder, { recursive: true }));

let fileCount = 0;
function fileOf(content: string | Buffer | readonly string[], name = 'recording.csv'): string {
  const file = path.join(folder, `${fileCount++}-${name}`);
  writeFileSync(file, Array.isArray(content) ? content.join('\n') : (content as string | Buffer));
  return file;
}

interface Seen {
  readonly timeMs: number;
  readonly name: string;
  readonly phasesMs: number[];
}

/** All of it, at `load` times the rate at which it was recorded. */
function play(workload: Workload, { load = 1, seed = 1 } = {}): Seen[] {
  const arrivals = workload.start(workload.ownRate! * load, new Random(seed, 0));
  const arrival = new Arrival(workload.phaseMax);
  const seen: Seen[] = [];
  while (arrivals.next(arrival)) {
    seen.push({
      timeMs: Math.round(arrival.timeUs) / 1e3,
      name: workload.functions[arrival.functionIndex]!.name,
      phasesMs: [...arrival.phasesUs.subarray(0, arrival.phaseCount)].map((us) => Math.round(us) / 1e3),
    });
  }
  return seen;
}

function refused(text: string, what: RegExp): void {
  assert.throws(
    () => parseWorkload(text),
    (error) => error instanceof SpecError && what.test(error.message),
    String(what),
  );
}

test('csv: who arrived when, for how long and with what sleep', () => {
  const file = fileOf([
    'time_s,function,duration_ms,sleep_ms,memory_mb',
    '10.5,resize,20,0,256',
    '10,mail,100,40,64',
    '12,resize,30,0,128',
    '',
  ]);
  const workload = parseWorkload(`csv:path=${file}`);
  assert.deepEqual(play(workload), [
    { timeMs: 0, name: 'mail', phasesMs: [30, 40, 30] },
    { timeMs: 500, name: 'resize', phasesMs: [20] },
    { timeMs: 2000, name: 'resize', phasesMs: [30] },
  ]);
  assert.equal(workload.functions.find(({ name }) => name === 'resize')!.memoryMb, 256);
  assert.equal(workload.meanDemandUs, 110e3 / 3);
  assert.equal(workload.phaseMax, 3);
});

test('a load makes time go faster, and nothing shorter', () => {
  const workload = parseWorkload(`csv:path=${fileOf('time_s,function,duration_ms\n0,f,7\n1,f,7\n4,f,7')}`);
  assert.deepEqual(
    play(workload, { load: 2 }).map(({ timeMs, phasesMs }) => [timeMs, phasesMs[0]]),
    [
      [0, 7],
      [500, 7],
      [2000, 7],
    ],
  );
});

test('a recording that is played again begins a mean gap after its end', () => {
  const file = fileOf('time_s,function,duration_ms\r\n3,f,7\r\n4,f,7\r\n7,f,7\r\n');
  assert.deepEqual(
    play(parseWorkload(`csv:path=${file},repeat=2`)).map(({ timeMs }) => timeMs),
    [0, 1000, 4000, 6000, 7000, 10_000],
  );
});

test('columns in any order, and others beside them', () => {
  const file = fileOf('\uFEFFnote,duration_ms,time_s,function\nx,5,0,f');
  assert.deepEqual(play(parseWorkload(`csv:path=${file}`)), [{ timeMs: 0, name: 'f', phasesMs: [5] }]);
});

test('packed files are read as they are', () => {
  const file = fileOf(gzipSync('time_s,function,duration_ms\n0,f,5\n'), 'recording.csv.gz');
  assert.equal(play(parseWorkload(`csv:path=${file}`)).length, 1);
  refused(`csv:path=${fileOf(gzipSync('time_s').subarray(0, 12))}`, /a gzip file that is broken/);
});

test('lines that lie over the pieces in which a file is read', () => {
  const lines = Array.from({ length: 40_000 }, (_, i) => `${i},${'é'.repeat(i % 97)}`);
  const seen: string[] = [];
  eachLine(fileOf(lines), (line, lineNumber) => {
    seen.push(line);
    assert.equal(lineNumber, seen.length);
  });
  assert.deepEqual(seen, lines);
});

const HEADER = 'time_s,function,duration_ms,sleep_ms';
const WRONG: [lines: string[], what: RegExp][] = [
  [[], /it is empty/],
  [[HEADER], /no invocation/],
  [['time_s,function,duration_ms,time_s', '0,f,1,2'], /:1: column time_s is there twice/],
  [['time_s,function,duration_ms,sleep_ms,sleep_ms', '0,f,1,0,0'], /:1: column sleep_ms is there twice/],
  [['time,function,duration_ms', '0,f,1'], /:1: no column time_s in 'time,function,duration_ms'/],
  [[HEADER, '0,f,1,0', '1,f,fast,0'], /:3: column duration_ms is 'fast': it has to be a number from 0 on/],
  [[HEADER, '0,f,-1,0'], /:2: column duration_ms is '-1'/],
  [[HEADER, ',f,1,0'], /:2: column time_s is ''/],
  [[HEADER, '0,,1,0'], /:2: column function is empty/],
  [[HEADER, '0,f,1'], /:2: 3 cells: it has to be 4/],
  [[HEADER, '0,f,1,2'], /:2: it sleeps for 2 ms of 1/],
  [[HEADER, '0,f,0,0'], /takes any time/],
];
for (const [lines, what] of WRONG) {
  test(`bad input is told by file and line: ${what.source}`, () => {
    const file = fileOf(lines);
    refused(`csv:path=${file}`, what);
    refused(`csv:path=${file}`, new RegExp(path.basename(file).replace('.', '\\.') + '|workload csv'));
  });
}

test('a file that is not there, is a folder, or is not named', () => {
  refused(`csv:path=${folder}/none.csv`, /none\.csv: there is no such file/);
  refused(`csv:path=${folder}`, /it is a folder/);
  refused('csv', /needs its option path: csv:path=PATH/);
});

test('azure2021-file: what started first comes first, though it ended last', () => {
  const file = fileOf(['app,func,end_timestamp,duration', 'a,f,100.5,0.5', 'a,g,101,0.25', 'b,f,103,3.5', 'b,f,104,0']);
  const workload = parseWorkload(`azure2021-file:path=${file}`);
  assert.deepEqual(play(workload), [
    { timeMs: 0, name: 'b/f', phasesMs: [3500] },
    { timeMs: 500, name: 'a/f', phasesMs: [500] },
    { timeMs: 1250, name: 'a/g', phasesMs: [250] },
    { timeMs: 4500, name: 'b/f', phasesMs: [0] },
  ]);
  const asleep = play(parseWorkload(`azure2021-file:path=${file},asleep=80`));
  assert.deepEqual(asleep[1]!.phasesMs, [50, 400, 50]);
});

const id = (name: string): string => `owner,app-${name.slice(0, 1)},${name}`;
const INVOCATIONS = [
  'HashOwner,HashApp,HashFunction,Trigger,1,2,3',
  `${id('a1')},http,2,0,1`,
  `${id('b')},timer,0,30,0`,
];
const DURATION_HEADER =
  'HashOwner,HashApp,HashFunction,Average,Count,Minimum,Maximum,' +
  [0, 1, 25, 50, 75, 99, 100].map((percent) => `percentile_Average_${percent}`).join(',');
const DURATIONS = [
  DURATION_HEADER,
  `${id('a1')},100,3,100,100,100,100,100,100,100,100,100`,
  `${id('a2')},100,3,100,100,100,100,100,100,100,100,100`,
  `${id('b')},20,3,10,80,10,10,20,20,20,80,80`,
];
const MEMORY = ['HashOwner,HashApp,SampleCount,AverageAllocatedMb', 'owner,app-a,10,300'];

function azure2019(rest = '', { invocations = INVOCATIONS, durations = DURATIONS } = {}): string {
  return `azure2019-file:invocations=${fileOf(invocations)},durations=${fileOf(durations)}${rest}`;
}

test('azure2019-file: as many in each minute as were counted', () => {
  const workload = parseWorkload(azure2019(`,memory=${fileOf(MEMORY)}`));
  for (const seed of [1, 2]) {
    const seen = play(workload, { seed });
    const minutes = (name: string): number[] =>
      seen.filter((each) => each.name === name).map(({ timeMs }) => Math.floor(timeMs / 60_000));
    assert.deepEqual(minutes('owner/app-a/a1'), [0, 0, 2]);
    assert.deepEqual(minutes('owner/app-b/b'), new Array(30).fill(1));
    assert.ok(seen.every(({ timeMs }, i) => i === 0 || timeMs >= seen[i - 1]!.timeMs));
  }
  assert.notDeepEqual(play(workload, { seed: 1 }), play(workload, { seed: 2 }));
  assert.deepEqual(
    workload.functions.map(({ memoryMb }) => memoryMb),
    [150, 150, 128],
  );
  assert.equal(workload.ownRate, 33 / 180e6);
});

test('azure2019-file: durations as the percentiles tell, and their mean is what load counts with', () => {
  const workload = parseWorkload(azure2019(',repeat=300'));
  const ofB = play(workload)
    .filter(({ name }) => name === 'owner/app-b/b')
    .map(({ phasesMs }) => phasesMs[0]!)
    .toSorted((a, b) => a - b);
  assert.equal(ofB.length, 9000);
  assert.ok(ofB[0]! >= 10 && ofB.at(-1)! <= 80);
  assert.equal(ofB[4500], 20);
  const meanMs = ofB.reduce((sum, value) => sum + value, 0) / ofB.length;
  const statedMs = (workload.meanDemandUs * 33 - 3 * 100e3) / 30 / 1e3;
  assert.ok(Math.abs(meanMs / statedMs - 1) < 0.02, `${meanMs}, ${statedMs}`);
});

test('azure2019-file: spread evenly over a minute, or as a Poisson process', () => {
  const gapsOf = (text: string): number[] => {
    const times = play(parseWorkload(text)).map(({ timeMs }) => timeMs);
    return times.slice(1).map((time, i) => time - times[i]!);
  };
  const invocations = [INVOCATIONS[0]!, `${id('b')},timer,0,30,0`];
  assert.ok(gapsOf(azure2019(',spread=even', { invocations })).every((gap) => Math.abs(gap - 2000) < 1));
  const counts = [1, 2, 3, 4].map((seed) => {
    return play(parseWorkload(azure2019(',spread=poisson,repeat=100', { invocations })), { seed }).length;
  });
  assert.ok(counts.every((count) => Math.abs(count - 3000) < 300) && new Set(counts).size > 1, String(counts));
});

test('azure2019-file: some of the functions, the same ones for the same draw', () => {
  const names = (rest: string): string[] => parseWorkload(azure2019(rest)).functions.map(({ name }) => name);
  assert.deepEqual(names(''), ['owner/app-a/a1', 'owner/app-a/a2', 'owner/app-b/b']);
  const drawn = [1, 2, 3, 4, 5, 6].map((draw) => names(`,functions=2,draw=${draw}`));
  assert.ok(drawn.every((each) => each.length === 2));
  assert.ok(new Set(drawn.map(String)).size > 1);
  assert.deepEqual(names(',functions=2,draw=3'), drawn[2]);
});

const WRONG_2019: [change: { invocations?: string[]; durations?: string[] }, what: RegExp][] = [
  [{ invocations: [INVOCATIONS[0]!, `${id('b')},timer,0,x,0`] }, /:2: minute 2 is 'x': it has to be a whole number/],
  [{ invocations: [INVOCATIONS[0]!, `${id('b')},timer,0,,0`] }, /:2: minute 2 is empty/],
  [{ invocations: [INVOCATIONS[0]!, `${id('b')},timer,0,0`] }, /:2: 2 minutes: it has to be 3/],
  [{ invocations: [INVOCATIONS[0]!, `${id('b')},timer,0,0,0,0`] }, /:2: 4 minutes: it has to be 3/],
  [{ invocations: ['HashOwner,HashApp,HashFunction,Trigger,1,3'] }, /:1: column '3' where '2' has to be/],
  [{ invocations: ['HashOwner,HashApp,HashFunction,Trigger'] }, /:1: no column 1/],
  [{ invocations: INVOCATIONS.slice(0, 1) }, /no invocation of a function that has durations/],
  [{ invocations: [] }, /it is empty/],
  [{ durations: ['HashOwner,HashApp,HashFunction,Average'] }, /:1: no column percentile_Average_0/],
  [{ durations: [DURATION_HEADER, `${id('b')},20,3,10,80,10,?,20,20,20,80,80`] }, /:2: column percentile_Average_1 is/],
];
for (const [change, what] of WRONG_2019) {
  test(`azure2019-file, bad input: ${what.source}`, () => refused(azure2019('', change), what));
}

test('a recording is simulated as it was recorded, until it ends', () => {
  const result = simulate(
    setupOf({
      policy: 'random:discipline=fcfs',
      workload: azure2019(),
      servers: 1,
      cores: 2,
      memoryMb: 4096,
      load: null,
      costs: FREE,
      seed: 1,
      seconds: 300,
      warmUpSeconds: 0,
    }),
  );
  assert.equal(result.arrived, 33);
  assert.equal(result.unfinished, 0);
});
