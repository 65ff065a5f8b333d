/**
 * Perch in virtual time: gateways, the scheduler (scheduler-side.ts), the workers (workers.ts), and the messages between them. What is decided is decided by
 * the shipped machines; here messages take their time.
 *
 *   arrive ─gateway, net─▶ scheduler ─decision, 2 net─▶ worker … end ─net─▶ answer
 *                              ◀──────── net ─────────────┘ release
 *
 * A step of a chain has the core of the one before it where it may (docs/decisions/013-chains.md): the worker keeps the lease until the gateway,
 * which has the output, gives it the next step: two ways and no scheduler.
 */
import { assert } from '../../base/assert.ts';
import type { Handler } from '../engine/engine.ts';
import type { Lane } from '../engine/lane.ts';
import type { Faults } from '../faults/faults.ts';
import type { Policy } from '../policy.ts';
import type { World } from '../world.ts';
import type { Way } from '../faults/messages.ts';
import { Chains } from './chains.ts';
import { Failures } from './failures.ts';
import type { ResidentKinds } from './resident-kinds.ts';
import type { SchedulerEvents, SchedulerSide } from './scheduler-side.ts';
import type { Seats } from './seats.ts';
import type { Assignment, WorkerEvents, Workers } from './workers.ts';

const NONE = -1;

export interface PlatformSetup {
  readonly world: World;
  readonly seats: Seats;
  readonly kinds: ResidentKinds;
  readonly scheduler: (events: SchedulerEvents) => SchedulerSide;
  readonly workers: (events: WorkerEvents) => Workers;
}

/** A register for one assignment, used again for each. */
class NextAssignment implements Assignment {
  job = 0;
  sequence = 0;
  mask = 0;
  usedUs = 0;
  isFollowed = false;
}

