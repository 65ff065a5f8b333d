/** As cases.ts, of extra seats: opened, closed, granted, released and handed over by several shards at once. */
import type { Case, Mutant } from './control.ts';

/** The first extra seat of the first worker, and its second. Each is closed at first. */
const FIRST = 32;
const SECOND = 33;
/** The second worker's words come after those of the first. */
const FIRST_OF_SECOND = 96;

const ONE_AND_ONE = { shardCount: 2, workers: [[1, 1000, 1]], versions: [100] } as const;
/** A request of version 1 has cores only. */
const WITH_DEDICATED = { ...ONE_AND_ONE, versions: [100, 100], dedicated: [1] } as const;

export const EXTRA_CASES: readonly Case[] = [
  {
    ...ONE_AND_ONE,
    name: 'an extra seat is opened beside one who begins to wait',
    setup: [[0, ['request', 0, 0]]],
    actions: [[['giveBack', FIRST]], [['request', 1, 0]]],
    switchMax: 3,
  },
  {
    ...ONE_AND_ONE,
    name: 'an extra seat is closed while it is claimed',
    setup: [
      [0, ['request', 0, 0]],
      [0, ['giveBack', FIRST]],
    ],
    actions: [[['request', 1, 0]], [['withdraw', FIRST]]],
    waitingMax: 1,
    switchMax: 3,
  },
  {
    ...ONE_AND_ONE,
    name: 'an extra seat is closed while its lease ends, and opened again',
    setup: [
      [0, ['request', 0, 0]],
      [0, ['giveBack', FIRST]],
      [0, ['request', 1, 0]],
      [1, ['request', 2, 0]],
    ],
    actions: [
      [['release', 1]],
      [
        ['withdraw', FIRST],
        ['giveBack', FIRST],
      ],
    ],
    switchMax: 2,
  },
  {
    ...ONE_AND_ONE,
    name: 'an extra seat is closed while its lease ends, and stays closed',
    setup: [
      [0, ['request', 0, 0]],
      [0, ['giveBack', FIRST]],
      [0, ['request', 1, 0]],
    ],
    actions: [[['release', 1]], [['withdraw', FIRST]]],
    switchMax: 3,
  },
  {
    ...ONE_AND_ONE,
    name: 'an extra seat is closed here and opened there, beside requests',
    shardCount: 3,
    setup: [
      [0, ['request', 0, 0]],
      [0, ['giveBack', FIRST]],
    ],
    actions: [[['withdraw', FIRST]], [['giveBack', FIRST]], [['request', 1, 0], ['releaseOwn']]],
    waitingMax: 1,
    switchMax: 2,
  },
  {
    ...ONE_AND_ONE,
    name: 'two requests for one extra seat, and both end',
    setup: [
      [0, ['request', 0, 0]],
      [0, ['giveBack', FIRST]],
    ],
    actions: [
      [['request', 1, 0], ['releaseOwn']],
      [['request', 2, 0], ['releaseOwn']],
    ],
    waitingMax: 1,
    switchMax: 2,
  },
  {
    ...ONE_AND_ONE,
    name: 'a core and an extra seat for two requests',
    setup: [[0, ['giveBack', FIRST]]],
    actions: [[['request', 0, 0]], [['request', 1, 0]]],
    switchMax: 3,
  },
  {
    ...ONE_AND_ONE,
    name: 'a core is withdrawn while an extra seat is opened for who waits',
    setup: [
      [0, ['request', 0, 0]],
      [1, ['request', 1, 0]],
    ],
    actions: [
      [
        ['withdraw', 0],
        ['release', 0],
      ],
      [['giveBack', FIRST]],
    ],
    switchMax: 2,
  },
  {
    ...ONE_AND_ONE,
    name: 'an extra seat is opened, and its only waiter withdraws',
    shardCount: 3,
    setup: [
      [0, ['request', 0, 0]],
      [1, ['request', 1, 0]],
      [2, ['request', 2, 0]],
    ],
    actions: [[['giveBack', FIRST]], [['cancel', 1]], []],
    waitingMax: 1,
    switchMax: 2,
  },
  {
    name: 'two workers, each with one extra seat, and two requests',
    shardCount: 2,
    workers: [
      [1, 1000, 1],
      [1, 1000, 1],
    ],
    versions: [100],
    setup: [
      [0, ['request', 0, 0]],
      [0, ['request', 1, 0]],
      [0, ['giveBack', FIRST]],
      [0, ['giveBack', FIRST_OF_SECOND]],
    ],
    actions: [[['request', 2, 0]], [['request', 3, 0]]],
    switchMax: 2,
  },
  {
    name: 'one of two extra seats is closed while both are claimed',
    shardCount: 3,
    workers: [[1, 1000, 2]],
    versions: [100],
    setup: [
      [0, ['request', 0, 0]],
      [0, ['giveBack', FIRST]],
      [0, ['giveBack', SECOND]],
    ],
    actions: [[['request', 1, 0]], [['request', 2, 0]], [['withdraw', FIRST]]],
    waitingMax: 1,
    switchMax: 2,
  },
  {
    name: 'memory is hidden for a moment by one who finds no extra seat',
    shardCount: 3,
    workers: [[2, 300, 1]],
    versions: [200, 100],
    setup: [
      [0, ['withdraw', 1]],
      [0, ['request', 0, 1]],
      [0, ['giveBack', FIRST]],
    ],
    actions: [[['release', 0]], [['request', 1, 0], ['releaseOwn']], [['request', 2, 0], ['releaseOwn']]],
    waitingMax: 1,
    switchMax: 2,
  },
  {
    name: 'memory is given back beside an idle extra seat',
    shardCount: 2,
    workers: [[1, 300, 2]],
    versions: [200, 100],
    setup: [
      [0, ['request', 0, 1]],
      [0, ['giveBack', FIRST]],
      [0, ['giveBack', SECOND]],
      [0, ['request', 1, 1]],
    ],
    actions: [[['release', 1]], [['request', 2, 0]]],
    switchMax: 3,
  },
  {
    ...WITH_DEDICATED,
    name: 'an extra seat is opened beside one who must not have it, and one who may',
    setup: [[0, ['request', 0, 0]]],
    actions: [
      [
        ['giveBack', FIRST],
        ['request', 2, 0],
      ],
      [['request', 1, 1]],
    ],
    waitingMax: 1,
    switchMax: 2,
  },
  {
    ...WITH_DEDICATED,
    name: 'an extra seat is released beside one who must not have it',
    setup: [
      [0, ['request', 0, 0]],
      [0, ['giveBack', FIRST]],
      [0, ['request', 1, 0]],
      [0, ['request', 2, 1]],
    ],
    actions: [[['release', 1]], [['request', 3, 0]]],
    waitingMax: 1,
    switchMax: 2,
  },
  {
    ...WITH_DEDICATED,
    name: 'an extra seat is released after a core, at the shard where one comes who must not have it',
    setup: [
      [0, ['request', 0, 0]],
      [0, ['giveBack', FIRST]],
      [0, ['request', 1, 0]],
    ],
    actions: [
      [
        ['release', 0],
        ['release', 1],
        ['request', 2, 1],
      ],
      [['request', 3, 0]],
    ],
    waitingMax: 1,
    switchMax: 2,
  },
  {
    ...WITH_DEDICATED,
    name: 'one who must not have extra seats waits, and his shard serves who may',
    setup: [
      [0, ['request', 0, 0]],
      [0, ['request', 1, 1]],
      [0, ['request', 2, 0]],
    ],
    actions: [[], [['giveBack', FIRST]]],
    waitingMax: 1,
    switchMax: 3,
  },
];

