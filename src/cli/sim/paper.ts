/** `perch sim paper`: the claims of the papers, tried; writes docs/EVALUATION.md and its figures. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import type { Command } from 'commander';
import { CLAIMS } from '../../sim/paper/claims/index.ts';
import { calibrated, type SourcedCosts, type Spread, STAND_INS } from '../../sim/paper/costs.ts';
import { evaluate, type Evaluation, EvaluationError, specsFor } from '../../sim/paper/evaluate.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { wholeNumber } from '../options.ts';
import { printNote, Progress } from '../terminal.ts';
import { costsOf } from './costs-option.ts';

interface PaperOptions {
  readonly only?: string;
  readonly out?: string;
  readonly smoke?: boolean;
  readonly threads: number;
}

const THREADS_MAX = 256;
const CALIBRATION = new URL('../../sim/calibration.json', import.meta.url);
const WHOLE_FOLDER = 'docs';
/** A part of the evaluation, or a small one, shall not take the place of the whole. */
const PART_FOLDER = 'perch-paper';

export function register(command: Command): void {
  command
    .command('paper')
    .description('try the claims of the papers that Perch is built on, and write EVALUATION.md with its figures')
    .option('--only <name>', `one claim: ${CLAIMS.map(({ name }) => name).join(', ')}`)
    .option('--out <folder>', `where it is written (default: ${WHOLE_FOLDER}; ${PART_FOLDER} with --only or --smoke)`)
    .option('--smoke', 'all of it, so small that its figures mean nothing: to see that it runs')
    .option('--threads <count>', 'simulations at once', wholeNumber(1, THREADS_MAX), availableParallelism())
    .action(run);
}

async function run({ only, out, smoke = false, threads }: PaperOptions): Promise<void> {
  const claims = CLAIMS.filter(({ name }) => only === undefined || name === only);
  if (claims.length === 0) {
    throw new CliError(EXIT.usage, `no claim ${only}: there are ${CLAIMS.map(({ name }) => name).join(', ')}`);
  }
  const isWhole = only === undefined && !smoke;
  const folder = out ?? (isWhole ? WHOLE_FOLDER : PART_FOLDER);
  const evaluation = { claims, costs: costsHere(), isSmoke: smoke };
  const command = ['perch sim paper', ...(only === undefined ? [] : [`--only ${only}`]), ...(smoke ? ['--smoke'] : [])];
  const written = await withProgress(evaluation, threads, (options) =>
    evaluate({ ...evaluation, options }, { version: versionHere(), command: command.join(' '), isWhole }),
  );
  for (const [name, text] of written.files) {
    const file = path.join(folder, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, text);
    printNote(`written: ${file}`);
  }
}

async function withProgress<T>(
  evaluation: Omit<Evaluation, 'options'>,
  threadCount: number,
  work: (options: Evaluation['options']) => Promise<T>,
): Promise<T> {
  const progress = new Progress();
  const count = specsFor(evaluation).length;
  const progressed = (ended: number): void => progress.say(`${ended} of ${count} simulations`);
  progressed(0);
  try {
    return await work({ threadCount, progressed });
  } catch (error) {
    if (error instanceof EvaluationError) throw new CliError(EXIT.internal, error.message);
    throw error;
  } finally {
    progress.clear();
  }
}

function costsHere(): SourcedCosts {
  if (!existsSync(CALIBRATION)) return STAND_INS;
  const costs = costsOf('measured');
  const { spread = {} } = JSON.parse(readFileSync(CALIBRATION, 'utf8')) as { spread?: Spread };
  return calibrated(costs, spread);
}

function versionHere(): string {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
