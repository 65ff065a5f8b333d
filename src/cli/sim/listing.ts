/** How policies and workloads are listed: a name, a line, and below it what can be said of it. */
import type { OptionSpec, OptionSpecs } from '../../sim/policy.ts';
import { style } from '../terminal.ts';

interface Kind {
  readonly name: string;
  readonly summary: string;
  readonly options: OptionSpecs;
}

export function listOf({ name, summary }: Kind, lines: readonly string[]): string {
  return [`${style('bold', name)}  ${summary}`, ...lines.map((line) => `    ${line}`)].join('\n');
}

export function optionsOf({ options }: Kind): readonly string[] {
  return Object.entries(options).map(([name, spec]) => `${name}=${boundsOf(spec)}  ${spec.help} (${spec.default})`);
}

function boundsOf({ default: usual, min, max, isWhole = false, choices }: OptionSpec): string {
  if (choices !== undefined) return choices.join('|');
  if (typeof usual === 'string') return 'TEXT';
  if (min === undefined && max === undefined) return isWhole ? 'COUNT' : 'NUMBER';
  if (max === undefined || max === Infinity) return `${min} or more`;
  return min === undefined ? `up to ${max}` : `${min}…${max}`;
}
