/** What `run`, `compare` and `sweep` are told, and what simulations it stands for. */
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Costs } from '../../sim/costs.ts';
import { Random } from '../../sim/engine/random.ts';
import { FAULT_KINDS } from '../../sim/faults/fault-spec.ts';
import { POLICIES } from '../../sim/policies/index.ts';
import { openWorld, rateOf, type Setup } from '../../sim/simulate.ts';
import { namesOf, parseWorkload, setupOf, type SimulationSpec, SpecError } from '../../sim/spec.ts';
import { WORKLOADS } from '../../sim/workloads/index.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { collect, wholeNumber } from '../options.ts';
import { costsOf } from './costs-option.ts';
import { faultsOf } from './faults-option.ts';
import { orUsage, policiesWith } from './own-policies.ts';

export interface SetupOptions {
  readonly workload: string;
  readonly servers: readonly number[];
  readonly cores: number;
  readonly memory: number;
  readonly load?: readonly number[];
  readonly costs: string;
  readonly seed: number;
  readonly seeds: number;
  readonly seconds: number;
  readonly warmUp?: number;
  readonly fault?: readonly string[];
  readonly faults?: string;
  readonly retries: number;
  readonly silence?: number;
  readonly policyFile?: readonly string[];
  readonly threads: number;
}

/** All that is simulated, in the order in which it is reported: for each size and load the policies, for each policy the seeds. */
export interface Plan {
  readonly specs: readonly SimulationSpec[];
  readonly seedCount: number;
  readonly policyFiles: readonly string[];
  readonly costsName: string;
  /** The command line that repeats it. */
  readonly command: string;
}

const SERVERS_MAX = 100_000;
const CORES_MAX = 32;
const MEMORY_MB_MAX = 1 << 24;
const SEED_MAX = 0xffff_ffff;
const SEED_COUNT_MAX = 1000;
const THREADS_MAX = 256;
/** Microseconds are counted in 64-bit floats, and the load goes on for ten times as long. */
const SECONDS_MAX = 100_000_000;
const LOAD_MAX = 10;
const LIST_MAX = 1000;
const TRIED_SERVERS_MAX = 4;
const LOAD_DEFAULT = 0.8;
const SECONDS_DEFAULT = 60;
const RETRIES_MAX = 1000;
const WARM_UP_SHARE = 0.2;

export interface Defaults {
  /** Whether loads and servers are lists. */
  readonly isSweep: boolean;
  readonly seeds: number;
}

export function withSetup(command: Command, { isSweep, seeds }: Defaults): Command {
  const listed = isSweep ? ': A,B,C or FROM:TO:STEP' : '';
  const servers = new Option(`--servers <${isSweep ? 'list' : 'count'}>`, `servers of the cluster${listed}`);
  const load = new Option(
    `--load <${isSweep ? 'list' : 'share'}>`,
    `work that arrives, over what all cores can do${listed} (default: ${LOAD_DEFAULT}, or as the workload was recorded)`,
  );
  return command
    .option('--workload <name>', `NAME or NAME:option=value,…: ${namesOf(WORKLOADS)}`, 'exponential')
    .addOption(servers.argParser(listOf(wholeNumber(1, SERVERS_MAX), isSweep)).default([20], '20'))
    .option('--cores <count>', 'cores of each server', wholeNumber(1, CORES_MAX), 32)
    .option('--memory <mb>', 'memory of each server, MB', wholeNumber(128, MEMORY_MB_MAX), 65_536)
    .addOption(load.argParser(listOf(share, isSweep)))
    .option('--costs <what>', "what the platform's own work takes: free, measured, or a JSON file", 'free')
    .option('--seed <number>', 'the first seed; the same seed gives the same result', wholeNumber(0, SEED_MAX), 1)
    .option('--seeds <count>', 'how many seeds, for confidence intervals', wholeNumber(1, SEED_COUNT_MAX), seeds)
    .option('--seconds <time>', 'virtual time in which arrivals are counted', positive, SECONDS_DEFAULT)
    .option('--warm-up <time>', 'virtual seconds before it (default: a fifth of it)', zeroOrMore)
    .option(
      '--fault <fault>',
      `KIND:option=value,…, may be repeated: ${FAULT_KINDS.map(({ name }) => name).join(', ')}`,
      collect,
    )
    .option('--faults <file>', 'a JSON file with a list of them, texts or objects')
    .option('--retries <count>', 'how often an invocation that was lost is run again', wholeNumber(0, RETRIES_MAX), 0)
    .option(
      '--silence <time>',
      'seconds after which a silent server is taken to be gone (default: 3, or as the policy has it)',
      zeroOrMore,
    )
    .option('--policy-file <file>', 'a module with policies of your own; may be repeated', collect)
    .addOption(
      new Option('--threads <count>', 'threads that simulate')
        .argParser(wholeNumber(1, THREADS_MAX))
        .default(availableParallelism(), 'one for each core of this machine'),
    );
}

