/** Files that hold keys: made whole, for their owner alone, and read only while they are that. */
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { LIMITS } from '../../base/limits.ts';

export interface FileKind {
  /** Rights of others that make it unfit. */
  readonly forbidden: number;
  readonly danger: string;
  /** Whatever is larger is something else. */
  readonly bytesMax: number;
}

/** Nobody but its owner may read it. */
export const WITH_KEY: FileKind = {
  forbidden: 0o077,
  danger: 'used by other users of this machine',
  bytesMax: LIMITS.joinFileBytesMax,
};

/** Nobody but its owner may change it. */
export const WITHOUT_KEY: FileKind = {
  forbidden: 0o022,
  danger: 'changed by other users of this machine',
  bytesMax: LIMITS.certificateListBytesMax,
};

/** Why not, or null. An existing file is never replaced; a file that cannot be written whole is not left behind. */
export function writeSecretFile(path: string, text: string): string | null {
  let fd: number;
  try {
    fd = openSync(path, 'wx', 0o600);
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return `${path} is there already, and is not overwritten.`;
    return `${path} cannot be written: ${codeOf(error)}.`;
  }
  try {
    fchmodSync(fd, 0o600);
    writeFileSync(fd, text);
    fsyncSync(fd);
    return null;
  } catch (error) {
    rmSync(path, { force: true });
    return `${path} cannot be written: ${codeOf(error)}.`;
  } finally {
    closeSync(fd);
  }
}

/** Adds a line, on the disk before this returns. Why not, or null. */
export function appendLine(path: string, line: string): string | null {
  try {
    const fd = openSync(path, 'a', 0o600);
    try {
      writeFileSync(fd, line + '\n');
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    return null;
  } catch (error) {
    return `${path} cannot be written: ${codeOf(error)}.`;
  }
}

export type FileRead =
  | { readonly text: string }
  | { readonly text: null; readonly absent: boolean; readonly message: string };

/** The message says how to mend it, and holds nothing of the file. */
export function readSecretFile(path: string, kind: FileKind): FileRead {
  const fail = (message: string, absent = false): FileRead => ({ text: null, absent, message });
  let fd: number;
  try {
    // Of a FIFO nobody knows when its other end comes.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const absent = codeOf(error) === 'ENOENT';
    return fail(absent ? `There is no file ${path}.` : `${path} cannot be read: ${codeOf(error)}.`, absent);
  }
  try {
    // Of the open file, so that it cannot be another one by the time it is read.
    const { mode, size, isFile } = statOf(fd);
    if (!isFile) return fail(`${path} is no file.`);
    if (size > kind.bytesMax)
      return fail(`${path} has ${size} bytes, more than the ${kind.bytesMax} that such a file may have.`);
    if ((mode & kind.forbidden) !== 0) {
      const rights = (mode & 0o777).toString(8).padStart(4, '0');
      return fail(`${path} may be ${kind.danger} (its mode is ${rights}): run 'chmod 600 ${path}'.`);
    }
    return { text: readFileSync(fd, 'utf8') };
  } catch (error) {
    return fail(`${path} cannot be read: ${codeOf(error)}.`);
  } finally {
    closeSync(fd);
  }
}

function statOf(fd: number): { mode: number; size: number; isFile: boolean } {
  const stat = fstatSync(fd);
  return { mode: stat.mode, size: stat.size, isFile: stat.isFile() };
}

/** The code alone: a message of Node's may quote what it was given. */
export function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'unknown error';
}
