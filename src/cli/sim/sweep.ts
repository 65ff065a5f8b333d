/** `perch sim sweep`: policies over load or cluster size. */
import type { Command } from 'commander';
import { execute } from './execute.ts';
import { withOutputs } from './outputs.ts';
import { withSetup } from './setup-options.ts';

export function register(command: Command): void {
  const own = command
    .command('sweep <policies...>')
    .description('simulate policies at several loads or sizes of the cluster, on all cores of this machine');
  withOutputs(withSetup(own, { isSweep: true, seeds: 3 })).action(execute);
}
