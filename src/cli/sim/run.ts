/** `perch sim run`: one policy. */
import { Option, type Command } from 'commander';
import { journalOf } from '../../sim/batch/journal.ts';
import { setupOf } from '../../sim/spec.ts';
import { wholeNumber } from '../options.ts';
import { printLine } from '../terminal.ts';
import { execute } from './execute.ts';
import { type OutputOptions, withOutputs } from './outputs.ts';
import { orUsage, policiesWith } from './own-policies.ts';
import { planOf, type SetupOptions, withSetup } from './setup-options.ts';

const EVENTS_MAX = 1_000_000;

interface RunOptions extends SetupOptions, OutputOptions {
  readonly events?: number;
}

export function register(command: Command): void {
  const own = command.command('run <policy>').description("simulate one policy ('perch sim policies' lists them)");
  const events = new Option('--events <count>', 'print the first things that happen to invocations, and nothing else');
  withOutputs(withSetup(own, { isSweep: false, seeds: 1 }))
    .addOption(events.argParser(wholeNumber(1, EVENTS_MAX)).conflicts(['json', 'csv', 'html']))
    .action(run);
}

async function run(policy: string, options: RunOptions): Promise<void> {
  if (options.events === undefined) return execute([policy], options);
  const { specs, policyFiles } = await planOf([policy], options);
  const policies = await policiesWith(policyFiles);
  const { events } = options;
  for (const line of await orUsage(() => journalOf(setupOf(specs[0]!, { policies }), events))) printLine(line);
}
