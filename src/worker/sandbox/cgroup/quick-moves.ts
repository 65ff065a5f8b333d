/**
 * A process that joins a cgroup of version 2 waits, unless others did so just before, until every CPU has passed through
 * the kernel: 10 ms. The mount option favordynmods (Linux 6.0) takes that wait away, at the price of a few nanoseconds for
 * each fork and exit on the machine. A copy joins its cgroup while somebody may be waiting for it, so the platform sets it.
 */
import { readFileSync } from 'node:fs';
import { libc } from '../libc.ts';
import { readHierarchies } from './mounts.ts';

const MS_REMOUNT = 32;
const OPTION = 'favordynmods';
/** What a remount has to repeat, or it is switched off. */
const KEPT = [
  'nsdelegate',
  'memory_localevents',
  'memory_recursiveprot',
  'memory_hugetlb_accounting',
  'pids_localevents',
];

/** Whether moves are quick afterwards. What was changed stays until the machine restarts. */
export function favorQuickMoves(): boolean {
  const mountPoint = readHierarchies().v2?.mountPoint;
  if (mountPoint === undefined) return true;
  const options = optionsOf(mountPoint);
  if (options.includes(OPTION)) return true;
  if (process.getuid?.() !== 0) return false;
  const wanted = [...options.filter((option) => KEPT.includes(option)), OPTION].join(',');
  return libc?.mount('none', mountPoint, null, MS_REMOUNT, wanted) === 0;
}

function optionsOf(mountPoint: string): readonly string[] {
  try {
    const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
    const line = lines.find((each) => each.split(' ')[4] === mountPoint && each.includes(' - cgroup2 '));
    return line?.split(' - ')[1]?.split(' ')[2]?.split(',') ?? [];
  } catch {
    return [];
  }
}
