/**
 * One platform per data folder. The lock is SQLite's own on a file that holds nothing: the kernel drops it with the
 * process, however that ends, so there is no stale lock to clean up. The file `pid` only says who it is.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { StoreError } from '../store.ts';

const SQLITE_BUSY = 5;

export interface FolderLock {
  release(): void;
}

export function lockFolder(folder: string): FolderLock {
  const database = new DatabaseSync(join(folder, 'lock'));
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (!isSqliteError(error) || (error.errcode & 0xff) !== SQLITE_BUSY) throw error;
    throw new StoreError(
      `The data folder ${folder} is in use by another platform${holder(folder)}. Stop that one, or choose another folder with --data.`,
    );
  }
  writeFileSync(join(folder, 'pid'), `${process.pid}\n`, { mode: 0o600 });
  return { release: () => database.close() };
}

export interface SqliteError extends Error {
  readonly errcode: number;
}

export function isSqliteError(error: unknown): error is SqliteError {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number';
}

function holder(folder: string): string {
  try {
    const pid = readFileSync(join(folder, 'pid'), 'utf8').trim();
    return /^[0-9]+$/.test(pid) ? ` (process ${pid})` : '';
  } catch {
    return '';
  }
}