export const EXTRA_MUTANTS: readonly (Mutant & { readonly foundBy: string })[] = [
  {
    name: 'the summary of extra seats hears of nothing that is given',
    file: 'machine/rooms.ts',
    from: `    const isExtraRaised = this.#extra !== null && this.#cores.hasExtrasAt(home) && this.#extra.settle(home);
    if (this.#isShared) return`,
    to: `    const isExtraRaised = false;
    if (this.#isShared) return`,
    foundBy: 'an extra seat is opened beside one who begins to wait',
  },
  {
    name: 'the summary of extra seats hears of nothing that is taken',
    file: 'machine/rooms.ts',
    from: 'const isExtraRaised = this.#extra !== null && this.#cores.hasExtrasAt(home) && this.#extra.settleSeen(home);',
    to: 'const isExtraRaised = false;',
    foundBy: 'an extra seat is closed while its lease ends, and stays closed',
  },
  {
    name: 'who looks for those who wait does not look at extra seats',
    file: 'machine/dispatch.ts',
    from: 'return Math.max(this.#summary.greatest, this.#extraGreatest);',
    to: 'return this.#summary.greatest;',
    foundBy: 'an extra seat is opened beside one who begins to wait',
  },
  {
    name: 'an extra seat is handed over to who has cores only',
    file: 'machine/dispatch.ts',
    from: 'this.#queue.oldestWithin(freeMb, isExtra ? -1 : freeMb)',
    to: 'this.#queue.oldestWithin(freeMb, freeMb)',
    foundBy: 'an extra seat is released beside one who must not have it',
  },
  {
    name: 'an extra seat is in the list of idle cores',
    file: 'machine/scheduler.ts',
    from: 'if (this.#withdrawal.put(core) && !isExtra) this.idleList.push(core);',
    to: 'if (this.#withdrawal.put(core)) this.idleList.push(core);',
    foundBy: 'an extra seat is released after a core, at the shard where one comes who must not have it',
  },
  {
    name: 'who has cores only looks at extra seats',
    file: 'machine/dispatch.ts',
    from: 'return this.#cores.hasExtras && !this.#versions.isDedicated(version) && this.#extras.hasRoom(memoryMb);',
    to: 'return this.#cores.hasExtras && this.#extras.hasRoom(memoryMb);',
    foundBy: 'an extra seat is opened beside one who must not have it, and one who may',
  },
  {
    name: 'a seat that is closed while it is released stays open',
    file: 'machine/withdrawal.ts',
    from: 'if (!this.#cores.isWithdrawn(core) || !this.claimIdle(core)) return true;',
    to: 'return true;',
    foundBy: 'an extra seat is closed while its lease ends, and stays closed',
  },
  {
    name: 'a seat that is opened is told to nobody',
    file: 'machine/scheduler.ts',
    from: 'this.#dispatch.grew(this.cores.homeOf(core));\n    return true;\n  }\n\n  /** See `resumeLease`. */',
    to: 'this.rooms.settle(this.cores.homeOf(core));\n    return true;\n  }\n\n  /** See `resumeLease`. */',
    foundBy: 'an extra seat is opened beside one who begins to wait',
  },
  {
    name: 'one who has cores only hides all who wait behind him',
    file: 'machine/dispatch.ts',
    from: 'const entry = this.#queue.oldestWithin(seenMb, ownMb);',
    to: 'const entry = this.#queue.oldestWithin(ownMb, ownMb);',
    foundBy: 'one who must not have extra seats waits, and his shard serves who may',
  },
];
