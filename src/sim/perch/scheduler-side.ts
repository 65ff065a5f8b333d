/** What the scheduler is to gateways and workers, whether it has one shard or several. Whoever calls has let the message travel. */
import { forgetWorker } from '../../scheduler/machine/membership.ts';
import { Grant } from '../../scheduler/machine/actions.ts';
import { outcome, Scheduler } from '../../scheduler/machine/scheduler.ts';
import type { World } from '../world.ts';
import { type Announced, Membership } from './membership.ts';
import type { ResidentKinds } from './resident-kinds.ts';
import { enterCluster, limitsOf, type Seats } from './seats.ts';

export interface SchedulerSetup {
  readonly world: World;
  readonly seats: Seats;
  readonly kinds: ResidentKinds;
  readonly queueMax: number;
}

export interface SchedulerEvents {
  /** `mask`: all cores of the lease, as core-mask.ts says; 0: that seat alone. It leaves the scheduler `grantDelayUs` later. */
  granted(job: number, seat: number, sequence: number, mask: number): void;
  refused(job: number): void;
}

export interface SchedulerSide {
  /** What a decision takes beyond what the scheduler itself lets pass. */
  readonly grantDelayUs: number;
  /** How many wait for a core. */
  readonly waitingCount: number;
  /** `waitedUs`: how long it has waited elsewhere, as the step of a chain; -1: it is new. */
  request(job: number, waitedUs: number): void;
  release(seat: number, sequence: number, isWarm: boolean): void;
  noMemory(seat: number, sequence: number): void;
  openSeat(seat: number): void;
  closeSeat(seat: number): void;
  roomAvailable(server: number): void;
  warmed(server: number, version: number): void;
  evicted(server: number, version: number): void;
  /** Of faults: it knows that the server is there, or has been told. */
  isHere(server: number): boolean;
  /** Nothing is heard of the server any more: what was leased there has ended. */
  left(server: number): void;
  /** It is there again, and says what it runs. */
  joined(server: number, announced: Announced): void;
  /** Another scheduler, of the next epoch, which knows nobody yet. */
  renew(): void;
  counters(): Readonly<Record<string, number>>;
  check(): void;
}

const US_PER_TICK = 1000;

/** The cluster's scheduler with one shard. Each event is followed by the grants that it caused. */
export class CentralScheduler implements SchedulerSide {
  machine: Scheduler;
  readonly grantDelayUs: number;
  readonly #world: World;
  readonly #seats: Seats;
  readonly #events: SchedulerEvents;
  readonly #setup: SchedulerSetup;
  readonly #grant = new Grant();
  /** Where faults are. */
  #membership: Membership | null = null;

  constructor(setup: SchedulerSetup, events: SchedulerEvents) {
    const { world, seats, kinds, queueMax } = setup;
    this.#setup = setup;
    this.#world = world;
    this.#seats = seats;
    this.#events = events;
    this.grantDelayUs = world.costs.decisionUs;
    this.machine = new Scheduler(limitsOf(world, seats, queueMax));
    if (world.faults === null) enterCluster(world, seats, kinds, this.machine);
    else this.#membership = new Membership(world, { seats, kinds, machine: this.machine });
  }

  get waitingCount(): number {
    return this.machine.queue.length;
  }

  request(job: number, waitedUs: number): void {
    const { machine } = this;
    // The last one is nobody's.
    if (job >= machine.limits.requestCountMax - 1) return this.#events.refused(job);
    const version = this.#world.jobs.functionOf(job);
    machine.tellTime(this.#world.nowUs / US_PER_TICK);
    const answer =
      waitedUs < 0
        ? machine.request(job, version)
        : machine.requestAgain(job, version, Math.floor(waitedUs / US_PER_TICK));
    if (answer > outcome.queued) this.#events.refused(job);
    this.#carryOut();
  }

  release(seat: number, sequence: number, isWarm: boolean): void {
    if (this.#membership?.endEarlier(seat, isWarm) !== true)
      this.machine.release(this.#seats.coreOf[seat]!, sequence, isWarm);
    this.#carryOut();
  }

  noMemory(seat: number, sequence: number): void {
    this.machine.noMemory(this.#seats.coreOf[seat]!, sequence);
    this.#carryOut();
  }

  openSeat(seat: number): void {
    if (this.#membership === null) this.machine.giveBack(this.#seats.coreOf[seat]!);
    else this.#membership.setSeat(seat, true);
    this.#carryOut();
  }

  closeSeat(seat: number): void {
    if (this.#membership === null) this.machine.withdraw(this.#seats.coreOf[seat]!);
    else this.#membership.setSeat(seat, false);
    this.#carryOut();
  }

  roomAvailable(server: number): void {
    this.machine.memoryAvailable(server);
    this.#carryOut();
  }

  warmed(server: number, version: number): void {
    this.machine.warmed(server, version);
    this.#carryOut();
  }

  evicted(server: number, version: number): void {
    this.machine.evicted(server, version);
  }

  isHere(server: number): boolean {
    return this.#membership?.isHere(server) ?? true;
  }

  left(server: number): void {
    this.#membership!.leave(server);
    forgetWorker(this.machine, server);
    this.#settle();
  }

  joined(server: number, announced: Announced): void {
    this.#membership!.join(server, announced);
    this.#settle();
  }

  renew(): void {
    const { world, seats, kinds, queueMax } = this.#setup;
    this.machine = new Scheduler(limitsOf(world, seats, queueMax, this.machine.epoch + 1));
    this.#membership = new Membership(world, { seats, kinds, machine: this.machine });
  }

  counters(): Readonly<Record<string, number>> {
    const { machine } = this;
    return {
      'grants of extra seats': machine.count('grantExtra'),
      'stale hints': machine.count('staleWarmHints') + machine.count('staleIdleReferences'),
      'refused for memory by workers': machine.count('noMemory'),
    };
  }

  check(): void {
    this.machine.checkInvariants();
  }

  #settle(): void {
    this.machine.settleBatch();
    this.#carryOut();
  }

  #carryOut(): void {
    const grant = this.#grant;
    while (this.machine.takeGrant(grant))
      this.#events.granted(grant.request, this.#seats.seatOf[grant.core]!, grant.sequence, grant.mask);
  }
}
