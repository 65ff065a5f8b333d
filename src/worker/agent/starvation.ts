/**
 * How long who is in the background wanted a CPU and had none, since what is no function used it: other programs of the machine, or the
 * platform. Behind other functions it waits by our own decision, which is known; of this only the kernel knows: how long each thread could
 * run and did not (`schedstat`). Without, a guest on a busy machine would run into its timeout where its request, had it waited in the queue,
 * would not have.
 *
 * What its own threads take from each other is no such time: no more is counted than it has used no CPU at all. It is looked at ten
 * times a second, once half a second has passed since it was first seen in the background: what is over by then needs no more time,
 * and a look reads two files for each of its threads.
 */
import { readdirSync } from 'node:fs';
import type { SandboxTasks } from '../sandbox/contract.ts';
import { readKernelFile } from '../sandbox/kernel-file.ts';

interface Look {
  /** When, and what its seat had waited for other functions by then. */
  readonly atUs: number;
  readonly waitedUs: number;
  readonly cpuUs: number;
  /** Of the thread that has wanted a CPU for longest. */
  readonly delayUs: number;
}

/** A thread's own count grows when it gets a CPU at last: what it waits until then is seen by what it has not used. */
interface Thread {
  readonly isRunnable: boolean;
  readonly usedNs: number;
  readonly sinceUs: number;
}

/** Until the first look: half of the shortest timeout. */
export const PATIENCE_US = 500_000;
/** Between two looks. */
const INTERVAL_US = 100_000;

export class Starvation {
  /** By seat: the first look in the background; null before. */
  readonly #first: (Look | null)[];
  /** By seat: what was counted since, and when it is looked at again. */
  readonly #countedUs: Float64Array;
  readonly #nextUs: Float64Array;
  /** By seat: its threads at the last look, by their ids. */
  readonly #threads: Map<string, Thread>[];

  constructor(seatCount: number) {
    this.#first = new Array<Look | null>(seatCount).fill(null);
    this.#countedUs = new Float64Array(seatCount);
    this.#nextUs = new Float64Array(seatCount);
    this.#threads = Array.from({ length: seatCount }, () => new Map<string, Thread>());
  }

  began(seat: number): void {
    this.#first[seat] = null;
    this.#countedUs[seat] = 0;
    this.#nextUs[seat] = 0;
    this.#threads[seat]!.clear();
  }

  /** It is in the background, and has waited for other functions for `waitedUs` since it began. Answers what else has come to it since the last time, µs. */
  moreUs(seat: number, tasksOf: (seat: number) => SandboxTasks | null, nowUs: number, waitedUs: number): number {
    if (this.#nextUs[seat] === 0) this.#nextUs[seat] = nowUs + PATIENCE_US;
    if (nowUs < this.#nextUs[seat]!) return 0;
    const tasks = tasksOf(seat);
    if (tasks === null) return 0;
    this.#nextUs[seat] = nowUs + INTERVAL_US;
    const now = this.#look(seat, tasks, nowUs, waitedUs);
    const first = this.#first[seat] ?? now;
    this.#first[seat] = first;
    const unusedUs = now.atUs - first.atUs - (now.cpuUs - first.cpuUs);
    const starvedUs = Math.min(now.delayUs - first.delayUs, unusedUs) - (now.waitedUs - first.waitedUs);
    const moreUs = Math.max(0, starvedUs - this.#countedUs[seat]!);
    this.#countedUs[seat]! += moreUs;
    return moreUs;
  }

  #look(seat: number, tasks: SandboxTasks, atUs: number, waitedUs: number): Look {
    const before = this.#threads[seat]!;
    const threads = new Map<string, Thread>();
    let usedUs = 0;
    let delayUs = 0;
    for (const thread of tasks.processIds().flatMap(threadsOf)) {
      const last = before.get(thread);
      const [usedNs = 0, delayNs = 0] = readText(`${thread}/schedstat`).split(' ').map(Number);
      const hasWaited = last?.isRunnable === true && last.usedNs === usedNs;
      const sinceUs = hasWaited ? last.sinceUs : atUs;
      const runs = isRunnable(thread);
      const waitsUs = runs ? atUs - sinceUs : 0;
      threads.set(thread, { usedNs, sinceUs, isRunnable: runs });
      usedUs += usedNs / 1000;
      delayUs = Math.max(delayUs, delayNs / 1000 + waitsUs);
    }
    this.#threads[seat] = threads;
    return { atUs, waitedUs, cpuUs: tasks.cgroup === null ? usedUs : cgroupCpuUs(tasks.cgroup), delayUs };
  }
}

/** Their folders. */
function threadsOf(processId: number): readonly string[] {
  const folder = `/proc/${processId}/task`;
  try {
    return readdirSync(folder).map((id) => `${folder}/${id}`);
  } catch {
    return []; // It has ended.
  }
}

function isRunnable(thread: string): boolean {
  const stat = readText(`${thread}/stat`);
  return stat.charAt(stat.lastIndexOf(')') + 2) === 'R';
}

/** Of those too that have ended. */
function cgroupCpuUs(folder: string): number {
  return Number(/^usage_usec (\d+)/m.exec(readText(`${folder}/cpu.stat`))?.[1] ?? 0);
}

/** '' where it has ended, or this kernel does not count it. */
function readText(file: string): string {
  try {
    return readKernelFile(file);
  } catch {
    return '';
  }
}
