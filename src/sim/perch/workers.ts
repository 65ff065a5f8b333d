/**
 * The workers of a cluster: on each server the shipped sharing machine (worker/machine/sharing.ts) says who is on which core and how, a fleet (fleet.ts) says
 * what it takes until the handler runs, and the kernel (kernel.ts) runs it. Here jobs go through their phases, and the machine hears of them as
 * late as the platform does.
 *
 * A seat is free, or has a lease from `assign` until `released`. Seats are numbered through all servers; the machines have numbers of their own.
 */
import { assert } from '../../base/assert.ts';
import type { Level, Sharing, SharingActionHandler } from '../../worker/machine/sharing.ts';
import type { Lane } from '../engine/lane.ts';
import type { World } from '../world.ts';
import type { Fleet, FleetEvents } from './fleet.ts';
import { Kernel } from './kernel.ts';
import type { Seats } from './seats.ts';
import type { ResidentKinds } from './resident-kinds.ts';
import { Ticks } from './ticks.ts';

const NONE = -1;
/** What the seat's resident does. */
const Stage = { waits: 0, readies: 1, runs: 2, ends: 3 } as const;

/** What there is of the sharing machine here, so that others can stand in for it. */
export type ServerSharing = Pick<
  Sharing,
  | 'actions'
  | 'began'
  | 'beganSeveral'
  | 'slept'
  | 'woke'
  | 'used'
  | 'ended'
  | 'tick'
  | 'nextTickUs'
  | 'coreOf'
  | 'levelOf'
  | 'checkInvariants'
>;

export interface WorkerEvents {
  /** The lease is over. `isTold`: its invocation's result is told already; else `ended` follows at once. */
  released(seat: number, isWarm: boolean, isTold: boolean): void;
  /** The invocation has its result: after all that its end has led to at the worker. */
  ended(seat: number, job: number): void;
  openSeat(seat: number): void;
  closeSeat(seat: number): void;
  roomAvailable(server: number): void;
  warmed(server: number, version: number): void;
  evicted(server: number, version: number): void;
}

export interface WorkersSetup {
  readonly world: World;
  readonly seats: Seats;
  readonly kinds: ResidentKinds;
  /** Of one server. */
  readonly sharing: () => ServerSharing;
  /** Nobody is placed: all cores of a server are shared by all. */
  readonly isFair: boolean;
  /** The machine wants to be told what CPU time residents have had. */
  readonly wantsUsage: boolean;
  readonly fleet: (events: FleetEvents) => Fleet;
  readonly events: WorkerEvents;
}

export interface Assignment {
  readonly job: number;
  readonly sequence: number;
  readonly mask: number;
  /** What the steps before it of its chain have used. */
  readonly usedUs: number;
  /** Another step comes after it. */
  readonly isFollowed: boolean;
}

/** The agent looks at all that runs so often. */
const TICK_US = 10_000;

