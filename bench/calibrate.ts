/**
 * What things cost on the real platform, for `--costs measured` of `perch sim`, and whether the simulator with these costs says what the platform
 * does. `--write` puts the costs into src/sim/calibration.json; parts that were left out keep what is there.
 */
import { COST_NAMES, type Costs } from '../src/sim/costs.ts';
import {
  type CalibrationFile,
  costsWith,
  readCalibration,
  writeCalibration,
} from './lib/calibrate/calibration-file.ts';
import { coldStartCosts } from './lib/calibrate/cold.ts';
import { compareWithPlatform } from './lib/calibrate/comparison.ts';
import { invocationCosts } from './lib/calibrate/invocation.ts';
import { migrationCosts } from './lib/calibrate/migration.ts';
import { schedulerCosts } from './lib/calibrate/scheduler.ts';
import { sleepCosts } from './lib/calibrate/sleeping.ts';
import type { MeasuredCosts, Spread } from './lib/calibrate/spread.ts';
import { switchCosts } from './lib/calibrate/switching.ts';
import type { Benchmark, BenchOptions, Figure, Report } from './lib/report.ts';

interface CostPart {
  readonly name: string;
  readonly notes: readonly string[];
  /** Without those that cannot be measured here. */
  measure(options: BenchOptions): Promise<MeasuredCosts>;
}

const COST_PARTS: readonly CostPart[] = [
  {
    name: 'scheduler',
    notes: [
      'scheduler: `perch scheduler` with a worker and a gateway over TLS on loopback. networkUs: half of the time from a request to its grant, one at a time;',
      'decisionUs: CPU time of its process for each invocation, three frames read and written in it. Lowest and highest of the rounds.',
    ],
    measure: schedulerCosts,
  },
  {
    name: 'invocation',
    notes: [
      'invocation: `perch up`, a warm function of 20 ms of CPU time. startUs: from the grant until the handler runs; endUs: with it, from the end of',
      "a handler to the begin of the next on its core; gatewayUs: all else that a client's latency has, HTTP both ways included. p10 and p90.",
    ],
    measure: invocationCosts,
  },
  {
    name: 'cold',
    notes: [
      'cold: the first invocation ever of a small Node function, from its grant until its handler runs. p10 and p90.',
    ],
    measure: coldStartCosts,
  },
  {
    name: 'switch',
    notes: [
      'switch: the two calls that put one instance behind and another in front, and a switch of the kernel between two processes that each read',
      '512 KB in their turn. Lowest and highest of the rounds.',
    ],
    measure: switchCosts,
  },
  {
    name: 'migrate',
    notes: [
      'migrate: assumed, since Perch never does it: the private memory of a warm Node instance once through TCP on loopback. p10 and p90.',
    ],
    measure: migrationCosts,
  },
  {
    name: 'sleep',
    notes: [
      'sleep: from the moment that the kernel saw until the agent is told, eBPF. Lowest and highest of the rounds.',
    ],
    measure: sleepCosts,
  },
];

const COMPARE = 'compare';
const COMPARE_NOTES = [
  'compare: `perch up` with one CPU for itself and the load and the others for functions; Poisson arrivals, CPU time as drawn. The invocations as they',
  'were sent are simulated: `perch sim run perch`, one server, the costs above, networkUs 0 since all is one process. Latencies as the client sees',
  'them. Measured: with its 95 % confidence interval, of latencies by blocks of a second (bootstrap), of rates by rounds (Student). Burst: all at once.',
  'By the clock: with what handlers took by the clock instead of their CPU time. Rounds in which others had more than 1 % of a core, or the platform had',
  'to refuse some, are left out, and others played instead for as long as 100 s; where fewer than two are quiet, all count.',
];

async function run(options: BenchOptions): Promise<Report> {
  if (options.smoke && options.write) throw new Error('--write with --smoke: figures of a smoke run mean nothing');
  const isWanted = (name: string): boolean => options.only.length === 0 || options.only.includes(name);
  const before = readCalibration();
  const measured: MeasuredCosts = {};
  const figures: Figure[] = [];
  const notes: string[] = [];
  for (const part of COST_PARTS.filter(({ name }) => isWanted(name))) {
    const found = await part.measure(options);
    const isEmpty = Object.keys(found).length === 0;
    notes.push(...part.notes, ...(isEmpty ? [`${part.name}: CANNOT BE MEASURED HERE`] : []));
    Object.assign(measured, found);
    for (const [name, spread] of Object.entries(found)) figures.push(figureOf(name, spread));
  }
  if (isWanted(COMPARE)) {
    const costs = costsWith(measured, before);
    if (costs === null) throw new Error(`'${COMPARE}' needs all costs, and nothing was calibrated yet: run all parts`);
    notes.push(...COMPARE_NOTES);
    figures.push(...(await compareWithPlatform(costs, options)));
  }
  if (options.write) writeCalibration(allOf(measured, before));
  return { name: 'calibrate', notes, figures };
}

function figureOf(name: string, { p50, low, high }: Spread): Figure {
  return { name, unit: 'µs', value: p50, min: low, max: high };
}

function allOf(measured: MeasuredCosts, before: CalibrationFile | null): Record<keyof Costs, Spread> {
  const entries = COST_NAMES.map((name) => {
    const old = before === null ? undefined : spreadIn(before, name);
    const spread = measured[name] ?? old;
    if (spread === undefined)
      throw new Error(`--write: ${name} was not measured, and src/sim/calibration.json lacks it`);
    return [name, spread] as const;
  });
  return Object.fromEntries(entries) as Record<keyof Costs, Spread>;
}

function spreadIn({ costs, spread }: CalibrationFile, name: keyof Costs): Spread {
  const [low, high] = spread[name];
  return { p50: costs[name], low, high };
}

const benchmark: Benchmark = {
  summary: "what the platform's own work takes, for the simulator, and whether both agree",
  parts: [...COST_PARTS.map(({ name }) => name), COMPARE],
  run,
};
export default benchmark;
