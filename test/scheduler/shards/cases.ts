/** Small cases, each with the guards of the shipped code that it shows to be needed. */
import type { Case, Mutant } from './control.ts';

export const CASES: readonly Case[] = [
  {
    name: 'wait beside a release',
    shardCount: 2,
    workers: [[1, 1000]],
    versions: [100],
    setup: [[0, ['request', 0, 0]]],
    actions: [[['release', 0]], [['request', 1, 0]]],
    switchMax: 3,
  },
  {
    name: 'two requests for one core, and both end',
    shardCount: 2,
    workers: [[1, 1000]],
    versions: [100],
    setup: [],
    actions: [
      [['request', 0, 0], ['releaseOwn']],
      [['request', 1, 0], ['releaseOwn']],
    ],
    waitingMax: 1,
    switchMax: 2,
  },
  {
    name: 'a cancellation beside a release, and a third who waits',
    shardCount: 3,
    workers: [[1, 1000]],
    versions: [100],
    setup: [
      [0, ['request', 0, 0]],
      [1, ['request', 1, 0]],
      [2, ['request', 2, 0]],
    ],
    actions: [[['release', 0]], [['cancel', 1]], []],
    waitingMax: 1,
    switchMax: 2,
  },
];

export const MUTANTS: readonly (Mutant & { readonly foundBy: string })[] = [];
