/** `perch sim run`: one policy. */
import type { Command } from 'commander';
import { execute } from './execute.ts';
import { type OutputOptions, withOutputs } from './outputs.ts';
import { type SetupOptions, withSetup } from './setup-options.ts';

export function register(command: Command): void {
  const own = command.command('run <policy>').description("simulate one policy ('perch sim policies' lists them)");
  withOutputs(withSetup(own, { isSweep: false, seeds: 1 })).action(run);
}

function run(policy: string, options: SetupOptions & OutputOptions): Promise<void> {
  return execute([policy], options);
}
