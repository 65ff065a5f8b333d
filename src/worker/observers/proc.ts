/** The door to what the kernel tells in files of /proc and of cgroups. Files stay open: a read costs a third of opening one. */
import { closeSync, openSync, readdirSync, readSync } from 'node:fs';

export const NO_FILE = -1;

export interface Proc {
  /** A descriptor, or NO_FILE. */
  open(path: string): number;
  /** The file as it is now, as far as it fits; '' where what it tells of is gone. */
  read(descriptor: number): string;
  close(descriptor: number): void;
  /** Names in a folder; none where it is gone. */
  list(folder: string): readonly string[];
}

/** cgroup.threads of a sandbox at its limit of tasks, and more. */
const READ_BYTES_MAX = 16 * 1024;

export function openProc(): Proc {
  const buffer = Buffer.allocUnsafe(READ_BYTES_MAX);
  return {
    open(path) {
      try {
        return openSync(path, 'r');
      } catch {
        return NO_FILE;
      }
    },
    read(descriptor) {
      try {
        const bytes = readSync(descriptor, buffer, 0, READ_BYTES_MAX, 0);
        return buffer.toString('latin1', 0, bytes);
      } catch {
        return '';
      }
    },
    close: closeSync,
    list(folder) {
      try {
        return readdirSync(folder);
      } catch {
        return [];
      }
    },
  };
}
