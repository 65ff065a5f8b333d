/** Small cases, and guards of the shipped code: each taken out has to be found by the case that is named. */
import type { Case, Mutant } from './control.ts';

/** A request of version 1 is of two cores. */
const THREE_CORES = { shardCount: 2, workers: [[3, 1000]], versions: [100, 100], coreCounts: [1, 2] } as const;
const ONE_CORE = { shardCount: 2, workers: [[1, 1000]], versions: [100] } as const;

export const CASES: readonly Case[] = [
  {
    ...ONE_CORE,
    name: 'wait beside a release',
    setup: [[0, ['request', 0, 0]]],
    actions: [[['release', 0]], [['request', 1, 0]]],
    switchMax: 3,
  },
  {
    ...ONE_CORE,
    name: 'two requests for one core, and both end',
    setup: [],
    actions: [
      [['request', 0, 0], ['releaseOwn']],
      [['request', 1, 0], ['releaseOwn']],
    ],
    waitingMax: 1,
    switchMax: 2,
  },
  {
    ...ONE_CORE,
    name: 'a cancellation beside a release, and a third who waits',
    shardCount: 3,
    setup: [
      [0, ['request', 0, 0]],
      [1, ['request', 1, 0]],
      [2, ['request', 2, 0]],
    ],
    actions: [[['release', 0]], [['cancel', 1]], []],
    waitingMax: 1,
    switchMax: 2,
  },
  {
    ...ONE_CORE,
    name: 'a lease is released at two shards, and one of them asks',
    setup: [[0, ['request', 0, 0]]],
    actions: [
      [['release', 0]],
      [
        ['release', 0],
        ['request', 1, 0],
      ],
    ],
    switchMax: 3,
  },
  {
    ...ONE_CORE,
    name: 'a core is withdrawn beside its release',
    setup: [[0, ['request', 0, 0]]],
    actions: [[['release', 0]], [['withdraw', 0]]],
    switchMax: 3,
  },
  {
    ...ONE_CORE,
    name: 'a core is withdrawn and returned beside a request and its release',
    setup: [],
    actions: [
      [['request', 0, 0], ['releaseOwn'], ['request', 1, 0], ['releaseOwn']],
      [
        ['withdraw', 0],
        ['giveBack', 0],
      ],
    ],
    waitingMax: 1,
    switchMax: 2,
  },
  {
    ...ONE_CORE,
    name: 'a core is withdrawn here and returned there',
    setup: [],
    actions: [
      [['withdraw', 0]],
      [
        ['giveBack', 0],
        ['request', 0, 0],
      ],
    ],
    waitingMax: 1,
    switchMax: 3,
  },
  {
    name: 'memory is given back beside one who begins to wait for it',
    shardCount: 2,
    workers: [[2, 300]],
    versions: [200, 100],
    setup: [[0, ['request', 0, 0]]],
    actions: [[['release', 0]], [['request', 1, 0]]],
    switchMax: 3,
  },
  {
    name: 'memory is hidden for a moment by one who finds no core',
    shardCount: 3,
    workers: [[2, 300]],
    versions: [200, 100],
    setup: [[0, ['request', 0, 1]]],
    // One core is left, and 200 MB: who reserves and finds no core hides them.
    actions: [[['release', 0]], [['request', 1, 0], ['releaseOwn']], [['request', 2, 0], ['releaseOwn']]],
    waitingMax: 1,
    switchMax: 2,
  },
  {
    name: 'whom a core does not suit passes it on',
    shardCount: 3,
    // One core is always idle, so that both stand aside from the beginning.
    workers: [[3, 310]],
    versions: [250, 100, 200],
    setup: [
      [0, ['request', 0, 2]],
      [0, ['request', 1, 1]],
      // Both wait: one for more memory than comes, the other for less.
      [1, ['request', 2, 0]],
      [2, ['request', 3, 1]],
    ],
    actions: [[['release', 1]], [], []],
    waitingMax: 1,
    switchMax: 2,
  },
  {
    name: 'a limit of one request for the function',
    shardCount: 2,
    workers: [[3, 1000]],
    versions: [100],
    setup: [[0, ['concurrency', 1]]],
    actions: [
      [['request', 0, 0], ['releaseOwn'], ['request', 1, 0]],
      [['request', 2, 0], ['releaseOwn'], ['request', 3, 0]],
    ],
    runningMax: 1,
    switchMax: 2,
  },
  {
    name: 'two releases, told of once',
    shardCount: 2,
    workers: [[2, 1000]],
    versions: [100],
    setup: [
      [0, ['request', 0, 0]],
      [0, ['request', 1, 0]],
    ],
    actions: [
      [['batch'], ['release', 0], ['release', 1], ['settle']],
      [
        ['request', 2, 0],
        ['request', 3, 0],
      ],
    ],
    switchMax: 2,
  },
  {
    name: 'two workers under one summary: a claim beside a release',
    shardCount: 2,
    workers: [
      [1, 100],
      [1, 200],
    ],
    versions: [100, 200],
    setup: [[0, ['request', 0, 1]]],
    actions: [
      [
        ['release', 0],
        ['request', 1, 0],
      ],
      [['request', 2, 1], ['releaseOwn']],
    ],
    waitingMax: 1,
    switchMax: 2,
  },
  {
    ...ONE_CORE,
    name: 'woken for a core that is gone, and that comes again',
    setup: [
      [0, ['request', 0, 0]],
      [1, ['request', 1, 0]],
    ],
    actions: [[['release', 0], ['request', 2, 0], ['releaseOwn']], []],
    waitingMax: 1,
    switchMax: 2,
  },
  {
    name: 'two requests for the memory of one worker',
    shardCount: 2,
    workers: [[2, 300]],
    versions: [200],
    setup: [],
    actions: [[['request', 0, 0]], [['request', 1, 0]]],
    waitingMax: 1,
    switchMax: 3,
  },
  {
    ...THREE_CORES,
    name: 'two cores beside one each: all fit',
    setup: [],
    actions: [[['request', 0, 1]], [['request', 1, 0]]],
    switchMax: 3,
  },
  {
    ...THREE_CORES,
    name: 'two requests for two of three cores, and both end',
    setup: [],
    actions: [
      [['request', 0, 1], ['releaseOwn']],
      [['request', 1, 1], ['releaseOwn']],
    ],
    waitingMax: 1,
    switchMax: 2,
  },
  {
    ...THREE_CORES,
    name: 'a worker is kept for two cores, beside a newcomer and a release',
    setup: [
      [0, ['request', 0, 0]],
      [0, ['request', 1, 0]],
    ],
    actions: [[['release', 0]], [['request', 2, 1], ['releaseOwn']]],
    waitingMax: 1,
    switchMax: 3,
  },
  {
    ...THREE_CORES,
    name: 'two shards want to keep a worker',
    setup: [
      [0, ['request', 0, 1]],
      [1, ['request', 1, 1]],
    ],
    actions: [
      [
        ['request', 2, 1],
        ['release', 0],
      ],
      [['cancel', 1]],
    ],
    switchMax: 2,
  },
  {
    ...THREE_CORES,
    name: 'a core of two is wished out beside their release',
    setup: [[0, ['request', 0, 1]]],
    actions: [
      [['release', 0]],
      [
        ['withdraw', 1],
        ['giveBack', 1],
        ['request', 1, 1],
      ],
    ],
    switchMax: 2,
  },
  {
    ...THREE_CORES,
    name: 'a core of two is wished out, and stays out',
    setup: [[0, ['request', 0, 1]]],
    actions: [[['release', 0]], [['withdraw', 1]]],
    switchMax: 3,
  },
  {
    name: 'who has overtaken stands back',
    shardCount: 2,
    workers: [[3, 1000]],
    versions: [100],
    overtakeMax: 0,
    setup: [
      [0, ['request', 0, 0]],
      [0, ['request', 1, 0]],
      [0, ['request', 2, 0]],
      [1, ['request', 3, 0]],
    ],
    actions: [
      [
        ['release', 0],
        ['release', 1],
        ['release', 2],
        ['request', 4, 0],
        ['request', 5, 0],
      ],
      [],
    ],
    switchMax: 2,
  },
  {
    name: 'a worker is kept for a big request',
    shardCount: 2,
    workers: [[2, 300]],
    versions: [300, 100],
    overtakeMax: 0,
    setup: [
      [0, ['request', 0, 1]],
      [1, ['request', 1, 0]],
    ],
    actions: [[['request', 2, 1], ['releaseOwn'], ['release', 0], ['request', 3, 1]], []],
    waitingMax: 1,
    switchMax: 2,
  },
  {
    name: 'an agent has no memory, and has it again',
    shardCount: 2,
    workers: [
      [1, 300],
      [1, 100],
    ],
    versions: [200],
    setup: [[0, ['request', 0, 0]]],
    actions: [
      [['noMemory', 0]],
      [
        ['request', 1, 0],
        ['memoryAvailable', 0],
      ],
    ],
    waitingMax: 2,
    switchMax: 2,
  },
];

