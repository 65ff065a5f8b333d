/**
 * How fast the scheduler machine decides, and whether that depends on the size of the cluster. The whole machine takes
 * part: named leases, warm hints, memory admission, reserved concurrency, the queue, counters.
 */
import { SCHEDULER_COMPILER_FLAGS } from '../src/scheduler/server/compiler-flags.ts';
import { runFresh } from './lib/fresh.ts';
import {
  atLeast,
  compare,
  figureOf,
  type Benchmark,
  type BenchOptions,
  type Figure,
  type Report,
} from './lib/report.ts';
import type { ScheduleInput } from './lib/schedule-driver.ts';
import type { ScheduleOutput } from './lib/schedule-process.ts';
import type { ShardsOutput } from './lib/schedule-shards-process.ts';
import type { WakeOutput } from './lib/schedule-wake-process.ts';

const PROCESS = new URL('lib/schedule-process.ts', import.meta.url);
const SHARDS_PROCESS = new URL('lib/schedule-shards-process.ts', import.meta.url);
/** So that no garbage collection falls into the part in which allocation is measured. */
const NODE_FLAGS = [...SCHEDULER_COMPILER_FLAGS, '--min-semi-space-size=64', '--max-semi-space-size=64'];

interface Configuration {
  readonly name: string;
  readonly way: ScheduleInput['way'];
  readonly coreCount: number;
  readonly leasedShare: number;
}

const SMALL = 1000;
const LARGE = 640_000;

/** In pairs: the small cluster first, then the large one, which is compared with it. */
const CONFIGURATIONS: readonly Configuration[] = [SMALL, LARGE].flatMap((coreCount) => {
  const size = `${coreCount.toLocaleString('en-US')} cores`;
  return [
    { name: `80 % leased, ${size}`, way: 'steady', coreCount, leasedShare: 0.8 },
    { name: `10 % leased, ${size}`, way: 'steady', coreCount, leasedShare: 0.1 },
    { name: `none idle, handed over, ${size}`, way: 'handover', coreCount, leasedShare: 1 },
    { name: `none idle, refused, ${size}`, way: 'refuse', coreCount, leasedShare: 1 },
  ] as const;
});

const WAKE_PROCESS = new URL('lib/schedule-wake-process.ts', import.meta.url);
const SHARD_COUNTS = [1, 2] as const;
const TWO_SHARDS_MIN = 1.6;

const NOTES = [
  'One decision is a request that is granted, taken out of the machine and, before it, the release of a random earlier',
  'lease (80 %, 10 %); a release whose core goes to the request that waits longest, and a request that begins to wait',
  '(handed over); a request that is refused because the queue is full (refused). One thread, one shard.',
  '1,000 versions drawn by Zipf, of 128 to 1,769 MB; workers of 32 cores and 64 GB. Each round in a fresh process, the',
  'configurations in turn. Times are of the wall clock: whatever else the machine does makes them longer.',
  'Shards: threads with a machine each over one cluster, 640,000 cores, 80 % leased. A core is released at the shard of its',
  'worker, whichever granted it; all decide at once. CPU time is that of all threads while they decide.',
];

async function run(options: BenchOptions): Promise<Report> {
  const configurations = options.smoke ? CONFIGURATIONS.map(shrink) : CONFIGURATIONS;
  const rounds = options.smoke ? 1 : 7;
  const outputs = configurations.map((): ScheduleOutput[] => []);
  const shards = SHARD_COUNTS.map((): ShardsOutput[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, { way, coreCount, leasedShare }] of configurations.entries()) {
      const decisionCount = options.smoke ? 5000 : 4_000_000;
      const input: ScheduleInput = {
        way,
        coreCount,
        leasedShare,
        versionCount: 1000,
        decisionCount,
        seed: round + 1,
        shardCount: 0,
      };
      outputs[i]!.push(await runFresh<ScheduleInput, ScheduleOutput>(PROCESS, input, NODE_FLAGS));
    }
    for (const [i, shardCount] of SHARD_COUNTS.entries()) {
      const input = shardsInput(shardCount, round + 1, options.smoke);
      shards[i]!.push(await runFresh<ScheduleInput, ShardsOutput>(SHARDS_PROCESS, input, NODE_FLAGS));
    }
  }
  const wakes: WakeOutput[] = [];
  for (let round = 0; round < rounds; round++) {
    const input = { ...shardsInput(2, round + 1, options.smoke), decisionCount: options.smoke ? 20 : 2000 };
    wakes.push(await runFresh<ScheduleInput, WakeOutput>(WAKE_PROCESS, input, NODE_FLAGS));
  }
  const figures = figuresOf(configurations, outputs);
  const alone = figures[configurations.findIndex(({ coreCount }) => coreCount !== SMALL)]!;
  return {
    name: 'schedule',
    notes: NOTES,
    figures: [...figures, ...figuresOfShards(shards, alone), ...figuresOfWaking(wakes)],
  };
}

