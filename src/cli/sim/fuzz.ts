/** `perch sim fuzz`: random clusters of the shipped machines, until something does not hold. */
import { type Command, InvalidArgumentError } from 'commander';
import { seedOf } from '../../sim/fuzz/case.ts';
import { type Change, changeOf } from '../../sim/fuzz/change.ts';
import { fuzz, type Fuzzed, type FuzzSetting } from '../../sim/fuzz/fuzz.ts';
import { fuzzPlanted } from '../../sim/fuzz/planted.ts';
import { plant, PLANTS } from '../../sim/fuzz/plants.ts';
import { reportOf } from '../../sim/fuzz/report.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { wholeNumber } from '../options.ts';
import { printJson, printLine, Progress } from '../terminal.ts';

interface FuzzOptions {
  readonly seed: number;
  readonly steps?: number;
  readonly minutes?: number;
  readonly change?: Change;
  readonly plant?: string;
  readonly shrink: boolean;
  readonly json?: boolean;
}

const STEPS_DEFAULT = 1_000_000;
const STEPS_MAX = Number.MAX_SAFE_INTEGER;
const MINUTES_MAX = 10_000;
const MS_PER_MINUTE = 60_000;
/** A failing case is made smaller for so many steps, which is some seconds. */
const SHRINK_STEP_MAX = 400_000;
const EVENT_COUNT_MAX = 30;

export function register(command: Command): void {
  command
    .command('fuzz')
    .description('find bugs: random clusters, loads and faults, with every invariant looked at after every step')
    .option('--seed <number|text>', 'of the first cluster; a text, as the hash of a commit, is made one', seed, 1)
    .option(
      '--steps <count>',
      `begin no more clusters after so many (default: ${STEPS_DEFAULT})`,
      wholeNumber(1, STEPS_MAX),
    )
    .option('--minutes <time>', 'instead of a number of steps', minutes)
    .option('--change <text>', 'what is left of the first cluster, as a failure that was made smaller says', change)
    .option('--plant <name>', `with a bug in the machines: ${PLANTS.map(({ name }) => name).join(', ')}`)
    .option('--no-shrink', 'do not make a failing cluster smaller')
    .option('--json', 'print JSON')
    .action(run);
}

async function run(options: FuzzOptions): Promise<void> {
  const fuzzed = options.plant === undefined ? fuzzHere(options) : await fuzzWith(options.plant, options);
  if (options.json === true) printJson(fuzzed);
  else {
    const asked = options.change === undefined ? {} : { change: options.change };
    printLine(reportOf(fuzzed, { plant: options.plant ?? '', ...asked, eventCountMax: EVENT_COUNT_MAX }));
  }
  if (fuzzed.found !== null) throw new CliError(EXIT.internal, `an invariant does not hold, seed ${fuzzed.found.seed}`);
}

function fuzzHere(options: FuzzOptions): Fuzzed {
  const progress = new Progress();
  const endMs = options.minutes === undefined ? Infinity : performance.now() + options.minutes * MS_PER_MINUTE;
  let caseCount = 0;
  let stepCount = 0;
  const fuzzed = fuzz({
    ...settingOf(options),
    isOver: () => performance.now() >= endMs,
    played: (_seed, played) => {
      caseCount++;
      stepCount += played.stepCount;
      progress.say(`${caseCount} clusters, ${stepCount} steps`);
    },
  });
  progress.clear();
  return fuzzed;
}

/** The time is not looked at there. */
function fuzzWith(name: string, options: FuzzOptions): Promise<Fuzzed> {
  const found = PLANTS.find((each) => each.name === name);
  if (found === undefined)
    throw new CliError(
      EXIT.usage,
      `there is no '${name}' to plant: there are ${PLANTS.map((each) => each.name).join(', ')}`,
    );
  const planted = plant(found);
  if (typeof planted === 'string') throw new CliError(EXIT.usage, planted);
  return fuzzPlanted({ planted, setting: settingOf(options) });
}

function settingOf({ seed, steps, minutes: limit, change: changed, shrink, plant: planted }: FuzzOptions): FuzzSetting {
  const isTimed = limit !== undefined && planted === undefined;
  return {
    seed,
    stepMax: steps ?? (isTimed ? Infinity : STEPS_DEFAULT),
    shrinkStepMax: shrink ? SHRINK_STEP_MAX : 0,
    ...(changed === undefined ? {} : { change: changed }),
  };
}

/** No text at all is a variable that was not set, as a rule. */
function seed(text: string): number {
  if (text.trim() !== '') return seedOf(text);
  throw new InvalidArgumentError('It has to be a number or a text.');
}

function minutes(text: string): number {
  const value = Number(text);
  if (value > 0 && value <= MINUTES_MAX) return value;
  throw new InvalidArgumentError(`It has to be a number above 0, and at most ${MINUTES_MAX}.`);
}

function change(text: string): Change {
  const read = changeOf(text);
  if (read === null) throw new InvalidArgumentError("It has to be like 'workers=1,faults=0-2+7', as a failure says.");
  return read;
}
