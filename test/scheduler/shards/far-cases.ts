/** Cases again, with shards so far apart that a bell has several words (machine/bells.ts), and what only then can go wrong. */
import { CASES } from './cases.ts';
import type { Case, Mutant } from './control.ts';

function apart(name: string, places: readonly number[]): Case {
  return { ...CASES.find((each) => each.name === name)!, name: `${name}, shards ${places.join(', ')}`, places };
}

const PASSED_ON = apart('whom a core does not suit passes it on', [0, 5, 40]);

export const FAR_CASES: readonly Case[] = [
  PASSED_ON,
  apart('whom a core does not suit passes it on', [33, 64, 1]),
  apart('wait beside a release', [40, 5]),
  apart('a cancellation beside a release, and a third who waits', [64, 40, 31]),
  apart('two shards want to keep a worker', [31, 64]),
];

export const FAR_MUTANTS: readonly (Mutant & { readonly foundBy: string })[] = [
  {
    name: 'the word that is looked at is rung before the others',
    file: 'machine/bells.ts',
    from: `  for (let word = 0; word < words.length; word++)
    if (word !== own && words[word] !== 0) Atomics.or(bells, at + (word ^ own), words[word]!);
  if (Atomics.or(bells, at, words[own]!) === 0) Atomics.notify(bells, at);`,
    to: `  if (Atomics.or(bells, at, words[own]!) === 0) Atomics.notify(bells, at);
  for (let word = 0; word < words.length; word++)
    if (word !== own && words[word] !== 0) Atomics.or(bells, at + (word ^ own), words[word]!);`,
    foundBy: PASSED_ON.name,
  },
  {
    name: 'the other words of a bell are left there',
    file: 'machine/bells.ts',
    from: 'words[word] = Atomics.exchange(this.#bells, at + (word ^ own), 0);',
    to: 'words[word] = 0;',
    foundBy: PASSED_ON.name,
  },
];
