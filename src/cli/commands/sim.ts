/** `perch sim`: the cluster in virtual time. Each of its commands is a file in ../sim/. */
import type { Command } from 'commander';
import { register as compare } from '../sim/compare.ts';
import { register as faults } from '../sim/faults.ts';
import { register as fuzz } from '../sim/fuzz.ts';
import { register as paper } from '../sim/paper.ts';
import { register as policies } from '../sim/policies.ts';
import { register as run } from '../sim/run.ts';
import { register as sweep } from '../sim/sweep.ts';
import { register as theory } from '../sim/theory.ts';
import { register as workloads } from '../sim/workloads.ts';

const HELP = `
  perch sim run perch --load 0.9                                    one policy
  perch sim compare perch random --seeds 10 --html report.html     several, on the same arrivals
  perch sim sweep perch random --load 0.5:0.95:0.05                 over the load, on all cores of this machine

A policy and a workload may have options: random:discipline=fcfs, exponential:mean=5. 'perch sim policies' and
'perch sim workloads' list them, 'perch sim faults' what may go wrong; docs/SIMULATOR.md says what is simulated and what each figure means.`;

export function register(program: Command): void {
  const command = program.command('sim').description('the scheduler and its rivals on a cluster in virtual time');
  command.addHelpText('after', HELP);
  run(command);
  compare(command);
  sweep(command);
  policies(command);
  workloads(command);
  faults(command);
  theory(command);
  paper(command);
  fuzz(command);
}
