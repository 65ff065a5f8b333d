/** `--out`: the folder for what an experiment has measured. */
import { accessSync, constants, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { toCsv } from '../experiment/report/csv.ts';
import { FIGURES, toSvg } from '../experiment/report/figures.ts';
import { toHtml } from '../experiment/report/html.ts';
import type { SleepyResult } from '../experiment/sleepy.ts';
import { CliError, EXIT } from './exit-codes.ts';

/** Makes it. A CliError where it cannot be written to: to be known before anything is measured. */
export function prepareFolder(folder: string): void {
  orRefuse(folder, () => {
    makeFolder(folder);
    accessSync(`${folder}/.`, constants.W_OK | constants.X_OK); // the dot: a file is none
  });
}

/** A CliError where it cannot be written any more. */
export function writeResults(folder: string, result: SleepyResult, machine: string): void {
  orRefuse(folder, () => {
    makeFolder(folder);
    writeFileSync(join(folder, 'results.json'), JSON.stringify({ machine, ...result }, null, 2) + '\n');
    writeFileSync(join(folder, 'results.csv'), toCsv(result.rows));
    for (const figure of FIGURES) writeFileSync(join(folder, `${figure.name}.svg`), toSvg(figure, result.rows));
    writeFileSync(join(folder, 'index.html'), toHtml(result, machine));
  });
}

/** Node's own way to make parents never returns where a file system knows no new names, as /proc. */
function makeFolder(folder: string): void {
  if (existsSync(folder)) return;
  makeFolder(dirname(folder));
  mkdirSync(folder);
}

function orRefuse(folder: string, write: () => void): void {
  try {
    write();
  } catch (error) {
    if (!(error instanceof Error && 'syscall' in error)) throw error;
    throw new CliError(EXIT.usage, `--out '${folder}' cannot be written: ${error.message}. Choose another folder.`);
  }
}
