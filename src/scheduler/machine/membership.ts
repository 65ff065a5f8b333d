/**
 * Workers that come and go. One that is away has all its cores withdrawn. When it comes, it says what runs there from
 * before, and that is leased again under the same names; then its other cores are given back.
 */
import { assert } from '../../base/assert.ts';
import { SEQUENCE_MASK } from './leases.ts';
import { countWord } from './memory.ts';
import type { Scheduler } from './scheduler.ts';

/**
 * The core, withdrawn until now, holds this lease; when that is released, the core is idle or stays withdrawn, as any other.
 * False where the worker's memory is not enough for it.
 */
export function resumeLease(
  machine: Scheduler,
  core: number,
  lease: { readonly request: number; readonly version: number; readonly sequence: number },
): boolean {
  const { cores, leases, versions, workers } = machine;
  assert(cores.isRegistered(core) && cores.isWithdrawn(core), `core ${core} is resumed and was not away`);
  assert(!leases.isLeased(core), `core ${core} is resumed and leased`);
  assert(versions.isSet(lease.version), `version ${lease.version} is resumed and not set`);
  const home = cores.homeOf(core);
  const memoryMb = versions.memoryMb(lease.version);
  if (memoryMb > workers.unreserved(home) || !workers.reserveBeyondCap(home, memoryMb)) return false;
  versions.enter(lease.version);
  machine.functions.enterAgain(versions.functionOf(lease.version));
  assert(leases.resume(core, lease.request, lease.version, lease.sequence), `core ${core} is resumed and was not out`);
  machine.counts[countWord.WITHDRAWN]! -= 1;
  machine.counts[countWord.LEASED]! += 1;
  return true;
}

/** Whatever instances the worker had are out of reach. As many steps as there are versions. */
export function forgetWorker(machine: Scheduler, worker: number): void {
  const { cores, versions, warm, workers } = machine;
  const home = workers.homeOf(worker);
  for (let version = 0; version < machine.limits.versionCountMax; version++)
    if (versions.isSet(version)) warm.forget(version, home << 5, cores.endOf(home));
}

/**
 * So that no lease of before is taken for one of after, whoever may still bring it: all cores of the worker that are not
 * leased go on from one sequence. Answers it; only leases after it are good (`isAfter`), and those that were resumed.
 */
export function beginAnew(machine: Scheduler, worker: number, coreCount: number): number {
  const { leases } = machine;
  const first = machine.firstCore(worker);
  let floor = leases.sequence(first);
  for (let core = first + 1; core < first + coreCount; core++)
    if (isAfter(leases.sequence(core), floor)) floor = leases.sequence(core);
  for (let core = first; core < first + coreCount; core++) if (!leases.isLeased(core)) leases.setSequence(core, floor);
  return floor;
}

/** Sequences wrap; of two, the later one is less than half the way round ahead. */
export function isAfter(sequence: number, floor: number): boolean {
  const ahead = (sequence - floor) & SEQUENCE_MASK;
  return ahead > 0 && ahead <= SEQUENCE_MASK >>> 1;
}
