/** Puts a policy of Perch's together: how cores are shared, where instances come from, and what the scheduler is. */
import { Sharing, type SharingPolicy } from '../../worker/machine/sharing.ts';
import type { OptionValues } from '../policy.ts';
import type { World } from '../world.ts';
import { type Fleet, type FleetEvents, WarmFleet } from './fleet.ts';
import { LEND_AFTER_US, numberOf, QUANTUM_US } from './options.ts';
import { PerchPlatform } from './platform.ts';
import { ResidentKinds } from './resident-kinds.ts';
import { type Isolation, RealFleet } from './real-fleet.ts';
import { CentralScheduler, type SchedulerEvents, type SchedulerSetup, type SchedulerSide } from './scheduler-side.ts';
import { Seats } from './seats.ts';
import { type ServerSharing, Workers } from './workers.ts';

export interface PerchParts {
  readonly sharing: SharingPolicy;
  /** Of one server, in the place of the shipped machine. */
  readonly sharingOf?: (coreCount: number, extraSeatCount: number) => ServerSharing;
  readonly schedulerOf?: (setup: SchedulerSetup, events: SchedulerEvents) => SchedulerSide;
}

export function makePerch(
  { sharing, sharingOf, schedulerOf }: PerchParts,
  world: World,
  options: OptionValues,
): PerchPlatform {
  const { serverCount, coreCount } = world.cluster;
  const perCore = numberOf(options, 'k', 1);
  const kinds = new ResidentKinds(world.workload, options);
  // For what spare ones have of the cores' own seats there are as many more (worker/agent/sharing-setting.ts).
  const spareSeatCount = kinds.hasSpare ? coreCount : 0;
  const extraSeatCount = sharing === 'dedicated' ? 0 : (perCore - 1) * coreCount + spareSeatCount;
  const seats = new Seats({ serverCount, coreCount, extraSeatCount });
  const limits = {
    coreCount,
    extraSeatCount,
    spareSeatCount,
    policy: sharing,
    perCore,
    lendAfterUs: numberOf(options, 'lendAfter', LEND_AFTER_US),
    quantumUs: numberOf(options, 'quantum', QUANTUM_US),
  };
  const schedulerSetup = { world, seats, kinds, queueMax: numberOf(options, 'queue') };
  return new PerchPlatform({
    world,
    seats,
    kinds,
    scheduler: (events) => schedulerOf?.(schedulerSetup, events) ?? new CentralScheduler(schedulerSetup, events),
    workers: (events) =>
      new Workers({
        world,
        seats,
        kinds,
        sharing: () => sharingOf?.(coreCount, extraSeatCount) ?? new Sharing(limits),
        isFair: sharing === 'fair',
        wantsUsage: sharing === 'preempt',
        fleet: (fleetEvents) => fleetOf(world, seats, options, fleetEvents),
        events,
      }),
  });
}

function fleetOf(world: World, seats: Seats, options: OptionValues, events: FleetEvents): Fleet {
  if (options['workers'] !== 'real') return new WarmFleet(events);
  const isolation = options['isolation'] as Isolation;
  const forkUs = numberOf(options, 'fork');
  return new RealFleet({ world, seats, isolation, forkUs, exitUs: numberOf(options, 'exit') }, events);
}
