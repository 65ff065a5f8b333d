/** Options that all recordings have. */
import type { OptionSpec, OptionValues } from '../../policy.ts';
import { SpecError } from '../../spec-error.ts';
import { text } from '../kind.ts';

export const REPEAT: OptionSpec = {
  help: 'how often it is played, one after the other',
  default: 1,
  min: 1,
  max: 1e6,
  isWhole: true,
};

export const ASLEEP: OptionSpec = {
  help: 'sleep, in the middle of each duration, %: recordings do not tell it',
  default: 0,
  min: 0,
  max: 99.9,
};

export function pathOption(what: string, without = ''): OptionSpec {
  return { help: `path of ${what}, as it is or packed (gzip)${without}`, default: '' };
}

export function givenPath(workload: string, options: OptionValues, name: string): string {
  const path = text(options, name);
  if (path !== '') return path;
  throw new SpecError(`workload ${workload} needs its option ${name}: ${workload}:${name}=PATH`);
}
