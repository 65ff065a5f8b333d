/**
 * The seats of a simulated cluster, numbered through: those of server s are s × seatCount and up, first its cores, then its extra seats. The scheduler
 * machine has numbers of its own for them, in words of 32 (scheduler/machine/cores.ts).
 */
import type { SchedulerLimits } from '../../scheduler/machine/limits.ts';
import { REQUEST_COUNT_MAX } from '../../scheduler/machine/leases.ts';
import type { Scheduler } from '../../scheduler/machine/scheduler.ts';
import type { World } from '../world.ts';
import type { ResidentKinds } from './resident-kinds.ts';

const WORD_SEATS = 32;
const WARM_HINT_MAX = 30;
const OVERTAKE_MAX = 64;

export interface SeatCounts {
  readonly serverCount: number;
  /** Of each server. */
  readonly coreCount: number;
  /** Of each server. */
  readonly extraSeatCount: number;
}

export class Seats {
  readonly serverCount: number;
  readonly coreCount: number;
  readonly extraSeatCount: number;
  /** Of each server. */
  readonly seatCount: number;
  readonly totalCount: number;
  readonly serverOf: Int32Array;
  /** By seat: what the scheduler calls it; and back. */
  readonly coreOf: Int32Array;
  readonly seatOf: Int32Array;
  readonly #wordCount: number;

  constructor({ serverCount, coreCount, extraSeatCount }: SeatCounts) {
    this.serverCount = serverCount;
    this.coreCount = coreCount;
    this.extraSeatCount = extraSeatCount;
    this.seatCount = coreCount + extraSeatCount;
    this.totalCount = this.seatCount * serverCount;
    const ownWords = Math.ceil(coreCount / WORD_SEATS);
    this.#wordCount = ownWords + Math.ceil(extraSeatCount / WORD_SEATS);
    this.serverOf = new Int32Array(this.totalCount);
    this.coreOf = new Int32Array(this.totalCount);
    this.seatOf = new Int32Array(this.coreCountMax).fill(-1);
    for (let seat = 0; seat < this.totalCount; seat++) {
      const server = Math.floor(seat / this.seatCount);
      const local = seat - server * this.seatCount;
      const extra = local - coreCount;
      this.serverOf[seat] = server;
      const within = extra < 0 ? local : ownWords * WORD_SEATS + extra;
      this.coreOf[seat] = server * this.#wordCount * WORD_SEATS + within;
      this.seatOf[this.coreOf[seat]!] = seat;
    }
  }

  get coreCountMax(): number {
    return this.serverCount * this.#wordCount * WORD_SEATS;
  }

  seatsOf(server: number): readonly number[] {
    return Array.from({ length: this.seatCount }, (_, local) => server * this.seatCount + local);
  }

  /** Its number within its server. */
  localOf(seat: number): number {
    return seat - this.serverOf[seat]! * this.seatCount;
  }

  isExtra(seat: number): boolean {
    return this.localOf(seat) >= this.coreCount;
  }
}

/** Of the scheduler's machine, for this cluster. */
export function limitsOf({ workload }: World, seats: Seats, queueMax: number, epoch = 1): SchedulerLimits {
  const heldCount = seats.totalCount + queueMax;
  return {
    epoch,
    coreCountMax: seats.coreCountMax,
    workerCountMax: seats.serverCount,
    functionCountMax: workload.functions.length,
    versionCountMax: workload.functions.length,
    // Jobs are numbered as closely as requests have to be, but for those that are on their way to or from the scheduler.
    requestCountMax: Math.min(REQUEST_COUNT_MAX, heldCount * 2 + 1024),
    queueMax,
    overtakeMax: OVERTAKE_MAX,
    warmHintMax: WARM_HINT_MAX,
  };
}

/** All servers and functions, once for all shards. */
export function enterCluster(world: World, seats: Seats, kinds: ResidentKinds, machine: Scheduler): void {
  for (let server = 0; server < seats.serverCount; server++)
    machine.addWorker(seats.coreCount, world.cluster.memoryMb, false, seats.extraSeatCount);
  setVersions(world, kinds, machine);
}

export function setVersions({ workload }: World, kinds: ResidentKinds, machine: Scheduler): void {
  for (const [version, { memoryMb, coreCount }] of workload.functions.entries())
    machine.setVersion(version, version, memoryMb, { coreCount, isDedicated: kinds.hasOwnSeat(version) });
}
