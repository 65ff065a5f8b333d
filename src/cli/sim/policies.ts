/** `perch sim policies`: which there are, what can be said of each, and who published it. */
import type { Command } from 'commander';
import { POLICIES } from '../../sim/policies/index.ts';
import { collect } from '../options.ts';
import { printJson, printLine } from '../terminal.ts';
import { listOf, optionsOf } from './listing.ts';
import { policiesWith } from './own-policies.ts';

interface PoliciesOptions {
  readonly policyFile?: readonly string[];
  readonly json?: boolean;
}

export function register(command: Command): void {
  command
    .command('policies')
    .description('list the scheduling policies, with their options and sources')
    .option('--policy-file <file>', 'and those of this module; may be repeated', collect)
    .option('--json', 'print JSON')
    .action(list);
}

async function list({ policyFile = [], json }: PoliciesOptions): Promise<void> {
  const policies = policyFile.length === 0 ? POLICIES : await policiesWith(policyFile);
  if (json === true) {
    return printJson(policies.map(({ name, summary, source, options }) => ({ name, summary, source, options })));
  }
  printLine(
    policies.map(({ source, ...kind }) => listOf(kind, [...optionsOf(kind), `source: ${source}`])).join('\n\n'),
  );
}