export class Workers {
  moveCount = 0;
  readonly #setup: WorkersSetup;
  readonly #world: World;
  readonly #seats: Seats;
  readonly #sharings: ServerSharing[];
  /** By server: it is dead. */
  readonly #isDown: Uint8Array;
  readonly #fleet: Fleet;
  readonly #kernel: Kernel;
  readonly #ticks: Ticks;
  /** By seat; -1: it has no lease, or its invocation has ended. */
  readonly #job: Int32Array;
  readonly #stage: Uint8Array;
  readonly #isFollowed: Uint8Array;
  readonly #isWarm: Uint8Array;
  /** Grows with each of its resident's phases: what was put off in an earlier one counts for nothing. */
  readonly #phase: Int32Array;
  /** When its handler began to run, and what is to be added to what the kernel says of its CPU time. */
  readonly #runsSinceUs: Float64Array;
  readonly #beforeUs: Float64Array;
  /** By server: residents. */
  readonly #counts: Int32Array;
  readonly #isAgentTicking: Uint8Array;
  readonly #sleptLane: Lane;
  readonly #wokeLane: Lane;
  readonly #agentLane: Lane;
  readonly #wakes: number;
  readonly #sleepSeen: number;
  readonly #wakeSeen: number;
  readonly #agentTicks: number;
  /** Whose result is still to be told. */
  #endedSeat = NONE;
  #endedJob = NONE;
  /** Whose actions are carried out. */
  #server = 0;
  readonly #carryOut: SharingActionHandler = {
    place: (seat, core, level) => this.#place(seat, core, level),
    openSeat: (seat) => this.#setup.events.openSeat(this.#seatOf(seat)),
    closeSeat: (seat) => this.#setup.events.closeSeat(this.#seatOf(seat)),
    release: (seat) => this.#released(this.#seatOf(seat)),
  };

  constructor(setup: WorkersSetup) {
    const { world, seats, isFair, events } = setup;
    const { engine } = world;
    this.#setup = setup;
    this.#world = world;
    this.#seats = seats;
    this.#kernel = new Kernel({
      world,
      poolCount: isFair ? seats.serverCount : seats.serverCount * seats.coreCount,
      coreCount: isFair ? seats.coreCount : 1,
      isFair,
      seatCount: seats.totalCount,
      began: (seat) => world.started(this.#job[seat]!),
      done: (seat) => this.#done(seat),
    });
    this.#job = new Int32Array(seats.totalCount).fill(NONE);
    this.#stage = new Uint8Array(seats.totalCount);
    this.#isFollowed = new Uint8Array(seats.totalCount);
    this.#isWarm = new Uint8Array(seats.totalCount);
    this.#phase = new Int32Array(seats.totalCount);
    this.#runsSinceUs = new Float64Array(seats.totalCount);
    this.#beforeUs = new Float64Array(seats.totalCount);
    this.#counts = new Int32Array(seats.serverCount);
    this.#isAgentTicking = new Uint8Array(seats.serverCount);
    this.#isDown = new Uint8Array(seats.serverCount);
    this.#agentLane = engine.lane();
    // Each lane costs every event a look: where nobody sleeps these are not used.
    const sleeps = world.workload.phaseMax > 1;
    this.#sleptLane = sleeps ? engine.lane() : this.#agentLane;
    this.#wokeLane = sleeps ? engine.lane() : this.#agentLane;
    this.#wakes = engine.kind((seat, phase) => this.#wake(seat, phase));
    this.#sleepSeen = engine.kind((seat, phase) => this.#seeSleep(seat, phase));
    this.#wakeSeen = engine.kind((seat, phase) => this.#seeWake(seat, phase));
    this.#agentTicks = engine.kind((server) => this.#tickAgent(server));
    this.#ticks = new Ticks(world, (server) => this.#tickSharing(server));
    this.#fleet = setup.fleet({
      run: (seat) => this.#run(seat),
      work: (seat, workUs) => this.#ready(seat, workUs),
      waits: (seat) => this.#kernel.sleep(seat),
      complete: (seat) => this.#complete(seat),
      release: (seat, isWarm) => this.#release(seat, isWarm),
      changed: (server) => this.#change(server),
      roomAvailable: (server) => events.roomAvailable(server),
      warmed: (server, version) => events.warmed(server, version),
      evicted: (server, version) => events.evicted(server, version),
    });
    this.#sharings = Array.from({ length: seats.serverCount }, () => setup.sharing());
  }

  get switchCount(): number {
    return this.#kernel.switchCount;
  }

  /** Seats may be open from now on. */
  start(): void {
    for (let server = 0; server < this.#seats.serverCount; server++) this.#startOne(server);
  }

  /** Everything on the server is over; nobody is told. */
  crash(server: number): void {
    for (let seat = server * this.#seats.seatCount; seat < (server + 1) * this.#seats.seatCount; seat++) {
      if (this.#kernel.isHere(seat)) this.#kernel.leave(seat);
      this.#job[seat] = NONE;
      this.#phase[seat]!++;
    }
    this.#kernel.flush();
    this.#counts[server] = 0;
    this.#isDown[server] = 1;
    this.#fleet.clear(server);
    this.#sharings[server] = this.#setup.sharing();
  }

  /** It begins anew: seats may be open from now on. */
  restart(server: number): void {
    this.#isDown[server] = 0;
    this.#startOne(server);
  }

  slow(server: number, factor: number): void {
    const poolCount = this.#setup.isFair ? 1 : this.#seats.coreCount;
    for (let pool = server * poolCount; pool < (server + 1) * poolCount; pool++) this.#kernel.slow(pool, factor);
    this.#kernel.flush();
  }

  /** The invocation begins under its lease. False: the worker has no memory for it, and nothing changed. */
  assign(seat: number, { job, sequence, mask, usedUs, isFollowed }: Assignment): boolean {
    assert(this.#job[seat] === NONE && !this.#kernel.isHere(seat), 'a seat was granted while it was busy');
    const { nowUs, jobs } = this.#world;
    const server = this.#seats.serverOf[seat]!;
    const version = jobs.functionOf(job);
    const isTaken = this.#fleet.assign(seat, sequence, mask, version);
    if (isTaken) {
      const local = this.#seats.localOf(seat);
      const sharing = this.#sharings[server]!;
      this.#job[seat] = job;
      this.#stage[seat] = Stage.waits;
      this.#isFollowed[seat] = isFollowed ? 1 : 0;
      this.#beforeUs[seat] = usedUs;
      this.#counts[server]!++;
      if (mask === 0) sharing.began(local, nowUs, this.#setup.kinds.sharing[version]!, usedUs);
      else sharing.beganSeveral(local, mask, nowUs);
      this.#drain(server);
      this.#kernel.enter(seat, this.#poolOf(server, sharing.coreOf(local)), sharing.levelOf(local), mask);
      this.#fleet.carryOut(server);
      this.#want(seat, job, 1);
    }
    this.#fleet.carryOut(server);
    this.#settle(server);
    this.#keepTicking(server);
    return isTaken;
  }

  /** -1: nobody runs there. */
  jobOf(seat: number): number {
    return this.#job[seat]!;
  }

  /** Whether a lease is held there. */
  isBusy(seat: number): boolean {
    return this.#kernel.isHere(seat);
  }

  isDown(server: number): boolean {
    return this.#isDown[server] === 1;
  }

  /** Since when its handler has run. */
  runsSinceUs(seat: number): number {
    return this.#runsSinceUs[seat]!;
  }

  /** Residents whose invocation has not ended; for tests. */
  countJobs(): number {
    let count = 0;
    for (const job of this.#job) if (job !== NONE) count++;
    return count;
  }

  check(): void {
    const { jobs } = this.#world;
    for (const [server, sharing] of this.#sharings.entries()) {
      sharing.checkInvariants();
      assert(sharing.actions.count === 0 || this.#isDown[server] === 1, 'something was left to do');
    }
    this.#fleet.check();
    this.#kernel.check();
    for (let seat = 0; seat < this.#job.length; seat++) {
      const job = this.#job[seat]!;
      if (job === NONE) continue;
      assert(jobs.isLive(job) && this.#kernel.isHere(seat), `job ${job} on seat ${seat} is not there`);
      const runs = this.#stage[seat] !== Stage.waits && !jobs.isAsleep(job);
      assert(runs === this.#kernel.isAwake(seat), `job ${job} is awake where it sleeps, or the other way round`);
    }
  }

  #startOne(server: number): void {
    this.#settle(server);
    if (this.#fleet.wantsTicks && this.#fleet.tick(server)) this.#keepTicking(server);
  }

  /** The seat, by its server's own number. */
  #seatOf(local: number): number {
    return this.#server * this.#seats.seatCount + local;
  }

  #poolOf(server: number, core: number): number {
    return this.#setup.isFair ? server : server * this.#seats.coreCount + core;
  }

  #drain(server: number): void {
    this.#server = server;
    this.#sharings[server]!.actions.drain(this.#carryOut);
  }

  /** At the end of each event. */
  #settle(server: number): void {
    this.#drain(server);
    // Without extra seats it never wants to be ticked.
    if (this.#seats.extraSeatCount > 0) this.#ticks.want(server, this.#sharings[server]!.nextTickUs);
    this.#kernel.flush();
  }

  #change(server: number): void {
    this.#fleet.carryOut(server);
    this.#settle(server);
    this.#keepTicking(server);
  }

  #place(local: number, core: number, level: Level): void {
    const seat = this.#seatOf(local);
    if (!this.#kernel.isHere(seat)) return;
    this.moveCount++;
    this.#kernel.place(seat, this.#poolOf(this.#server, core), level);
  }

  #ready(seat: number, workUs: number): void {
    this.#stage[seat] = Stage.readies;
    this.#kernel.work(seat, workUs);
  }

  #run(seat: number): void {
    const { jobs, costs, nowUs } = this.#world;
    this.#stage[seat] = Stage.runs;
    this.#runsSinceUs[seat] = nowUs;
    if (this.#setup.wantsUsage) this.#beforeUs[seat]! -= this.#kernel.usedUs(seat);
    const endUs = jobs.phaseMax === 1 ? costs.endUs : 0;
    this.#kernel.work(seat, costs.startUs + jobs.leftUs(this.#job[seat]!) + endUs);
  }

  /** What the seat's resident had to do is done. */
  #done(seat: number): void {
    const { jobs, costs } = this.#world;
    const job = this.#job[seat]!;
    const stage = this.#stage[seat]!;
    if (stage === Stage.readies) {
      this.#stage[seat] = Stage.waits;
      this.#fleet.worked(seat);
    } else if (stage === Stage.runs && jobs.advance(job)) {
      return this.#sleep(seat, job);
    } else if (stage === Stage.runs && jobs.phaseMax > 1 && costs.endUs > 0) {
      this.#stage[seat] = Stage.ends;
      return this.#kernel.work(seat, costs.endUs);
    } else {
      this.#fleet.answered(seat);
    }
    const server = this.#seats.serverOf[seat]!;
    this.#fleet.carryOut(server);
    this.#settle(server);
    this.#tell();
  }

  /** What the actions came to is told once they are carried out, as the agent does. */
  #tell(): void {
    const seat = this.#endedSeat;
    this.#endedSeat = NONE;
    if (seat !== NONE) this.#setup.events.ended(seat, this.#endedJob);
  }

  #sleep(seat: number, job: number): void {
    const { engine, jobs, costs } = this.#world;
    const phase = ++this.#phase[seat]!;
    this.#kernel.sleep(seat);
    engine.after(jobs.leftUs(job), this.#wakes, seat, phase);
    if (costs.sleepSeenUs === 0) this.#seeSleep(seat, phase);
    else this.#sleptLane.push(engine.nowUs + costs.sleepSeenUs, this.#sleepSeen, seat, phase);
  }

  #wake(seat: number, before: number): void {
    if (this.#phase[seat] !== before) return;
    const { engine, jobs, costs } = this.#world;
    const job = this.#job[seat]!;
    const phase = ++this.#phase[seat]!;
    const isNext = jobs.advance(job);
    assert(isNext, 'a job ends asleep');
    this.#kernel.work(seat, jobs.leftUs(job));
    if (costs.wakeSeenUs === 0) this.#seeWake(seat, phase);
    else this.#wokeLane.push(engine.nowUs + costs.wakeSeenUs, this.#wakeSeen, seat, phase);
    this.#kernel.flush();
  }

  /** Whoever looks says what it sees: one that has woken meanwhile has not been seen to sleep. */
  #seeSleep(seat: number, phase: number): void {
    if (this.#phase[seat] !== phase) return;
    const server = this.#seats.serverOf[seat]!;
    this.#sharings[server]!.slept(this.#seats.localOf(seat), this.#world.nowUs);
    this.#settle(server);
  }

  #seeWake(seat: number, phase: number): void {
    if (this.#phase[seat] !== phase) return;
    const server = this.#seats.serverOf[seat]!;
    this.#sharings[server]!.woke(this.#seats.localOf(seat), this.#world.nowUs);
    this.#settle(server);
  }

  #complete(seat: number): void {
    const job = this.#job[seat]!;
    this.#phase[seat]!++;
    this.#kernel.sleep(seat);
    this.#job[seat] = NONE;
    assert(this.#endedSeat === NONE, 'two invocations end in one event');
    this.#endedSeat = seat;
    this.#endedJob = job;
    this.#want(seat, job, -1);
  }

  /** An instance for what comes next is readied meanwhile. */
  #want(seat: number, job: number, change: number): void {
    const { workload, jobs } = this.#world;
    const { next } = workload.functions[jobs.functionOf(job)]!;
    if (next >= 0) this.#fleet.want(this.#seats.serverOf[seat]!, next, change);
  }

  #release(seat: number, isWarm: boolean): void {
    const server = this.#seats.serverOf[seat]!;
    this.#counts[server]!--;
    this.#isWarm[seat] = isWarm ? 1 : 0;
    this.#kernel.leave(seat);
    this.#sharings[server]!.ended(this.#seats.localOf(seat), this.#world.nowUs, this.#isFollowed[seat] === 1);
    this.#drain(server);
  }

  #released(seat: number): void {
    this.#setup.events.released(seat, this.#isWarm[seat] === 1, this.#endedSeat !== seat);
  }

  #tickSharing(server: number): void {
    if (this.#isDown[server] === 1) return;
    this.#sharings[server]!.tick(this.#world.nowUs);
    this.#settle(server);
  }

  #keepTicking(server: number): void {
    if (this.#isAgentTicking[server] === 1 || !(this.#setup.wantsUsage || this.#fleet.wantsTicks)) return;
    this.#isAgentTicking[server] = 1;
    this.#agentLane.push(this.#world.nowUs + TICK_US, this.#agentTicks, server, 0);
  }

  #tickAgent(server: number): void {
    this.#isAgentTicking[server] = 0;
    if (this.#isDown[server] === 1) return;
    const isPending = this.#fleet.tick(server);
    this.#fleet.carryOut(server);
    if (this.#setup.wantsUsage) this.#reportUsage(server);
    const sharing = this.#sharings[server]!;
    const { nowUs } = this.#world;
    if (sharing.nextTickUs <= nowUs) sharing.tick(nowUs);
    this.#settle(server);
    if (isPending || this.#counts[server]! > 0) this.#keepTicking(server);
  }

  #reportUsage(server: number): void {
    const { nowUs } = this.#world;
    const first = server * this.#seats.seatCount;
    const sharing = this.#sharings[server]!;
    for (let local = 0; local < this.#seats.seatCount; local++) {
      const seat = first + local;
      if (this.#job[seat] === NONE || this.#stage[seat] !== Stage.runs) continue;
      sharing.used(local, this.#beforeUs[seat]! + this.#kernel.usedUs(seat), nowUs);
    }
  }
}
