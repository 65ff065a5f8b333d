/**
 * Who reserves memory and then finds no core hides that memory for a moment. A release that is settled meanwhile tells the summary too little, and
 * is through with it: so who hid it settles the worker when it is given back, or a request may wait for ever beside what it fits on.
 */
import type { Case, Mutant } from './control.ts';

export const HIDDEN_CASES: readonly Case[] = [
  {
    name: 'memory is hidden by one who finds no core, beside its release',
    shardCount: 2,
    workers: [[1, 300]],
    versions: [100, 200],
    // The second shard knows of an instance there.
    setup: [
      [1, ['request', 0, 1]],
      [1, ['releaseOwn']],
    ],
    actions: [[['request', 1, 0], ['releaseOwn']], [['request', 2, 1]]],
    waitingMax: 1,
    switchMax: 2,
  },
  {
    name: 'memory is hidden by one who does not find two cores, beside the release of one',
    shardCount: 2,
    workers: [
      [2, 200],
      [2, 300],
    ],
    versions: [100, 200],
    coreCounts: [1, 2],
    // Both know of an instance on the second worker; the first shard has the first worker as well.
    setup: [
      [0, ['request', 0, 1]],
      [1, ['request', 1, 0]],
      [1, ['releaseOwn']],
      [0, ['request', 2, 1]],
      [0, ['release', 0]],
      [0, ['release', 2]],
    ],
    actions: [[['request', 3, 1]], [['request', 4, 0], ['releaseOwn']]],
    switchMax: 2,
  },
];

export const HIDDEN_MUTANTS: readonly (Mutant & { readonly foundBy: string })[] = [
  {
    name: 'memory that was hidden is not settled',
    file: 'machine/placement.ts',
    from: '    this.#workers.unreserve(home, memoryMb);\n    this.#rooms.settle(home);',
    to: '    this.#workers.unreserve(home, memoryMb);',
    foundBy: 'memory is hidden by one who finds no core, beside its release',
  },
  {
    name: 'memory that was hidden for several cores is not settled',
    file: 'machine/several.ts',
    from: '    this.#parts.rooms.settle(home);\n',
    to: '',
    foundBy: 'memory is hidden by one who does not find two cores, beside the release of one',
  },
];
