/** `perch experiment sleepy`: the second paper's experiment on this machine, on platforms of its own. */
import { cpus } from 'node:os';
import { join } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { BUILDS, type Build, PIPELINES } from '../../experiment/pipelines.ts';
import {
  type Latency,
  POLICIES,
  type Policy,
  SETTING_OPTIONS,
  SOURCES,
  type Source,
  isPolicy,
  policyOf,
  settingsOf,
} from '../../experiment/policies.ts';
import { type SleepyOptions, type SleepyResult, runSleepy } from '../../experiment/sleepy.ts';
import { PER_CORE_MAX } from '../../worker/agent/default-sharing.ts';
import { goBeforeFunctions } from '../../worker/sandbox/priority.ts';
import { BAR_NOTES, disturbance, tableOf } from '../../experiment/report/table.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { prepareFolder, writeResults } from '../experiment-folder.ts';
import { PLATFORM_OPTIONS, platformStarter } from '../experiment-platform.ts';
import { collect, wholeNumber } from '../options.ts';
import { sharingChoiceOf } from '../sharing-option.ts';
import { Progress, formatTable, printJson, printLine, printNote } from '../terminal.ts';

interface SleepyCommandOptions {
  readonly chains: readonly number[];
  readonly pipelines: readonly string[];
  readonly builds: readonly Build[];
  readonly policies: readonly Policy[];
  readonly sources: readonly Source[];
  readonly latency: readonly Latency[];
  readonly rounds: number;
  readonly short: number;
  readonly smoke?: boolean;
  readonly up?: readonly string[];
  readonly out?: string;
  readonly json?: boolean;
}

const CHAINS_MAX = 50;
const ROUNDS_MAX = 100;
const SHORT_RATE_MAX = 1000;
const LATENCIES = ['local', 'remote'] as const;

const HELP = `
Chains of functions are triggered at once, on a platform of its own for each way to share the cores, in each round. The defaults are 18 such
ways, three rounds, and 24 bursts for each: ask for what you want to know.
  perch experiment sleepy --smoke                                      does it run here? each way once, some seconds each
  perch experiment sleepy --smoke --policies lend --sources learning   the same, of one of them
  perch experiment sleepy --chains 1,50 --policies dedicated,lend+learning,fair --out results

Lists take commas. What each number means, and what the paper had: docs/EXPERIMENT.md. Settings that this platform does not
have are left out, and named at the end.`;

export function register(program: Command): void {
  const command = program.command('experiment').description('repeat an experiment of the papers on this machine');
  command
    .command('sleepy')
    .description('chains of functions that wait, under each way to share the cores')
    .addOption(list('--chains <counts>', `how many at once, 1 to ${CHAINS_MAX}`, numbers, [1, 10, 50]))
    .addOption(names('--pipelines <names>', 'what chains do', PIPELINES.map(nameOf)))
    .addOption(names('--builds <names>', 'functions that wait in the kernel, or poll', BUILDS))
    .addOption(
      list(
        '--policies <names>',
        "as for 'perch up --sharing', also with one source: lend+learning",
        policies,
        POLICIES,
      ),
    )
    .addOption(names('--sources <names>', 'where the platform knows from who sleeps', SOURCES))
    .addOption(names('--latency <names>', 'of the object server: local 0.5 ms, remote 20 ms', LATENCIES))
    .option('--rounds <count>', 'of which medians are reported', wholeNumber(1, ROUNDS_MAX), 3)
    .option('--short <rate>', 'calls a second of a short function beside the chains', wholeNumber(0, SHORT_RATE_MAX), 0)
    .option('--up <option>', "an option for every 'perch up', such as --up=--cores=0-1; may be repeated", upOptions)
    .option('--smoke', 'small inputs, few chains, one round: does it run?')
    .option('--out <folder>', 'write results.json, results.csv, the figures and index.html there')
    .option('--json', 'print JSON')
    .addHelpText('after', HELP)
    .action(sleepy);
}

const SMOKE = { chainCounts: [1, 4], latencies: ['local'], roundCount: 1, smoke: true } as const;

