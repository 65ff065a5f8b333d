/** Workloads of one law: for theory, for what the papers claim, and for whoever wants to change one thing at a time. */
import { SpecError } from '../spec-error.ts';
import type { OptionSpec, OptionSpecs, OptionValues } from '../policy.ts';
import { PLAIN_FUNCTION, type Workload } from '../workload.ts';
import { DURATION_CUT_S, DURATION_MU, DURATION_SIGMA, LN_US } from './azure-2019-statistics.ts';
import { bursts } from './bursts.ts';
import { bimodal, boundedPareto, deterministic, type Distribution, exponential, logNormal } from './distributions.ts';
import { FUNCTION_COUNT_MAX, FUNCTIONS, MEAN, number, text, type WorkloadKind } from './kind.ts';
import { alike, chained, type Member, skewed } from './members.ts';
import { poisson } from './poisson.ts';
import { type Program, runs, runsAndSleeps } from './programs.ts';

const TIME_MS = { min: 1e-3, max: 1e9 };
const SHARE = { min: 0, max: 1 };
const LAWS = { exponential, deterministic };
const LAW: OptionSpec = {
  help: 'how times are distributed',
  default: 'exponential',
  choices: Object.keys(LAWS),
};
const SLEEPS_MAX = 1000;
const STEPS_MAX = 1000;
const CORES_MAX = 32;

/** One law of run times, Poisson arrivals. */
function ofOneLaw(
  name: string,
  summary: string,
  options: OptionSpecs,
  law: (values: OptionValues) => Distribution,
): WorkloadKind {
  return {
    name,
    summary,
    options: { ...options, ...FUNCTIONS },
    make: (values) => poisson(name, membersOf(values, runs(law(values)))),
  };
}

function membersOf(values: OptionValues, program: Program): Member[] {
  const shape = { ...PLAIN_FUNCTION, memoryMb: number(values, 'memory') };
  return skewed(alike(number(values, 'functions'), shape, program), number(values, 'skew'));
}

function lawOf(values: OptionValues): (mean: number) => Distribution {
  return LAWS[text(values, 'law') as keyof typeof LAWS];
}

const sleepy: WorkloadKind = {
  name: 'sleepy',
  summary: 'functions that sleep for a share of the time that they take',
  options: {
    mean: MEAN,
    share: { help: 'sleep, of the time that an invocation takes alone, %', default: 50, min: 0.1, max: 99.9 },
    sleeps: { help: 'how often an invocation sleeps', default: 4, min: 1, max: SLEEPS_MAX, isWhole: true },
    law: LAW,
    ...FUNCTIONS,
  },
  make: (values) => {
    const meanUs = number(values, 'mean') * 1e3;
    const share = number(values, 'share') / 100;
    const sleepCount = number(values, 'sleeps');
    const law = lawOf(values);
    const sleepUs = (meanUs * share) / (1 - share);
    const program = runsAndSleeps(law(meanUs / (sleepCount + 1)), law(sleepUs / sleepCount), sleepCount);
    return poisson('sleepy', membersOf(values, program));
  },
};

const chains: WorkloadKind = {
  name: 'chains',
  summary: 'chains of functions, each fed the output of the one before',
  options: {
    length: { help: 'steps of a chain', default: 5, min: 1, max: STEPS_MAX, isWhole: true },
    mean: { ...MEAN, help: 'mean CPU time of a step, ms', default: 20 },
    sleep: { help: 'mean sleep in the middle of a step, ms', default: 0, min: 0, max: 1e9 },
    chains: {
      help: 'chains, all alike, each with functions of its own',
      default: 1,
      min: 1,
      max: FUNCTION_COUNT_MAX,
      isWhole: true,
    },
    law: LAW,
    memory: FUNCTIONS['memory']!,
  },
  make: (values) => {
    const length = number(values, 'length');
    const meanUs = number(values, 'mean') * 1e3;
    const sleepUs = number(values, 'sleep') * 1e3;
    const law = lawOf(values);
    const program = sleepUs === 0 ? runs(law(meanUs)) : runsAndSleeps(law(meanUs / 2), law(sleepUs), 1);
    const chainCount = number(values, 'chains');
    if (length * chainCount > FUNCTION_COUNT_MAX) {
      throw new SpecError(`${chainCount} chains of ${length} steps: ${FUNCTION_COUNT_MAX} functions are the most`);
    }
    const steps = alike(length, { ...PLAIN_FUNCTION, memoryMb: number(values, 'memory') }, program);
    const members = Array.from({ length: chainCount }, (_, chain) =>
      chained(
        steps.map((step, i) => ({ ...step, shape: { ...step.shape, name: `c${chain}-${i}` } })),
        chain * length,
      ),
    );
    return poisson('chains', members.flat());
  },
};

