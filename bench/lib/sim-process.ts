/** The measured part of `bench/sim.ts`, in a process of its own: one simulation, and a bare heap with the same events. */
import { EventQueue } from '../../src/sim/engine/event-queue.ts';
import { Random } from '../../src/sim/engine/random.ts';
import { FREE } from '../../src/sim/costs.ts';
import { openWorld } from '../../src/sim/simulate.ts';
import { setupOf } from '../../src/sim/spec.ts';

export interface SimInput {
  readonly serverCount: number;
  /** Of each server. */
  readonly coreCount: number;
  readonly meanUs: number;
  readonly load: number;
  readonly seed: number;
  /** To be counted at least. */
  readonly eventCount: number;
}

export interface SimOutput {
  readonly nsEach: number;
  readonly cpuNsEach: number;
  readonly simulatedPerSecond: number;
  readonly heapNsEach: number;
  /** Resident. */
  readonly memoryMb: number;
}

/** Mean run times until the cluster is as full as it will be, within 2 %. */
const FILL_MEANS = 4;
const EVENTS_EACH = 4;

function measure(input: SimInput): SimOutput {
  const { serverCount, coreCount, meanUs, load, seed, eventCount } = input;
  const { world, policy } = openWorld(
    setupOf({
      policy: 'perch',
      workload: `exponential:mean=${meanUs / 1e3}`,
      servers: serverCount,
      cores: coreCount,
      memoryMb: 65_536,
      load,
      costs: { ...FREE, networkUs: 25, startUs: 20 },
      seed,
      seconds: 1e6,
      warmUpSeconds: 0,
    }),
  );
  const { engine } = world;
  world.open(policy);
  engine.run(FILL_MEANS * meanUs);
  // A small cluster fills in no time; the compiler has to be done all the same.
  while (engine.eventCount < eventCount / 4) engine.step(Infinity);
  const first = { events: engine.eventCount, us: engine.nowUs, cpu: process.cpuUsage(), start: performance.now() };
  while (engine.eventCount < first.events + eventCount) engine.step(Infinity);
  const count = engine.eventCount - first.events;
  const seconds = (performance.now() - first.start) / 1e3;
  const cpu = process.cpuUsage(first.cpu);
  const simulatedSeconds = (engine.nowUs - first.us) / 1e6;
  const memoryMb = process.memoryUsage().rss / 2 ** 20;
  policy.check?.();
  return {
    nsEach: (seconds / count) * 1e9,
    cpuNsEach: ((cpu.user + cpu.system) / count) * 1e3,
    simulatedPerSecond: simulatedSeconds / seconds,
    heapNsEach: bareHeap(input),
    memoryMb,
  };
}

/** Nanoseconds for each event where all four of an invocation go through one heap that holds an end for each busy core. */
function bareHeap({ serverCount, coreCount, meanUs, load, seed, eventCount }: SimInput): number {
  const random = new Random(seed, 0);
  const heap = new EventQueue(1024);
  const busyCount = Math.floor(serverCount * coreCount * load);
  for (let core = 0; core < busyCount; core++) heap.push(random.exponential() * meanUs, 0, core, 0);
  const roundCount = Math.floor(eventCount / EVENTS_EACH);
  const start = performance.now();
  for (let i = 0; i < roundCount; i++) {
    const endUs = heap.headUs;
    const core = heap.headA;
    heap.pop();
    // What is close at hand stays close to the top.
    for (let near = 1; near < EVENTS_EACH; near++) {
      heap.push(endUs, near, core, 0);
      heap.pop();
    }
    heap.push(endUs + random.exponential() * meanUs, 0, core, 0);
  }
  return ((performance.now() - start) * 1e6) / (roundCount * EVENTS_EACH);
}

if (import.meta.main) console.log(JSON.stringify(measure(JSON.parse(process.argv[2]!) as SimInput)));