export const MUTANTS: readonly (Mutant & { readonly foundBy: string })[] = [
  {
    name: 'the flag is raised after the look',
    file: 'machine/scheduler.ts',
    from: `    this.#dispatch.wait(request, version, memoryMb);
    if (!this.isShared && this.versions.coreCount(version) === 1) return ANSWER.queued;`,
    to: `    this.queue.pushBack(request, version, memoryMb, 31 - Math.clz32(memoryMb));
    this.#dispatch.serveWaiting();
    if (this.queue.isWaiting(request)) this.queue.remove(this.queue.entryOf(request));
    else return ANSWER.granted;
    this.#dispatch.wait(request, version, memoryMb);
    return ANSWER.queued;`,
    foundBy: 'wait beside a release',
  },
  {
    name: 'no look after the flag is raised',
    file: 'machine/scheduler.ts',
    from: `    this.#dispatch.serveWaiting();
    return this.queue.isWaiting(request)`,
    to: `    return this.queue.isWaiting(request)`,
    foundBy: 'wait beside a release',
  },
  {
    name: 'others are told before the core is given',
    file: 'machine/scheduler.ts',
    from: `    if (this.#withdrawal.put(core) && !isExtra) this.idleList.push(core);
    this.#dispatch.settleSeen(home);
    this.#dispatch.owes = true;
    return true;`,
    to: `    this.#tell();
    if (this.#withdrawal.put(core) && !isExtra) this.idleList.push(core);
    this.#dispatch.settle(home);
    this.#dispatch.owes = false;
    return true;`,
    foundBy: 'wait beside a release',
  },
  {
    name: 'nobody is told',
    file: 'machine/bells.ts',
    from: 'if (Atomics.or(bells, at, words[own]!) === 0) Atomics.notify(bells, at);',
    to: 'Atomics.or(bells, at, words[own]!);',
    foundBy: 'wait beside a release',
  },
  {
    name: 'whom it does not suit keeps the baton',
    file: 'machine/scheduler.ts',
    from: 'told.remove(this.shard);',
    to: 'if (this.queue.length > 0) told.clear();\n    told.remove(this.shard);',
    foundBy: 'whom a core does not suit passes it on',
  },
  {
    name: 'the bell is silenced after the look',
    file: 'machine/scheduler.ts',
    from: `    const told = this.bells.take();
    this.#dispatch.serveWoken(true);`,
    to: `    this.#dispatch.serveWoken(true);
    const told = this.bells.take();`,
    foundBy: 'woken for a core that is gone, and that comes again',
  },
  {
    name: 'the bit is set before the lease is won',
    file: 'machine/scheduler.ts',
    from: `    if (this.#isIndex(core) && this.leases.end(core, sequence)) {`,
    to: `    if (this.#isIndex(core) && this.leases.holds(core, sequence)) {
      this.cores.free(core);
      this.leases.end(core, sequence);`,
    foundBy: 'a lease is released at two shards, and one of them asks',
  },
  {
    name: 'a lease is ended without a swap',
    file: 'machine/leases.ts',
    from: 'if (this.#isShared) return Atomics.compareExchange(this.#words, at, seen, seen | FREE) === seen;\n    this.#words[at] = seen | FREE;\n    return true;\n  }\n\n  /** The core is owned, and goes out',
    to: 'this.#words[at] = seen | FREE;\n    return true;\n  }\n\n  /** The core is owned, and goes out',
    foundBy: 'a lease is released at two shards, and one of them asks',
  },
  {
    name: 'a core is claimed without a swap',
    file: 'machine/cores.ts',
    from: 'const found = Atomics.compareExchange(this.#words, at, seen, seen & (seen - 1));',
    to: 'const found = seen;\n      this.#words[at] = seen & (seen - 1);',
    foundBy: 'two requests for one core, and both end',
  },
  {
    name: 'no look at the wish after the bit is set',
    file: 'machine/withdrawal.ts',
    from: `      this.#counts[IDLE]! += 1;
      this.#cores.free(core);
      if (!this.#cores.isWithdrawn(core) || !this.claimIdle(core)) return true;`,
    to: `      this.#counts[IDLE]! += 1;
      const isWished = this.#cores.isWithdrawn(core);
      this.#cores.free(core);
      if (!isWished || !this.claimIdle(core)) return true;`,
    foundBy: 'a core is withdrawn beside its release',
  },
  {
    name: 'no look at the wish after the core is out',
    file: 'machine/withdrawal.ts',
    from: 'return this.#cores.isWithdrawn(core) || !this.comeIn(core);',
    to: 'return true;',
    foundBy: 'a core is withdrawn here and returned there',
  },
  {
    name: 'memory is reserved without a swap',
    file: 'machine/workers.ts',
    from: 'const seen = Atomics.compareExchange(this.#words, at + FREE, free, free - memoryMb);',
    to: 'const seen = free;\n      this.#words[at + FREE] = free - memoryMb;',
    foundBy: 'two requests for the memory of one worker',
  },
  {
    name: 'a limit is entered without a swap',
    file: 'machine/functions.ts',
    from: 'const seen = Atomics.compareExchange(this.#records, at + RUNNING, running, running + 1);',
    to: 'const seen = running;\n      this.#records[at + RUNNING] = running + 1;',
    foundBy: 'a limit of one request for the function',
  },
  {
    name: 'no second look at what is below a leaf',
    file: 'machine/rooms.ts',
    from: 'room = this.#seen(home);\n    } while',
    to: 'room = this.#summary.room(home);\n    } while',
    foundBy: 'two workers under one summary: a claim beside a release',
  },
  {
    name: 'no second look at what is below a node',
    file: 'machine/summary.ts',
    from: `      this.#isNodeRaised ||= greatest > swapped;
      isChanged = true;`,
    to: `      this.#isNodeRaised ||= greatest > swapped;
      return true;`,
    foundBy: 'two workers under one summary: a claim beside a release',
  },
  {
    name: 'a waiter that is served does not change its flag',
    file: 'machine/dispatch.ts',
    from: 'if (this.#queue.length > 0) this.#turns.raise(false);\n      else this.#turns.lower();',
    to: '',
    foundBy: 'who has overtaken stands back',
  },
  {
    name: 'the kept worker stays kept',
    file: 'machine/overtaking.ts',
    from: '    Atomics.store(this.#globals, KEPT, 0);\n',
    to: '',
    foundBy: 'a worker is kept for a big request',
  },
  {
    name: 'memory that an agent has again is given in silence',
    file: 'machine/scheduler.ts',
    from: '    this.workers.liftCap(home);\n    this.#dispatch.grew(home);',
    to: '    this.workers.liftCap(home);',
    foundBy: 'an agent has no memory, and has it again',
  },
  {
    name: 'two cores are claimed without a swap',
    file: 'machine/cores.ts',
    from: '      const found = Atomics.compareExchange(this.#words, at, seen, seen & ~mask);\n      if (found === seen) return mask;',
    to: '      const found = seen;\n      Atomics.store(this.#words, at, seen & ~mask);\n      if (found === seen) return mask;',
    foundBy: 'two cores beside one each: all fit',
  },
  {
    name: 'no look at the wish after the bits of two cores are set',
    file: 'machine/withdrawal.ts',
    from: 'let rest = this.#cores.withdrawnOf(index, mask); rest !== 0;',
    to: 'let rest = 0; rest !== 0;',
    foundBy: 'a core of two is wished out, and stays out',
  },
  {
    name: 'the other cores of a lease are free after their bits are set',
    file: 'machine/placement.ts',
    from: '    const mask = this.#leases.endSeveral(lead);\n    this.#counts[countWord.LEASED]! -= coreCountOf(mask) - 1;\n    this.put(lead, mask);',
    to: '    const mask = this.#leases.mask(lead);\n    this.#counts[countWord.LEASED]! -= coreCountOf(mask) - 1;\n    this.put(lead, mask);\n    this.#leases.endSeveral(lead);',
    foundBy: 'two requests for two of three cores, and both end',
  },
];
