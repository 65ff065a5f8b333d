/** What is wrong at a place in perch.json, and what would be right, in a sentence without its end. */
import type { z } from 'zod';

type Issue = z.core.$ZodRawIssue;

const KINDS: Readonly<Record<string, string>> = {
  string: 'a string',
  int: 'a whole number',
  number: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  record: 'an object',
};
/** By their keys, where there is more to say than the kind. */
const PLACES: Readonly<Record<string, string>> = {
  functions: 'an object of functions by their names, such as {"hello": {"entry": "hello.ts"}}',
  chains: 'an object of chains by their names, such as {"thumbnail": {"steps": ["blur", "resize"]}}',
  steps: 'a list of functions, such as ["blur", "resize"]',
  entry: 'a file or a folder, from where perch.json lies',
};
const SHOWN_MAX = 60;

/** Undefined: as the validator says it. */
export function inWords(issue: Issue): string | undefined {
  if (issue.code === 'invalid_type') return kindWords(issue);
  if (issue.code === 'invalid_value') return `it has to be one of ${issue.values.map(shown).join('|')}${not(issue)}`;
  if (issue.code === 'invalid_key') return `${shown(last(issue))} is no name here: ${issue.issues[0]?.message}`;
  if (issue.code === 'too_small') return sizeWords(issue, 'least', Number(issue.minimum));
  if (issue.code === 'too_big') return sizeWords(issue, 'most', Number(issue.maximum));
  return undefined;
}

function kindWords(issue: Issue & { code: 'invalid_type' }): string {
  const kind = PLACES[String(last(issue))] ?? KINDS[issue.expected] ?? issue.expected;
  return issue.input === undefined ? `it is missing; it has to be ${kind}` : `it has to be ${kind}${not(issue)}`;
}

function sizeWords(issue: Issue & { origin: string }, end: 'least' | 'most', bound: number): string {
  if (issue.origin === 'array')
    return `it has to have at ${end} ${bound} ${bound === 1 ? 'item' : 'items'}${counted(issue.input)}`;
  if (issue.origin === 'string')
    return `it has to have at ${end} ${bound} ${bound === 1 ? 'character' : 'characters'}${counted(issue.input)}`;
  return `it has to be at ${end} ${bound}${not(issue)}`;
}

function counted(input: unknown): string {
  return `, and has ${(input as string | readonly unknown[]).length}`;
}

function not({ input }: Issue): string {
  return `, not ${shown(input)}`;
}

function shown(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length <= SHOWN_MAX ? text : `${text.slice(0, SHOWN_MAX)}…`;
}

function last({ path }: Issue): PropertyKey | undefined {
  return path?.at(-1);
}
