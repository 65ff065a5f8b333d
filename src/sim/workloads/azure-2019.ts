/**
 * Functions with the published statistics of Azure Functions in 2019. Each distribution is taken at as many evenly spaced shares as there are
 * applications, so that they have it as exactly as so many can; which application has which value of each is drawn, by
 * the option `draw`. Rates are to each other as published, and to time as the load says.
 *
 * The paper publishes how long functions take in the mean, and not how the invocations of one differ. `within` says how much of the variance
 * of the logarithm is within a function: with 1 each invocation is drawn from the whole distribution, with 0 those of a function take all the same
 * time, and then the few functions that make most of the invocations decide how much work there is.
 */
import { Random } from '../engine/random.ts';
import type { OptionValues } from '../policy.ts';
import { SpecError } from '../spec-error.ts';
import { PLAIN_FUNCTION, type Workload } from '../workload.ts';
import {
  DURATION_CUT_S,
  DURATION_MU,
  DURATION_SIGMA,
  FUNCTIONS_PER_APP,
  GAP_CV,
  LN_US,
  MEMORY_MB,
  PER_DAY,
  PER_DAY_TOP,
  TIMER_SHARE,
} from './azure-2019-statistics.ts';
import { type Distribution, logNormal, quantileAt } from './distributions.ts';
import { FUNCTION_COUNT_MAX, number, text, type WorkloadKind } from './kind.ts';
import { chained } from './members.ts';
import { normalQuantile } from './normal.ts';
import { poisson } from './poisson.ts';
import { runs } from './programs.ts';
import { renewal, type RenewalMember } from './renewal.ts';

const RATES = [...PER_DAY, ...PER_DAY_TOP];

interface App {
  /** Arrivals of the application's first function in a day, as published. */
  readonly perDay: number;
  readonly gapCv: number;
  readonly memoryMb: number;
  readonly steps: number;
}

export const azure2019: WorkloadKind = {
  name: 'azure2019',
  summary:
    'many functions with the published statistics of Azure Functions in July 2019 (Shahrad and others, ATC 2020)',
  options: {
    functions: {
      help: 'functions; with chains, applications',
      default: 1000,
      min: 1,
      max: FUNCTION_COUNT_MAX,
      isWhole: true,
    },
    cut: { help: 'the longest that one may take, s: a time limit', default: DURATION_CUT_S, min: 1e-3, max: 1e9 },
    within: { help: 'share of the variance of run times that is within a function', default: 1, min: 0, max: 1 },
    gaps: {
      help: 'between arrivals of a function: as published, from timers to bursts, or at random',
      default: 'published',
      choices: ['published', 'poisson'],
    },
    chains: { help: 'functions of an application are a chain', default: 'no', choices: ['no', 'yes'] },
    draw: { help: 'who has which of the published values', default: 1, min: 0, max: 0xffff_ffff, isWhole: true },
  },
  make: azureWorkload,
};

function azureWorkload(options: OptionValues): Workload {
  const apps = appsOf(options, number(options, 'functions'));
  const functionCount = apps.reduce((sum, { steps }) => sum + steps, 0);
  if (functionCount > FUNCTION_COUNT_MAX) {
    throw new SpecError(
      `${apps.length} applications have ${functionCount} functions: ${FUNCTION_COUNT_MAX} are the most`,
    );
  }
  const durations = shares(functionCount, new Random(number(options, 'draw'), 4));
  const members: RenewalMember[] = [];
  for (const app of apps) {
    const first = members.length;
    const steps = Array.from({ length: app.steps }, (_, step) => ({
      shape: { ...PLAIN_FUNCTION, name: `f${first + step}`, memoryMb: app.memoryMb },
      program: runs(durationOf(options, durations[first + step]!)),
      weight: app.perDay,
      gapCv: app.gapCv,
    }));
    members.push(...chained(steps, first));
  }
  return text(options, 'gaps') === 'published' ? renewal('azure2019', members) : poisson('azure2019', members);
}

function durationOf(options: OptionValues, share: number): Distribution {
  const within = number(options, 'within');
  // Of the whole variance, what is between the functions makes their means differ.
  const own = within === 1 ? 0 : normalQuantile(share) * Math.sqrt(1 - within);
  const mu = DURATION_MU + LN_US + DURATION_SIGMA * own;
  return logNormal(mu, DURATION_SIGMA * Math.sqrt(within), number(options, 'cut') * 1e6);
}

function appsOf(options: OptionValues, count: number): App[] {
  const draw = number(options, 'draw');
  const rates = shares(count, new Random(draw, 0));
  const gaps = shares(count, new Random(draw, 1));
  const memory = shares(count, new Random(draw, 2));
  const lengths = shares(count, new Random(draw, 3));
  const hasChains = text(options, 'chains') === 'yes';
  return Array.from({ length: count }, (_, i) => {
    const steps = hasChains ? stepCountAt(lengths[i]!) : 1;
    return {
      // Every step counts as an invocation of the application.
      perDay: quantileAt(RATES, rates[i]!) / steps,
      gapCv: gaps[i]! < TIMER_SHARE ? 0 : quantileAt(GAP_CV, gaps[i]!),
      memoryMb: Math.max(1, Math.round(quantileAt(MEMORY_MB, memory[i]!) / steps)),
      steps,
    };
  });
}

/** The middles of as many equal parts of 0 … 1, in random order (Fisher and Yates). */
function shares(count: number, random: Random): Float64Array {
  const values = Float64Array.from({ length: count }, (_, i) => (i + 0.5) / count);
  for (let left = count; left > 1; left--) {
    const other = random.below(left);
    const value = values[other]!;
    values[other] = values[left - 1]!;
    values[left - 1] = value;
  }
  return values;
}

function stepCountAt(share: number): number {
  return (FUNCTIONS_PER_APP.find(([at]) => share <= at) ?? FUNCTIONS_PER_APP.at(-1)!)[1];
}
