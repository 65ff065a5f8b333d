/**
 * The scheduler's invariants, checked whole: as many steps as there are cores, requests and hints, so for tests and
 * the simulator only. Named as in the design: "no core is lost or granted twice", "work-conserving", "bounded".
 */
import { assert } from '../../base/assert.ts';
import { coreCountOf, coresOf, isLedBy } from '../../base/core-mask.ts';
import { HINT_TRIES, LOOK_MAX } from './provisioned.ts';
import { classOf } from './queue.ts';
import type { Scheduler } from './scheduler.ts';

/** Of all shards of one memory, in one thread, while none of them is in the middle of anything and each has settled its batch. */
export function checkInvariants(shards: readonly Scheduler[]): void {
  const scheduler = shards[0]!;
  checkCores(scheduler);
  checkMasks(scheduler);
  checkFunctions(shards);
  checkSummary(scheduler);
  for (const shard of shards) {
    assert(shard.idleList.agrees(), 'the idle list and its bits differ');
    checkExtras(shard);
    checkQueue(shard);
    checkWorkConserving(shard);
    checkProvisioned(shard);
  }
}

/** Every core in exactly one state, and the counters and the reserved memory as the states say. */
function checkCores(scheduler: Scheduler): void {
  const { cores, leases, workers, versions } = scheduler;
  const reservedMb = new Int32Array(scheduler.workerCount);
  const counts = { idle: 0, leased: 0, withdrawn: 0, absent: 0 };
  for (let core = 0; core < cores.coreCountMax; core++) {
    const isLeased = leases.isLeased(core);
    const isWithdrawn = cores.isWithdrawn(core) && !isLeased;
    const states = Number(cores.isIdle(core)) + Number(isLeased) + Number(isWithdrawn);
    const expected = cores.isRegistered(core) ? 1 : 0;
    assert(states === expected, `core ${core} is in ${states} states, has to be in ${expected}`);
    assert(leases.isOut(core) === isWithdrawn, `core ${core} is out: ${leases.isOut(core)}`);
    counts[scheduler.stateOf(core)]++;
    if (leases.isLead(core)) reservedMb[scheduler.workerOf(core)]! += versions.memoryMb(leases.version(core));
  }
  const { idle, leased, withdrawn } = counts;
  assert(idle === scheduler.idleCount, `${idle} idle cores, counted ${scheduler.idleCount}`);
  assert(leased === scheduler.leasedCount, `${leased} leased cores, counted ${scheduler.leasedCount}`);
  assert(withdrawn === scheduler.withdrawnCount, `${withdrawn} withdrawn cores, counted ${scheduler.withdrawnCount}`);
  assert(idle + leased + withdrawn === scheduler.registeredCount, 'idle + leased + withdrawn = registered');
  for (let worker = 0; worker < scheduler.workerCount; worker++) {
    const home = workers.homeOf(worker);
    const sum = reservedMb[worker]!;
    assert(sum === workers.reserved(home), `worker ${worker}: ${sum} MB leased, ${workers.reserved(home)} reserved`);
    assert(workers.total(home) >= sum, `worker ${worker}: ${sum} MB leased, it has ${workers.total(home)}`);
  }
}

/** Each leased core belongs to one lease, whose cores are in one word, and whose lead is the lowest of them. */
function checkMasks({ cores, leases, versions }: Scheduler): void {
  const lead = new Int32Array(cores.coreCountMax).fill(-1);
  for (let core = 0; core < cores.coreCountMax; core++) {
    if (!leases.isLead(core)) continue;
    const coreCount = versions.coreCount(leases.version(core));
    const mask = coreCount > 1 ? leases.mask(core) : 0;
    assert(isLedBy(core, mask), `core ${core} is the lead of mask ${mask}`);
    assert(mask === 0 || coreCountOf(mask) === coreCount, `core ${core}: mask ${mask} for ${coreCount} cores`);
    for (const each of coresOf(core, mask)) {
      assert(lead[each] === -1, `core ${each} is in the leases of ${lead[each]} and ${core}`);
      assert(leases.isLeased(each), `core ${each} is in the lease of ${core} and not leased`);
      assert(leases.sequence(each) === leases.sequence(core), `core ${each} has not the sequence of its lead ${core}`);
      lead[each] = core;
    }
  }
  for (let core = 0; core < cores.coreCountMax; core++)
    assert(leases.isLeased(core) === lead[core]! >= 0, `core ${core} is leased and in no lease`);
}

