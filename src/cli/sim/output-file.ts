/** A file that somebody asked for: looked at before anything runs, and there whole or not at all. */
import { accessSync, constants, realpathSync, renameSync, rmSync, type Stats, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { CliError, EXIT } from '../exit-codes.ts';

/** Throws where it is certain that the file could not be written. */
export function checkFile(option: string, file: string): void {
  if (file === '') throw new CliError(EXIT.usage, `${option} needs the name of a file`);
  orSay(file, () => {
    const there = statSync(file, { throwIfNoEntry: false });
    if (there?.isDirectory() === true || file.endsWith('/')) throw new Error('it is a folder');
    // With the slash, what is no folder is refused too.
    if (isReplaced(there)) accessSync(`${path.dirname(targetOf(file, there))}/`, constants.W_OK);
  });
}

export function writeWhole(file: string, text: string): void {
  orSay(file, () => {
    const there = statSync(file, { throwIfNoEntry: false });
    // A device or a pipe is no place to put another file.
    if (!isReplaced(there)) return writeFileSync(file, text);
    const target = targetOf(file, there);
    const part = `${target}.${process.pid}.part`;
    try {
      writeFileSync(part, text);
      renameSync(part, target);
    } catch (error) {
      rmSync(part, { force: true });
      throw error;
    }
  });
}

function isReplaced(there: Stats | undefined): boolean {
  return there === undefined || there.isFile();
}

/** Where a link leads: it stays one. */
function targetOf(file: string, there: Stats | undefined): string {
  return there === undefined ? path.resolve(file) : realpathSync(file);
}

function orSay(file: string, what: () => void): void {
  try {
    what();
  } catch (error) {
    throw new CliError(EXIT.usage, `${file} cannot be written: ${(error as Error).message}`);
  }
}
