/**
 * What is kept when not everything can be: greedy-dual, which ships, beside the least recently used, a fixed ten minutes,
 * and greedy-dual that counts each instance's own uses instead of its function's, on a day of invocations in virtual time. The rules are the platform's own classes; see keep-alive-model.ts.
 *
 * `--trace FOLDER` replays files of the Azure Functions trace of 2019 in place of the workload from its statistics.
 */
import { FixedTime, GreedyDual, type KeepAlive, LeastRecentlyUsed } from '../src/worker/machine/keep-alive.ts';
import { azureWorkload } from './lib/azure-2019.ts';
import { readAzureTrace } from './lib/azure-trace.ts';
import { GreedyDualByGroup } from './lib/greedy-dual-by-group.ts';
import { type KeepAliveResult, type Machine, runKeepAlive } from './lib/keep-alive-model.ts';
import { type BenchOptions, compare, type Figure, figureOf, type Report } from './lib/report.ts';
import type { Workload } from './lib/workload.ts';

const SHIPPED = 'greedy-dual';
const TEN_MINUTES_US = 600 * 1e6;
const RULES: Readonly<Record<string, (itemCount: number, groupCount: number) => KeepAlive>> = {
  [SHIPPED]: (items) => new GreedyDual(items),
  'least recently used': (items) => new LeastRecentlyUsed(items),
  'ten minutes': (items) => new FixedTime(items, TEN_MINUTES_US),
  'greedy-dual by function': (items, groups) => new GreedyDualByGroup(items, groups),
};
const RIVALS = Object.keys(RULES).filter((rule) => rule !== SHIPPED);

const MEASURES: readonly { what: string; unit: string; of: (result: KeepAliveResult) => number }[] = [
  { what: 'cold starts', unit: '%', of: (result) => (100 * result.coldCount) / Math.max(1, result.invocationCount) },
  { what: 'added to an invocation', unit: 'ms', of: (result) => result.addedMeanMs },
  { what: 'idle memory', unit: 'GB', of: (result) => result.idleMeanMb / 1024 },
];

/** Memory to keep idle instances in, as a share of what all functions take with one instance each. */
const BUDGET_SHARES = [0.1, 0.2, 0.4, 0.8];
/** Cores for each that the workload keeps busy on average: bursts have to wait, and the rest does not. */
const CORES_PER_BUSY = 2;
/** A rival that is better by less, nobody would notice. */
const BETTER_MAX = 0.995;

const HOW = [
  `${CORES_PER_BUSY} cores for each that is busy on average, one invocation on each, first come, first served; memory for as many`,
  'average instances as cores, and beyond it for the stated share of one instance of every function. Medians over the seeds.',
];
const SEEDS = [1, 2, 3];
const FUNCTION_COUNT = 500;
const DAY_SECONDS = 86_400;
const TRACE_INVOCATIONS_MAX = 2_000_000;

interface Setting {
  readonly name: string;
  /** One for each seed. */
  readonly workloads: readonly Workload[];
}

async function run(options: BenchOptions): Promise<Report> {
  const notes: string[] = [];
  const figures: Figure[] = [];
  const losses = new Losses();
  for (const { name, workloads } of await settingsOf(options, notes)) {
    notes.push(`${name}: ${workloads.map(describe).join('; ')}`);
    for (const share of BUDGET_SHARES) {
      const results = resultsOf(workloads, share);
      const at = `${name}, ${share * 100} %`;
      for (const measure of MEASURES) {
        const group = compared(at, measure, results);
        figures.push(...group);
        losses.add(at, measure.what, group);
      }
    }
  }
  return { name: 'keep-alive', notes: [...notes, ...HOW, ...losses.lines()], figures };
}

