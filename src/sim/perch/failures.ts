/**
 * What Perch does when something goes wrong (docs/decisions/007-cluster.md, What fails), between gateway, scheduler and workers:
 *
 *   a worker is silent       what was sent there is lost; what was granted there and not sent yet is asked for again; its cores are absent
 *   it comes back            it says what it still runs; that ends there, and nobody waits for it
 *   the scheduler dies       what runs goes on; the next one, of a later epoch, hears from each worker what it runs; gateways ask again for what waits
 *
 * The scheduler's part is the shipped machine's and its membership's (membership.ts). Who lost a connection dials again after a time that doubles.
 */
import { LIMITS } from '../../base/limits.ts';
import type { Random } from '../engine/random.ts';
import type { Faults } from '../faults/faults.ts';
import type { World } from '../world.ts';
import type { RunningLease } from './membership.ts';
import type { SchedulerSide } from './scheduler-side.ts';
import type { Seats } from './seats.ts';
import type { Workers } from './workers.ts';

const NONE = -1;

/** The platform, whose columns these are too. */
export interface FailingPlatform {
  readonly world: World;
  readonly faults: Faults;
  readonly seats: Seats;
  readonly scheduler: SchedulerSide;
  readonly workers: () => Workers;
  /** By seat. */
  readonly coming: Int32Array;
  readonly mask: Int32Array;
  readonly leased: Int32Array;
  readonly assignedUs: Float64Array;
  /** From the gateway, again. */
  readonly ask: (job: number) => void;
  /** It is at the scheduler. `waitedUs`: -1: it is new. */
  readonly request: (job: number, waitedUs: number) => void;
  /** It has lost its lease, and asks again. */
  readonly returned: () => void;
  readonly refuse: (job: number) => void;
}

export class Failures {
  readonly #of: FailingPlatform;
  readonly #random: Random;
  /** By job: the scheduler has it, and has not answered. */
  #isAsked = new Uint8Array(0);
  /** Those that wait at the gateway for a scheduler. */
  #unasked: number[] = [];
  #isReached = true;
  /** The scheduler's life, and each server's. */
  #epoch = 0;
  readonly #lives: Int32Array;
  /** When the server's connections ended last, and when it joined last. */
  readonly #endedUs: Float64Array;
  readonly #joinedUs: Float64Array;
  /** By seat: whose result is still waited for, though its server is dead; who was refused for want of memory just now; whether it is open. */
  readonly #stranded: Int32Array;
  readonly #refused: Int32Array;
  readonly #isOpen: Uint8Array;
  /** Jobs that run on, and nobody waits for them. */
  readonly #ghosts = new Set<number>();
  readonly #kinds: { readonly [K in 'joins' | 'renewed' | 'reached' | 'givesUp']: number };

