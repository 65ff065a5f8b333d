/** `perch sim`: the cluster in virtual time. */
import { type Command, InvalidArgumentError } from 'commander';
import { FREE } from '../../sim/costs.ts';
import type { Result } from '../../sim/measure/result.ts';
import { POLICIES } from '../../sim/policies/index.ts';
import { simulate } from '../../sim/simulate.ts';
import { namesOf, setupOf, SpecError, type SimulationSpec } from '../../sim/spec.ts';
import { WORKLOADS } from '../../sim/workloads/index.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { wholeNumber } from '../options.ts';
import { formatTable, formatUs, printJson, printLine } from '../terminal.ts';

interface SimOptions {
  readonly workload: string;
  readonly servers: number;
  readonly cores: number;
  readonly memory: number;
  readonly load: number;
  readonly seed: number;
  readonly seconds: number;
  readonly json?: boolean;
}

const SERVERS_MAX = 100_000;
const CORES_MAX = 32;
const MEMORY_MB_MAX = 1 << 24;
const SEED_MAX = 0xffff_ffff;

export function register(program: Command): void {
  const command = program.command('sim').description('the scheduler and its rivals on a cluster in virtual time');
  command
    .command('run <policy>')
    .description(`simulate one policy: ${namesOf(POLICIES)}`)
    .option('--workload <name>', namesOf(WORKLOADS), 'exponential')
    .option('--servers <count>', 'servers of the cluster', wholeNumber(1, SERVERS_MAX), 20)
    .option('--cores <count>', 'cores of each server', wholeNumber(1, CORES_MAX), 32)
    .option('--memory <mb>', 'memory of each server, MB', wholeNumber(128, MEMORY_MB_MAX), 65_536)
    .option('--load <share>', 'work that arrives, over what all cores can do', positive, 0.8)
    .option('--seed <number>', 'the same seed gives the same result', wholeNumber(0, SEED_MAX), 1)
    .option('--seconds <time>', 'virtual time that is counted, after a warm-up of a fifth of it', positive, 60)
    .option('--json', 'print JSON')
    .action(run);
}

function run(policy: string, options: SimOptions): void {
  const result = simulateOrSay(specOf(policy, options));
  if (options.json === true) printJson(result);
  else printLine(tableOf([result]));
}

function specOf(policy: string, options: SimOptions): SimulationSpec {
  const { workload, servers, cores, memory: memoryMb, load, seed, seconds } = options;
  const warmUpSeconds = seconds / 5;
  return { policy, workload, servers, cores, memoryMb, load, costs: FREE, seed, seconds, warmUpSeconds };
}

function simulateOrSay(spec: SimulationSpec): Result {
  try {
    return simulate(setupOf(spec));
  } catch (error) {
    if (error instanceof SpecError) throw new CliError(EXIT.usage, error.message);
    throw error;
  }
}

function tableOf(results: readonly Result[]): string {
  return formatTable<Result>(
    [
      { title: 'policy', value: ({ policy }) => policy },
      { title: 'slowdown mean', value: ({ slowdown }) => slowdown.mean.toFixed(3), alignRight: true },
      { title: 'p50', value: ({ slowdown }) => slowdown.p50.toFixed(3), alignRight: true },
      { title: 'p99', value: ({ slowdown }) => slowdown.p99.toFixed(3), alignRight: true },
      { title: 'wait mean', value: ({ waitUs }) => formatUs(waitUs.mean), alignRight: true },
      { title: 'busy', value: ({ utilisation }) => `${(utilisation * 100).toFixed(1)} %`, alignRight: true },
      { title: 'trace', value: ({ traceHash }) => traceHash },
    ],
    results,
  ).trimEnd();
}

function positive(text: string): number {
  const value = Number(text);
  if (value > 0 && Number.isFinite(value)) return value;
  throw new InvalidArgumentError('It has to be a number above 0.');
}
