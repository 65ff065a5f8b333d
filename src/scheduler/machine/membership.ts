/**
 * Workers that come and go. One that is away has all its cores withdrawn. When it comes, it says what runs there from
 * before, and that is leased again under the same names; then its other cores are given back.
 */
import { assert } from '../../base/assert.ts';
import { coreCountOf, coresOf } from '../../base/core-mask.ts';
import { SEQUENCE_MASK } from './leases.ts';
import { countWord, globalWord } from './memory.ts';
import type { Scheduler } from './scheduler.ts';

export interface ResumedLease {
  readonly request: number;
  readonly version: number;
  readonly sequence: number;
}

export interface WorkerSize {
  readonly coreCount: number;
  readonly extraSeatCount: number;
  readonly memoryMb: number;
}

/** Its cores are idle from now on, or withdrawn where it is absent, and its extra seats withdrawn. Answers its home. */
export function enterWorker(machine: Scheduler, size: WorkerSize, isAbsent: boolean): number {
  const { coreCount, extraSeatCount, memoryMb } = size;
  const { cores, counts, extras, idleList, leases, summary, workers } = machine;
  const home = cores.addWorker(coreCount, extraSeatCount);
  workers.add(home, memoryMb, coreCount);
  Atomics.add(machine.memory.globals, globalWord.REGISTERED_COUNT, coreCount + extraSeatCount);
  for (let word = home + 1; word < cores.endOf(home) >>> 5; word++) {
    summary.setHome(word, home);
    if (extraSeatCount > 0) extras.setHome(word, home);
  }
  // Backwards, so that its first core is on top.
  for (let i = coreCount - 1; i >= 0; i--) idleList.push((home << 5) + i);
  for (let i = 0; isAbsent && i < coreCount; i++) leases.goOut((home << 5) + i);
  for (let i = 0; i < extraSeatCount; i++) leases.goOut(cores.firstExtra(home) + i);
  counts[isAbsent ? countWord.WITHDRAWN : countWord.IDLE]! += coreCount;
  counts[countWord.WITHDRAWN]! += extraSeatCount;
  cores.open(home, !isAbsent);
  return home;
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

/**
 * Nothing more is leased there until it is passed over no more; what is leased stays. If it is kept for a request just now, that one has whatever
 * else it fits on, or waits for the end of this too.
 */
export function passOver(machine: Scheduler, worker: number, isPassed: boolean): void {
  machine.workers.passOver(machine.workers.homeOf(worker), isPassed);
  // Its room has changed, and somebody may wait for it.
  machine.memoryAvailable(worker);
}

/** Whatever instances the worker had are out of reach. As many steps as there are versions that are set. */
export function forgetWorker(machine: Scheduler, worker: number): void {
  const { cores, versions, warm, workers } = machine;
  const home = workers.homeOf(worker);
  for (let version = 0; version < versions.end; version++)
    if (warm.count(version) > 0) warm.forget(version, home << 5, cores.endOf(home));
}

/**
 * So that no lease of before is taken for one of after, whoever may still bring it: all cores and extra seats of a worker that are not
 * leased go on from one sequence. Answers it; only leases after it are good (`isAfter`), and those that were resumed.
 */
export function beginAnew({ leases }: Scheduler, cores: readonly number[]): number {
  const sequences = Int32Array.from(cores, (core) => leases.sequence(core));
  // As they are where it never was here before.
  if (sequences.every((sequence) => sequence === sequences[0])) return sequences[0]!;
  const floor = latestOf(sequences);
  for (const core of cores) if (!leases.isLeased(core)) leases.setSequence(core, floor);
  return floor;
}

/**
 * The one that none of the others is after: the last before the widest gap on the way round. In pairs, which of two is after the other
 * has no one answer for three that lie all the way round.
 */
export function latestOf(sequences: Int32Array): number {
  const sorted = sequences.toSorted();
  const last = sorted.at(-1)!;
  let latest = last;
  let widest = (sorted[0]! - last) & SEQUENCE_MASK;
  for (let i = 1; i < sorted.length; i++) {
    const gap = sorted[i]! - sorted[i - 1]!;
    if (gap <= widest) continue;
    widest = gap;
    latest = sorted[i - 1]!;
  }
  return latest;
}
