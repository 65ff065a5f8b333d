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
  /** By seat. */
  readonly #pool: Int32Array;
  readonly #level: Uint8Array;
  readonly #isAwake: Uint8Array;
  readonly #hasRun: Uint8Array;
  readonly #mask: Int32Array;
  readonly #leftUs: Float64Array;
  readonly #usedUs: Float64Array;
  /** Grows with each resident. */
  readonly #life: Int32Array;
  /** Those awake of a pool, in a list. */
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  /** By pool. */
  readonly #head: Int32Array;
  readonly #tail: Int32Array;
  readonly #settledUs: Float64Array;
  readonly #foregroundRate: Float64Array;
  readonly #backgroundRate: Float64Array;
  readonly #busyCount: Int32Array;
  readonly #stamp: Int32Array;
  /** Who is done first. */
  readonly #nextSeat: Int32Array;
  /** Who ran last, and in which life. */
  readonly #lastSeat: Int32Array;
  readonly #lastLife: Int32Array;
  /** It is one more core of this seat's resident. */
  readonly #joinedTo: Int32Array;
  readonly #isDirty: Uint8Array;
  readonly #dirty: Int32Array;
  #dirtyCount = 0;
  readonly #setup: KernelSetup;
  readonly #switchUs: number;
  readonly #kind: number;

  constructor(setup: KernelSetup) {
    const { world, poolCount, seatCount } = setup;
    this.#setup = setup;
    this.#switchUs = world.costs.switchUs;
    this.#pool = new Int32Array(seatCount).fill(NONE);
    this.#level = new Uint8Array(seatCount);
    this.#isAwake = new Uint8Array(seatCount);
    this.#hasRun = new Uint8Array(seatCount);
    this.#mask = new Int32Array(seatCount);
    this.#leftUs = new Float64Array(seatCount);
    this.#usedUs = new Float64Array(seatCount);
    this.#life = new Int32Array(seatCount);
    this.#next = new Int32Array(seatCount);
    this.#previous = new Int32Array(seatCount);
    this.#head = new Int32Array(poolCount).fill(NONE);
    this.#tail = new Int32Array(poolCount).fill(NONE);
    this.#settledUs = new Float64Array(poolCount);
    this.#foregroundRate = new Float64Array(poolCount);
    this.#backgroundRate = new Float64Array(poolCount);
    this.#busyCount = new Int32Array(poolCount);
    this.#stamp = new Int32Array(poolCount);
    this.#nextSeat = new Int32Array(poolCount).fill(NONE);
    this.#lastSeat = new Int32Array(poolCount).fill(NONE);
    this.#lastLife = new Int32Array(poolCount);
    this.#joinedTo = new Int32Array(poolCount).fill(NONE);
    this.#isDirty = new Uint8Array(poolCount);
    this.#dirty = new Int32Array(poolCount);
    this.#kind = world.engine.kind((pool, stamp) => this.#end(pool, stamp));
  }

  /** A resident is there from now on, and has nothing to do yet. `mask`: its cores, as core-mask.ts says. */
  enter(seat: number, pool: number, level: Level, mask: number): void {
    assert(this.#pool[seat] === NONE, 'a seat has two residents');
    this.#pool[seat] = pool;
    this.#level[seat] = level;
    this.#mask[seat] = mask;
    this.#isAwake[seat] = 0;
    this.#hasRun[seat] = 0;
    this.#usedUs[seat] = 0;
    this.#life[seat]!++;
    if (mask !== 0 && !this.#setup.isFair) this.#join(seat, seat);
  }

  leave(seat: number): void {
    if (this.#isAwake[seat] === 1) this.sleep(seat);
    if (this.#mask[seat] !== 0 && !this.#setup.isFair) this.#join(seat, NONE);
    this.#pool[seat] = NONE;
    this.#life[seat]!++;
  }

  /** It is awake from now on, and has so much to do. */
  work(seat: number, workUs: number): void {
    this.#touch(this.#pool[seat]!);
    this.#leftUs[seat] = workUs;
    if (this.#isAwake[seat] === 1) return;
    this.#isAwake[seat] = 1;
    this.#link(seat, this.#pool[seat]!);
    if (this.#mask[seat] !== 0) this.#touchJoined(seat);
  }

  sleep(seat: number): void {
    this.#touch(this.#pool[seat]!);
    this.#isAwake[seat] = 0;
    this.#unlink(seat, this.#pool[seat]!);
    if (this.#mask[seat] !== 0) this.#touchJoined(seat);
  }

  /** Nothing happens where nobody is on the seat yet. */
  place(seat: number, pool: number, level: Level): void {
    const before = this.#pool[seat]!;
    if (before === NONE || (before === pool && this.#level[seat] === level)) return;
    if (this.#isAwake[seat] === 0) {
      this.#pool[seat] = pool;
      this.#level[seat] = level;
      return;
    }
    this.#touch(before);
    this.#touch(pool);
    if (before !== pool) {
      this.#unlink(seat, before);
      this.#link(seat, pool);
    }
    this.#pool[seat] = pool;
    this.#level[seat] = level;
  }

  isHere(seat: number): boolean {
    return this.#pool[seat] !== NONE;
  }

  isAwake(seat: number): boolean {
    return this.#isAwake[seat] === 1;
  }

  /** CPU time that the resident has had so far, of one of its cores. */
  usedUs(seat: number): number {
    this.#settle(this.#pool[seat]!);
    return this.#usedUs[seat]!;
  }

  /** After each event of whoever places, wakes and ends residents. */
  flush(): void {
    for (let at = 0; at < this.#dirtyCount; at++) {
      const pool = this.#dirty[at]!;
      this.#isDirty[pool] = 0;
      this.#refresh(pool);
    }
    this.#dirtyCount = 0;
  }

  /** For tests, between two events. */
  check(): void {
    assert(this.#dirtyCount === 0, 'a pool was touched, and nobody was told');
    let awakeCount = 0;
    for (let pool = 0; pool < this.#head.length; pool++) {
      let foregroundCount = 0;
      for (let seat = this.#head[pool]!; seat !== NONE; seat = this.#next[seat]!) {
        assert(this.#pool[seat] === pool && this.#isAwake[seat] === 1, `seat ${seat} is in the list of pool ${pool}`);
        assert(this.#leftUs[seat]! >= 0, `seat ${seat} has ${this.#leftUs[seat]} µs left`);
        if (this.#level[seat] === Level.foreground) foregroundCount++;
        awakeCount++;
      }
      assert(this.#setup.isFair || foregroundCount <= 1, `exclusive: ${foregroundCount} in front of ${pool}`);
      const joinedTo = this.#joinedTo[pool]!;
      assert(joinedTo === NONE || foregroundCount === 0, `pool ${pool} is of seat ${joinedTo}, and of another`);
    }
    let awake = 0;
    for (const isAwake of this.#isAwake) awake += isAwake;
    assert(awake === awakeCount, `${awake} are awake, ${awakeCount} are in lists`);
  }

  #join(seat: number, to: number): void {
    const mask = this.#mask[seat]!;
    for (let rest = withoutLowest(mask); rest !== 0; rest = withoutLowest(rest))
      this.#joinedTo[this.#joined(seat, rest)] = to;
  }

  #touchJoined(seat: number): void {
    if (this.#setup.isFair) return;
    for (let rest = withoutLowest(this.#mask[seat]!); rest !== 0; rest = withoutLowest(rest))
      this.#touch(this.#joined(seat, rest));
  }

  /** The pool of the lowest core that is left of its mask. */
  #joined(seat: number, rest: number): number {
    return this.#pool[seat]! + lowestBit(rest) - lowestBit(this.#mask[seat]!);
  }

  #link(seat: number, pool: number): void {
    const tail = this.#tail[pool]!;
    this.#previous[seat] = tail;
    this.#next[seat] = NONE;
    if (tail === NONE) this.#head[pool] = seat;
    else this.#next[tail] = seat;
    this.#tail[pool] = seat;
  }

  #unlink(seat: number, pool: number): void {
    const next = this.#next[seat]!;
    const previous = this.#previous[seat]!;
    if (previous === NONE) this.#head[pool] = next;
    else this.#next[previous] = next;
    if (next === NONE) this.#tail[pool] = previous;
    else this.#previous[next] = previous;
  }

  #touch(pool: number): void {
    this.#settle(pool);
    if (this.#isDirty[pool] === 1) return;
    this.#isDirty[pool] = 1;
    this.#dirty[this.#dirtyCount++] = pool;
  }

  /** What was done since the last change, at the rates of then. */
  #settle(pool: number): void {
    const { nowUs } = this.#setup.world.engine;
    const elapsedUs = nowUs - this.#settledUs[pool]!;
    this.#settledUs[pool] = nowUs;
    if (elapsedUs === 0) return;
    for (let seat = this.#head[pool]!; seat !== NONE; seat = this.#next[seat]!) {
      const doneUs = elapsedUs * this.#rate(seat, pool);
      this.#leftUs[seat] = Math.max(0, this.#leftUs[seat]! - doneUs);
      this.#usedUs[seat]! += doneUs;
    }
  }

  #rate(seat: number, pool: number): number {
    return this.#level[seat] === Level.foreground ? this.#foregroundRate[pool]! : this.#backgroundRate[pool]!;
  }

  /** Who runs from now on, how fast, and until when. */
  #refresh(pool: number): void {
    const { engine } = this.#setup.world;
    this.#share(pool);
    if (!this.#setup.isFair) this.#switch(pool);
    let leastUs = Infinity;
    for (let seat = this.#head[pool]!; seat !== NONE; seat = this.#next[seat]!) {
      const rate = this.#rate(seat, pool);
      if (rate === 0) continue;
      if (this.#hasRun[seat] === 0) {
        this.#hasRun[seat] = 1;
        this.#setup.began(seat);
      }
      const leftUs = this.#leftUs[seat]! / rate;
      if (leftUs >= leastUs) continue;
      leastUs = leftUs;
      this.#nextSeat[pool] = seat;
    }
    const stamp = (this.#stamp[pool]! + 1) | 0;
    this.#stamp[pool] = stamp;
    if (leastUs !== Infinity) engine.after(leastUs, this.#kind, pool, stamp);
  }

  #share(pool: number): void {
    const { coreCount, isFair, world } = this.#setup;
    let foreground = 0;
    let background = 0;
    for (let seat = this.#head[pool]!; seat !== NONE; seat = this.#next[seat]!) {
      const threads = isFair ? coreCountOf(this.#mask[seat]!) : 1;
      if (this.#level[seat] === Level.foreground) foreground += threads;
      else background += threads;
    }
    const joinedTo = this.#joinedTo[pool]!;
    const isTaken = joinedTo !== NONE && this.#isAwake[joinedTo] === 1;
    this.#foregroundRate[pool] = foreground <= coreCount ? 1 : coreCount / foreground;
    const isLeft = foreground === 0 && !isTaken;
    this.#backgroundRate[pool] = !isLeft ? 0 : background <= coreCount ? 1 : coreCount / background;
    const busyCount = isTaken ? 1 : Math.min(coreCount, foreground > 0 ? foreground : background);
    if (busyCount === this.#busyCount[pool]) return;
    world.recorder.coresBusy(busyCount - this.#busyCount[pool]!, world.engine.nowUs);
    this.#busyCount[pool] = busyCount;
  }

  /** Another one than before has the core. */
  #switch(pool: number): void {
    let seat = this.#head[pool]!;
    while (seat !== NONE && this.#rate(seat, pool) === 0) seat = this.#next[seat]!;
    const last = this.#lastSeat[pool]!;
    if (seat === NONE || (seat === last && this.#life[seat] === this.#lastLife[pool])) return;
    const isLastHere = last !== NONE && this.#life[last] === this.#lastLife[pool];
    if (isLastHere || this.#hasRun[seat] === 1) {
      this.#leftUs[seat]! += this.#switchUs;
      this.switchCount++;
    }
    // Not one that sleeps, or was moved to another core and goes on there.
    const waits = isLastHere && this.#isAwake[last] === 1 && this.#pool[last] === pool;
    if (waits && this.#rate(last, pool) === 0) this.#setup.world.counters.preemptions++;
    this.#lastSeat[pool] = seat;
    this.#lastLife[pool] = this.#life[seat]!;
  }

  #end(pool: number, stamp: number): void {
    if (this.#stamp[pool] !== stamp) return;
    this.#settle(pool);
    const seat = this.#nextSeat[pool]!;
    this.#leftUs[seat] = 0;
    this.#setup.done(seat);
    this.flush();
  }
}

function lowestBit(mask: number): number {
  return 31 - Math.clz32(mask & -mask);
}
