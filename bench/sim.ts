/**
 * How fast the simulator runs the shipped scheduler machine at full size, and whether an event costs more in a large cluster than
 * in a small one.
 */
import { SCHEDULER_COMPILER_FLAGS } from '../src/scheduler/server/compiler-flags.ts';
import { runFresh } from './lib/fresh.ts';
import {
  atLeast,
  atMost,
  type Benchmark,
  type BenchOptions,
  compare,
  type Figure,
  figureOf,
  type Report,
} from './lib/report.ts';
import type { SimInput, SimOutput } from './lib/sim-process.ts';

const PROCESS = new URL('lib/sim-process.ts', import.meta.url);

/** As `bin/perch` starts a simulation. */
const HUGE_PAGES = { GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1' };

const CORES_EACH = 32;
/** 6.4 million invocations a second on 640,000 cores at 80 % load: 80 ms each in the mean. */
const MEAN_US = 80_000;
const LOAD = 0.8;
/** The smallest is the one that the others are compared with. */
const SERVER_COUNTS = [32, 200, 2000, 20_000];
const REAL_TIME_MIN = 0.25;
const COST_RATIO_MAX = 2;

const NOTES = [
  'perch sim run perch: workers of 32 cores, exponential run times of 80 ms in the mean, Poisson arrivals at 80 % load (6.4 million a second at',
  '640,000 cores), 25 µs from host to host, 20 µs to start. Each invocation is 4 events: it arrives, is requested, ends, is released.',
  'One thread. Counted is what happens once the cluster is full (after four mean run times); wall clock, the sizes in turn, each in a fresh process.',
  'Events per second of CPU time leave out what other programs took of the core. A heap alone: the same events, put in and taken out, and no scheduler.',
];

async function run(options: BenchOptions): Promise<Report> {
  const serverCounts = options.smoke ? [2, 8] : SERVER_COUNTS;
  const rounds = options.smoke ? 1 : 5;
  const outputs = serverCounts.map((): SimOutput[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, serverCount] of serverCounts.entries()) {
      const input: SimInput = {
        serverCount,
        coreCount: CORES_EACH,
        meanUs: MEAN_US,
        load: LOAD,
        seed: round + 1,
        eventCount: options.smoke ? 20_000 : 10_000_000,
      };
      outputs[i]!.push(await runFresh<SimInput, SimOutput>(PROCESS, input, SCHEDULER_COMPILER_FLAGS, HUGE_PAGES));
    }
  }
  return { name: 'sim', notes: NOTES, figures: figuresOf(serverCounts, outputs) };
}

function figuresOf(serverCounts: readonly number[], outputs: readonly SimOutput[][]): Figure[] {
  const sizes = serverCounts.map((count) => `${(count * CORES_EACH).toLocaleString('en-US')} cores`);
  const last = sizes.length - 1;
  const of = (name: string, unit: string, value: (output: SimOutput) => number): Figure[] =>
    sizes.map((size, i) => figureOf(`${name}, ${size}`, unit, outputs[i]!.map(value)));
  const costs = of('cost of an event', 'ns', ({ nsEach }) => nsEach);
  const compared = costs.map((cost, i) => (i === 0 ? cost : compare(cost, costs[0]!)));
  const speeds = of('simulated seconds in a second', 's/s', ({ simulatedPerSecond }) => simulatedPerSecond);
  const bare = of('a heap of the same events alone', 'ns', ({ heapNsEach }) => heapNsEach);
  return [
    ...compared.slice(0, last),
    atMost(compared[last]!, COST_RATIO_MAX),
    atLeast(speeds[last]!, REAL_TIME_MIN),
    ...of('events in a second', 'M/s', ({ nsEach }) => 1e3 / nsEach).slice(last),
    ...of('events in a second of CPU time', 'M/s', ({ cpuNsEach }) => 1e3 / cpuNsEach).slice(last),
    ...bare.slice(last),
    ...of('memory', 'MB', ({ memoryMb }) => memoryMb),
  ];
}

const benchmark: Benchmark = {
  summary: 'simulated seconds in a second at 640,000 cores, and the cost of an event from 1,000 cores on',
  run,
};
export default benchmark;
