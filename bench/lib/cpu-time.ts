/**
 * CPU time of a process and of everything that it starts: it begins in a control group of its own, which its children
 * inherit, also those that are orphaned, reaped by others, or in namespaces of their own. The group's one counter has the
 * time of all of them, also of those that are gone, in nanoseconds. Sums over /proc would miss whoever lived between two looks.
 *
 * Version 1: a group of the cpuacct controller, which Perch leaves alone. Version 2: `cpu.stat`, which every group
 * has; instances are in it as long as Perch keeps its own groups below the one that it was started in.
 */
import { appendFileSync, mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export const CPU_NOTES = [
  'CPU time is that of everything a rival runs, counted by a control group of its own: Perch whole (gateway, agent,',
  'sandboxes, copies, also what has ended), but not the load generator.',
] as const;

export interface CpuMeter {
  /** Put it before the command whose time is to be counted. */
  readonly prefix: readonly string[];
  /** Microseconds so far. */
  usedUs(): number;
  /** Once every process in it is gone. */
  close(): Promise<void>;
}

/** The last group is removed once the kernel has let go of its last process. */
const CLOSE_TRIES = 100;
let meterCount = 0;

/** Null where this machine lets us make no such group: then latencies are all there is to report. */
export function makeCpuMeter(): CpuMeter | null {
  const place = findPlace();
  if (place === null) return null;
  const folder = path.join(place.folder, `perch-bench-${process.pid}-${meterCount++}`);
  try {
    mkdirSync(folder);
    appendFileSync(path.join(folder, 'cgroup.procs'), ''); // May we write there?
  } catch {
    return null;
  }
  return {
    prefix: ['sh', '-c', 'echo $$ >"$0" && exec "$@"', path.join(folder, 'cgroup.procs')],
    usedUs: () => place.read(folder),
    close: () => remove(folder),
  };
}

async function remove(folder: string): Promise<void> {
  for (let attempt = 0; attempt < CLOSE_TRIES; attempt++) {
    try {
      return rmdirSync(folder);
    } catch {
      await sleep(20);
    }
  }
}

interface Place {
  readonly folder: string;
  read(group: string): number;
}

function findPlace(): Place | null {
  const mounts = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '));
  const groups = readFileSync('/proc/self/cgroup', 'utf8');
  const own = (pattern: RegExp): string | null => pattern.exec(groups)?.[1] ?? null;
  const first = mounts.find(([, , type, options]) => type === 'cgroup' && /\bcpuacct\b/.test(options ?? ''));
  const ownFirst = own(/^\d+:(?:[^:]*,)?cpuacct(?:,[^:]*)?:(.*)$/m);
  if (first !== undefined && ownFirst !== null) {
    const folder = path.join(first[1]!, ownFirst);
    return { folder, read: (group) => Number(readFileSync(path.join(group, 'cpuacct.usage'), 'utf8')) / 1000 };
  }
  const second = mounts.find(([, , type]) => type === 'cgroup2');
  const ownSecond = own(/^0::(.*)$/m);
  if (second === undefined || ownSecond === null) return null;
  const usage = (group: string): number =>
    Number(/^usage_usec (\d+)$/m.exec(readFileSync(path.join(group, 'cpu.stat'), 'utf8'))?.[1] ?? NaN);
  return { folder: path.join(second[1]!, ownSecond), read: usage };
}
