/**
 * A day of the Azure Functions trace of 2019 in its own format, three files that tell who is invoked how often in each minute, for how long, and
 * in how much memory:
 *
 *   invocations  invocations_per_function_md.anon.dNN.csv     HashOwner,HashApp,HashFunction,Trigger,1,2,…,1440
 *   durations    function_durations_percentiles.anon.dNN.csv  HashOwner,HashApp,HashFunction,…,percentile_Average_{0,1,25,50,75,99,100}
 *   memory       app_memory_percentiles.anon.dNN.csv          HashOwner,HashApp[,HashFunction],…,AverageAllocatedMb
 *
 * What the files do not tell is made up in this way, and drawn from the simulation's seed. Inside its minute an invocation comes at any moment
 * (`uniform`), or all of a function's at equal distances (`even`), or as many as a Poisson process of the recorded rate has
 * (`poisson`). It takes as long as a number drawn from the function's percentiles, between which the logarithm is
 * interpolated; what is below 0.1 ms counts as that. Memory of an application is shared out equally among its functions. Functions without
 * durations are left out.
 *
 * In memory: 12 bytes for each minute in which a function is invoked at all.
 */
import { assert } from '../../../base/assert.ts';
import { Random } from '../../engine/random.ts';
import type { OptionValues } from '../../policy.ts';
import { SpecError } from '../../spec-error.ts';
import { PLAIN_FUNCTION, type Workload } from '../../workload.ts';
import { type Distribution, quantiles } from '../distributions.ts';
import { FUNCTION_COUNT_MAX, number, text, type WorkloadKind } from '../kind.ts';
import { eachLine } from './lines.ts';
import { MinuteArrivals, MinuteCounts, MINUTE_US, SPREADS, type Spread } from './minutes.ts';
import { ASLEEP, givenPath, pathOption, REPEAT } from './options.ts';
import { eachRow, headerOf, type Row } from './table.ts';

const NAME = 'azure2019-file';
const ID_COLUMNS = ['HashOwner', 'HashApp', 'HashFunction'] as const;
const PERCENTS = [0, 1, 25, 50, 75, 99, 100] as const;
const FIRST_MINUTE = '1';
const DURATION_LEAST_MS = 0.1;

export const azure2019File: WorkloadKind = {
  name: NAME,
  summary: 'files of a day of the Azure Functions trace of 2019: invocations, durations, memory',
  options: {
    invocations: pathOption('invocations_per_function_md.anon.dNN.csv'),
    durations: pathOption('function_durations_percentiles.anon.dNN.csv'),
    memory: pathOption('app_memory_percentiles.anon.dNN.csv', '; without it, each has 128 MB'),
    spread: { help: 'of the invocations of a minute over it', default: 'uniform', choices: SPREADS },
    functions: {
      help: 'so many of the functions, drawn; 0: all',
      default: 0,
      min: 0,
      max: FUNCTION_COUNT_MAX,
      isWhole: true,
    },
    draw: { help: 'which ones', default: 1, min: 0, max: 0xffff_ffff, isWhole: true },
    asleep: ASLEEP,
    repeat: REPEAT,
  },
  make: readAzure2019,
};

function readAzure2019(options: OptionValues): Workload {
  const invocations = givenPath(NAME, options, 'invocations');
  const all = readDurations(givenPath(NAME, options, 'durations'));
  const durations = sampled(all, options);
  const ids = [...durations.keys()];
  const counts = readCounts(invocations, new Map(ids.map((id, index) => [id, index])));
  if (counts.total === 0) {
    throw new SpecError(`${invocations}: no invocation of a function that has durations: are they of the same day?`);
  }
  const laws = [...durations.values()];
  const memoryMb = readMemory(text(options, 'memory'), [...all.keys()]);
  const functions = ids.map((id) => ({
    ...PLAIN_FUNCTION,
    name: id,
    memoryMb: memoryMb.get(id) ?? PLAIN_FUNCTION.memoryMb,
  }));
  const asleep = number(options, 'asleep') / 100;
  const ownRate = counts.total / (counts.minuteCount * MINUTE_US);
  let demandUs = 0;
  counts.eachTotal((functionIndex, total) => {
    demandUs += total * laws[functionIndex]!.mean * (1 - asleep);
  });
  return {
    name: NAME,
    functions,
    phaseMax: asleep > 0 ? 3 : 1,
    meanDemandUs: demandUs / counts.total,
    ownRate,
    start: (ratePerUs, random) => {
      const spread = text(options, 'spread') as Spread;
      const stretch = ownRate / ratePerUs;
      return new MinuteArrivals({ counts, laws, asleep, spread, stretch, repeat: number(options, 'repeat') }, random);
    },
  };
}

function idOf(row: Row): string {
  return ID_COLUMNS.map((column) => row.text(column)).join('/');
}

function readDurations(file: string): Map<string, Distribution> {
  const found = new Map<string, Distribution>();
  const columns = PERCENTS.map((percent) => `percentile_Average_${percent}`);
  eachRow(file, { required: [...ID_COLUMNS, ...columns] }, (row) => {
    let least = DURATION_LEAST_MS * 1e3;
    const points = columns.map((column, i) => {
      // Percentiles of a few numbers may be rounded to below the one before.
      least = Math.max(least, row.number(column) * 1e3);
      return [PERCENTS[i]! / 100, least] as const;
    });
    found.set(idOf(row), quantiles(points));
  });
  return found;
}