export class PerchPlatform implements Policy {
  readonly handsOver = true;
  readonly #world: World;
  readonly #seats: Seats;
  readonly #scheduler: SchedulerSide;
  readonly #workers: Workers;
  readonly #chains: Chains;
  /** null: nothing goes wrong. */
  readonly #failures: Failures | null;
  /** By seat, of its lease: whom it was granted or handed to and is on its way, its name, its cores, the function it was granted for. */
  readonly #coming: Int32Array;
  readonly #sequence: Int32Array;
  readonly #mask: Int32Array;
  readonly #leased: Int32Array;
  readonly #assignedUs: Float64Array;
  /** The function of the step that runs or ran last; another follows it; the lease is kept for that; it was handed on before. */
  readonly #ran: Int32Array;
  readonly #isFollowed: Uint8Array;
  readonly #isKept: Uint8Array;
  readonly #isHanded: Uint8Array;
  /** The worker keeps an instance of the function that the lease was granted for. */
  readonly #isWarm: Uint8Array;
  readonly #next = new NextAssignment();
  readonly #toScheduler: Lane;
  readonly #toSchedulerAgain: Lane;
  readonly #toWorker: Lane;
  readonly #toWorkerOn: Lane;
  readonly #fromWorker: Lane;
  readonly #kinds: {
    readonly requested: number;
    readonly requestedAgain: number;
    readonly reached: number;
    readonly handedOn: number;
    readonly released: number;
    readonly noMemory: number;
    readonly opened: number;
    readonly closed: number;
    readonly roomAvailable: number;
    readonly warmed: number;
    readonly evicted: number;
  };
  /** Whose invocation ends in this event. */
  #endingSeat = NONE;
  /** Jobs at gateways, or on their way from there, or waiting for a core: they have no lease. */
  #askingCount = 0;
  readonly #counts = { handedOn: 0, refusedByWorkers: 0 };

  constructor({ world, seats, kinds, scheduler, workers }: PlatformSetup) {
    const { engine } = world;
    this.#world = world;
    this.#seats = seats;
    this.#chains = new Chains(world, kinds);
    this.#coming = new Int32Array(seats.totalCount).fill(NONE);
    this.#sequence = new Int32Array(seats.totalCount);
    this.#mask = new Int32Array(seats.totalCount);
    this.#leased = new Int32Array(seats.totalCount);
    this.#assignedUs = new Float64Array(seats.totalCount);
    this.#ran = new Int32Array(seats.totalCount);
    this.#isFollowed = new Uint8Array(seats.totalCount);
    this.#isKept = new Uint8Array(seats.totalCount);
    this.#isHanded = new Uint8Array(seats.totalCount);
    this.#isWarm = new Uint8Array(seats.totalCount);
    this.#toScheduler = engine.lane();
    this.#toWorker = engine.lane();
    // Each lane costs every event a look: without chains these are not used.
    const hasChains = world.workload.functions.some(({ next }) => next !== NONE);
    this.#toSchedulerAgain = hasChains ? engine.lane() : this.#toScheduler;
    this.#toWorkerOn = hasChains ? engine.lane() : this.#toWorker;
    this.#fromWorker = engine.lane();
    this.#scheduler = scheduler({
      granted: (job, seat, sequence, mask) => this.#granted(job, seat, sequence, mask),
      refused: (job) => this.#refused(job),
    });
    const side = this.#scheduler;
    this.#failures = world.faults === null ? null : this.#failuresOf(world.faults);
    const toSeat: Way = { to: (_job, seat) => seats.serverOf[seat]! };
    const bySeat = (seat: number): number => seats.serverOf[seat]!;
    const byServer = (server: number): number => server;
    const again = (job: number): void => this.#request(job, engine.nowUs - this.#chains.sinceUs(job));
    this.#kinds = {
      requested: world.message((job) => this.#request(job, NONE), {}),
      requestedAgain: world.message(again, {}),
      reached: world.message((job, seat) => this.#reach(job, seat), toSeat),
      handedOn: world.message((job, seat) => this.#handOn(job, seat), toSeat),
      released: this.#frame((seat, isWarm) => side.release(seat, this.#sequence[seat]!, isWarm === 1), bySeat),
      noMemory: this.#frame((seat, sequence) => this.#noMemory(seat, sequence), bySeat),
      opened: this.#frame((seat) => side.openSeat(seat), bySeat),
      closed: this.#frame((seat) => side.closeSeat(seat), bySeat),
      roomAvailable: this.#frame((server) => side.roomAvailable(server), byServer),
      warmed: this.#frame((server, version) => side.warmed(server, version), byServer),
      evicted: this.#frame((server, version) => side.evicted(server, version), byServer),
    };
    const { roomAvailable, warmed, evicted } = this.#kinds;
    this.#workers = workers({
      ended: (seat, job) => this.#end(seat, job),
      released: (seat, isWarm, isTold) => this.#released(seat, isWarm, isTold),
      openSeat: (seat) => this.#tellSeat(seat, true),
      closeSeat: (seat) => this.#tellSeat(seat, false),
      roomAvailable: (server) => this.#tell(roomAvailable, server, 0),
      warmed: (server, version) => this.#tell(warmed, server, version),
      evicted: (server, version) => this.#tell(evicted, server, version),
    });
    this.#workers.start();
    this.#failures?.start();
  }

  get waitingCount(): number {
    return this.#scheduler.waitingCount + (this.#failures?.unaskedCount ?? 0);
  }

  crash(server: number): void {
    this.#failures?.crash(server);
  }

  gone(server: number): void {
    this.#failures?.gone(server);
  }

  back(server: number): void {
    this.#failures?.back(server);
  }

  crashScheduler(untilUs: number): void {
    this.#failures?.crashScheduler(untilUs);
  }

  slow(server: number, factor: number): void {
    this.#workers.slow(server, factor);
  }

  arrive(job: number, after: number): void {
    const { costs, nowUs, counters } = this.#world;
    if (after !== NONE) return this.#follow(job, after);
    this.#chains.begin(job);
    this.#askingCount++;
    counters.messages++;
    this.#toScheduler.push(nowUs + costs.gatewayUs + costs.networkUs, this.#kinds.requested, job, 0);
  }

  counters(): Readonly<Record<string, number>> {
    return {
      ...this.#scheduler.counters(),
      'steps on the core of the one before': this.#counts.handedOn,
      'places changed': this.#workers.moveCount,
      switches: this.#workers.switchCount,
    };
  }

  check(): void {
    this.#scheduler.check();
    this.#workers.check();
    let comingCount = 0;
    for (const job of this.#coming) {
      if (job === NONE) continue;
      comingCount++;
      assert(this.#world.jobs.isLive(job), `job ${job} is on its way to a worker, and has ended`);
    }
    const runningCount = this.#workers.countJobs();
    const count = this.#askingCount + comingCount + runningCount;
    const { jobs } = this.#world;
    // Of those that fail, some are nowhere until it is noticed.
    assert(
      this.#failures === null ? count === jobs.count : count <= jobs.count,
      `${this.#askingCount} ask, ${comingCount} are coming, ${runningCount} run: ${jobs.count} are there`,
    );
    assert(this.#scheduler.waitingCount <= this.#askingCount, 'more wait than have asked');
  }

  pending(): readonly string[] {
    const waitingCount = this.#scheduler.waitingCount;
    const comingCount = this.#coming.reduce((count, job) => count + (job === NONE ? 0 : 1), 0);
    const runningCount = this.#workers.countJobs();
    const lines: string[] = [];
    if (waitingCount > 0) lines.push(`${waitingCount} wait for a core`);
    if (this.#askingCount > waitingCount)
      lines.push(`${this.#askingCount - waitingCount} are on their way to the scheduler`);
    if (comingCount > 0) lines.push(`${comingCount} are on their way to a worker`);
    if (runningCount > 0) lines.push(`${runningCount} are on workers`);
    return lines;
  }

  // ---- where something goes wrong

  #failuresOf(faults: Faults): Failures {
    const { networkUs } = this.#world.costs;
    return new Failures({
      world: this.#world,
      faults,
      seats: this.#seats,
      scheduler: this.#scheduler,
      workers: () => this.#workers,
      coming: this.#coming,
      mask: this.#mask,
      leased: this.#leased,
      assignedUs: this.#assignedUs,
      ask: (job) => this.#world.engine.after(networkUs, this.#kinds.requestedAgain, job),
      request: (job, waitedUs) => this.#scheduler.request(job, waitedUs),
      returned: () => void this.#askingCount++,
      refuse: (job) => this.#refused(job),
    });
  }

  /** Of a worker to the scheduler: where things go wrong, one of a connection that has ended says nothing. */
  #frame(handler: Handler, serverOf: (a: number) => number): number {
    if (this.#world.faults === null) return this.#world.engine.kind(handler);
    const heard: Handler = (a, b) => {
      if (this.#failures?.hears(serverOf(a)) === true) handler(a, b);
    };
    return this.#world.message(heard, { from: serverOf });
  }

  // ---- between gateway and scheduler

  #request(job: number, waitedUs: number): void {
    if (this.#failures === null) this.#scheduler.request(job, waitedUs);
    else this.#failures.request(job, waitedUs);
  }

  #granted(job: number, seat: number, sequence: number, mask: number): void {
    const { costs, nowUs, jobs, counters } = this.#world;
    assert(this.#coming[seat] === NONE && this.#workers.jobOf(seat) === NONE, 'exclusive: a seat was granted twice');
    this.#failures?.answered(job);
    this.#askingCount--;
    this.#coming[seat] = job;
    this.#sequence[seat] = sequence;
    this.#mask[seat] = mask;
    this.#isHanded[seat] = 0;
    this.#leased[seat] = jobs.functionOf(job);
    // The grant, to the gateway; the payload, from there.
    counters.messages += 2;
    const atGatewayUs = nowUs + this.#scheduler.grantDelayUs + costs.networkUs;
    this.#assignedUs[seat] = atGatewayUs;
    this.#toWorker.push(atGatewayUs + costs.networkUs, this.#kinds.reached, job, seat);
  }

  #refused(job: number): void {
    this.#failures?.answered(job);
    this.#askingCount--;
    this.#world.refuse(job);
  }

  // ---- at the worker

  #reach(job: number, seat: number): void {
    if (!this.#isExpected(job, seat) || this.#begin(job, seat)) return;
    this.#askingCount++;
    if (this.#failures?.isRefused(seat, job) === false) return;
    this.#tell(this.#kinds.noMemory, seat, this.#sequence[seat]!);
  }

  /** Not where it was taken back meanwhile, or nobody is there. */
  #isExpected(job: number, seat: number): boolean {
    return this.#coming[seat] === job && !this.#workers.isDown(this.#seats.serverOf[seat]!);
  }

  #noMemory(seat: number, sequence: number): void {
    this.#failures?.noMemoryHeard(seat);
    this.#scheduler.noMemory(seat, sequence);
  }

  /** False: the worker has no memory for it. */
  #begin(job: number, seat: number): boolean {
    const next = this.#next;
    this.#coming[seat] = NONE;
    next.job = job;
    next.sequence = this.#sequence[seat]!;
    next.mask = this.#mask[seat]!;
    next.usedUs = this.#chains.usedUs(job);
    next.isFollowed = this.#chains.isFollowed(job);
    this.#isFollowed[seat] = next.isFollowed ? 1 : 0;
    this.#ran[seat] = this.#world.jobs.functionOf(job);
    if (this.#failures !== null) this.#world.jobs.setServer(job, this.#seats.serverOf[seat]!);
    return this.#workers.assign(seat, next);
  }

  /** Before the result is told, a lease is kept where a step follows; then it is that step's, or let go. */
  #released(seat: number, isWarm: boolean, isTold: boolean): void {
    if (this.#isHanded[seat] === 0) this.#isWarm[seat] = isWarm ? 1 : 0;
    // The scheduler knows of no lease of its.
    else if (isWarm) this.#tell(this.#kinds.warmed, this.#seats.serverOf[seat]!, this.#ran[seat]!);
    if (!isTold && this.#isFollowed[seat] === 1) this.#isKept[seat] = 1;
    else this.#letGo(seat);
  }

  #letGo(seat: number): void {
    this.#tell(this.#kinds.released, seat, this.#isWarm[seat]!);
  }

  #end(seat: number, job: number): void {
    this.#endingSeat = seat;
    this.#world.counters.messages++;
    if (this.#failures?.isGhost(job) === true) this.#world.discard(job);
    else this.#world.finish(job, this.#world.costs.networkUs);
    this.#endingSeat = NONE;
    if (this.#isKept[seat] === 0) return;
    this.#isKept[seat] = 0;
    if (this.#coming[seat] === NONE) this.#letGo(seat);
  }

  /** The server that a frame to the scheduler is from. */
  #serverOf(kind: number, a: number): number {
    const { roomAvailable, warmed, evicted } = this.#kinds;
    return kind === roomAvailable || kind === warmed || kind === evicted ? a : this.#seats.serverOf[a]!;
  }

  #tellSeat(seat: number, isOpen: boolean): void {
    this.#failures?.opened(seat, isOpen);
    this.#tell(isOpen ? this.#kinds.opened : this.#kinds.closed, seat, 0);
  }

  #tell(kind: number, a: number, b: number): void {
    const { costs, nowUs, counters } = this.#world;
    counters.messages++;
    // Where there is no connection nothing is said: the worker says all when it joins.
    if (this.#failures?.isConnected(this.#serverOf(kind, a)) === false) return;
    this.#fromWorker.push(nowUs + costs.networkUs, kind, a, b);
  }

  // ---- chains

  #follow(job: number, after: number): void {
    const { costs, nowUs, counters } = this.#world;
    const seat = this.#endingSeat;
    this.#chains.follow(job, after, nowUs - this.#workers.runsSinceUs(seat));
    counters.messages++;
    // The answer is at the gateway then.
    const askedUs = nowUs + costs.networkUs + costs.gatewayUs;
    const mayHandOn = this.#chains.mayHandOn(job, this.#leased[seat]!, this.#assignedUs[seat]!);
    if (this.#isKept[seat] === 1 && mayHandOn) {
      this.#counts.handedOn++;
      this.#coming[seat] = job;
      this.#isHanded[seat] = 1;
      this.#assignedUs[seat] = askedUs;
      this.#toWorkerOn.push(askedUs + costs.networkUs, this.#kinds.handedOn, job, seat);
      return;
    }
    this.#askingCount++;
    this.#toSchedulerAgain.push(askedUs + costs.networkUs, this.#kinds.requestedAgain, job, 0);
  }

  #handOn(job: number, seat: number): void {
    if (!this.#isExpected(job, seat) || this.#begin(job, seat)) return;
    const { costs, nowUs } = this.#world;
    this.#askingCount++;
    this.#letGo(seat);
    this.#world.engine.at(nowUs + 2 * costs.networkUs, this.#kinds.requestedAgain, job);
  }
}
