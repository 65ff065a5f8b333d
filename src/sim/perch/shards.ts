/**
 * The cluster's scheduler with several shards, as docs/decisions/011-shards-as-threads.md has it: machines over one shared memory, of which each is a thread, and
 * one more for the control, which opens and closes seats. In virtual time a thread is a queue of frames and a time until which it is at work.
 *
 * A *turn* takes the frames that have come, decides them at its end, and settles the batch. A decision is two frames, a request and a release, and `decisionUs` was
 * measured of both together (docs/CALIBRATION.md): so each takes half of it. A shard whose bell has rung meanwhile, and that sleeps, hears it `bellUs` later.
 * Frames from one shard to another, that an invocation asked for there has ended here, take as long.
 *
 * What is counted: grants of cores of a worker that is connected to another shard (steals); how often somebody came to wait beside an idle core, and for
 * how long: it is what the delay of the bell costs.
 */
import { assert } from '../../base/assert.ts';
import { Grant } from '../../scheduler/machine/actions.ts';
import { checkInvariants } from '../../scheduler/machine/invariants.ts';
import { forgetWorker } from '../../scheduler/machine/membership.ts';
import { makeMemory } from '../../scheduler/machine/memory.ts';
import { outcome, Scheduler } from '../../scheduler/machine/scheduler.ts';
import { FrameQueue } from './frame-queue.ts';
import { type Announced, Membership } from './membership.ts';
import type { SchedulerEvents, SchedulerSetup, SchedulerSide } from './scheduler-side.ts';
import { enterCluster, limitsOf } from './seats.ts';

const Frame = {
  request: 0,
  release: 1,
  noMemory: 2,
  openSeat: 3,
  closeSeat: 4,
  roomAvailable: 5,
  warmed: 6,
  evicted: 7,
  releaseCold: 8,
} as const;

const NONE = -1;
const US_PER_TICK = 1000;
const FORGET_US = 1e6;
const FRAMES_PER_DECISION = 2;
/** A server and a shard in one number of an event. */
const SHARD_BITS = 7;
const SHARD_MASK = 127;

export interface ShardsSetup extends SchedulerSetup {
  readonly shardCount: number;
  /** How a request finds its shard: drawn at random, as the kernel spreads connections, or by its function. */
  readonly route: 'random' | 'function';
  readonly bellUs: number;
  /** Frames of one turn at most. */
  readonly batchMax: number;
}

