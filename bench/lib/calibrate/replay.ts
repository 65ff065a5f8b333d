/** The same invocations in virtual time: those that were sent, when they were sent, under the shipped scheduler and measured costs. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Costs } from '../../../src/sim/costs.ts';
import { openWorld } from '../../../src/sim/simulate.ts';
import { setupOf } from '../../../src/sim/spec.ts';
import type { SeenInvocation } from './load.ts';

const POLICY = 'perch';
const MEMORY_MB = 65_536;
const DAY_SECONDS = 86_400;

/** Microseconds of each, in the order in which they were sent. */
export function simulatedLatenciesUs(
  seen: readonly Pick<SeenInvocation, 'sentUs' | 'demandUs'>[],
  coreCount: number,
  costs: Costs,
): readonly number[] {
  const folder = mkdtempSync(path.join(tmpdir(), 'perch-calibrate-'));
  try {
    const file = path.join(folder, 'sent.csv');
    const rows = seen.map(({ sentUs, demandUs }) => `${(sentUs / 1e6).toFixed(9)},burn,${(demandUs / 1e3).toFixed(6)}`);
    writeFileSync(file, ['time_s,function,duration_ms', ...rows, ''].join('\n'));
    return latenciesOf(file, { count: seen.length, coreCount, costs });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function latenciesOf(
  file: string,
  { count, coreCount, costs }: { count: number; coreCount: number; costs: Costs },
): readonly number[] {
  const setup = setupOf({
    policy: POLICY,
    workload: `csv:path=${file}`,
    servers: 1,
    cores: coreCount,
    memoryMb: MEMORY_MB,
    load: null,
    costs,
    seed: 1,
    seconds: DAY_SECONDS,
    warmUpSeconds: 0,
  });
  const { world, policy } = openWorld(setup);
  const { recorder, jobs, engine } = world;
  const latenciesUs = new Array<number>(count).fill(NaN);
  const places = new Map<number, number>();
  let arrivedCount = 0;
  let endedCount = 0;
  recorder.arrived = (_jobs, job) => void places.set(job, arrivedCount++);
  recorder.finished = (_jobs, job, endUs) => {
    latenciesUs[places.get(job)!] = endUs - jobs.arrivalUs(job);
    endedCount++;
  };
  recorder.refused = () => {
    throw new Error('the simulation refuses what the platform has served');
  };
  world.open(policy);
  while (endedCount < count && engine.step(setup.drainedUs));
  if (endedCount < count) throw new Error(`${endedCount} of ${count} invocations ended in the simulation`);
  return latenciesUs;
}
