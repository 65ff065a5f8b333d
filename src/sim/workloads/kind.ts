/** What a workload is on the command line. index.ts lists all of them. */
import type { OptionSpec, OptionSpecs, OptionValues } from '../policy.ts';
import type { Workload } from '../workload.ts';

export interface WorkloadKind {
  /** As on the command line. */
  readonly name: string;
  /** One line: what it is, and where its figures are from. */
  readonly summary: string;
  readonly options: OptionSpecs;
  /** Throws a SpecError where the options do not fit together, or a file is not what it should be. */
  make(options: OptionValues): Workload;
}

export const MEAN: OptionSpec = { help: 'mean CPU time of an invocation, ms', default: 100, min: 1e-3, max: 1e9 };

export const FUNCTION_COUNT_MAX = 200_000;

/** Of the workloads that are one law: so many functions that all follow it. */
export const FUNCTIONS: OptionSpecs = {
  functions: { help: 'functions, all alike', default: 1, min: 1, max: FUNCTION_COUNT_MAX, isWhole: true },
  skew: { help: 'the k-th function is invoked in proportion to 1 / k^skew: Zipf', default: 0, min: 0, max: 4 },
  memory: { help: 'memory of an invocation, MB', default: 128, min: 1, max: 1 << 20 },
};

export function number(options: OptionValues, name: string): number {
  return options[name] as number;
}

export function text(options: OptionValues, name: string): string {
  return options[name] as string;
}
