/** The folder in which a node keeps what it keeps: its owner's alone. */
import { chmodSync, existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { StoreError } from './store.ts';

/** Everything in it is the node's own; code/ alone is opened up by the code cache, for the sandboxes. */
export function prepareDataFolder(folder: string): void {
  try {
    makeParents(folder);
    if (!existsSync(folder)) mkdirSync(folder, { mode: 0o700 });
    chmodSync(folder, 0o700);
  } catch (error) {
    throw cannotUse(folder, error);
  }
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
