/** The kernel's counters that a burst is seen by from outside. Ticks are 10 ms, so a burst should last for a second or more. */
import { readFileSync } from 'node:fs';
import type { BurstCounters } from './metrics.ts';

/** USER_HZ, which has been 100 on every architecture that we run on. */
const TICK_US = 10_000;

export interface CounterSources {
  readonly platformPid: number;
  /** The kernel's numbers, of one list for each core. */
  readonly cores: readonly (readonly number[])[];
  readonly objectServerUs: () => Promise<number>;
}

/** Absolute; two looks make a burst. */
interface Look {
  readonly busyUs: number;
  readonly platformUs: number;
  readonly objectServerUs: number;
  readonly harnessUs: number;
}

export async function lookAt(sources: CounterSources): Promise<Look> {
  const { user, system } = process.cpuUsage();
  return {
    busyUs: busyUs(new Set(sources.cores.flat())),
    platformUs: processUs(sources.platformPid),
    objectServerUs: await sources.objectServerUs(),
    harnessUs: user + system,
  };
}

export function between(before: Look, after: Look, coreCount: number): BurstCounters {
  return {
    coreCount,
    busyUs: after.busyUs - before.busyUs,
    platformUs: after.platformUs - before.platformUs,
    objectServerUs: after.objectServerUs - before.objectServerUs,
    harnessUs: after.harnessUs - before.harnessUs,
  };
}

/** user, nice, system, irq and softirq of these CPUs: what ran there. Steal and guests are not ours or counted already. */
function busyUs(cpus: ReadonlySet<number>): number {
  let ticks = 0;
  for (const line of readFileSync('/proc/stat', 'utf8').split('\n')) {
    const [, cpu, rest = ''] = /^cpu(\d+) (.*)$/.exec(line) ?? [];
    if (cpu === undefined || !cpus.has(Number(cpu))) continue;
    const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = rest.split(' ').map(Number);
    ticks += user + nice + system + irq + softirq;
  }
  return ticks * TICK_US;
}

/** Of all its threads, and not of its children. */
function processUs(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The name of the program may hold blanks; what counts comes after its bracket, user time as the 12th.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_US;
}
