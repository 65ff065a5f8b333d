/** The threads and processes of an instance, as /proc and cgroups list them. */
import { readdirSync, readFileSync } from 'node:fs';

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
