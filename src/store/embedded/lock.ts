/**
 * One platform per data folder, and one worker. The lock is SQLite's own on a file that holds nothing: the kernel drops it with the
 * process, however that ends, so there is no stale lock to clean up. The file `pid` only says who it is.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { cannotUse } from '../data-folder.ts';
import { StoreError } from '../store.ts';

const SQLITE_BUSY = 5;

export interface FolderLock {
  release(): void;
}

/** `store`: for what is kept there; `worker`: for what is unpacked there. */
export type LockPurpose = 'store' | 'worker';

const FILES: Readonly<Record<LockPurpose, { readonly lock: string; readonly pid: string; readonly by: string }>> = {
  store: { lock: 'lock', pid: 'pid', by: 'platform' },
  worker: { lock: 'worker.lock', pid: 'worker.pid', by: 'platform or worker' },
};

export function lockFolder(folder: string, purpose: LockPurpose = 'store'): FolderLock {
  const files = FILES[purpose];
  const database = openLock(folder, files.lock);
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (!isSqliteError(error) || (error.errcode & 0xff) !== SQLITE_BUSY) throw error;
    throw new StoreError(
      `The data folder ${folder} is in use by another ${files.by}${holder(folder, files.pid)}. Stop that one, or choose another folder with --data.`,
    );
  }
  writeFileSync(join(folder, files.pid), `${process.pid}\n`, { mode: 0o600 });
  return { release: () => database.close() };
}

/** That there is something else by that name is for the operator to see to. */
function openLock(folder: string, file: string): DatabaseSync {
  try {
    return new DatabaseSync(join(folder, file));
  } catch (error) {
    throw isSqliteError(error) ? cannotUse(folder, new Error(`${file} in it: ${error.message}`)) : error;
  }
}

export interface SqliteError extends Error {
  readonly errcode: number;
}

export function isSqliteError(error: unknown): error is SqliteError {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number';
}

function holder(folder: string, file: string): string {
  try {
    const pid = readFileSync(join(folder, file), 'utf8').trim();
    return /^[0-9]+$/.test(pid) ? ` (process ${pid})` : '';
  } catch {
    return '';
  }
}
