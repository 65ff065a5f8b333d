/**
 * The scheduler's invariants, checked whole: as many steps as there are cores, requests and hints, so for tests and
 * the simulator only. Named as in the design: "no core is lost or granted twice", "work-conserving", "bounded".
 */
import { assert } from '../../base/assert.ts';
import type { Scheduler } from './scheduler.ts';
import { functionOf, memoryOf } from './versions.ts';

export function checkInvariants(scheduler: Scheduler): void {
  checkCores(scheduler);
  checkQueue(scheduler);
  checkFunctions(scheduler);
  checkSummary(scheduler);
  checkWorkConserving(scheduler);
}

/** Every core in exactly one state, and the counters and the reserved memory as the states say. */
function checkCores(scheduler: Scheduler): void {
  const { cores, leases, workers } = scheduler;
  const reservedMb = new Int32Array(scheduler.workerCount);
  const holders = new Set<number>();
  let idle = 0;
  let leased = 0;
  let withdrawn = 0;
  for (let core = 0; core < cores.coreCountMax; core++) {
    const states = Number(cores.isIdle(core)) + Number(cores.isWithdrawn(core)) + Number(leases.isLeased(core));
    const expected = cores.isRegistered(core) ? 1 : 0;
    assert(states === expected, `core ${core} is in ${states} states, has to be in ${expected}`);
    if (cores.isIdle(core)) idle++;
    if (cores.isWithdrawn(core)) withdrawn++;
    if (!leases.isLeased(core)) continue;
    leased++;
    assert(!holders.has(leases.request(core)), `request ${leases.request(core)} holds two cores`);
    holders.add(leases.request(core));
    reservedMb[cores.workerOf(core)]! += memoryOf(leases.functionMemory(core));
  }
  assert(idle === scheduler.idleCount, `${idle} idle cores, counted ${scheduler.idleCount}`);
  assert(leased === scheduler.leasedCount, `${leased} leased cores, counted ${scheduler.leasedCount}`);
  assert(withdrawn === scheduler.withdrawnCount, `${withdrawn} withdrawn cores, counted ${scheduler.withdrawnCount}`);
  assert(idle + leased + withdrawn === scheduler.registeredCount, 'idle + leased + withdrawn = registered');
  for (let worker = 0; worker < scheduler.workerCount; worker++) {
    const sum = reservedMb[worker]!;
    assert(
      sum === workers.reserved(worker),
      `worker ${worker}: ${sum} MB leased, ${workers.reserved(worker)} reserved`,
    );
    assert(workers.free(worker) >= 0 || workers.capacity(worker) < 0, `worker ${worker}: reserved more than it has`);
  }
  assert(scheduler.idleList.agrees(), 'the idle list and its bits differ');
}

/** Links and counts agree; nobody waits who holds a core; the bound holds. */
function checkQueue(scheduler: Scheduler): void {
  const { queue } = scheduler;
  const seen = new Set<number>();
  for (let sizeClass = 0; sizeClass < queue.sizeClassCount; sizeClass++) {
    for (const request of queue.inSizeClass(sizeClass)) {
      assert(!seen.has(request), `request ${request} is queued twice`);
      seen.add(request);
      assert(queue.isWaiting(request), `request ${request} is queued and does not wait`);
      const memoryMb = memoryOf(queue.functionMemory(request));
      assert(31 - Math.clz32(memoryMb) === sizeClass, `request ${request} of ${memoryMb} MB is in class ${sizeClass}`);
    }
  }
  assert(seen.size === queue.length, `${seen.size} requests are linked, counted ${queue.length}`);
  for (let core = 0; core < scheduler.cores.coreCountMax; core++) {
    assert(!seen.has(scheduler.requestOf(core)), `request ${scheduler.requestOf(core)} waits and holds core ${core}`);
  }
  const { keptFor, keptWorker } = scheduler.overtaking;
  assert(keptFor < 0 ? keptWorker < 0 : seen.has(keptFor), `worker ${keptWorker} is kept for nobody`);
}

function checkFunctions(scheduler: Scheduler): void {
  const { functions, queue, leases, cores, limits } = scheduler;
  const running = new Int32Array(limits.functionCountMax);
  for (let core = 0; core < cores.coreCountMax; core++) {
    if (leases.isLeased(core)) running[functionOf(leases.functionMemory(core))]! += 1;
  }
  for (let sizeClass = 0; sizeClass < queue.sizeClassCount; sizeClass++) {
    for (const request of queue.inSizeClass(sizeClass)) running[functionOf(queue.functionMemory(request))]! += 1;
  }
  running.forEach((count, fn) => {
    assert(count === functions.running(fn), `function ${fn}: ${count} run or wait, counted ${functions.running(fn)}`);
  });
}

function checkSummary(scheduler: Scheduler): void {
  const { summary, workers, cores } = scheduler;
  assert(summary.agrees(), 'a node of the summary is not the greatest of its children');
  for (let worker = 0; worker < scheduler.workerCount; worker++) {
    const open = cores.hasIdle(worker) && worker !== scheduler.overtaking.keptWorker;
    const room = open ? workers.free(worker) : -1;
    assert(
      summary.room(worker) === room,
      `worker ${worker} has room ${room}, the summary says ${summary.room(worker)}`,
    );
  }
}

/** Nobody who is first of his size class waits while a worker that is not kept has an idle core and the memory. */
function checkWorkConserving(scheduler: Scheduler): void {
  const { queue, workers, cores, overtaking } = scheduler;
  for (let sizeClass = 0; sizeClass < queue.sizeClassCount; sizeClass++) {
    for (const head of queue.inSizeClass(sizeClass)) {
      const memoryMb = memoryOf(queue.functionMemory(head));
      for (let worker = 0; worker < scheduler.workerCount; worker++) {
        if (worker === overtaking.keptWorker && head !== overtaking.keptFor) continue;
        const fits = cores.hasIdle(worker) && workers.free(worker) >= memoryMb;
        assert(!fits, `request ${head} (${memoryMb} MB) waits, and worker ${worker} could serve it`);
      }
      break;
    }
  }
}
