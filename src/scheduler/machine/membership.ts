/**
 * Workers that come and go. One that is away has all its cores withdrawn. When it comes, it says what runs there from
 * before, and that is leased again under the same names; then its other cores are given back.
 */
import { assert } from '../../base/assert.ts';
import { coreCountOf, coresOf } from '../../base/core-mask.ts';
import { isAfter } from '../../wire/cluster/sequence.ts';
import { countWord } from './memory.ts';
import type { Scheduler } from './scheduler.ts';

export interface ResumedLease {
  readonly request: number;
  readonly version: number;
  readonly sequence: number;
}

/**
 * The core, withdrawn until now, holds this lease; when that is released, the core is idle or stays withdrawn, as any other.
 * `mask`: all its cores, if they are several. False where the worker's memory is not enough for it, or where its version asks for one core and it has several.
 */
export function resumeLease(machine: Scheduler, core: number, mask: number, lease: ResumedLease): boolean {
  const { cores, leases, versions, workers } = machine;
  assert(versions.isSet(lease.version), `version ${lease.version} is resumed and not set`);
  for (const each of coresOf(core, mask)) {
    assert(cores.isRegistered(each) && cores.isWithdrawn(each), `core ${each} is resumed and was not away`);
    assert(!leases.isLeased(each), `core ${each} is resumed and leased`);
  }
  const isOne = versions.coreCount(lease.version) === 1;
  if (isOne && mask !== 0) return false;
  const home = cores.homeOf(core);
  const memoryMb = versions.memoryMb(lease.version);
  if (memoryMb > workers.unreserved(home) || !workers.reserveBeyondCap(home, memoryMb)) return false;
  versions.enter(lease.version);
  machine.functions.enterAgain(versions.functionOf(lease.version));
  assert(
    isOne || leases.resumeBeside(core, mask, lease.sequence),
    `core ${core} is resumed and one beside was not out`,
  );
  assert(leases.resume(core, lease.request, lease.version, lease.sequence), `core ${core} is resumed and was not out`);
  const coreCount = coreCountOf(mask);
  machine.counts[countWord.WITHDRAWN]! -= coreCount;
  machine.counts[countWord.LEASED]! += coreCount;
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

export { isAfter };
