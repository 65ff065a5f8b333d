/**
 * What was taken out of a case to make it smaller, as data and as text: `workers=1,shards=1,arrivals=0-3+7,faults=2`. What is not named is as the seed
 * has it.
 */
import type { FuzzCase } from './case.ts';

export interface Change {
  readonly workers?: number;
  readonly gateways?: number;
  readonly shards?: number;
  /** Those that are left, by their numbers in the case of the seed. */
  readonly arrivals?: readonly number[];
  readonly faults?: readonly number[];
}

const NOTHING = 'none';

export function changed(theCase: FuzzCase, { workers, gateways, shards, arrivals, faults }: Change): FuzzCase {
  const pick = <T>(all: readonly T[], left: readonly number[] | undefined): readonly T[] =>
    left === undefined ? all : left.flatMap((at) => all.slice(at, at + 1));
  const gatewayCount = Math.min(theCase.gatewayCount, gateways ?? Infinity);
  return {
    ...theCase,
    workers: theCase.workers.slice(0, workers),
    shardCount: Math.min(theCase.shardCount, shards ?? Infinity),
    gatewayCount,
    arrivals: pick(theCase.arrivals, arrivals).map((each) => ({ ...each, gateway: each.gateway % gatewayCount })),
    faults: pick(theCase.faults, faults),
  };
}

export function textOf(change: Change): string {
  return Object.entries(change)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${typeof value === 'number' ? value : rangesOf(value as readonly number[])}`)
    .join(',');
}

/** Null: it cannot be read. */
export function changeOf(text: string): Change | null {
  const change: Record<string, unknown> = {};
  for (const part of text.split(',')) {
    const [name = '', value = ''] = part.split('=');
    if (['workers', 'gateways', 'shards'].includes(name) && /^[1-9]\d?$/.test(value)) change[name] = Number(value);
    else if (['arrivals', 'faults'].includes(name) && /^(none|\d+(-\d+)?(\+\d+(-\d+)?)*)$/.test(value))
      change[name] = numbersOf(value);
    else return null;
  }
  return change;
}

function rangesOf(numbers: readonly number[]): string {
  const ranges: string[] = [];
  for (let at = 0; at < numbers.length; at++) {
    const first = numbers[at]!;
    while (numbers[at + 1] === numbers[at]! + 1) at++;
    ranges.push(numbers[at] === first ? `${first}` : `${first}-${numbers[at]}`);
  }
  return ranges.length === 0 ? NOTHING : ranges.join('+');
}

function numbersOf(text: string): number[] {
  if (text === NOTHING) return [];
  return text.split('+').flatMap((range) => {
    const [first, last = first] = range.split('-').map(Number) as [number, number?];
    return Array.from({ length: Math.max(0, last! - first + 1) }, (_, i) => first + i);
  });
}
