/** The door to what the kernel tells in files of /proc and of cgroups. Files stay open: a read costs a third of opening one. */
import { closeSync, openSync, readdirSync } from 'node:fs';
import { readOpenFile } from '../sandbox/kernel-file.ts';

export const NO_FILE = -1;

export interface Proc {
  /** A descriptor, or NO_FILE. */
  open(path: string): number;
  /** The file as it is now; '' where what it tells of is gone. */
  read(descriptor: number): string;
  close(descriptor: number): void;
  /** Names in a folder; none where it is gone. */
  list(folder: string): readonly string[];
}

export function openProc(): Proc {
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
        return readOpenFile(descriptor);
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
