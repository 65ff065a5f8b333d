/**
 * Pins every thread of an instance to the CPUs of its lease.
 *
 * Budget: the agent calls `pin` at each lease. Nothing happens and nothing is allocated where the CPUs are those of the
 * last call; else one pass over the tasks, tens of microseconds.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { forEveryTask } from './every-task.ts';
import { libc } from './libc.ts';

const CPU_COUNT_MAX = 4096;

export class Pinner {
  readonly #taskIds: () => readonly number[];
  readonly #mask = new Uint8Array(CPU_COUNT_MAX / 8);
  #last: readonly number[] = [];

  /** `taskIds` lists every thread of every process in the sandbox, as the platform sees their ids. */
  constructor(taskIds: () => readonly number[]) {
    this.#taskIds = taskIds;
  }

  /** False where nothing was pinned: no such CPU, no permission, or nobody there. */
  pin(cpus: readonly number[]): boolean {
    const calls = libc;
    if (cpus.length === 0 || calls === undefined) return false;
    if (sameCpus(cpus, this.#last)) return true;
    if (!fillMask(this.#mask, cpus)) return false;
    this.#last = [];
    if (!forEveryTask(this.#taskIds, (taskId) => calls.schedSetaffinity(taskId, this.#mask))) return false;
    this.#last = cpus.slice();
    return true;
  }
}

function sameCpus(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false;
  return true;
}

function fillMask(mask: Uint8Array, cpus: readonly number[]): boolean {
  mask.fill(0);
  for (const cpu of cpus) {
    if (!Number.isInteger(cpu) || cpu < 0 || cpu >= CPU_COUNT_MAX) return false;
    mask[cpu >> 3] = (mask[cpu >> 3] as number) | (1 << (cpu & 7));
  }
  return true;
}

/** Threads of a process and of all its descendants, from /proc; for where no cgroup lists them. */
export function descendantTasks(processId: number): number[] {
  return walkTasks(processId, new Set(), []);
}

/** A process and all its descendants, parents first. */
export function descendantProcesses(processId: number): number[] {
  const processes = new Set<number>();
  walkTasks(processId, processes, []);
  return [...processes];
}

function walkTasks(processId: number, seen: Set<number>, tasks: number[]): number[] {
  const queue = [processId];
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    if (seen.has(next)) continue;
    seen.add(next);
    try {
      for (const task of readdirSync(`/proc/${next}/task`)) {
        tasks.push(Number(task));
        queue.push(...parseIds(readFileSync(`/proc/${next}/task/${task}/children`, 'latin1')));
      }
    } catch {
      // It ended while we looked.
    }
  }
  return tasks;
}

/** Numbers separated by white space, as the kernel lists processes. */
export function parseIds(text: string): number[] {
  const ids: number[] = [];
  let id = 0;
  let inside = false;
  for (let index = 0; index < text.length; index++) {
    const digit = text.charCodeAt(index) - 48;
    if (digit >= 0 && digit <= 9) {
      id = id * 10 + digit;
      inside = true;
    } else if (inside) {
      ids.push(id);
      id = 0;
      inside = false;
    }
  }
  if (inside) ids.push(id);
  return ids;
}
