/**
 * The kernels of all servers: who of the residents of a core has its CPU time. Whoever is in the foreground of a core and awake has all of it; those in
 * the background that are awake share it evenly while nobody of the foreground is awake there, as the kernel does with `SCHED_IDLE`. Who wakes
 * has what is his at once: no word of the platform is waited for.
 *
 * A *pool* is what residents share: one core, or all cores of a server where nobody is placed (`fair`). One that has several cores is on the pool of its lead,
 * and while it is awake nobody runs on the others.
 *
 * A core that goes on with another resident pays `switchUs`, unless the one before has ended and the new one only begins: that is in `startUs`. What the kernel's
 * own time slices cost among several who share a core is not counted.
 *
 * Changes of one moment are collected: pools that were touched are `dirty`, and `flush` says for each who runs and when the first of them is
 * done. So one event is under way for a pool at most that counts; an older one has another stamp.
 *
 * Budget: an event touches one pool and the few who are awake there. Nothing is allocated. Checked by the rate of events of `perch sim`.
 */
import { assert } from '../../base/assert.ts';
import { coreCountOf, withoutLowest } from '../../base/core-mask.ts';
import type { World } from '../world.ts';
import { Level } from '../../worker/machine/sharing.ts';

const NONE = -1;

/** A record is a line of the cache, 64 bytes: floats, then integers, which lie behind the floats. */
const FLOATS_LOG2 = 3;
const INTS_LOG2 = 4;
// Of a seat.
const LEFT_US = 0;
const USED_US = 1;
const POOL = 4;
const LEVEL = 5;
const IS_AWAKE = 6;
const HAS_RUN = 7;
const MASK = 8;
/** Grows with each resident. */
const LIFE = 9;
/** Neighbours among those awake of a pool. */
const NEXT = 10;
const PREVIOUS = 11;
// Of a pool.
const SETTLED_US = 0;
const FOREGROUND_RATE = 1;
const BACKGROUND_RATE = 2;
/** Those awake. */
const HEAD = 6;
const TAIL = 7;
const BUSY_COUNT = 8;
const STAMP = 9;
/** Who is done first. */
const NEXT_SEAT = 10;
/** Who ran last, and in which life. */
const LAST_SEAT = 11;
const LAST_LIFE = 12;
/** It is one more core of this seat's resident. */
const JOINED_TO = 13;
const IS_DIRTY = 14;

export interface KernelSetup {
  readonly world: World;
  readonly poolCount: number;
  /** Of each pool. */
  readonly coreCount: number;
  /** A pool is a server, and all on it are in the foreground. */
  readonly isFair: boolean;
  /** Of all servers. */
  readonly seatCount: number;
  /** It has CPU time for the first time. */
  readonly began: (seat: number) => void;
  /** It has done what it had to do, and is awake still: one of `work`, `sleep` and `leave` follows. */
  readonly done: (seat: number) => void;
}

export class Kernel {
  switchCount = 0;
  readonly #seatFloats: Float64Array;
  readonly #seats: Int32Array;
  readonly #poolFloats: Float64Array;
  readonly #pools: Int32Array;
  readonly #dirty: Int32Array;
  #dirtyCount = 0;
  /** By pool: what a microsecond does. */
  readonly #speeds: Float64Array;
  readonly #setup: KernelSetup;
  readonly #switchUs: number;
  readonly #kind: number;

  constructor(setup: KernelSetup) {
    const { world, poolCount, seatCount } = setup;
    this.#setup = setup;
    this.#switchUs = world.costs.switchUs;
    this.#seatFloats = new Float64Array(seatCount << FLOATS_LOG2);
    this.#seats = new Int32Array(this.#seatFloats.buffer);
    this.#poolFloats = new Float64Array(poolCount << FLOATS_LOG2);
    this.#pools = new Int32Array(this.#poolFloats.buffer);
    for (let seat = 0; seat < seatCount; seat++) this.#seats[(seat << INTS_LOG2) + POOL] = NONE;
    for (let pool = 0; pool < poolCount; pool++) {
      for (const at of [HEAD, TAIL, NEXT_SEAT, LAST_SEAT, JOINED_TO]) this.#pools[(pool << INTS_LOG2) + at] = NONE;
    }
    this.#dirty = new Int32Array(poolCount);
    this.#speeds = new Float64Array(poolCount).fill(1);
    this.#kind = world.engine.kind((pool, stamp) => this.#end(pool, stamp));
  }

