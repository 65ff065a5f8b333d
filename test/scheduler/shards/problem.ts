/** What has to hold once every shard sleeps: looked at from outside, by one more machine over the same words. */
import type { SchedulerLimits } from '../../../src/scheduler/machine/limits.ts';
import { globalWord, KEPT_SHARD_LOG2, type SharedMemory } from '../../../src/scheduler/machine/memory.ts';
import { Scheduler } from '../../../src/scheduler/machine/scheduler.ts';

export interface Seen {
  /** For each core: sequence + 1 of the lease that its worker runs; 0: none. */
  readonly running: Int32Array;
  /** So many requests may wait, where nothing suits them. */
  readonly waitingMax: number;
}

/** What does not hold, in words; null: all holds. */
export function problemOf(limits: SchedulerLimits, memory: SharedMemory, seen: Seen): string | null {
  const machine = new Scheduler({ ...limits, isShared: true }, { memory, shard: 0 });
  return (
    problemOfCores(machine, seen.running) ??
    problemOfWorkers(machine) ??
    problemOfExtras(machine) ??
    problemOfFunctions(machine) ??
    problemOfWaiting(machine, seen.waitingMax)
  );
}

function problemOfCores(machine: Scheduler, running: Int32Array): string | null {
  const { cores, leases } = machine;
  const counts = { idle: 0, leased: 0, withdrawn: 0, absent: 0 };
  for (let core = 0; core < cores.coreCountMax; core++) {
    if (!cores.isRegistered(core)) continue;
    const states = Number(cores.isIdle(core)) + Number(leases.isLeased(core)) + Number(leases.isOut(core));
    if (states !== 1) return `core ${core} is in ${states} states`;
    if (!leases.isLeased(core) && cores.isWithdrawn(core) !== leases.isOut(core))
      return `core ${core} is wished out: ${cores.isWithdrawn(core)}, is out: ${leases.isOut(core)}`;
    counts[machine.stateOf(core)]++;
    const expected = leases.isLeased(core) ? leases.sequence(core) + 1 : 0;
    if (running[core] !== expected) return `core ${core} runs ${running[core]}, is leased for ${expected}`;
  }
  const counted = [machine.idleCount, machine.leasedCount, machine.withdrawnCount].join();
  const expected = [counts.idle, counts.leased, counts.withdrawn].join();
  return counted === expected ? null : `idle, leased, withdrawn: ${expected}, counted ${counted}`;
}

function problemOfWorkers({ cores, leases, workers, versions, summary, rooms }: Scheduler): string | null {
  for (let worker = 0; worker < workers.count; worker++) {
    const home = workers.homeOf(worker);
    let leasedMb = 0;
    for (let core = home << 5; core < cores.endOf(home); core++)
      if (leases.isLead(core)) leasedMb += versions.memoryMb(leases.version(core));
    if (leasedMb !== workers.reserved(home))
      return `worker ${worker}: ${leasedMb} MB are leased, ${workers.reserved(home)} reserved`;
    if (leasedMb > workers.total(home)) return `worker ${worker}: ${leasedMb} MB are leased, it has less`;
    if (summary.room(home) !== rooms.of(home))
      return `worker ${worker} has room ${rooms.of(home)}, the summary says ${summary.room(home)}`;
  }
  return summary.agrees() ? null : 'a node of the summary is not the greatest of its children';
}

/** The summary of extra seats says what is there, and nobody is on one who must not be. */
function problemOfExtras({ cores, leases, workers, versions, extras, rooms }: Scheduler): string | null {
  for (let worker = 0; worker < workers.count; worker++) {
    const home = workers.homeOf(worker);
    const room = rooms.ofExtras(home);
    if (extras.room(home) !== room)
      return `worker ${worker} has room ${room} on extra seats, their summary says ${extras.room(home)}`;
    if (!cores.hasExtrasAt(home)) continue;
    for (let seat = cores.firstExtra(home); seat < cores.endOf(home); seat++) {
      if (!leases.isLeased(seat)) continue;
      const version = leases.version(seat);
      if (!leases.isLead(seat) || versions.coreCount(version) > 1 || versions.isDedicated(version))
        return `extra seat ${seat} is leased to version ${version}, which has cores only`;
    }
  }
  return extras.agrees() ? null : 'a node of the summary of extra seats is not the greatest of its children';
}

function problemOfFunctions({ cores, leases, versions, functions, limits, memory }: Scheduler): string | null {
  const ofVersion = new Int32Array(limits.versionCountMax);
  for (let core = 0; core < cores.coreCountMax; core++) if (leases.isLead(core)) ofVersion[leases.version(core)]! += 1;
  for (const { waiting } of memory.shards) waiting.forEach((count, version) => (ofVersion[version]! += count));
  const ofFunction = new Int32Array(limits.functionCountMax);
  for (const [version, count] of ofVersion.entries()) {
    if (count !== versions.running(version))
      return `version ${version}: ${count} run or wait, counted ${versions.running(version)}`;
    ofFunction[versions.functionOf(version)]! += count;
  }
  for (const [fn, count] of ofFunction.entries())
    if (count !== functions.running(fn))
      return `function ${fn}: ${count} run or wait, counted ${functions.running(fn)}`;
  return null;
}

/** The lost wake-up. */
function problemOfWaiting(machine: Scheduler, waitingMax: number): string | null {
  const { memory, workers, cores, overtaking, versions } = machine;
  const keeper = memory.globals[globalWord.KEPT]! & ((1 << KEPT_SHARD_LOG2) - 1);
  if (overtaking.homeKept >= 0 && memory.shards[keeper]!.waiting.every((count) => count === 0))
    return `a worker is kept for shard ${keeper}, where nobody waits`;
  let waitingCount = 0;
  for (const [shard, { waiting }] of memory.shards.entries()) {
    for (const [version, count] of waiting.entries()) {
      waitingCount += count;
      for (let worker = 0; worker < workers.count && count > 0; worker++) {
        const home = workers.homeOf(worker);
        if (home === overtaking.homeKept) continue;
        const isIdle =
          cores.mostIdleCount(home) >= versions.coreCount(version) ||
          (!versions.isDedicated(version) && cores.hasIdleExtra(home));
        if (isIdle && workers.free(home) >= versions.memoryMb(version))
          return `a request of version ${version} waits at shard ${shard}, and worker ${worker} could serve it`;
      }
    }
  }
  return waitingCount > waitingMax ? `${waitingCount} requests wait in the end, ${waitingMax} may` : null;
}
