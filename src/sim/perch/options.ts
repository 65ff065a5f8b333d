/** Options that several of Perch's own policies have. */
import type { OptionSpec, OptionSpecs, OptionValues } from '../policy.ts';

/** As the agent's (worker/agent/core-sharing.ts). */
export const LEND_AFTER_US = 1000;
export const QUANTUM_US = 2000;

export const QUEUE: OptionSpec = {
  help: 'requests that may wait',
  default: 100_000,
  min: 1,
  max: 200_000,
  isWhole: true,
};

export const LEND_AFTER: OptionSpec = {
  help: 'how long a holder sleeps before its core is lent, µs',
  default: LEND_AFTER_US,
  min: 0,
  max: 1e9,
};

export const QUANTUM: OptionSpec = {
  help: 'CPU time after which one goes behind those who come new, and again at each doubling, µs',
  default: QUANTUM_US,
  min: 1,
  max: 1e9,
};

export function perCore(help: string, count: number): OptionSpec {
  return { help, default: count, min: 1, max: 64, isWhole: true };
}

export function numberOf(options: OptionValues, name: string, otherwise = 0): number {
  return (options[name] as number | undefined) ?? otherwise;
}

/** Where the instances of a policy come from. */
export const FLEET: OptionSpecs = {
  workers: {
    help: 'every function is warm everywhere, or the shipped worker machine has the instances',
    default: 'warm',
    choices: ['warm', 'real'],
  },
  isolation: {
    help: 'workers=real: each invocation has a fresh copy, or an instance of before; process: no copies',
    default: 'reuse',
    choices: ['reuse', 'fresh', 'process'],
  },
  fork: { help: 'workers=real: from fork to ready, µs (SPECIFICATION)', default: 2340, min: 0, max: 1e9 },
  exit: { help: 'workers=real: from its end until an instance is gone, µs', default: 800, min: 0, max: 1e9 },
};
