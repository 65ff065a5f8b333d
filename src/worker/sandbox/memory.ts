/** Memory of a process where no cgroup counts it. */
import { readFileSync } from 'node:fs';

/** The highest resident size of a process so far, from /proc; 0 if it is not known. */
export function memoryHighWaterBytes(processId: number): number {
  try {
    const match = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${processId}/status`, 'latin1'));
    return Number(match?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}
