/** `perch sim workloads`: which there are, and what can be said of each. */
import type { Command } from 'commander';
import { WORKLOADS } from '../../sim/workloads/index.ts';
import { printJson, printLine } from '../terminal.ts';
import { listOf, optionsOf } from './listing.ts';

export function register(command: Command): void {
  command
    .command('workloads')
    .description('list the workloads, with their options')
    .option('--json', 'print JSON')
    .action(list);
}

function list({ json }: { readonly json?: boolean }): void {
  if (json === true) return printJson(WORKLOADS.map(({ name, summary, options }) => ({ name, summary, options })));
  printLine(WORKLOADS.map((kind) => listOf(kind, optionsOf(kind))).join('\n\n'));
}
