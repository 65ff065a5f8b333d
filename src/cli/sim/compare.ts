/** `perch sim compare`: several policies on the same arrivals. */
import type { Command } from 'commander';
import { execute } from './execute.ts';
import { withOutputs } from './outputs.ts';
import { withSetup } from './setup-options.ts';

export function register(command: Command): void {
  const own = command
    .command('compare <policies...>')
    .description('simulate several policies on one workload; ratios are against the first');
  withOutputs(withSetup(own, { isSweep: false, seeds: 5 })).action(execute);
}
