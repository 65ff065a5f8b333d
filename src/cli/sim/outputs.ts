/** `--json`, `--csv`, `--html`: where a report goes, beside the table for people. */
import path from 'node:path';
import type { Command } from 'commander';
import { toCsv } from '../../sim/report/csv.ts';
import { toHtml } from '../../sim/report/html.ts';
import { toJson } from '../../sim/report/json.ts';
import { formatCount } from '../../sim/report/format.ts';
import type { Report } from '../../sim/report/report.ts';
import type { Summary } from '../../sim/report/summary.ts';
import { columnsFor, warningsOf } from '../../sim/report/table.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { formatTable, printLine, printNote, style } from '../terminal.ts';
import { checkFile, writeWhole } from './output-file.ts';

export interface OutputOptions {
  /** true: to stdout. */
  readonly json?: string | true;
  readonly csv?: string | true;
  readonly html?: string;
}

const STDOUT = '-';

export function withOutputs(command: Command): Command {
  return command
    .option('--json [file]', 'everything as JSON, to a file or stdout')
    .option('--csv [file]', 'a line for each simulation, to a file or stdout')
    .option('--html <file>', 'a report with plots, as one page');
}

/** Before anything runs: minutes of work shall not end at a misspelt name. */
export function checkOutputs(options: OutputOptions, isPolicy: (text: string) => boolean): void {
  const { json, csv } = options;
  if (isStdout(json) && isStdout(csv)) throw new CliError(EXIT.usage, '--json and --csv cannot both go to stdout');
  for (const [name, file] of [
    ['--json', json],
    ['--csv', csv],
  ] as const) {
    if (typeof file !== 'string' || !isPolicy(file)) continue;
    throw new CliError(
      EXIT.usage,
      `${file} after ${name} is a policy: put ${name} last, or write ${name}=- for stdout`,
    );
  }
  checkFiles(options);
}

function checkFiles({ json, csv, html }: OutputOptions): void {
  const taken = new Map<string, string>();
  for (const [name, file] of Object.entries({ '--json': json, '--csv': csv, '--html': html })) {
    if (typeof file !== 'string' || (file === STDOUT && name !== '--html')) continue;
    checkFile(name, file);
    const whole = path.resolve(file);
    const other = taken.get(whole);
    if (other !== undefined) throw new CliError(EXIT.usage, `${other} and ${name} cannot both go to ${file}`);
    taken.set(whole, name);
  }
}

export function writeOutputs(report: Report, options: OutputOptions): void {
  const { json, csv } = options;
  if (isStdout(json) || isStdout(csv)) for (const warning of warningsOf(report.summaries)) printNote(warning);
  else printTable(report);
  // A report of nothing, after ^C say, shall not take the place of one of something.
  const isWritten = (file: string | true | undefined): file is string | true =>
    file !== undefined && (isStdout(file) || report.summaries.length > 0);
  if (isWritten(json)) write(json, toJson(report));
  if (isWritten(csv)) write(csv, toCsv(report.summaries));
  if (isWritten(options.html)) writeFileOrSay(String(options.html), toHtml(report));
}

function printTable({ summaries }: Report): void {
  if (summaries.length === 0) return;
  const paint = (row: (typeof summaries)[number]): 'red' | undefined => (row.warning === null ? undefined : 'red');
  process.stdout.write(
    formatTable(
      columnsFor(summaries).map((column) => ({ ...column, paint })),
      summaries,
    ),
  );
  if (summaries.length === 1) printLine(style('dim', countedIn(summaries[0]!)));
  for (const warning of warningsOf(summaries)) printLine(style('red', `(!) ${warning}`));
}

/** What policies count differs from one to the other, so a table of several has only what all of them count. */
function countedIn({ counters }: Summary): string {
  const counted = Object.entries(counters).filter(([, { mean }]) => mean !== 0);
  return `counted: ${counted.map(([name, { mean }]) => `${name} ${formatCount(mean)}`).join(', ')}`;
}

function isStdout(file: string | true | undefined): boolean {
  return file === true || file === STDOUT;
}

function write(file: string | true, text: string): void {
  if (isStdout(file)) process.stdout.write(text);
  else writeFileOrSay(String(file), text);
}

function writeFileOrSay(file: string, text: string): void {
  writeWhole(file, text);
  printNote(`written: ${file}`);
}
