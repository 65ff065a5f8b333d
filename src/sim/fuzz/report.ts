/** What the fuzzer has to say, as text. The same run gives the same text. */
import { type Change, textOf } from './change.ts';
import type { Fuzzed } from './fuzz.ts';
import type { Failure } from './play.ts';

const US_PER_S = 1e6;

export interface ReportSetting {
  /** A bug that was planted; '': none. */
  readonly plant: string;
  /** What was asked for in place of the whole case. */
  readonly change?: Change;
  /** Of the last events, so many. */
  readonly eventCountMax: number;
}

export function reportOf(fuzzed: Fuzzed, setting: ReportSetting): string {
  const { seed, caseCount, stepCount, invocationCount, virtualUs, traceHashes, found } = fuzzed;
  const seconds = (virtualUs / US_PER_S).toFixed(1);
  const played = `${caseCount} cases from seed ${seed}: ${stepCount} steps, ${invocationCount} invocations, ${seconds} s of virtual time`;
  if (found === null) return `${played}; all invariants held. Last trace ${traceHashes.at(-1)}.`;
  const { failure } = found.played;
  const lines = [
    played,
    '',
    `FAILED  seed ${found.seed}`,
    ...linesOf(failure!, setting),
    '',
    repeat(found.seed, setting.change === undefined ? '' : textOf(setting.change), setting),
  ];
  if (found.shrunk === null) return lines.join('\n');
  const { change, failure: smallest, stepCount: tried } = found.shrunk;
  lines.push('', `Made smaller, in ${tried} steps:`, ...linesOf(smallest, setting), '');
  return [...lines, repeat(found.seed, textOf(change), setting)].join('\n');
}

function linesOf({ phase, step, nowUs, what, where, history }: Failure, { eventCountMax }: ReportSetting): string[] {
  return [
    `in the ${phase} phase, at step ${step}, ${(nowUs / 1000).toFixed(3)} ms: ${what}`,
    ...(where === '' ? [] : [`  ${where}`]),
    'the last events:',
    ...history.slice(-eventCountMax),
  ];
}

function repeat(seed: number, change: string, { plant }: ReportSetting): string {
  const changeText = change === '' ? '' : ` --change ${change}`;
  const plantText = plant === '' ? '' : ` --plant ${plant}`;
  return `repeat it: perch sim fuzz --seed ${seed} --steps 1${changeText}${plantText}`;
}
