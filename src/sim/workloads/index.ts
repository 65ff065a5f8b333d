/** All built-in workloads, in the order of the help text. */
import type { OptionSpec, OptionSpecs, OptionValues } from '../policy.ts';
import type { Workload } from '../workload.ts';
import { bimodal, deterministic, exponential } from './distributions.ts';
import { poisson } from './poisson.ts';

export interface WorkloadKind {
  /** As on the command line. */
  readonly name: string;
  /** One line: what it is, and where its figures are from. */
  readonly summary: string;
  readonly options: OptionSpecs;
  make(options: OptionValues): Workload;
}

const MEAN: OptionSpec = { help: 'mean CPU time of an invocation, ms', default: 100, min: 1e-3, max: 1e9 };

export const WORKLOADS: readonly WorkloadKind[] = [
  {
    name: 'exponential',
    summary: 'Poisson arrivals, exponential run times: M/M/n',
    options: { mean: MEAN },
    make: (options) => poisson('exponential', exponential(number(options, 'mean') * 1e3)),
  },
  {
    name: 'deterministic',
    summary: 'Poisson arrivals, run times all the same: M/D/n',
    options: { mean: MEAN },
    make: (options) => poisson('deterministic', deterministic(number(options, 'mean') * 1e3)),
  },
  {
    name: 'bimodal',
    summary: 'Poisson arrivals, many short and few long run times',
    options: {
      short: { help: 'the short ones, ms', default: 1, min: 1e-3, max: 1e9 },
      long: { help: 'the long ones, ms', default: 100, min: 1e-3, max: 1e9 },
      share: { help: 'of the long ones among all', default: 0.005, min: 0, max: 1 },
    },
    make: (options) =>
      poisson(
        'bimodal',
        bimodal(number(options, 'short') * 1e3, number(options, 'long') * 1e3, number(options, 'share')),
      ),
  },
];

function number(options: OptionValues, name: string): number {
  return options[name] as number;
}
