/**
 * Bugs to plant in the shipped machines, so that it is known that the fuzzer would find such: each is one piece of their source, which is replaced where it is
 * loaded. The machines themselves know nothing of it, and nothing of it is on but in a thread that was started for one of these (plant-thread.ts). The text has to
 * be there exactly once: who changes the line sees that its plant has to follow.
 */
import { existsSync, readFileSync } from 'node:fs';

export interface Plant {
  readonly name: string;
  readonly what: string;
  /** Below src/. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

const SOURCE: URL = new URL('../../', import.meta.url);

export const PLANTS: readonly Plant[] = [
  {
    name: 'double-grant',
    what: 'a core that is claimed stays idle, and is granted again',
    file: 'scheduler/machine/cores.ts',
    from: 'return (this.#words[at]! & bit) !== 0 && this.#claimBit(at, bit);',
    to: 'return (this.#words[at]! & bit) !== 0;',
  },
  {
    name: 'lost-wake-up',
    what: 'a core that is released goes to nobody who waits',
    file: 'scheduler/machine/scheduler.ts',
    from: '    if (this.queue.length > 0) {\n      this.#releaseToWaiting(core, home);\n      return true;\n    }\n',
    to: '',
  },
  {
    name: 'lost-bell',
    what: 'a shard is not told of what another one has given',
    file: 'scheduler/machine/bells.ts',
    from: '    ring(this.#bells, target, shards);\n',
    to: '',
  },
  {
    name: 'starved-several',
    what: 'no worker is kept for who wants several cores, so others have them one by one',
    file: 'scheduler/machine/dispatch.ts',
    from: 'while (this.#queue.hasSeveral && this.#keepForSeveral()) this.#serveRound();',
    to: '',
  },
  {
    name: 'unseen-several',
    what: 'who wants several cores does not hear of a worker that has more of them idle',
    file: 'scheduler/machine/dispatch.ts',
    from: 'if (this.#queue.hasSeveral) this.#looks.gave(home);',
    to: '',
  },
  {
    name: 'lost-release',
    what: 'a worker does not say that a lease is over whose instance has gone',
    file: 'worker/node/worker-node.ts',
    from: 'this.#scheduler?.release(lease, granted.warm);',
    to: 'if (granted.warm) this.#scheduler?.release(lease, granted.warm);',
  },
  {
    name: 'lost-core',
    what: 'of a lease that ends cold the core does not come back',
    file: 'scheduler/machine/scheduler.ts',
    from: 'if (this.#withdrawal.put(core) && !isExtra) this.idleList.push(core);',
    to: 'if (warm && this.#withdrawal.put(core) && !isExtra) this.idleList.push(core);',
  },
  {
    name: 'late-refusal',
    what: 'a shard hears of a refusal for want of memory after the worker has memory again, and believes it for ever',
    file: 'scheduler/server/mail.ts',
    from: 'if (refused === 0) return;',
    to: 'if (refused !== undefined) return;',
  },
  {
    name: 'restless-shard',
    what: 'each turn of a shard asks for another one',
    file: 'scheduler/server/shard.ts',
    from: 'if (this.#isShared && !this.#isTurning) this.#askTurn();',
    to: 'if (this.#isShared) this.#askTurn();',
  },
  {
    name: 'runs-again',
    what: 'what was sent to a worker that is lost is asked for again, though it may have run',
    file: 'gateway/cluster/machine/gateway-machine.ts',
    from: 'if (stopping) return this.#goOn(number, UnstartedWhy.stopping);',
    to: 'if (table.worker[number] !== undefined) return this.#goOn(number, UnstartedWhy.stopping);',
  },
  {
    name: 'two-in-foreground',
    what: 'who has lost the foreground of a core is not told',
    file: 'worker/machine/sharing/changes.ts',
    from: '      if (top[core] !== seat) placed.tell(seat, core, Level.background);\n',
    to: '',
  },
  {
    name: 'borrower-kept-out',
    what: 'a borrower waits beside a core that nobody wants',
    file: 'worker/machine/sharing/changes.ts',
    from: 'while (placed.chosenCount < placed.leftCount && placed.waitingCount > 0) {',
    to: 'while (placed.chosenCount + 1 < placed.leftCount && placed.waitingCount > 0) {',
  },
  {
    name: 'kept-out-anew',
    what: 'one core too few is shared out as all places are worked out anew',
    file: 'worker/machine/sharing/places.ts',
    from: 'if (this.#freeCount-- > 0) {',
    to: 'if (this.#freeCount-- > 1) {',
  },
  {
    name: 'stale-places',
    what: 'places are believed to be known although a core was withdrawn, or given back',
    file: 'worker/machine/sharing/placed.ts',
    from: '    this.isKnown = false;\n',
    to: '',
  },
  {
    name: 'kept-lease',
    what: 'a lease that was kept for a borrower is never released',
    file: 'worker/machine/sharing/open-seats.ts',
    from: 'while (this.#keptCount > 0 && this.#balance > 0) this.#release(this.#mostIdle());',
    to: '',
  },
  {
    name: 'untold-seat',
    what: 'a scheduler does not hear that there is no use for an extra seat any more',
    file: 'worker/node/worker-node.ts',
    from: 'if (word >= 0) this.#scheduler?.announce(',
    to: 'if (word >= 0 && isOpen) this.#scheduler?.announce(',
  },
  {
    name: 'lent-twice',
    what: 'who borrows a core does not count, and it is lent again',
    file: 'worker/machine/sharing/open-seats.ts',
    from: ' - this.#restlessBorrowerCount;',
    to: ';',
  },
  {
    name: 'borrower-in-front',
    what: 'the lease of a core goes back although somebody borrows it, and who comes next has it first',
    file: 'worker/machine/sharing/open-seats.ts',
    from: '    this.#keptCount++;\n    return false;',
    to: '    return true;',
  },
  {
    name: 'dedicated-borrows',
    what: 'who wants a core of its own is granted an extra seat',
    file: 'scheduler/machine/dispatch.ts',
    from: 'return this.#cores.hasExtras && !this.#versions.isDedicated(version) && ',
    to: 'return this.#cores.hasExtras && ',
  },
  {
    name: 'memory-kept',
    what: 'an instance that goes keeps its memory',
    file: 'worker/machine/slots.ts',
    from: '    this.residentMb -= this.memoryMb[slot]!;\n',
    to: '',
  },
  {
    name: 'zygote-twice',
    what: 'a cell that becomes a zygote is counted as both',
    file: 'worker/machine/slots.ts',
    from: '    this.#versions.slots[version]! += 1;\n    this.setMemory(slot, memoryMb);\n',
    to: '    this.#versions.slots[version]! += 1;\n    this.residentMb += memoryMb;\n    this.memoryMb[slot] = memoryMb;\n',
  },
  {
    name: 'awaiting-forgotten',
    what: 'who waits for a zygote that fails keeps its core',
    file: 'worker/machine/zygotes.ts',
    from: '      this.#leases.complete(core, zygote, ending);\n      this.#leases.release(core, version);\n',
    to: '      this.#leases.complete(core, zygote, ending);\n',
  },
];

export interface Planted {
  readonly url: string;
  readonly source: string;
}

/** The file with the bug; a text says why there can be none. */
export function plant({ name, file, from, to }: Plant): Planted | string {
  const url = new URL(file, SOURCE);
  if (!existsSync(url)) return `'${name}' can be planted in a checkout only: there is no ${file} here.`;
  const source = readFileSync(url, 'utf8');
  if (source.split(from).length !== 2)
    return `'${name}' cannot be planted: its text is not in ${file}, or more than once.`;
  return { url: url.href, source: source.replace(from, () => to) };
}
