/**
 * After the death of a shard, between any two of its accesses: puts right what it left in the shared words. Whoever calls has lowered
 * its flag (`silence`) and stopped all others at the top of their loops, so nobody is in the middle of anything (scheduler/shards/pause.ts).
 *
 * Its leases stand: agents announce what runs, and a grant that never left is probed. Nobody adopts its waiters: their gateways ask again. A
 * core that nobody owns any more is idle again, or out where that is wished; memory, concurrency and counts are added up anew, from
 * the leases and from those who wait at the living.
 */
import { countWord, globalWord, KEPT_SHARD_LOG2, LINE_LOG2, type SharedMemory } from './memory.ts';
import { ring } from './bells.ts';
import type { Scheduler } from './scheduler.ts';
import { ShardSet } from './shard-set.ts';
import { word } from './words.ts';

const SHARD_MASK = (1 << KEPT_SHARD_LOG2) - 1;
const WORD_CORES = 32;

/** At once, before the others stand still: nobody is to wake the dead shard or to stand back for it. */
export function silence({ flags, globals }: SharedMemory, dead: number): void {
  Atomics.store(flags, dead << LINE_LOG2, 0);
  Atomics.store(flags, (dead << LINE_LOG2) + 1, 0);
  const kept = Atomics.load(globals, globalWord.KEPT);
  if (kept !== 0 && (kept & SHARD_MASK) === dead) Atomics.store(globals, globalWord.KEPT, 0);
}

/** `machine`: a new one in the dead shard's place, which has nobody waiting. As many steps as there are cores, versions and functions. */
export function reap(machine: Scheduler): void {
  machine.memory.shards[machine.shard]!.waiting.fill(0);
  collectBeside(machine);
  collectCores(machine);
  addUpMemory(machine);
  addUpRequests(machine);
  for (let worker = 0; worker < machine.workerCount; worker++) machine.rooms.settle(machine.workers.homeOf(worker));
  machine.summary.rebuild();
  machine.extras.rebuild();
}

/** Once the others go on. Notified whatever the bells say: who rang them last may have died before he notified. */
export function wakeAll({ bells, shards }: SharedMemory, dead: number): void {
  const living = new ShardSet(shards.length);
  for (let shard = 0; shard < shards.length; shard++) if (shard !== dead) living.add(shard);
  for (let shard = 0; shard < shards.length; shard++) {
    if (shard === dead) continue;
    ring(bells, shard, living);
    Atomics.notify(bells, shard << LINE_LOG2);
  }
}

/** Cores that were to belong to a lease of several, or did: it was not begun, or has ended. */
function collectBeside({ cores, leases, versions }: Scheduler): void {
  for (let first = 0; first < cores.coreCountMax; first += WORD_CORES) {
    let held = 0;
    for (let core = first; core < first + WORD_CORES; core++) {
      if (!leases.isLead(core)) continue;
      const isSeveral = versions.coreCount(leases.version(core)) > 1;
      held |= (isSeveral && leases.mask(core)) || 1 << (core & (WORD_CORES - 1));
    }
    for (let core = first; core < first + WORD_CORES; core++)
      if (leases.isLeased(core) && (held & (1 << (core & (WORD_CORES - 1)))) === 0) leases.endBeside(core);
  }
}

function collectCores({ cores, leases, memory, counts }: Scheduler): void {
  const sums = { idle: 0, leased: 0, withdrawn: 0 };
  for (let core = 0; core < cores.coreCountMax; core++) {
    if (!cores.isRegistered(core)) continue;
    if (leases.isLeased(core)) {
      sums.leased++;
      continue;
    }
    const isWished = cores.isWithdrawn(core);
    if (isWished) {
      cores.claim(core);
      leases.goOut(core);
      sums.withdrawn++;
    } else {
      leases.comeIn(core);
      cores.free(core);
      sums.idle++;
    }
  }
  for (const shard of memory.shards) shard.counts.fill(0);
  counts[countWord.IDLE] = sums.idle;
  counts[countWord.LEASED] = sums.leased;
  counts[countWord.WITHDRAWN] = sums.withdrawn;
}

function addUpMemory({ cores, leases, workers, versions, memory }: Scheduler): void {
  for (let worker = 0; worker < workers.count; worker++) {
    const home = workers.homeOf(worker);
    let freeMb = workers.total(home);
    for (let core = home << 5; core < cores.endOf(home); core++)
      if (leases.isLead(core)) freeMb -= versions.memoryMb(leases.version(core));
    Atomics.store(memory.words, (home << word.STRIDE_LOG2) + word.FREE, freeMb);
  }
}

function addUpRequests({ cores, leases, versions, memory, shard: own, limits }: Scheduler): void {
  const { shards, functions } = memory;
  for (const shard of shards) {
    shard.versions.fill(0);
    shard.functions.fill(0);
  }
  const entered = shards[own]!.versions;
  for (let core = 0; core < cores.coreCountMax; core++)
    if (leases.isLead(core)) entered[leases.version(core) << 1]! += 1;
  for (const { waiting } of shards) waiting.forEach((count, version) => (entered[version << 1]! += count));
  for (let index = 0; index < limits.functionCountMax; index++) functions[index << 1] = 0;
  for (let version = 0; version < limits.versionCountMax; version++)
    functions[versions.functionOf(version) << 1]! += entered[version << 1]!;
}