/** Everything is looked at before anything runs. */
export async function planOf(policies: readonly string[], options: SetupOptions): Promise<Plan> {
  const policyFiles = (options.policyFile ?? []).map((file) => resolve(file));
  const kinds = await policiesWith(policyFiles);
  const twice = policies.find((policy, index) => policies.indexOf(policy) !== index);
  if (twice !== undefined) throw new CliError(EXIT.usage, `the policy ${twice} is given twice`);
  if (options.seed + options.seeds - 1 > SEED_MAX) throw new CliError(EXIT.usage, `seeds end at ${SEED_MAX}`);
  const workload = await orUsage(() => parseWorkload(options.workload));
  const loads = options.load ?? [workload.ownRate === null ? LOAD_DEFAULT : null];
  const costs = costsOf(options.costs);
  const faults = faultsOf(options);
  const specs = options.servers.flatMap((servers) =>
    loads.flatMap((load) =>
      policies.flatMap((policy) =>
        Array.from({ length: options.seeds }, (_, index) =>
          specOf(options, { policy, servers, load, costs, faults, seed: options.seed + index }),
        ),
      ),
    ),
  );
  await orUsage(() => {
    const setups = specs.map((spec) => setupOf(spec, { policies: kinds, workloadOf: () => workload }));
    const first = setups.filter(
      (_, index) => specs[index]!.policy === policies[0] && specs[index]!.seed === options.seed,
    );
    // Of some workloads not every load can be had.
    for (const setup of first) setup.workload.start(rateOf(setup), new Random(setup.seed, 0));
    for (const policy of policies) tryOut(setups[specs.findIndex((spec) => spec.policy === policy)]!);
  });
  return { specs, seedCount: options.seeds, policyFiles, costsName: options.costs, command: commandOf() };
}

/**
 * Made, and thrown away: some options are wrong only beside a workload. Our own do not mind the size, and take long at a large one; what
 * others have written is tried at the size that it was asked for.
 */
function tryOut(setup: Setup): void {
  if (POLICIES.includes(setup.policy)) {
    const serverCount = Math.min(setup.cluster.serverCount, TRIED_SERVERS_MAX);
    // As many arrivals as there will be.
    const load = setup.load === null ? null : (setup.load * setup.cluster.serverCount) / serverCount;
    openWorld({ ...setup, cluster: { ...setup.cluster, serverCount }, load, faults: null });
    return;
  }
  try {
    openWorld(setup);
  } catch (error) {
    if (error instanceof SpecError) throw error;
    const [message, stack] = error instanceof Error ? [error.message, error.stack ?? ''] : [String(error), ''];
    throw new CliError(
      EXIT.usage,
      `policy ${setup.policy.name}: make(world, options) failed: ${message}`,
      `${stack}\n`,
    );
  }
}

/** The outputs that it was asked for are no part of what was simulated, but harmless. */
function commandOf(): string {
  return ['perch', ...process.argv.slice(2)]
    .map((each) => (/^[\w.,:=/+@%-]+$/.test(each) ? each : `'${each.replaceAll("'", `'\\''`)}'`))
    .join(' ');
}

interface Varied {
  readonly policy: string;
  readonly servers: number;
  readonly load: number | null;
  readonly costs: Costs;
  readonly faults: readonly string[];
  readonly seed: number;
}

function specOf(options: SetupOptions, varied: Varied): SimulationSpec {
  const { workload, cores, memory, seconds, warmUp, retries, silence } = options;
  const warmUpSeconds = warmUp ?? seconds * WARM_UP_SHARE;
  const setup = { ...varied, workload, cores, memoryMb: memory, seconds, warmUpSeconds, retries };
  return silence === undefined ? setup : { ...setup, silenceSeconds: silence };
}

/** `A,B,C` or, of numbers, `FROM:TO:STEP`; of a command that has no lists, one. */
function listOf(parse: (text: string) => number, isList: boolean): (text: string) => readonly number[] {
  if (!isList) return (text) => [parse(text)];
  return (text) => {
    const values = text.split(',').flatMap((each) => (each.includes(':') ? rangeOf(each, parse) : [parse(each)]));
    if (values.length > LIST_MAX) throw new InvalidArgumentError(`There may be ${LIST_MAX} of them.`);
    const twice = values.find((value, index) => values.indexOf(value) !== index);
    if (twice !== undefined) throw new InvalidArgumentError(`${twice} is in it twice.`);
    return values;
  };
}

function rangeOf(text: string, parse: (text: string) => number): readonly number[] {
  const parts = text.split(':');
  const [from = NaN, to = NaN, step = NaN] = parts.map(Number);
  const isRight =
    parts.length === 3 && !parts.includes('') && step > 0 && to >= from && Number.isFinite(from + to + step);
  if (!isRight || (to - from) / step > LIST_MAX) {
    throw new InvalidArgumentError('A range is FROM:TO:STEP, such as 0.5:0.95:0.05.');
  }
  const count = Math.floor((to - from) / step + 1e-9) + 1;
  // 0.1 + 2 × 0.1 is 0.30000000000000004, which nobody wants to read.
  return Array.from({ length: count }, (_, index) => parse(String(Number((from + index * step).toPrecision(12)))));
}

function share(text: string): number {
  const value = numberOf(text);
  if (value > 0 && value <= LOAD_MAX) return value;
  throw new InvalidArgumentError(`It has to be above 0 and at most ${LOAD_MAX}: 0.8 is 80 % of what all cores can do.`);
}

function positive(text: string): number {
  const value = numberOf(text);
  if (value > 0 && value <= SECONDS_MAX) return value;
  throw new InvalidArgumentError(`It has to be a number above 0, and at most ${SECONDS_MAX}.`);
}

function zeroOrMore(text: string): number {
  const value = numberOf(text);
  if (value >= 0 && value <= SECONDS_MAX) return value;
  throw new InvalidArgumentError(`It has to be a number from 0 to ${SECONDS_MAX}.`);
}

function numberOf(text: string): number {
  const value = Number(text);
  return text.trim() !== '' && Number.isFinite(value) ? value : NaN;
}
