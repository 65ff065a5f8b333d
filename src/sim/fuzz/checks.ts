/**
 * What must hold of the cluster as a whole, beside what each machine checks of itself. Some of these hold only while nothing is on its way and nothing was lost: then
 * what the scheduler believes is what the workers have.
 */
import { assert } from '../../base/assert.ts';
import { placeOfSeat } from '../../base/seats.ts';
import { State } from '../../gateway/cluster/machine/request-table.ts';
import { SCHEDULER, type SchedulerHost } from './scheduler-host.ts';
import type { FuzzWorld } from './world.ts';

/** What was lost with a connection or a node is found by sweeps and probes within that. */
const FOUND_US = 10_000_000;
const ALL_STEPS = 64;

/** All is looked at that the last step can have changed; and now and then everything, should something have reached further than it may. */
export function checkWorld(world: FuzzWorld): void {
  const isAll = world.time.owner === '' || world.history.step % ALL_STEPS === 0;
  const isConcerned = (name: string): boolean => isAll || world.time.owner === name;
  if (isConcerned(SCHEDULER)) world.schedulers().forEach(checkScheduler);
  for (const gateway of world.gateways) if (gateway !== null && isConcerned(gateway.name)) gateway.check();
  for (const worker of world.workers) if (worker !== null && isConcerned(worker.name)) worker.check();
  if (!isSettled(world)) return;
  checkLeases(world);
  checkSeats(world);
}

function checkScheduler(scheduler: SchedulerHost): void {
  if (!scheduler.isQuiet) return;
  scheduler.parts.check();
  checkSeveral(scheduler);
}

/** Bounded overtaking: the oldest who waits, if it wants several cores, has a worker kept for it, or there is none that could ever hold it. */
function checkSeveral({ parts }: SchedulerHost): void {
  const { shards } = parts;
  if (shards.length > 1) return;
  const { queue, overtaking, workers } = shards[0]!.machine;
  if (queue.length === 0) return;
  const oldest = queue.oldest();
  if (!queue.isSeveral(oldest) || overtaking.keptHome >= 0) return;
  for (let worker = 0; worker < workers.count; worker++)
    assert(
      !overtaking.couldHold(workers.homeOf(worker), queue.version(oldest)),
      `starved: request ${queue.request(oldest)} wants several cores, is the oldest, and no worker is kept for it`,
    );
}

function isSettled({ scheduler, net, time, lastFaultUs, gateways, workers }: FuzzWorld): boolean {
  if (time.nowUs() < lastFaultUs + FOUND_US || !scheduler.isQuiet || net.inFlightCount > 0) return false;
  return gateways.every((gateway) => gateway?.machine.isConnected) && workers.every((worker) => worker?.node.isJoined);
}

/** No core is lost on the way: what is leased is held at a worker, or waits at its gateway for a connection there. */
function checkLeases({ scheduler, workers, gateways }: FuzzWorld): void {
  // Of these one does not know how many cores they have.
  if (gateways.some((gateway) => gateway!.machine.count(State.granted) > 0)) return;
  const held = workers.reduce((sum, worker) => sum + worker!.agent.heldCount, 0);
  const { leasedCount } = scheduler.parts.shards[0]!.machine;
  assert(
    leasedCount === held,
    `the scheduler counts ${leasedCount} cores as leased, and workers hold ${held}; nothing is on its way`,
  );
}

/** What may be granted is what its worker has open, from the machine of sharing to the scheduler: a seat that is forgotten is nobody's, for ever. */
function checkSeats({ scheduler, workers }: FuzzWorld): void {
  const { members } = scheduler.parts.control;
  for (const worker of workers) {
    const { name, node, agent } = worker!;
    const member = members.named(name)!;
    for (let seat = 0; seat < agent.seatCount; seat++) {
      const at = placeOfSeat(member, seat);
      const isClosed = ((member.withdrawn[at >>> 5]! >>> (at & 31)) & 1) === 1;
      const isMeant = node.cores.isWithdrawn || agent.isClosed(seat);
      assert(
        isClosed === isMeant,
        `seat ${seat} of ${name} is ${isMeant ? 'closed' : 'open'}, and to the scheduler it is not; nothing is on its way`,
      );
    }
  }
}
