/**
 * Does a function that computes without end disturb its neighbours? Three settings, in turns, each with a short
 * function called in an open loop:
 *
 * - alone: Perch and the load generator confined to one CPU, nobody else on it. What the short function takes when it
 *   has the one CPU that it would have anyway.
 * - beside a burner: Perch with two cores, one of them held by an endless loop; the load generator on the other one's CPU.
 * - shared out by the kernel: the same two functions as plain processes, unpinned and without a sandbox, with the load
 *   generator, all free to use both CPUs.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { OpenLoopResult } from './lib/open-loop.ts';
import type { CoreView } from '../src/gateway/platform.ts';
import { type BenchOptions, compare, type Figure, figureOf, type Report } from './lib/report.ts';
import { runOpenLoop } from './lib/run-open-loop.ts';
import { firstLine, perchServer } from './lib/servers.ts';
import { wrk } from './lib/wrk.ts';
import { readTopology } from '../src/worker/agent/topology.ts';

const RATE = 200;

interface Times {
  readonly seconds: number;
  /** Of the open loop itself, and in a closed loop before it. */
  readonly warmUpSeconds: number;
  readonly closedSeconds: number;
}

/** About 200 µs of work. */
const SHORT_WORK = 'let x = 1; for (let i = 0; i < 100_000; i++) x = (x * 1103515245 + 12345) & 0x7fffffff;';
const SHORT = `export const handler = async () => { ${SHORT_WORK} return x };`;
const BURNER = 'export const handler = async () => { for (;;); };';
const PLAIN_SHORT = `require('node:http').createServer((request, response) => {
  request.resume(); request.on('end', () => { ${SHORT_WORK} response.end(String(x)); });
}).listen(0, '127.0.0.1', function () { console.log(this.address().port) })`;

type Setting = 'alone' | 'beside a burner' | 'plain, alone' | 'plain, shared out by the kernel';
const SETTINGS: readonly Setting[] = ['alone', 'beside a burner', 'plain, alone', 'plain, shared out by the kernel'];

const TIMES: Times = { seconds: 8, warmUpSeconds: 1, closedSeconds: 3 };
const SMOKE_TIMES: Times = { seconds: 0.4, warmUpSeconds: 0.1, closedSeconds: 1 };

function openLoop(url: string, { seconds, warmUpSeconds }: Times, cpu: number | null): Promise<OpenLoopResult> {
  return runOpenLoop(url, { rate: RATE, seconds, warmUpSeconds, cpu });
}

/** Compilers and caches settle before anything is measured. */
async function warmUp(url: string, { closedSeconds }: Times): Promise<void> {
  await wrk(url, { connections: 1, seconds: closedSeconds, body: '{}' });
}

async function alone(cpu: number, times: Times): Promise<OpenLoopResult> {
  const perch = await perchServer(['--cores', String(cpu)], ['taskset', '-c', String(cpu)]);
  try {
    const short = await perch.deploy('short', SHORT);
    await warmUp(short, times);
    return await openLoop(short, times, cpu);
  } finally {
    await perch.stop();
  }
}

async function besideBurner(cpus: readonly [number, number], times: Times): Promise<OpenLoopResult> {
  const perch = await perchServer(['--cores', cpus.join(',')]);
  try {
    const burner = await perch.deploy('burner', BURNER, { Timeout: 900 });
    const short = await perch.deploy('short', SHORT);
    await warmUp(short, times);
    fetch(burner, { method: 'POST', body: '{}' }).catch(() => {});
    const held = await heldCpu(perch.url);
    return await openLoop(
      short,
      times,
      cpus.find((cpu) => cpu !== held)!,
    );
  } finally {
    await perch.stop('SIGKILL');
  }
}

/** The CPU that the burner holds, once it does. */
async function heldCpu(url: string): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const answer = await fetch(`${url}/perch/v1/cores`);
    const { cores } = (await answer.json()) as { cores: CoreView[] };
    const held = cores.find((core) => core.functionName.startsWith('burner') && core.sinceUs > 300_000);
    if (held !== undefined) return held.cpus[0]!;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error('the burner never held a core');
}

async function plain(times: Times, burnerCount: number): Promise<OpenLoopResult> {
  const server = spawn(process.execPath, ['-e', PLAIN_SHORT], { stdio: ['ignore', 'pipe', 'inherit'] });
  const burners: ChildProcess[] = Array.from({ length: burnerCount }, () =>
    spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' }),
  );
  try {
    const url = `http://127.0.0.1:${await firstLine(server)}/`;
    await warmUp(url, times);
    return await openLoop(url, times, null);
  } finally {
    for (const child of [server, ...burners]) child.kill('SIGKILL');
  }
}

async function run({ smoke }: BenchOptions): Promise<Report> {
  const cpus = allowedPair();
  const rounds = smoke ? 1 : 5;
  const times = smoke ? SMOKE_TIMES : TIMES;
  const results = new Map<Setting, OpenLoopResult[]>(SETTINGS.map((setting) => [setting, []]));
  for (let round = 0; round < rounds; round++) {
    results.get('alone')!.push(await alone(cpus[1], times));
    results.get('beside a burner')!.push(await besideBurner(cpus, times));
    results.get('plain, alone')!.push(await plain(times, 0));
    results.get('plain, shared out by the kernel')!.push(await plain(times, 1));
  }
  const of = (setting: Setting, what: 'p50Us' | 'p99Us'): Figure =>
    figureOf(
      `${setting}, ${what.slice(0, -2)}`,
      'µs',
      results.get(setting)!.map((result) => result[what]),
    );
  const figures = (['p50Us', 'p99Us'] as const).flatMap((what) => {
    const [a, b, c, d] = SETTINGS.map((setting) => of(setting, what)) as [Figure, Figure, Figure, Figure];
    return [a, compare(b, a), c, compare(d, c)];
  });
  const notes = [
    `A function of about 200 µs, ${RATE} calls a second in an open loop, latency from the moment each was due.`,
    `${rounds} rounds in turns, ${times.seconds} s each after a warm-up; medians of the rounds' percentiles.`,
  ];
  return { name: 'interference', notes, figures };
}

function allowedPair(): [number, number] {
  const topology = readTopology(null);
  const cpus = topology instanceof Error ? [] : topology.cores.flat();
  const [first, second] = cpus;
  if (first === undefined || second === undefined)
    throw new Error('two CPUs are needed: one for the burner, one for the rest');
  return [first, second];
}

export default { summary: 'a short function beside one that burns CPU', run };
