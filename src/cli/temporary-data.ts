/** Data folders of platforms that last for one command. Their names say whose they are, so that what a killed one left can be told. */
import { lstatSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isLeftover, ownName } from '../worker/sandbox/identity.ts';

const MARK = '-demo-';

/** A new one, to be removed by the caller. Those of commands that are no more are removed here. */
export function makeTemporaryData(): string {
  const parent = tmpdir();
  for (const name of readdirSync(parent)) {
    if (name.includes(MARK) && isLeftover(name)) removeOwn(join(parent, name));
  }
  return mkdtempSync(join(parent, `${ownName()}${MARK}`));
}

/** Everybody may write to the folder that they are in: what belongs to others is theirs, whatever its name. */
function removeOwn(folder: string): void {
  try {
    const found = lstatSync(folder);
    if (found.isDirectory() && found.uid === process.getuid?.()) rmSync(folder, { recursive: true, force: true });
  } catch {
    // Another command was faster, or it cannot be removed: this one can do without.
  }
}
