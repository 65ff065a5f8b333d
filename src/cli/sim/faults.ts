/** `perch sim faults`: what may go wrong in a simulation, and what can be said of it. */
import type { Command } from 'commander';
import { FAULT_KINDS } from '../../sim/faults/fault-spec.ts';
import { printJson, printLine } from '../terminal.ts';
import { listOf, optionsOf } from './listing.ts';

export function register(command: Command): void {
  command
    .command('faults')
    .description('list what may go wrong in a simulation, with its options')
    .option('--json', 'print JSON')
    .action(({ json }: { readonly json?: boolean }) => {
      if (json === true) printJson(FAULT_KINDS);
      else printLine(FAULT_KINDS.map((kind) => listOf(kind, optionsOf(kind))).join('\n\n'));
    });
}
