/** Perch's own, with cores that are shared: beside the shipped scheduler machine the shipped sharing machine on each server. */
import { CentralScheduler } from '../../perch/scheduler-side.ts';
import { WarmFleet } from '../../perch/fleet.ts';
import { PerchPlatform } from '../../perch/platform.ts';
import { Seats } from '../../perch/seats.ts';
import { Workers } from '../../perch/workers.ts';
import { Sharing, type SharingPolicy } from '../../../worker/machine/sharing.ts';
import type { OptionSpec, OptionSpecs, OptionValues, Policy, PolicyKind } from '../../policy.ts';
import type { World } from '../../world.ts';

/** As the agent's (worker/agent/core-sharing.ts). */
const LEND_AFTER_US = 1000;
const QUANTUM_US = 2000;

const QUEUE: OptionSpec = { help: 'requests that may wait', default: 100_000, min: 1, max: 200_000 };
const K = (help: string, k: number): OptionSpec => ({ help, default: k, min: 1, max: 64 });
const LEND_AFTER: OptionSpec = {
  help: 'how long a holder sleeps before its core is lent, µs',
  default: LEND_AFTER_US,
  min: 0,
  max: 1e9,
};
const QUANTUM: OptionSpec = {
  help: 'CPU time after which one goes behind those who come new, and again at each doubling, µs',
  default: QUANTUM_US,
  min: 1,
  max: 1e9,
};

function make(sharing: SharingPolicy, world: World, options: OptionValues): Policy {
  const { serverCount, coreCount } = world.cluster;
  const perCore = numberOf(options, 'k', 1);
  const extraSeatCount = sharing === 'dedicated' ? 0 : (perCore - 1) * coreCount;
  const seats = new Seats({ serverCount, coreCount, extraSeatCount });
  const limits = {
    coreCount,
    extraSeatCount,
    policy: sharing,
    perCore,
    lendAfterUs: numberOf(options, 'lendAfter', LEND_AFTER_US),
    quantumUs: numberOf(options, 'quantum', QUANTUM_US),
  };
  return new PerchPlatform({
    world,
    seats,
    scheduler: (events) => new CentralScheduler(world, seats, options['queue'] as number, events),
    workers: (events) =>
      new Workers({
        world,
        seats,
        sharing: () => new Sharing(limits),
        isFair: sharing === 'fair',
        wantsUsage: sharing === 'preempt',
        fleet: (fleetEvents) => new WarmFleet(fleetEvents),
        events,
      }),
  });
}

function numberOf(options: OptionValues, name: string, otherwise: number): number {
  return (options[name] as number | undefined) ?? otherwise;
}

function kind(sharing: SharingPolicy, summary: string, source: string, options: OptionSpecs): PolicyKind {
  return {
    name: `perch-${sharing}`,
    summary,
    source,
    options: { queue: QUEUE, ...options },
    make: (world, values) => make(sharing, world, values),
  };
}

const SOCC21 = 'Tell me when you are sleepy and what may wake you up!, SoCC 2021';

export const perchSharing: readonly PolicyKind[] = [
  kind(
    'dedicated',
    'each invocation has a core of its own, awake or asleep',
    'Kaffes, Yadwadkar, Kozyrakis: Centralized Core-granular Scheduling for Serverless Functions, SoCC 2019',
    {},
  ),
  kind('lend', 'a core whose holder sleeps is lent, and is its holder’s again at once when it wakes', SOCC21, {
    k: K('invocations for each core at most, while others sleep', 8),
    lendAfter: LEND_AFTER,
  }),
  kind('packed', 'k invocations for each core; who came first goes first', SOCC21, {
    k: K('invocations for each core', 3),
  }),
  kind(
    'preempt',
    'foreground–background: who comes new goes before those that have run, which form one pool for each server',
    'Nuyens, Wierman: The Foreground–Background queue: a survey, Performance Evaluation 2008',
    { k: K('invocations for each core at most', 8), quantum: QUANTUM },
  ),
  kind('fair', 'k invocations for each core, and the kernel shares all cores of a server among them', SOCC21, {
    k: K('invocations for each core', 3),
  }),
];