const multicore: WorkloadKind = {
  name: 'multicore',
  summary: 'some functions want several cores of one server',
  options: {
    mean: { ...MEAN, help: 'mean run time of an invocation, ms' },
    cores: { help: 'cores that some want', default: 2, min: 2, max: CORES_MAX, isWhole: true },
    share: { help: 'of them among all invocations', default: 0.1, ...SHARE },
    law: LAW,
    memory: FUNCTIONS['memory']!,
  },
  make: (values) => {
    const share = number(values, 'share');
    const program = runs(lawOf(values)(number(values, 'mean') * 1e3));
    const shape = { ...PLAIN_FUNCTION, memoryMb: number(values, 'memory') };
    const cores = number(values, 'cores');
    return poisson('multicore', [
      { shape: { ...shape, name: 'one core' }, program, weight: 1 - share },
      { shape: { ...shape, name: `${cores} cores`, coreCount: cores }, program, weight: share },
    ]);
  },
};

const burstsKind: WorkloadKind = {
  name: 'bursts',
  summary: 'many invocations at once, every so often, over a load that arrives at random',
  options: {
    n: { help: 'invocations at once', default: 1000, min: 1, max: 1e6, isWhole: true },
    every: { help: 'from one burst to the next, s; the first one comes after it', default: 10, min: 1e-3, max: 1e6 },
    mean: MEAN,
    law: LAW,
    memory: FUNCTIONS['memory']!,
  },
  make: (values): Workload =>
    bursts('bursts', {
      demand: lawOf(values)(number(values, 'mean') * 1e3),
      count: number(values, 'n'),
      everyUs: number(values, 'every') * 1e6,
      memoryMb: number(values, 'memory'),
    }),
};

export const SYNTHETIC: readonly WorkloadKind[] = [
  ofOneLaw('exponential', 'Poisson arrivals, exponential run times: M/M/n', { mean: MEAN }, (values) =>
    exponential(number(values, 'mean') * 1e3),
  ),
  ofOneLaw('deterministic', 'Poisson arrivals, run times all the same: M/D/n', { mean: MEAN }, (values) =>
    deterministic(number(values, 'mean') * 1e3),
  ),
  ofOneLaw(
    'bimodal',
    'Poisson arrivals, many short and few long run times',
    {
      short: { help: 'the short ones, ms', default: 1, ...TIME_MS },
      long: { help: 'the long ones, ms', default: 100, ...TIME_MS },
      share: { help: 'of the long ones among all', default: 0.005, ...SHARE },
    },
    (values) => bimodal(number(values, 'short') * 1e3, number(values, 'long') * 1e3, number(values, 'share')),
  ),
  ofOneLaw(
    'lognormal',
    'Poisson arrivals, log-normal run times: as they stand, the fit to Azure Functions in 2019 (Shahrad and others, ATC 2020)',
    {
      mu: { help: 'mean of the logarithm of seconds', default: DURATION_MU, min: -20, max: 20 },
      sigma: { help: 'its standard deviation', default: DURATION_SIGMA, min: 0, max: 10 },
      cut: { help: 'the longest that one may take, s: a time limit', default: DURATION_CUT_S, min: 1e-6, max: 1e9 },
    },
    (values) => logNormal(number(values, 'mu') + LN_US, number(values, 'sigma'), number(values, 'cut') * 1e6),
  ),
  ofOneLaw(
    'pareto',
    'Poisson arrivals, run times that fall off as a power between two bounds',
    {
      alpha: { help: 'the power: the lower, the heavier', default: 1.1, min: 0.01, max: 100 },
      low: { help: 'the shortest, ms', default: 1, ...TIME_MS },
      high: { help: 'the longest, ms', default: 1e6, ...TIME_MS },
    },
    (values) => {
      const low = number(values, 'low');
      const high = number(values, 'high');
      if (high <= low) throw new SpecError(`workload pareto, option high is ${high}: it has to be above low, ${low}`);
      return boundedPareto(number(values, 'alpha'), low * 1e3, high * 1e3);
    },
  ),
  burstsKind,
  sleepy,
  chains,
  multicore,
];