  constructor(of: FailingPlatform) {
    const { world, seats } = of;
    const { engine } = world;
    this.#of = of;
    this.#random = world.random('network');
    this.#lives = new Int32Array(seats.serverCount);
    this.#endedUs = new Float64Array(seats.serverCount);
    this.#joinedUs = new Float64Array(seats.serverCount).fill(-Infinity);
    this.#stranded = new Int32Array(seats.totalCount).fill(NONE);
    this.#refused = new Int32Array(seats.totalCount).fill(NONE);
    this.#isOpen = new Uint8Array(seats.totalCount);
    this.#kinds = {
      joins: engine.kind((server, life) => this.#join(server, life)),
      renewed: engine.kind((epoch) => this.#renewed(epoch)),
      reached: engine.kind((epoch) => this.#reach(epoch)),
      givesUp: engine.kind((job, life) => this.#giveUp(job, life)),
    };
  }

  /** Once all is made: the workers join. */
  start(): void {
    for (let server = 0; server < this.#lives.length; server++) this.#join(server, 0);
  }

  get unaskedCount(): number {
    return this.#unasked.length;
  }

  /** Whether a frame of the worker that arrives now is of its present connection to the scheduler. */
  hears(server: number): boolean {
    const { world, scheduler } = this.#of;
    return scheduler.isHere(server) && world.nowUs >= this.#joinedUs[server]! + world.costs.networkUs;
  }

  opened(seat: number, isOpen: boolean): void {
    this.#isOpen[seat] = isOpen ? 1 : 0;
  }

  /** A request arrives where the scheduler should be. */
  request(job: number, waitedUs: number): void {
    if (!this.#isReached) {
      const { engine, jobs } = this.#of.world;
      this.#unasked.push(job);
      engine.after(LIMITS.schedulerWaitMs * 1000, this.#kinds.givesUp, job, jobs.life(job));
      return;
    }
    if (job >= this.#isAsked.length) {
      const before = this.#isAsked;
      this.#isAsked = new Uint8Array(this.#of.world.jobs.capacity);
      this.#isAsked.set(before);
    }
    this.#isAsked[job] = 1;
    this.#of.request(job, waitedUs);
  }

  /** The scheduler has granted or refused it. */
  answered(job: number): void {
    this.#isAsked[job] = 0;
  }

  /** Whether the worker can say anything to the scheduler. */
  isConnected(server: number): boolean {
    return this.#of.scheduler.isHere(server);
  }

  /** Its worker has no memory for it, and says so to the scheduler; false: it cannot, and the gateway asks again. */
  isRefused(seat: number, job: number): boolean {
    if (!this.isConnected(this.#of.seats.serverOf[seat]!)) {
      this.#of.ask(job);
      return false;
    }
    this.#refused[seat] = job;
    this.#isAsked[job] = 1;
    return true;
  }

  noMemoryHeard(seat: number): void {
    this.#refused[seat] = NONE;
  }

  /** True: nobody waits for it, and its end is nothing to anybody. */
  isGhost(job: number): boolean {
    return this.#ghosts.delete(job);
  }

  // ---- a worker

  crash(server: number): void {
    const { workers, world } = this.#of;
    for (const seat of this.#seatsOf(server)) {
      const job = workers().jobOf(seat);
      this.#isOpen[seat] = 0;
      if (job === NONE) continue;
      if (this.#ghosts.delete(job)) world.discard(job);
      else this.#stranded[seat] = job;
    }
    workers().crash(server);
  }

  gone(server: number): void {
    const { world, scheduler } = this.#of;
    this.#lives[server]!++;
    this.#endedUs[server] = world.nowUs;
    for (const seat of this.#seatsOf(server)) this.#loseAt(seat);
    if (scheduler.isHere(server)) scheduler.left(server);
  }

  back(server: number): void {
    const { world, faults, workers } = this.#of;
    const { engine, nowUs, costs } = world;
    const life = this.#lives[server]!;
    if (workers().isDown(server)) {
      workers().restart(server);
      engine.after(2 * costs.networkUs, this.#kinds.joins, server, life);
    } else {
      const fromUs = Math.max(nowUs, faults.schedulerUntilUs);
      engine.at(this.#dialledUs(this.#endedUs[server]!, fromUs), this.#kinds.joins, server, life);
    }
  }

  // ---- the scheduler

  crashScheduler(untilUs: number): void {
    const { world, faults, scheduler } = this.#of;
    const { jobs, engine } = world;
    this.#epoch++;
    this.#isReached = false;
    const asked: number[] = [];
    for (let job = 0; job < this.#isAsked.length; job++) if (this.#isAsked[job] === 1) asked.push(job);
    this.#isAsked.fill(0);
    this.#refused.fill(NONE);
    asked.sort((a, b) => jobs.arrivalUs(a) - jobs.arrivalUs(b) || a - b);
    this.#unasked.unshift(...asked);
    scheduler.renew();
    for (let server = 0; server < this.#lives.length; server++) {
      this.#lives[server]!++;
      faults.messages.breakOffFrom(server);
    }
    engine.at(untilUs, this.#kinds.renewed, this.#epoch);
  }

  #renewed(epoch: number): void {
    if (epoch !== this.#epoch) return;
    const { world, faults } = this.#of;
    const { engine, nowUs } = world;
    for (let server = 0; server < this.#lives.length; server++) {
      // Who is gone joins when it is back.
      if (faults.isGone(server)) continue;
      engine.at(this.#dialledUs(nowUs, nowUs), this.#kinds.joins, server, this.#lives[server]!);
    }
    engine.at(this.#dialledUs(nowUs, nowUs), this.#kinds.reached, epoch);
  }

  /** The gateway has found the scheduler. */
  #reach(epoch: number): void {
    if (epoch !== this.#epoch) return;
    this.#isReached = true;
    for (const job of this.#unasked.splice(0)) this.#of.ask(job);
  }

  #giveUp(job: number, life: number): void {
    const at = this.#unasked.indexOf(job);
    if (at < 0 || !this.#of.world.jobs.isSame(job, life)) return;
    this.#unasked.splice(at, 1);
    this.#of.refuse(job);
  }

  // ---- leaves

  /** What the gateway has at the seat. */
  #loseAt(seat: number): void {
    const { world, coming, assignedUs, ask, returned, workers } = this.#of;
    const running = workers().jobOf(seat);
    const under = coming[seat]!;
    const stranded = this.#stranded[seat]!;
    const refused = this.#refused[seat]!;
    coming[seat] = NONE;
    this.#stranded[seat] = NONE;
    this.#refused[seat] = NONE;
    if (refused !== NONE) ask(refused);
    if (stranded !== NONE) world.lose(stranded);
    if (under !== NONE && assignedUs[seat]! <= world.nowUs) world.lose(under);
    else if (under !== NONE) {
      returned();
      ask(under);
    }
    if (running === NONE || this.#ghosts.has(running)) return;
    this.#ghosts.add(running);
    world.abandon(running);
  }

  #join(server: number, life: number): void {
    const { world, faults, seats, scheduler, workers, mask, leased } = this.#of;
    const isLate = this.#lives[server] !== life || scheduler.isHere(server);
    if (isLate || faults.schedulerUntilUs > world.nowUs || faults.isGone(server)) return;
    if (!faults.isHeard(server)) {
      world.engine.after(LIMITS.dialDelayMinMs * 1000, this.#kinds.joins, server, life);
      return;
    }
    const running: RunningLease[] = [];
    for (const seat of seats.seatsOf(server)) {
      this.#takeBack(seat);
      if (workers().isBusy(seat)) running.push({ seat, mask: mask[seat]!, version: leased[seat]! });
    }
    this.#joinedUs[server] = world.nowUs;
    scheduler.joined(server, { running, isOpen: (seat) => this.#isOpen[seat] === 1 });
  }

  /** What was granted by the scheduler before is refused by the worker, and asked for again. */
  #takeBack(seat: number): void {
    const { coming, ask, returned } = this.#of;
    const job = coming[seat]!;
    if (job === NONE) return;
    coming[seat] = NONE;
    returned();
    ask(job);
  }

  /** The first attempt after that time, of one whose connection ended then: the waits double, each spread by a random half. */
  #dialledUs(endedUs: number, fromUs: number): number {
    let delayMs: number = LIMITS.dialDelayMinMs;
    let atUs = endedUs;
    do {
      atUs += delayMs * 1000 * (0.5 + this.#random.unit() / 2);
      delayMs = Math.min(delayMs * 2, LIMITS.dialDelayMaxMs);
    } while (atUs < fromUs);
    return atUs;
  }

  #seatsOf(server: number): readonly number[] {
    return this.#of.seats.seatsOf(server);
  }
}