function sampled(all: Map<string, Distribution>, options: OptionValues): Map<string, Distribution> {
  const wanted = number(options, 'functions');
  if (wanted === 0 && all.size > FUNCTION_COUNT_MAX) {
    throw new SpecError(`${all.size} functions: ${FUNCTION_COUNT_MAX} are the most, option functions draws some`);
  }
  if (wanted === 0 || wanted >= all.size) return all;
  const random = new Random(number(options, 'draw'), 0);
  // As many of the rest as are still wanted: each set of so many is as likely.
  let left = all.size;
  let missing = wanted;
  const taken = new Map<string, Distribution>();
  for (const [id, law] of all) {
    if (random.below(left--) >= missing) continue;
    taken.set(id, law);
    missing--;
  }
  return taken;
}

/** Not by rows of cells: a day has 1,440 of them for each function, and most are 0. */
function readCounts(file: string, indexes: ReadonlyMap<string, number>): MinuteCounts {
  let counts: MinuteCounts | null = null;
  let first = 0;
  let at: readonly number[] = [];
  eachLine(file, (line, lineNumber) => {
    if (counts === null) {
      const header = headerOf(file, line, { required: [...ID_COLUMNS, FIRST_MINUTE] });
      first = header.indexOf(FIRST_MINUTE);
      at = ID_COLUMNS.map((column) => header.indexOf(column));
      counts = new MinuteCounts(minuteCountOf(file, header.slice(first)));
      return;
    }
    if (line === '') return;
    const cells = line.split(',', first);
    const functionIndex = indexes.get(at.map((index) => cells[index]).join('/'));
    if (functionIndex === undefined) return;
    const from = cells.reduce((length, cell) => length + cell.length + 1, 0);
    readMinutes(counts, { line, from, functionIndex, where: `${file}:${lineNumber}` });
  });
  if (counts === null) throw new SpecError(`${file}: it is empty: the first line has to name the columns`);
  (counts as MinuteCounts).close();
  return counts;
}

function minuteCountOf(file: string, minutes: readonly string[]): number {
  const wrong = minutes.findIndex((name, index) => name !== String(index + 1));
  if (wrong < 0) return minutes.length;
  throw new SpecError(
    `${file}:1: column '${minutes[wrong]}' where '${wrong + 1}' has to be: minutes are counted from 1`,
  );
}

interface MinuteCells {
  readonly line: string;
  /** Where the first one begins. */
  readonly from: number;
  readonly functionIndex: number;
  readonly where: string;
}

const ZERO = 48;
const COMMA = 44;

function readMinutes(counts: MinuteCounts, { line, from, functionIndex, where }: MinuteCells): void {
  let minute = 0;
  let value = 0;
  let isEmpty = true;
  for (let i = from; i <= line.length; i++) {
    const code = i === line.length ? COMMA : line.charCodeAt(i);
    if (code === COMMA) {
      if (isEmpty) throw new SpecError(`${where}: minute ${minute + 1} is empty: it has to be a whole number`);
      if (value > 0 && minute < counts.minuteCount) counts.add(minute, functionIndex, value);
      minute++;
      value = 0;
      isEmpty = true;
      continue;
    }
    const digit = code - ZERO;
    if (digit < 0 || digit > 9) {
      const cell = line.slice(from).split(',')[minute];
      throw new SpecError(`${where}: minute ${minute + 1} is '${cell}': it has to be a whole number`);
    }
    value = value * 10 + digit;
    isEmpty = false;
  }
  if (minute === counts.minuteCount) return;
  throw new SpecError(`${where}: ${minute} minutes: it has to be ${counts.minuteCount}, as in the first line`);
}

/** Of each function that it is known of: what the file tells of itself, or its part of what its application has. */
function readMemory(file: string, ids: readonly string[]): Map<string, number> {
  const told = new Map<string, number>();
  const columns = { required: ['HashOwner', 'HashApp', 'AverageAllocatedMb'], optional: ['HashFunction'] };
  if (file !== '') {
    eachRow(file, columns, (row) => {
      const app = `${row.text('HashOwner')}/${row.text('HashApp')}`;
      told.set(
        row.has('HashFunction') ? `${app}/${row.text('HashFunction')}` : app,
        row.number('AverageAllocatedMb', 0),
      );
    });
  }
  const functionsOfApp = new Map<string, number>();
  for (const id of ids) functionsOfApp.set(appOf(id), (functionsOfApp.get(appOf(id)) ?? 0) + 1);
  const found = new Map<string, number>();
  for (const id of ids) {
    const app = appOf(id);
    const ofApp = told.get(app);
    const own = told.get(id) ?? (ofApp === undefined ? null : ofApp / functionsOfApp.get(app)!);
    if (own !== null) found.set(id, Math.max(1, Math.round(own)));
  }
  return found;
}

function appOf(id: string): string {
  const end = id.lastIndexOf('/');
  assert(end > 0, 'a function without an application');
  return id.slice(0, end);
}
