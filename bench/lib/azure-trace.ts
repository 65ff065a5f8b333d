/**
 * Reads a day of the Azure Functions trace of 2019 in its own file format: a folder with three files whose names hold
 * `invocations`, `durations` and `memory` (of several days, the first by name).
 *
 *   invocations  HashOwner,HashApp,HashFunction,Trigger,1,2,…: how many in each minute
 *   durations    …,HashFunction,Average,Count,Minimum,Maximum,…: milliseconds
 *   memory       …,HashApp[,HashFunction],SampleCount,AverageAllocatedMb,…: of an application, shared by its functions
 *
 * The invocations of a minute are spread evenly over it, from a random moment on. What a cold start adds is taken to be
 * the longest duration less the average, as FaasCache (ASPLOS '21) does. Functions without durations are left out; those
 * without memory get the median of what is known. A whole day has far more invocations than can be replayed: functions
 * are taken in random order as long as they fit.
 */
import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { Prng } from '../../src/base/prng.ts';
import { median } from './report.ts';
import { type Workload, type WorkloadFunction, workloadOf } from './workload.ts';

export interface TraceOptions {
  readonly folder: string;
  readonly seed: number;
  readonly invocationCountMax: number;
}

export interface Trace {
  readonly workload: Workload;
  readonly functionCount: number;
  /** Of the file, with those that were left out. */
  readonly functionCountAll: number;
}

type Row = Readonly<Record<string, string>>;

const MINUTE_MS = 60_000;
const FIRST_MINUTE = '1';

export async function readAzureTrace({ folder, seed, invocationCountMax }: TraceOptions): Promise<Trace> {
  const files = (await readdir(folder)).toSorted();
  const find = (word: string): string => {
    const file = files.find((name) => name.includes(word) && name.endsWith('.csv'));
    if (file === undefined) throw new Error(`${folder} has no .csv file with '${word}' in its name`);
    return path.join(folder, file);
  };
  const durations = new Map<string, { averageMs: number; maximumMs: number }>();
  await eachRow(find('durations'), (row) => {
    const found = { averageMs: Number(row['Average']), maximumMs: Number(row['Maximum']) };
    if (found.averageMs >= 0) durations.set(idOf(row), found);
  });
  const memory = new Map<string, number>();
  await eachRow(find('memory'), (row) => {
    memory.set(row['HashFunction'] === undefined ? appOf(row) : idOf(row), Number(row['AverageAllocatedMb']));
  });
  const minutes = await readMinutes(find('invocations'));
  const prng = new Prng(seed);
  const taken = sample(
    minutes.filter(({ id }) => durations.has(id)),
    invocationCountMax,
    prng,
  );
  if (taken.length === 0) throw new Error(`${folder}: no function has both invocations and durations`);
  const functionsOfApp = new Map<string, number>();
  for (const { app } of minutes) functionsOfApp.set(app, (functionsOfApp.get(app) ?? 0) + 1);
  const typicalMb = memory.size === 0 ? NaN : median([...memory.values()]);
  const functions = taken.map(({ id, app }): WorkloadFunction => {
    const { averageMs, maximumMs } = durations.get(id)!;
    const ofApp = (memory.get(app) ?? typicalMb) / functionsOfApp.get(app)!;
    return {
      memoryMb: Math.max(1, Math.round(memory.get(id) ?? ofApp)),
      durationMs: averageMs,
      initMs: Math.max(0, maximumMs - averageMs),
    };
  });
  const minuteCount = Math.max(...taken.map(({ counts }) => counts.length));
  const arrivals = taken.map(({ counts }) => arrivalsOf(counts, prng));
  const workload = workloadOf(functions, minuteCount * 60, arrivals);
  return { workload, functionCount: taken.length, functionCountAll: minutes.length };
}

interface Minutes {
  readonly id: string;
  readonly app: string;
  readonly counts: Uint32Array;
  readonly total: number;
}

async function readMinutes(file: string): Promise<Minutes[]> {
  const all: Minutes[] = [];
  let first = -1;
  await eachLine(file, (cells, header) => {
    if (first < 0) first = header.indexOf(FIRST_MINUTE);
    if (first < 0) throw new Error(`${file} has no column '${FIRST_MINUTE}', the first minute`);
    const counts = Uint32Array.from(cells.slice(first), Number);
    const total = counts.reduce((sum, count) => sum + count, 0);
    const row = rowOf(cells, header.slice(0, first));
    if (total > 0) all.push({ id: idOf(row), app: appOf(row), counts, total });
  });
  return all;
}

/** In random order, each that still fits. */
function sample(all: readonly Minutes[], invocationCountMax: number, prng: Prng): Minutes[] {
  const order = [...all];
  for (let left = order.length; left > 1; left--) {
    const other = prng.below(left);
    [order[left - 1], order[other]] = [order[other]!, order[left - 1]!];
  }
  let count = 0;
  return order.filter(({ total }) => {
    if (count + total > invocationCountMax) return false;
    count += total;
    return true;
  });
}

function arrivalsOf(counts: Uint32Array, prng: Prng): number[] {
  const times: number[] = [];
  for (const [minute, count] of counts.entries()) {
    const offset = prng.unit();
    for (let index = 0; index < count; index++) times.push((minute + (index + offset) / count) * MINUTE_MS);
  }
  return times;
}

function appOf(row: Row): string {
  return `${row['HashOwner']}/${row['HashApp']}`;
}

function idOf(row: Row): string {
  return `${appOf(row)}/${row['HashFunction']}`;
}

function rowOf(cells: readonly string[], header: readonly string[]): Row {
  return Object.fromEntries(header.map((name, index) => [name, cells[index] ?? '']));
}

function eachRow(file: string, use: (row: Row) => void): Promise<void> {
  return eachLine(file, (cells, header) => use(rowOf(cells, header)));
}

/** No cell of these files holds a comma. */
async function eachLine(file: string, use: (cells: string[], header: string[]) => void): Promise<void> {
  let header: string[] | null = null;
  for await (const line of createInterface({ input: createReadStream(file) })) {
    if (line === '') continue;
    const cells = line.split(',');
    if (header === null) header = cells;
    else use(cells, header);
  }
}
