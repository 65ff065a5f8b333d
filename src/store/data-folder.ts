/** The folder in which a node keeps what it keeps: its owner's alone. */
import { chmodSync, existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { StoreError } from './store.ts';

/** Where it is to be, there is a file, or on the way to it. */
export class NoFolderError extends StoreError {}

/** Everything in it is the node's own; code/ alone is opened up by the code cache, for the sandboxes. */
export function prepareDataFolder(folder: string): void {
  try {
    const file = fileOnTheWay(folder);
    if (file !== null)
      throw new NoFolderError(
        `Cannot use the data folder ${folder}: ${file} is a file, not a folder. Choose another with --data.`,
      );
    makeParents(folder);
    if (!existsSync(folder)) mkdirSync(folder, { mode: 0o700 });
    chmodSync(folder, 0o700);
  } catch (error) {
    if (error instanceof NoFolderError) throw error;
    throw cannotUse(folder, error);
  }
}

/** What is no folder where `folder` is to be, or where the nearest one above it is that exists; null where that is a folder. */
export function fileOnTheWay(folder: string): string | null {
  let existing = folder;
  while (!existsSync(existing)) existing = dirname(existing);
  return statSync(existing).isDirectory() ? null : existing;
}

export function cannotUse(folder: string, error: unknown): StoreError {
  return new StoreError(
    `Cannot use the data folder ${folder}: ${error instanceof Error ? error.message : String(error)}.`,
  );
}

/** One by one: Node's recursive mkdir misnames the error of a read-only disk, and never ends on a path such as /proc/a/b. */
function makeParents(folder: string): void {
  const parent = dirname(folder);
  if (existsSync(parent)) return;
  makeParents(parent);
  mkdirSync(parent);
}