export class ShardedScheduler implements SchedulerSide {
  /** A shard's own work lets time pass here. */
  readonly grantDelayUs = 0;
  readonly #setup: ShardsSetup;
  readonly #events: SchedulerEvents;
  /** The last one is the control's. */
  #machines: readonly Scheduler[];
  #inboxes: readonly FrameQueue[];
  /** Where faults are, over the control's machine. */
  #membership: Membership | null = null;
  /** The scheduler's: what was put off in an earlier one counts for nothing. */
  #life = 0;
  /** By shard: frames of its turn; 0: it sleeps. */
  readonly #taken: Int32Array;
  readonly #hasBell: Uint8Array;
  /** By seat: which shard granted it. */
  readonly #grantedBy: Int32Array;
  readonly #random;
  readonly #grant = new Grant();
  readonly #frameUs: number;
  readonly #kinds: {
    readonly turned: number;
    readonly rung: number;
    readonly mailed: number;
    readonly forgets: number;
  };
  #isForgetting = false;
  #grantCount = 0;
  #stealCount = 0;
  #besideCount = 0;
  #besideUs = 0;
  /** Since when somebody waits beside an idle core; -1: nobody does. */
  #besideSinceUs = NONE;

  constructor(setup: ShardsSetup, events: SchedulerEvents) {
    const { world, seats, shardCount } = setup;
    const { engine } = world;
    this.#setup = setup;
    this.#events = events;
    this.#machines = this.#machinesOf(1);
    this.#inboxes = this.#machines.map(() => new FrameQueue());
    this.#taken = new Int32Array(shardCount + 1);
    this.#hasBell = new Uint8Array(shardCount + 1);
    this.#grantedBy = new Int32Array(seats.totalCount);
    this.#random = world.random('policy');
    this.#frameUs = world.costs.decisionUs / FRAMES_PER_DECISION;
    this.#kinds = {
      turned: engine.kind((shard, life) => {
        if (life === this.#life) this.#turn(shard);
      }),
      rung: engine.kind((shard, life) => {
        if (life === this.#life) this.#hear(shard);
      }),
      mailed: engine.kind((to, version) => this.#send(to & SHARD_MASK, Frame.warmed, to >>> SHARD_BITS, version)),
      forgets: engine.kind(() => this.#forget()),
    };
    this.#enter();
  }

  #machinesOf(epoch: number): readonly Scheduler[] {
    const { world, seats, queueMax, shardCount } = this.#setup;
    const limits = limitsOf(world, seats, queueMax, epoch);
    const memory = makeMemory(limits, shardCount + 1);
    return Array.from({ length: shardCount + 1 }, (_, shard) => new Scheduler(limits, { memory, shard }));
  }

  #enter(): void {
    const { world, seats, kinds, shardCount } = this.#setup;
    const machine = this.#machines[shardCount]!;
    if (world.faults === null) enterCluster(world, seats, kinds, machine);
    else this.#membership = new Membership(world, { seats, kinds, machine });
    this.#settle(shardCount);
  }

  get waitingCount(): number {
    let count = 0;
    for (const { queue } of this.#machines) count += queue.length;
    return count;
  }

  request(job: number, waitedUs: number): void {
    const { world } = this.#setup;
    // The last one is nobody's.
    if (job >= this.#machines[0]!.limits.requestCountMax - 1) return this.#events.refused(job);
    this.#keepForgetting();
    const waitedTicks = waitedUs < 0 ? NONE : Math.floor(waitedUs / US_PER_TICK);
    this.#send(this.#routeOf(world.jobs.functionOf(job)), Frame.request, job, waitedTicks);
  }

  release(seat: number, sequence: number, isWarm: boolean): void {
    this.#send(this.#shardOf(seat), isWarm ? Frame.release : Frame.releaseCold, seat, sequence);
  }

  noMemory(seat: number, sequence: number): void {
    this.#send(this.#shardOf(seat), Frame.noMemory, seat, sequence);
  }

  openSeat(seat: number): void {
    this.#send(this.#setup.shardCount, Frame.openSeat, seat, 0);
  }

  closeSeat(seat: number): void {
    this.#send(this.#setup.shardCount, Frame.closeSeat, seat, 0);
  }

  roomAvailable(server: number): void {
    this.#send(server % this.#setup.shardCount, Frame.roomAvailable, server, 0);
  }

  warmed(server: number, version: number): void {
    this.#send(server % this.#setup.shardCount, Frame.warmed, server, version);
  }

  /** Every shard may have hints of its own; the control tells them. */
  evicted(server: number, version: number): void {
    for (let shard = 0; shard < this.#setup.shardCount; shard++) this.#send(shard, Frame.evicted, server, version);
  }

  isHere(server: number): boolean {
    return this.#membership?.isHere(server) ?? true;
  }

  left(server: number): void {
    this.#membership!.leave(server);
    for (const machine of this.#machines) forgetWorker(machine, server);
    this.#settle(this.#setup.shardCount);
  }

  joined(server: number, announced: Announced): void {
    this.#membership!.join(server, announced);
    this.#settle(this.#setup.shardCount);
  }

  renew(): void {
    this.#life++;
    this.#machines = this.#machinesOf(this.#machines[0]!.epoch + 1);
    this.#inboxes = this.#machines.map(() => new FrameQueue());
    this.#taken.fill(0);
    this.#hasBell.fill(0);
    this.#enter();
  }

  counters(): Readonly<Record<string, number>> {
    const sum = (name: 'staleWarmHints' | 'staleIdleReferences' | 'grantExtra' | 'noMemory'): number =>
      this.#machines.reduce((all, machine) => all + machine.count(name), 0);
    return {
      steals: this.#stealCount,
      'steals of 1,000 grants': this.#grantCount === 0 ? 0 : (1000 * this.#stealCount) / this.#grantCount,
      'stale hints': sum('staleWarmHints') + sum('staleIdleReferences'),
      'grants of extra seats': sum('grantExtra'),
      'refused for memory by workers': sum('noMemory'),
      'times that somebody waited beside an idle core': this.#besideCount,
      'µs in which somebody did': Math.round(this.#besideUs),
    };
  }

  /** The machines' own hold when no bell is on its way. */
  check(): void {
    const { idleCount, leasedCount, withdrawnCount, registeredCount } = this.#machines[0]!;
    assert(idleCount + leasedCount + withdrawnCount === registeredCount, 'idle + leased + withdrawn = registered');
    if (this.#machines.every(({ bells }) => !bells.isRung)) checkInvariants(this.#machines);
  }

  #shardOf(seat: number): number {
    return this.#setup.seats.serverOf[seat]! % this.#setup.shardCount;
  }

  #routeOf(version: number): number {
    const { route, shardCount } = this.#setup;
    return route === 'random' ? this.#random.below(shardCount) : (Math.imul(version, 0x9e3779b1) >>> 0) % shardCount;
  }

  #send(shard: number, frame: number, a: number, b: number): void {
    this.#inboxes[shard]!.push(frame, a, b);
    if (this.#taken[shard] === 0) this.#beginTurn(shard);
  }

  #beginTurn(shard: number): void {
    const { world, batchMax } = this.#setup;
    const count = Math.min(this.#inboxes[shard]!.length, batchMax);
    this.#taken[shard] = count;
    if (count === 0) return;
    // What a thread can do at once takes no event.
    if (this.#frameUs === 0) this.#turn(shard);
    else world.engine.after(count * this.#frameUs, this.#kinds.turned, shard, this.#life);
  }

  #turn(shard: number): void {
    const inbox = this.#inboxes[shard]!;
    const machine = this.#machines[shard]!;
    machine.tellTime(this.#setup.world.nowUs / US_PER_TICK);
    for (let left = this.#taken[shard]!; left > 0; left--) {
      const { frame, a, b } = inbox;
      inbox.pop();
      if (frame === Frame.request) this.#decide(shard, a, b);
      else this.#hearWorker(shard, frame, a, b);
      this.#carryOut(shard);
    }
    this.#settle(shard);
    this.#beginTurn(shard);
  }

  #decide(shard: number, job: number, waitedTicks: number): void {
    const machine = this.#machines[shard]!;
    const version = this.#setup.world.jobs.functionOf(job);
    const answer = waitedTicks < 0 ? machine.request(job, version) : machine.requestAgain(job, version, waitedTicks);
    if (answer > outcome.queued) this.#events.refused(job);
  }

  #hearWorker(shard: number, frame: number, a: number, b: number): void {
    const machine = this.#machines[shard]!;
    const { seats } = this.#setup;
    switch (frame) {
      case Frame.noMemory:
        machine.noMemory(seats.coreOf[a]!, b);
        return;
      case Frame.openSeat:
        if (this.#membership === null) machine.giveBack(seats.coreOf[a]!);
        else this.#membership.setSeat(a, true);
        return;
      case Frame.closeSeat:
        if (this.#membership === null) machine.withdraw(seats.coreOf[a]!);
        else this.#membership.setSeat(a, false);
        return;
      case Frame.roomAvailable:
        return machine.memoryAvailable(a);
      case Frame.warmed:
        return machine.warmed(a, b);
      case Frame.evicted:
        return machine.evicted(a, b);
      default:
        this.#end(shard, a, { sequence: b, isWarm: frame === Frame.release });
    }
  }

  /** Where it was asked for it helps to know where it is warm. */
  #end(shard: number, seat: number, { sequence, isWarm }: { sequence: number; isWarm: boolean }): void {
    const { world, seats, bellUs } = this.#setup;
    const machine = this.#machines[shard]!;
    const core = seats.coreOf[seat]!;
    if (this.#membership?.endEarlier(seat, isWarm) === true) return this.#settle(this.#setup.shardCount);
    const isKnown = machine.release(core, sequence, isWarm);
    assert(isKnown || this.#membership !== null, 'a lease was released that the scheduler does not know');
    if (!isKnown) return;
    const asked = this.#grantedBy[seat]!;
    if (!isWarm || asked === shard) return;
    const to = (seats.serverOf[seat]! << SHARD_BITS) | asked;
    world.engine.after(bellUs, this.#kinds.mailed, to, machine.leases.version(core));
  }

  /** As the turn of a shard ends (scheduler/server/shard.ts). */
  #settle(shard: number): void {
    const machine = this.#machines[shard]!;
    for (;;) {
      machine.settleBatch();
      if (machine.actions.count === 0) break;
      this.#carryOut(shard);
    }
    this.#ring();
    this.#noteBeside();
  }

  #ring(): void {
    const { world, bellUs } = this.#setup;
    for (let shard = 0; shard < this.#machines.length; shard++) {
      if (this.#hasBell[shard] === 1 || !this.#machines[shard]!.bells.isRung) continue;
      this.#hasBell[shard] = 1;
      world.engine.after(bellUs, this.#kinds.rung, shard, this.#life);
    }
  }

  /** One that is in a turn hears it at its end. */
  #hear(shard: number): void {
    this.#hasBell[shard] = 0;
    if (this.#taken[shard] === 0) this.#settle(shard);
  }

  #carryOut(shard: number): void {
    const { seats } = this.#setup;
    const grant = this.#grant;
    while (this.#machines[shard]!.takeGrant(grant)) {
      const seat = seats.seatOf[grant.core]!;
      this.#grantCount++;
      if (this.#shardOf(seat) !== shard) this.#stealCount++;
      this.#grantedBy[seat] = shard;
      this.#events.granted(grant.request, seat, grant.sequence, grant.mask);
    }
  }

  #noteBeside(): void {
    const { nowUs } = this.#setup.world;
    const isBeside = this.waitingCount > 0 && this.#machines[0]!.idleCount > 0;
    if (isBeside === this.#besideSinceUs >= 0) return;
    if (isBeside) this.#besideCount++;
    else this.#besideUs += nowUs - this.#besideSinceUs;
    this.#besideSinceUs = isBeside ? nowUs : NONE;
  }

  #keepForgetting(): void {
    if (this.#isForgetting) return;
    this.#isForgetting = true;
    this.#setup.world.engine.after(FORGET_US, this.#kinds.forgets);
  }

  /** As once a second each shard does; while there is anybody. */
  #forget(): void {
    this.#isForgetting = false;
    for (const [shard, machine] of this.#machines.entries()) {
      machine.forget();
      this.#carryOut(shard);
      this.#settle(shard);
    }
    if (this.#setup.world.jobs.count > 0) this.#keepForgetting();
  }
}
