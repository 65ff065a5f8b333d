/** Memory of a process where no cgroup counts it. */
import { readKernelFile } from './kernel-file.ts';

/** The highest resident size of a process so far, from /proc; 0 if it is not known. */
export function memoryHighWaterBytes(processId: number): number {
  try {
    const match = /^VmHWM:\s+(\d+) kB/m.exec(readKernelFile(`/proc/${processId}/status`));
    return Number(match?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}
