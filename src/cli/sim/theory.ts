/** `perch sim theory`: the simulator beside what is known on paper. */
import { availableParallelism } from 'node:os';
import { type Command, InvalidArgumentError } from 'commander';
import { runBatch } from '../../sim/batch/batch.ts';
import type { Result } from '../../sim/measure/result.ts';
import { allChecks, type Check, specsOf } from '../../sim/theory/checks.ts';
import { type Argument, argumentsOf, type Verdict, verdictsOf } from '../../sim/theory/verdicts.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { wholeNumber } from '../options.ts';
import { type Column, formatTable, printJson, printLine, Progress, style } from '../terminal.ts';

interface TheoryOptions {
  readonly only?: string;
  readonly scale: number;
  readonly threads: number;
  readonly json?: boolean;
}

const THREADS_MAX = 1024;

export function register(command: Command): void {
  command
    .command('theory')
    .description(
      'the simulator beside closed forms: Erlang C, Pollaczek–Khinchine, processor sharing, foreground–background',
    )
    .option('--only <text>', 'queues whose name holds it: M/M/640, PS, FB, ×')
    .option('--scale <factor>', 'counted invocations, over those of the whole check', scale, 1)
    .option('--threads <count>', 'simulations at once', wholeNumber(1, THREADS_MAX), availableParallelism())
    .option('--json', 'print JSON')
    .action(run);
}

async function run(options: TheoryOptions): Promise<void> {
  const { only = '', json } = options;
  const checks = allChecks().filter(({ queue }) => queue.includes(only));
  if (checks.length === 0) {
    const queues = [...new Set(allChecks().map(({ queue }) => queue))];
    throw new CliError(EXIT.usage, `no queue has '${only}' in its name: there are ${queues.join('; ')}`);
  }
  const verdicts = await verdictsFor(checks, options);
  const comparison = argumentsOf(verdicts);
  if (json === true) printJson({ verdicts, argument: comparison.map(plainOf) });
  else printTables(verdicts, comparison);
  const wrong = verdicts.filter(isWrong).length;
  if (wrong > 0) throw new CliError(EXIT.functionFailed, `${wrong} of ${verdicts.length} figures differ from theory`);
}

async function verdictsFor(checks: readonly Check[], options: TheoryOptions): Promise<Verdict[]> {
  const specs = checks.map((check) => specsOf(check, options.scale));
  const all = specs.flat();
  const progress = new Progress();
  const progressed = (count: number): void => progress.say(`${count} of ${all.length} simulations`);
  progressed(0);
  const runs = await runBatch(all, { threadCount: options.threads, progressed });
  progress.clear();
  const figureCount = checks.reduce((sum, { figures }) => sum + figures.length, 0);
  let first = 0;
  return checks.flatMap((check, i) => {
    const own = runs.slice(first, (first += specs[i]!.length));
    return verdictsOf(
      check,
      own.map(({ result, error }): Result => {
        if (result !== null) return result;
        throw new CliError(EXIT.internal, `${check.queue} at ${check.load}: ${error?.message ?? 'not simulated'}`);
      }),
      figureCount,
    );
  });
}

const COLUMNS: readonly Column<Verdict>[] = [
  { title: 'queue', value: ({ queue }) => queue },
  { title: 'policy', value: ({ policy }) => policy },
  { title: 'load', value: ({ load }) => String(load), alignRight: true },
  { title: 'figure', value: ({ figure }) => figure },
  { title: 'theory', value: ({ theory, unit }) => figureOf(theory, unit), alignRight: true },
  { title: 'simulated', value: ({ simulated, unit }) => figureOf(simulated, unit), alignRight: true },
  { title: 'difference', value: ({ difference }) => percent(difference), alignRight: true },
  {
    title: '± 95 %',
    value: ({ halfWidth, theory, verdict }) =>
      halfWidth === null || verdict === 'nothing' ? '–' : `${((100 * halfWidth) / theory).toFixed(2)} %`,
    alignRight: true,
  },
  { title: 'verdict', value: ({ verdict }) => verdict, paint: paintOf },
];

const ARGUMENT_COLUMNS: readonly Column<Argument>[] = [
  { title: 'cores', value: ({ cores }) => String(cores), alignRight: true },
  { title: 'load', value: ({ load }) => String(load), alignRight: true },
  { title: 'a queue each: theory', value: ({ separate }) => figureOf(separate.theory, 'ms'), alignRight: true },
  { title: 'simulated', value: ({ separate }) => figureOf(separate.simulated, 'ms'), alignRight: true },
  { title: 'one for all: theory', value: ({ central }) => figureOf(central.theory, 'ms'), alignRight: true },
  { title: 'simulated', value: ({ central }) => figureOf(central.simulated, 'ms'), alignRight: true },
];

function printTables(verdicts: readonly Verdict[], comparison: readonly Argument[]): void {
  process.stdout.write(formatTable(COLUMNS, verdicts));
  const count = (verdict: Verdict['verdict']): number => verdicts.filter((each) => each.verdict === verdict).length;
  printLine(
    `\n${verdicts.length} figures: ${count('within 1 %')} within 1 %, ${count('within the interval')} within their interval, ` +
      `${count('outside 95 %')} outside it as one in twenty is, ${count('nothing')} where nothing waits, ${verdicts.filter(isWrong).length} differ.`,
  );
  if (comparison.length === 0) return;
  printLine(
    `\n${style('bold', 'Mean wait, in mean run times: the same cores with a queue each, and with one for all')}`,
  );
  process.stdout.write(formatTable(ARGUMENT_COLUMNS, comparison));
}

function plainOf({ cores, load, separate, central }: Argument): Record<string, number> {
  return {
    cores,
    load,
    separateTheory: separate.theory,
    separateSimulated: separate.simulated,
    centralTheory: central.theory,
    centralSimulated: central.simulated,
  };
}

function paintOf(verdict: Verdict): 'red' | undefined {
  return isWrong(verdict) ? 'red' : undefined;
}

function isWrong({ verdict }: Verdict): boolean {
  return verdict === 'differs' || verdict === 'did not end';
}

function figureOf(value: number, unit: Verdict['unit']): string {
  if (value !== 0 && value < 1e-6) return '< 0.000001';
  return value < 0.01 && unit === 'ms' ? value.toFixed(6) : value.toPrecision(5);
}

function percent(share: number | null): string {
  return share === null ? '–' : `${share > 0 ? '+' : ''}${(100 * share).toFixed(2)} %`;
}

function scale(text: string): number {
  const value = Number(text);
  if (value > 0 && Number.isFinite(value)) return value;
  throw new InvalidArgumentError('It has to be a number above 0.');
}
