/** Data folders of platforms that last for one command. Their names say whose they are, so that what a killed one left can be told. */
import { existsSync, lstatSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lockFolder } from '../store/embedded/lock.ts';
import { isLeftover, ownName } from '../worker/sandbox/identity.ts';

const MARK = '-demo-';

/** As earlier versions named them, after no process: their locks tell whether a platform is on them. */
const NAMELESS = /^perch-demo-[A-Za-z0-9]{6}$/;

/** A new one, to be removed by the caller. Those of commands that are no more are removed here. */
export function makeTemporaryData(): string {
  const parent = tmpdir();
  for (const name of readdirSync(parent)) {
    if (name.includes(MARK) && isLeftover(name)) removeOwn(join(parent, name), remove);
    else if (NAMELESS.test(name)) removeOwn(join(parent, name), removeUnlessLocked);
  }
  return mkdtempSync(join(parent, `${ownName()}${MARK}`));
}

/** Everybody may write to the folder that they are in: what belongs to others is theirs, whatever its name. */
function removeOwn(folder: string, how: (folder: string) => void): void {
  try {
    const found = lstatSync(folder);
    if (found.isDirectory() && found.uid === process.getuid?.()) how(folder);
  } catch {
    // Another command was faster, or it cannot be removed: this one can do without.
  }
}

function remove(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
}

/** Throws where a platform is on it: those of earlier versions outlived their command. One without a lock may be about to get its platform. */
function removeUnlessLocked(folder: string): void {
  if (!existsSync(join(folder, 'lock'))) return;
  const store = lockFolder(folder);
  try {
    const worker = lockFolder(folder, 'worker');
    try {
      remove(folder);
    } finally {
      worker.release();
    }
  } finally {
    store.release();
  }
}