/** Links and counts agree, and every entry is where its memory puts it. */
function checkQueue(scheduler: Scheduler): void {
  const { queue } = scheduler;
  const seen = new Set<number>();
  for (let queueClass = 0; queueClass < queue.classCount; queueClass++) {
    for (const entry of queue.inClass(queueClass)) {
      const request = queue.request(entry);
      assert(!seen.has(request), `request ${request} is queued twice`);
      seen.add(request);
      assert(queue.isWaiting(request) && queue.entryOf(request) === entry, `request ${request} has lost its entry`);
      const memoryMb = queue.memoryMb(entry);
      const coreCount = scheduler.versions.coreCount(queue.version(entry));
      const right = classOf(memoryMb, coreCount, scheduler.versions.isDedicated(queue.version(entry)));
      assert(right === queueClass, `request ${request}: ${coreCount} cores, ${memoryMb} MB, is in class ${queueClass}`);
    }
  }
  const inOrder = [...queue.inOrder()];
  assert(inOrder.length === seen.size && inOrder.every((entry) => seen.has(queue.request(entry))), 'the order of all');
  inOrder.forEach((entry, i) => {
    const older = inOrder[i - 1];
    assert(older === undefined || !queue.isOlder(entry, older), `request ${queue.request(entry)} is out of order`);
  });
  assert(seen.size === queue.length, `${seen.size} requests are linked, counted ${queue.length}`);
  const { keptFor, keptHome } = scheduler.overtaking;
  const isKept = keptFor >= 0 && seen.has(queue.request(keptFor));
  assert(isKept === keptHome >= 0, `the worker at ${keptHome} is kept for nobody`);
  // Beside other shards it is seen at the next look.
  const isVain = !scheduler.isShared && isKept && scheduler.overtaking.isVain();
  assert(!isVain, `the worker at ${keptHome} is kept and can never hold it`);
}

/** What functions and versions count as running or waiting does. */
function checkFunctions(shards: readonly Scheduler[]): void {
  const { functions, versions, leases, cores, limits } = shards[0]!;
  const ofVersion = new Int32Array(limits.versionCountMax);
  const ofFunction = new Int32Array(limits.functionCountMax);
  for (let core = 0; core < cores.coreCountMax; core++) {
    if (leases.isLead(core)) ofVersion[leases.version(core)]! += 1;
  }
  for (const { queue } of shards) for (const entry of queue.inOrder()) ofVersion[queue.version(entry)]! += 1;
  ofVersion.forEach((count, version) => {
    const counted = versions.running(version);
    assert(count === counted, `version ${version}: ${count} run or wait, counted ${counted}`);
    ofFunction[versions.functionOf(version)]! += count;
  });
  ofFunction.forEach((count, fn) => {
    assert(count === functions.running(fn), `function ${fn}: ${count} run or wait, counted ${functions.running(fn)}`);
  });
}

function checkSummary({ summary, extras, workers, rooms, workerCount }: Scheduler): void {
  for (const [of, isExtra] of [
    [summary, false],
    [extras, true],
  ] as const) {
    assert(of.agrees(), 'a node of the summary is not the greatest of its children');
    for (let worker = 0; worker < workerCount; worker++) {
      const home = workers.homeOf(worker);
      const room = isExtra ? rooms.ofExtras(home) : rooms.of(home);
      assert(of.room(home) === room, `worker ${worker} has room ${room}, the summary says ${of.room(home)}`);
    }
  }
}

/** Nobody is led to an extra seat by a list or a hint. */
function checkExtras({ cores, idleList, versions, warm }: Scheduler): void {
  const isExtra = (core: number): boolean => cores.isExtra(core, cores.homeOf(core));
  for (const core of idleList.listed()) assert(!isExtra(core), `extra seat ${core} is in the idle list`);
  for (let version = 0; version < versions.end; version++) {
    for (let i = 0; i < warm.count(version); i++) {
      assert(!isExtra(warm.peek(version)), `a hint of version ${version} leads to extra seat ${warm.peek(version)}`);
      // As often as there are hints: then they are in their order again.
      warm.sink(version);
    }
  }
}

/** Nobody who is first of his class waits while a worker that is not kept has an idle core that he may have, and the memory. */
function checkWorkConserving(scheduler: Scheduler): void {
  const { queue, workers, cores, overtaking, versions } = scheduler;
  for (let queueClass = 0; queueClass < queue.classCount; queueClass++) {
    for (const head of queue.inClass(queueClass)) {
      const memoryMb = queue.memoryMb(head);
      const version = queue.version(head);
      for (let worker = 0; worker < scheduler.workerCount; worker++) {
        const home = workers.homeOf(worker);
        if (home === overtaking.homeKept && head !== overtaking.keptFor) continue;
        const isIdle =
          cores.mostIdleCount(home) >= versions.coreCount(version) ||
          (!versions.isDedicated(version) && cores.hasIdleExtra(home));
        assert(
          !isIdle || workers.free(home) < memoryMb,
          `request ${queue.request(head)} (${memoryMb} MB) waits, and worker ${worker} could serve it`,
        );
      }
      break;
    }
  }
}

/** Nobody waits beside an idle core for whom a worker is known to keep an instance. Hints beyond the first few are not looked at. */
function checkProvisioned(scheduler: Scheduler): void {
  const { queue, versions, warm, cores, provisioned } = scheduler;
  // Who stands back for another shard does not look; for a second at most, as turns.ts has it.
  if (scheduler.isShared && scheduler.turns.toStandBackFor() >= 0) return;
  let looks = 0;
  for (const entry of queue.inOrder()) {
    if (++looks > LOOK_MAX) return;
    const version = queue.version(entry);
    if (versions.provisioned(version) === 0 || warm.count(version) > HINT_TRIES) continue;
    for (let i = 0; i < warm.count(version); i++) {
      const passes = provisioned.mayPass(version, cores.homeOf(warm.peek(version)));
      assert(!passes, `request ${queue.request(entry)} waits, and an instance is kept for it`);
      // As often as there are hints: then they are in their order again.
      warm.sink(version);
    }
  }
}
