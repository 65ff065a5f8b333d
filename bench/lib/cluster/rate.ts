/** How many invocations a second one scheduler serves over its connections, with TLS and without. */
import { atLeast, type BenchOptions, type Figure, figureOf } from '../report.ts';
import { ClusterLoad } from './load.ts';
import { cpuSeconds, type SchedulerProcess, startOverTls, startPlain, workerNames } from './processes.ts';

/** What 20,000 servers of 32 cores need (Kaffes et al.: functions of 100 ms). */
const INVOCATIONS_PER_SECOND_MIN = 6_400_000;

interface Shape {
  readonly name: string;
  readonly start: (coreCount: number) => Promise<SchedulerProcess>;
  readonly coreCount: number;
  readonly inFlight: number;
  readonly isPromised: boolean;
}

function shape(over: 'TCP' | 'TLS', coreCount: number, inFlight: number, isPromised = false): Shape {
  const sizes = [coreCount, inFlight].map((size) => size.toLocaleString('en-US'));
  const name = `over ${over}, ${sizes[0]} cores, ${sizes[1]} on their way`;
  return { name, start: over === 'TLS' ? startOverTls : startPlain, coreCount, inFlight, isPromised };
}

/** Ports of shards are next to each other: below those that outgoing connections take. */
const PORTS = { from: 20_000, count: 10_000 };

/** The gateway is at one shard and the workers at the other, so each release crosses. */
function twoShards(coreCount: number, inFlight: number): Shape {
  const one = shape('TCP', coreCount, inFlight);
  const port = (): number => PORTS.from + Math.floor(Math.random() * PORTS.count);
  return {
    ...one,
    name: `${one.name}, 2 shards`,
    start: (cores) => startPlain(cores, workerNames(cores).length, port(), 2),
  };
}

const SHAPES: readonly Shape[] = [
  shape('TCP', 1024, 64),
  shape('TCP', 1024, 1000),
  shape('TCP', 32_768, 16_384, true),
  twoShards(1024, 1000),
  twoShards(32_768, 16_384),
  shape('TLS', 1024, 1000),
  shape('TLS', 32_768, 16_384),
];

interface Measured {
  readonly rate: number;
  readonly nsEach: number;
}

async function measure({ start, coreCount, inFlight }: Shape, seconds: number): Promise<Measured> {
  const scheduler = await start(coreCount);
  try {
    const load = await ClusterLoad.open(scheduler, coreCount);
    // The compilers warm up.
    await load.closedLoop(inFlight, seconds / 2);
    const beforeSeconds = cpuSeconds(scheduler.child.pid!);
    const rate = await load.closedLoop(0, seconds);
    const usedSeconds = cpuSeconds(scheduler.child.pid!) - beforeSeconds;
    load.close();
    return { rate, nsEach: (usedSeconds * 1e9) / (rate * seconds) };
  } finally {
    await scheduler.close();
  }
}

export async function rateOverConnections({ smoke }: BenchOptions): Promise<readonly Figure[]> {
  const results = SHAPES.map((): Measured[] => []);
  for (let round = 0; round < (smoke ? 1 : 5); round++)
    for (const [index, each] of SHAPES.entries()) results[index]!.push(await measure(each, smoke ? 0.1 : 3));
  return SHAPES.flatMap(({ name, isPromised }, index) => {
    const of = results[index]!;
    const rates = of.map((each) => each.rate);
    const rate = figureOf(`${name}, invocations`, '/s', rates);
    const times = of.map((each) => each.nsEach);
    return [
      isPromised ? atLeast(rate, INVOCATIONS_PER_SECOND_MIN) : rate,
      figureOf(`${name}, CPU time each`, 'ns', times),
    ];
  });
}