async function sleepy(options: SleepyCommandOptions, command: Command): Promise<void> {
  const experiment: SleepyOptions = {
    chainCounts: options.chains,
    pipelines: options.pipelines,
    builds: options.builds,
    latencies: options.latency,
    settings: settingsOf(options.policies, options.sources),
    roundCount: options.rounds,
    shortPerSecond: options.short,
    smoke: false,
    ...(options.smoke === true && smokeOf(command)),
  };
  if (options.out !== undefined) prepareFolder(options.out);
  const progress = new Progress();
  goBeforeFunctions(); // clients are on other machines as a rule, and wait for no function
  const result = await runSleepy(experiment, platformStarter(options.up ?? []), (text) => progress.say(text)).finally(
    () => progress.clear(),
  );
  if (result.rows.length === 0) throw new CliError(EXIT.usage, `nothing was measured: ${result.skipped.join('; ')}`);
  const machine = `${cpus()[0]?.model ?? 'unknown processor'}, ${result.coreCount} cores, Node ${process.version}`;
  if (options.json === true) printJson({ machine, ...result });
  else print(result, machine, experiment.roundCount);
  if (options.out === undefined) return;
  writeResults(options.out, result, machine); // after it is printed: what was measured is not lost where this fails
  if (options.json !== true) printNote(`written: ${join(options.out, 'index.html')} and what it is made of`);
}

function print(result: SleepyResult, machine: string, roundCount: number): void {
  printLine(`${machine}; chains led by the ${result.chainsBy}; medians of ${roundCount} rounds\n`);
  process.stdout.write(formatTable(tableOf(result.rows), result.rows));
  for (const note of BAR_NOTES) printLine(note);
  const disturbed = disturbance(result.rows);
  if (disturbed !== null) printNote(disturbed);
  for (const skipped of result.skipped) printNote(`left out: ${skipped}`);
}

/** What was given by hand stays. */
function smokeOf(command: Command): Partial<SleepyOptions> {
  const given = (name: string): boolean => command.getOptionValueSource(name) === 'cli';
  return {
    smoke: true,
    ...(!given('chains') && { chainCounts: SMOKE.chainCounts }),
    ...(!given('latency') && { latencies: SMOKE.latencies }),
    ...(!given('rounds') && { roundCount: SMOKE.roundCount }),
  };
}

function nameOf({ name }: { readonly name: string }): string {
  return name;
}

function numbers(text: string): readonly number[] {
  return text.split(',').map(wholeNumber(1, CHAINS_MAX));
}

function policies(text: string): readonly Policy[] {
  const wrong = text.split(',').find((each) => !isPolicy(each) || sharingChoiceOf(policyOf(each)) === null);
  if (wrong !== undefined)
    throw new InvalidArgumentError(
      `'${wrong}' is none; there are ${POLICIES.join(', ')}, other numbers from 2 to ${PER_CORE_MAX}, and each with one of ${SOURCES.join(', ')}, as in lend+learning.`,
    );
  return text.split(',');
}

/** What the experiment says itself, a second time would be overridden, or override it. */
function upOptions(text: string, before: readonly string[] = []): readonly string[] {
  const [name = ''] = text.split('=');
  const reserved: readonly string[] = [...PLATFORM_OPTIONS, ...SETTING_OPTIONS];
  if (!reserved.includes(name)) return collect(text, before);
  throw new InvalidArgumentError(
    `The experiment sets ${reserved.join(', ')} itself; --policies and --sources are for how cores are shared.`,
  );
}

function list<Item>(
  flags: string,
  text: string,
  parse: (text: string) => readonly Item[],
  all: readonly Item[],
): Option {
  return new Option(flags, text).argParser(parse).default(all, all.join(','));
}

function names(flags: string, text: string, all: readonly string[]): Option {
  return list(flags, text, oneOf(all), all);
}

function oneOf<Name extends string>(names: readonly Name[]): (text: string) => readonly Name[] {
  return (text) =>
    text.split(',').map((asked) => {
      const name = names.find((each) => each === asked);
      if (name === undefined) throw new InvalidArgumentError(`There are ${names.join(', ')}.`);
      return name;
    });
}