  /** A resident is there from now on, and has nothing to do yet. `mask`: its cores, as core-mask.ts says. */
  enter(seat: number, pool: number, level: Level, mask: number): void {
    assert(this.#seats[(seat << INTS_LOG2) + POOL] === NONE, 'a seat has two residents');
    this.#seats[(seat << INTS_LOG2) + POOL] = pool;
    this.#seats[(seat << INTS_LOG2) + LEVEL] = level;
    this.#seats[(seat << INTS_LOG2) + MASK] = mask;
    this.#seats[(seat << INTS_LOG2) + IS_AWAKE] = 0;
    this.#seats[(seat << INTS_LOG2) + HAS_RUN] = 0;
    this.#seatFloats[(seat << FLOATS_LOG2) + USED_US] = 0;
    this.#seats[(seat << INTS_LOG2) + LIFE]!++;
    if (mask !== 0 && !this.#setup.isFair) this.#join(seat, seat);
  }

  leave(seat: number): void {
    if (this.#seats[(seat << INTS_LOG2) + IS_AWAKE] === 1) this.sleep(seat);
    if (this.#seats[(seat << INTS_LOG2) + MASK] !== 0 && !this.#setup.isFair) this.#join(seat, NONE);
    this.#seats[(seat << INTS_LOG2) + POOL] = NONE;
    this.#seats[(seat << INTS_LOG2) + LIFE]!++;
  }

  /** It is awake from now on, and has so much to do. */
  work(seat: number, workUs: number): void {
    this.#touch(this.#seats[(seat << INTS_LOG2) + POOL]!);
    this.#seatFloats[(seat << FLOATS_LOG2) + LEFT_US] = workUs;
    if (this.#seats[(seat << INTS_LOG2) + IS_AWAKE] === 1) return;
    this.#seats[(seat << INTS_LOG2) + IS_AWAKE] = 1;
    this.#link(seat, this.#seats[(seat << INTS_LOG2) + POOL]!);
    if (this.#seats[(seat << INTS_LOG2) + MASK] !== 0) this.#touchJoined(seat);
  }

  sleep(seat: number): void {
    this.#touch(this.#seats[(seat << INTS_LOG2) + POOL]!);
    this.#seats[(seat << INTS_LOG2) + IS_AWAKE] = 0;
    this.#unlink(seat, this.#seats[(seat << INTS_LOG2) + POOL]!);
    if (this.#seats[(seat << INTS_LOG2) + MASK] !== 0) this.#touchJoined(seat);
  }

  /** Nothing happens where nobody is on the seat yet. */
  place(seat: number, pool: number, level: Level): void {
    const before = this.#seats[(seat << INTS_LOG2) + POOL]!;
    if (before === NONE || (before === pool && this.#seats[(seat << INTS_LOG2) + LEVEL] === level)) return;
    if (this.#seats[(seat << INTS_LOG2) + IS_AWAKE] === 0) {
      this.#seats[(seat << INTS_LOG2) + POOL] = pool;
      this.#seats[(seat << INTS_LOG2) + LEVEL] = level;
      return;
    }
    this.#touch(before);
    this.#touch(pool);
    if (before !== pool) {
      this.#unlink(seat, before);
      this.#link(seat, pool);
    }
    this.#seats[(seat << INTS_LOG2) + POOL] = pool;
    this.#seats[(seat << INTS_LOG2) + LEVEL] = level;
  }

  /** All that runs there takes so many times as long from now on. */
  slow(pool: number, factor: number): void {
    this.#touch(pool);
    this.#speeds[pool] = 1 / factor;
  }

  isHere(seat: number): boolean {
    return this.#seats[(seat << INTS_LOG2) + POOL] !== NONE;
  }

  isAwake(seat: number): boolean {
    return this.#seats[(seat << INTS_LOG2) + IS_AWAKE] === 1;
  }

  /** CPU time that the resident has had so far, of one of its cores. */
  usedUs(seat: number): number {
    this.#settle(this.#seats[(seat << INTS_LOG2) + POOL]!);
    return this.#seatFloats[(seat << FLOATS_LOG2) + USED_US]!;
  }

  /** After each event of whoever places, wakes and ends residents. */
  flush(): void {
    for (let at = 0; at < this.#dirtyCount; at++) {
      const pool = this.#dirty[at]!;
      this.#pools[(pool << INTS_LOG2) + IS_DIRTY] = 0;
      this.#refresh(pool);
    }
    this.#dirtyCount = 0;
  }

  /** For tests, between two events. */
  check(): void {
    assert(this.#dirtyCount === 0, 'a pool was touched, and nobody was told');
    let awakeCount = 0;
    for (let pool = 0; pool < this.#pools.length >>> INTS_LOG2; pool++) {
      let foregroundCount = 0;
      for (
        let seat = this.#pools[(pool << INTS_LOG2) + HEAD]!;
        seat !== NONE;
        seat = this.#seats[(seat << INTS_LOG2) + NEXT]!
      ) {
        assert(
          this.#seats[(seat << INTS_LOG2) + POOL] === pool && this.#seats[(seat << INTS_LOG2) + IS_AWAKE] === 1,
          `seat ${seat} is in the list of pool ${pool}`,
        );
        assert(
          this.#seatFloats[(seat << FLOATS_LOG2) + LEFT_US]! >= 0,
          `seat ${seat} has ${this.#seatFloats[(seat << FLOATS_LOG2) + LEFT_US]} µs left`,
        );
        if (this.#seats[(seat << INTS_LOG2) + LEVEL] === Level.foreground) foregroundCount++;
        awakeCount++;
      }
      assert(this.#setup.isFair || foregroundCount <= 1, `exclusive: ${foregroundCount} in front of ${pool}`);
      const joinedTo = this.#pools[(pool << INTS_LOG2) + JOINED_TO]!;
      assert(joinedTo === NONE || foregroundCount === 0, `pool ${pool} is of seat ${joinedTo}, and of another`);
    }
    let awake = 0;
    for (let at = IS_AWAKE; at < this.#seats.length; at += 1 << INTS_LOG2) awake += this.#seats[at]!;
    assert(awake === awakeCount, `${awake} are awake, ${awakeCount} are in lists`);
  }

  #join(seat: number, to: number): void {
    const mask = this.#seats[(seat << INTS_LOG2) + MASK]!;
    for (let rest = withoutLowest(mask); rest !== 0; rest = withoutLowest(rest))
      this.#pools[(this.#joined(seat, rest) << INTS_LOG2) + JOINED_TO] = to;
  }

  #touchJoined(seat: number): void {
    if (this.#setup.isFair) return;
    for (let rest = withoutLowest(this.#seats[(seat << INTS_LOG2) + MASK]!); rest !== 0; rest = withoutLowest(rest))
      this.#touch(this.#joined(seat, rest));
  }

  /** The pool of the lowest core that is left of its mask. */
  #joined(seat: number, rest: number): number {
    return (
      this.#seats[(seat << INTS_LOG2) + POOL]! + lowestBit(rest) - lowestBit(this.#seats[(seat << INTS_LOG2) + MASK]!)
    );
  }

  #link(seat: number, pool: number): void {
    const tail = this.#pools[(pool << INTS_LOG2) + TAIL]!;
    this.#seats[(seat << INTS_LOG2) + PREVIOUS] = tail;
    this.#seats[(seat << INTS_LOG2) + NEXT] = NONE;
    if (tail === NONE) this.#pools[(pool << INTS_LOG2) + HEAD] = seat;
    else this.#seats[(tail << INTS_LOG2) + NEXT] = seat;
    this.#pools[(pool << INTS_LOG2) + TAIL] = seat;
  }

  #unlink(seat: number, pool: number): void {
    const next = this.#seats[(seat << INTS_LOG2) + NEXT]!;
    const previous = this.#seats[(seat << INTS_LOG2) + PREVIOUS]!;
    if (previous === NONE) this.#pools[(pool << INTS_LOG2) + HEAD] = next;
    else this.#seats[(previous << INTS_LOG2) + NEXT] = next;
    if (next === NONE) this.#pools[(pool << INTS_LOG2) + TAIL] = previous;
    else this.#seats[(next << INTS_LOG2) + PREVIOUS] = previous;
  }

  #touch(pool: number): void {
    this.#settle(pool);
    if (this.#pools[(pool << INTS_LOG2) + IS_DIRTY] === 1) return;
    this.#pools[(pool << INTS_LOG2) + IS_DIRTY] = 1;
    this.#dirty[this.#dirtyCount++] = pool;
  }

  /** What was done since the last change, at the rates of then. */
  #settle(pool: number): void {
    const { nowUs } = this.#setup.world.engine;
    const elapsedUs = nowUs - this.#poolFloats[(pool << FLOATS_LOG2) + SETTLED_US]!;
    this.#poolFloats[(pool << FLOATS_LOG2) + SETTLED_US] = nowUs;
    if (elapsedUs === 0) return;
    for (
      let seat = this.#pools[(pool << INTS_LOG2) + HEAD]!;
      seat !== NONE;
      seat = this.#seats[(seat << INTS_LOG2) + NEXT]!
    ) {
      const doneUs = elapsedUs * this.#rate(seat, pool);
      this.#seatFloats[(seat << FLOATS_LOG2) + LEFT_US] = Math.max(
        0,
        this.#seatFloats[(seat << FLOATS_LOG2) + LEFT_US]! - doneUs,
      );
      this.#seatFloats[(seat << FLOATS_LOG2) + USED_US]! += doneUs;
    }
  }

  #rate(seat: number, pool: number): number {
    return this.#seats[(seat << INTS_LOG2) + LEVEL] === Level.foreground
      ? this.#poolFloats[(pool << FLOATS_LOG2) + FOREGROUND_RATE]!
      : this.#poolFloats[(pool << FLOATS_LOG2) + BACKGROUND_RATE]!;
  }

  /** Who runs from now on, how fast, and until when. */
  #refresh(pool: number): void {
    const { engine } = this.#setup.world;
    this.#share(pool);
    if (!this.#setup.isFair) this.#switch(pool);
    let leastUs = Infinity;
    for (
      let seat = this.#pools[(pool << INTS_LOG2) + HEAD]!;
      seat !== NONE;
      seat = this.#seats[(seat << INTS_LOG2) + NEXT]!
    ) {
      const rate = this.#rate(seat, pool);
      if (rate === 0) continue;
      if (this.#seats[(seat << INTS_LOG2) + HAS_RUN] === 0) {
        this.#seats[(seat << INTS_LOG2) + HAS_RUN] = 1;
        this.#setup.began(seat);
      }
      const leftUs = this.#seatFloats[(seat << FLOATS_LOG2) + LEFT_US]! / rate;
      if (leftUs >= leastUs) continue;
      leastUs = leftUs;
      this.#pools[(pool << INTS_LOG2) + NEXT_SEAT] = seat;
    }
    const stamp = (this.#pools[(pool << INTS_LOG2) + STAMP]! + 1) | 0;
    this.#pools[(pool << INTS_LOG2) + STAMP] = stamp;
    if (leastUs !== Infinity) engine.after(leastUs, this.#kind, pool, stamp);
  }

  #share(pool: number): void {
    const { coreCount, isFair, world } = this.#setup;
    const speed = this.#speeds[pool]!;
    let foreground = 0;
    let background = 0;
    for (
      let seat = this.#pools[(pool << INTS_LOG2) + HEAD]!;
      seat !== NONE;
      seat = this.#seats[(seat << INTS_LOG2) + NEXT]!
    ) {
      const threads = isFair ? coreCountOf(this.#seats[(seat << INTS_LOG2) + MASK]!) : 1;
      if (this.#seats[(seat << INTS_LOG2) + LEVEL] === Level.foreground) foreground += threads;
      else background += threads;
    }
    const joinedTo = this.#pools[(pool << INTS_LOG2) + JOINED_TO]!;
    const isTaken = joinedTo !== NONE && this.#seats[(joinedTo << INTS_LOG2) + IS_AWAKE] === 1;
    this.#poolFloats[(pool << FLOATS_LOG2) + FOREGROUND_RATE] =
      speed * (foreground <= coreCount ? 1 : coreCount / foreground);
    const isLeft = foreground === 0 && !isTaken;
    const share = background <= coreCount ? 1 : coreCount / background;
    this.#poolFloats[(pool << FLOATS_LOG2) + BACKGROUND_RATE] = isLeft ? speed * share : 0;
    const busyCount = isTaken ? 1 : Math.min(coreCount, foreground > 0 ? foreground : background);
    if (busyCount === this.#pools[(pool << INTS_LOG2) + BUSY_COUNT]) return;
    world.recorder.coresBusy(busyCount - this.#pools[(pool << INTS_LOG2) + BUSY_COUNT]!, world.engine.nowUs);
    this.#pools[(pool << INTS_LOG2) + BUSY_COUNT] = busyCount;
  }

  /** Another one than before has the core. */
  #switch(pool: number): void {
    let seat = this.#pools[(pool << INTS_LOG2) + HEAD]!;
    while (seat !== NONE && this.#rate(seat, pool) === 0) seat = this.#seats[(seat << INTS_LOG2) + NEXT]!;
    const last = this.#pools[(pool << INTS_LOG2) + LAST_SEAT]!;
    if (
      seat === NONE ||
      (seat === last && this.#seats[(seat << INTS_LOG2) + LIFE] === this.#pools[(pool << INTS_LOG2) + LAST_LIFE])
    )
      return;
    const isLastHere =
      last !== NONE && this.#seats[(last << INTS_LOG2) + LIFE] === this.#pools[(pool << INTS_LOG2) + LAST_LIFE];
    if (isLastHere || this.#seats[(seat << INTS_LOG2) + HAS_RUN] === 1) {
      this.#seatFloats[(seat << FLOATS_LOG2) + LEFT_US]! += this.#switchUs;
      this.switchCount++;
    }
    // Not one that sleeps, or was moved to another core and goes on there.
    const waits =
      isLastHere &&
      this.#seats[(last << INTS_LOG2) + IS_AWAKE] === 1 &&
      this.#seats[(last << INTS_LOG2) + POOL] === pool;
    if (waits && this.#rate(last, pool) === 0) this.#setup.world.counters.preemptions++;
    this.#pools[(pool << INTS_LOG2) + LAST_SEAT] = seat;
    this.#pools[(pool << INTS_LOG2) + LAST_LIFE] = this.#seats[(seat << INTS_LOG2) + LIFE]!;
  }

  #end(pool: number, stamp: number): void {
    if (this.#pools[(pool << INTS_LOG2) + STAMP] !== stamp) return;
    this.#settle(pool);
    const seat = this.#pools[(pool << INTS_LOG2) + NEXT_SEAT]!;
    this.#seatFloats[(seat << FLOATS_LOG2) + LEFT_US] = 0;
    this.#setup.done(seat);
    this.flush();
  }
}

function lowestBit(mask: number): number {
  return 31 - Math.clz32(mask & -mask);
}