async function settingsOf({ smoke, trace }: BenchOptions, notes: string[]): Promise<Setting[]> {
  if (trace !== null) {
    const read = await readAzureTrace({ folder: trace, seed: 1, invocationCountMax: TRACE_INVOCATIONS_MAX });
    notes.push(`${read.functionCount} of the ${read.functionCountAll} functions in ${trace} that were invoked.`);
    return [{ name: 'trace', workloads: [read.workload] }];
  }
  const seeds = smoke ? SEEDS.slice(0, 1) : SEEDS;
  const functionCount = smoke ? 40 : FUNCTION_COUNT;
  const seconds = smoke ? 3600 : DAY_SECONDS;
  notes.push(
    'Drawn from published statistics of Azure Functions 2019 (CC BY 4.0); the cost of a cold start is an assumption:',
    'varied (50 ms to 5 s) or equal for all. An application is one function; the busiest 5 % are as busy as the 95th percentile.',
  );
  return (['varied', 'equal'] as const).map((initCost) => ({
    name: `${initCost} cost`,
    workloads: seeds.map((seed) => azureWorkload({ seed, functionCount, seconds, initCost })),
  }));
}

type Results = ReadonlyMap<string, readonly KeepAliveResult[]>;

function resultsOf(workloads: readonly Workload[], share: number): Results {
  return new Map(
    Object.entries(RULES).map(([rule, make]) => [
      rule,
      workloads.map((workload) => runKeepAlive(workload, machineFor(workload, share), make)),
    ]),
  );
}

function machineFor(workload: Workload, share: number): Machine {
  const { functions, arrivalOf, seconds } = workload;
  let busyMs = 0;
  for (const fn of arrivalOf) busyMs += functions[fn]!.durationMs;
  const coreCount = Math.max(1, Math.ceil((CORES_PER_BUSY * busyMs) / (seconds * 1000)));
  const sumMb = totalMb(workload);
  // What runs takes memory too, and none of it is in question here.
  const largestMb = Math.max(...functions.map(({ memoryMb }) => memoryMb));
  const runningMb = Math.max((coreCount * sumMb) / functions.length, largestMb);
  return { coreCount, memoryMb: Math.ceil(runningMb + share * sumMb) };
}

/** The rule that ships, and each rival beside it. */
function compared(at: string, { what, unit, of }: (typeof MEASURES)[number], results: Results): Figure[] {
  const figure = (rule: string): Figure => figureOf(`${at}, ${rule}, ${what}`, unit, results.get(rule)!.map(of));
  const shipped = figure(SHIPPED);
  const beside = (rival: Figure): Figure => (shipped.value === 0 ? rival : compare(rival, shipped));
  return [shipped, ...RIVALS.map((rival) => beside(figure(rival)))];
}

/** Every measure is better when it is less. Where which rival is better, by rival and measure. */
class Losses {
  readonly #settings = new Map<string, string[]>();

  add(at: string, what: string, [, ...rivals]: readonly Figure[]): void {
    for (const [index, { ratio }] of rivals.entries()) {
      if (ratio === undefined || ratio > BETTER_MAX) continue;
      const key = `${what}, ${RIVALS[index]!}`;
      this.#settings.set(key, [...(this.#settings.get(key) ?? []), `${ratio.toFixed(2)} × at ${at}`]);
    }
  }

  lines(): string[] {
    if (this.#settings.size === 0) return [`${SHIPPED} loses nowhere.`];
    const each = [...this.#settings].map(([key, settings]) => `  ${key}: ${settings.join('; ')}`);
    return [`${SHIPPED} loses in:`, ...each];
  }
}

function totalMb({ functions }: Workload): number {
  return functions.reduce((sum, { memoryMb }) => sum + memoryMb, 0);
}

function describe(workload: Workload): string {
  const { functions, arrivalMs, seconds } = workload;
  const totalGb = (totalMb(workload) / 1024).toFixed(1);
  return `${functions.length} functions of ${totalGb} GB together, ${arrivalMs.length} invocations in ${seconds / 3600} h`;
}

export default { summary: 'what is kept: greedy-dual beside LRU and ten minutes, in virtual time', run };
