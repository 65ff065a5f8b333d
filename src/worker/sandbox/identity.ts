/**
 * Names for what a platform process leaves in the file system (cgroups, staging folders), so that a successor can tell
 * what a killed one left from what a living one uses: perch-<pid>-<start time>-<pid namespace>. Process ids come again;
 * together with the start time they do not. A name from another pid namespace (a container that shares the folder)
 * cannot be judged here and is never touched.
 */
import { readlinkSync } from 'node:fs';
import { readKernelFile } from './kernel-file.ts';

/**
 * Host users of instances, one per slot, so that no two instances share one. Outside the ranges that distributions
 * and systemd hand out, and below 2^31. As root only; else instances run as the platform's user.
 */
export const SANDBOX_UIDS = { from: 1_900_000_000, to: 1_900_065_535 } as const;

const NAME = /^perch-(\d+)-(\d+)-(\d+)(?:-|$)/;

const UNKNOWN = -1;
/** The errors of a process that is no more. */
const GONE: ReadonlySet<unknown> = new Set(['ENOENT', 'ESRCH']);

/**
 * Field 22 of /proc/<pid>/stat: when the process started, in clock ticks since boot; 0 if there is none (or a zombie), -1 where it cannot
 * be read, as without descriptors.
 */
export function startTime(processId: number): number {
  try {
    const stat = readKernelFile(`/proc/${processId}/stat`);
    // The second field is the command in parentheses and may hold anything.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? 0 : Number(fields[19]);
  } catch (error) {
    return GONE.has((error as NodeJS.ErrnoException).code) ? 0 : UNKNOWN;
  }
}

function pidNamespace(): string {
  try {
    return /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? '0';
  } catch {
    return '0';
  }
}

export function ownName(): string {
  return `perch-${process.pid}-${startTime(process.pid)}-${pidNamespace()}`;
}

/** True for the name of a process of this pid namespace that is no more. */
export function isLeftover(name: string): boolean {
  const match = NAME.exec(name);
  if (match === null || match[3] !== pidNamespace()) return false;
  const started = startTime(Number(match[1]));
  return started !== UNKNOWN && started !== Number(match[2]);
}