function shardsInput(shardCount: number, seed: number, smoke: boolean): ScheduleInput {
  const [coreCount, decisionCount] = smoke ? [2048, 5000] : [LARGE, 4_000_000];
  return { way: 'steady', coreCount, leasedShare: 0.8, versionCount: 1000, decisionCount, seed, shardCount };
}

/** `alone`: one thread that has the cluster to itself, which is what `perch scheduler` runs. */
function figuresOfShards(outputs: readonly ShardsOutput[][], alone: Figure): Figure[] {
  const rates = outputs.map((of, i) =>
    figureOf(
      `decisions, ${nameOf(SHARD_COUNTS[i]!)}`,
      'M/s',
      of.map(({ millionsPerSecond }) => millionsPerSecond),
    ),
  );
  const cpu = outputs.map((of, i) =>
    figureOf(
      `CPU each, ${nameOf(SHARD_COUNTS[i]!)}`,
      'ns',
      of.map(({ cpuNsEach }) => cpuNsEach),
    ),
  );
  const compared = rates.map((rate) => compare(rate, alone));
  return [...compared, atTwo(compared[1]!), ...cpu];
}

function figuresOfWaking(outputs: readonly WakeOutput[]): Figure[] {
  return [
    figureOf(
      'a released core reaches a shard that sleeps, p50',
      'µs',
      outputs.map(({ wakeUs }) => wakeUs),
    ),
    figureOf(
      'the others stand still for a dead shard',
      'ms',
      outputs.map(({ stillMs }) => stillMs),
    ),
  ];
}

function atTwo(two: Figure): Figure {
  return { ...atLeast(two, TWO_SHARDS_MIN), name: 'decisions, 2 shards over alone' };
}

function nameOf(shardCount: number): string {
  return shardCount === 1 ? '1 shard over shared words' : `${shardCount} shards`;
}

function shrink(configuration: Configuration): Configuration {
  return configuration.coreCount === LARGE ? { ...configuration, coreCount: 2000 } : configuration;
}

function figuresOf(configurations: readonly Configuration[], outputs: readonly ScheduleOutput[][]): Figure[] {
  const rates = configurations.map(({ name }, i) =>
    figureOf(
      `decisions, ${name}`,
      'M/s',
      outputs[i]!.map(({ nanosecondsEach }) => 1000 / nanosecondsEach),
    ),
  );
  const half = configurations.length / 2;
  const compared = rates.map((rate, i) => (i < half ? rate : compare(rate, rates[i - half]!)));
  const details = configurations.flatMap(({ name, way }, i) => {
    const of = outputs[i]!;
    const details = [
      figureOf(
        `each, ${name}`,
        'ns',
        of.map(({ nanosecondsEach }) => nanosecondsEach),
      ),
      figureOf(
        `allocated each, ${name}`,
        'bytes',
        of.map(({ bytesEach }) => bytesEach),
      ),
    ];
    if (way === 'steady') details.push(figureOf(`granted warm, ${name}`, '%', of.map(warmPercent)));
    return details;
  });
  return [...compared, ...details];
}

function warmPercent({ shares }: ScheduleOutput): number {
  return 100 * (shares['grantWarmCore']! + shares['grantWarmWorker']!);
}

const benchmark: Benchmark = {
  summary: 'decisions per second of the scheduler machine, with 1,000 and with 640,000 cores',
  run,
};
export default benchmark;
