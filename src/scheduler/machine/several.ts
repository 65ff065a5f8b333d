/**
 * Requests of several cores: so many idle cores of one word, claimed by one swap. Bit by bit, two requests that have half of what they need
 * would wait for each other for ever. The memory is reserved before, once for all.
 *
 * Where: on a worker that is believed to hold a warm instance; else on the next worker in turn, from the last one that was found, whose room
 * is enough. That ends when all have been looked at, and only then does a request wait, so it may cost a look at each worker that has an
 * idle core: a load for each of its words. Requests of one core never pay for it. What is worth a look again is known to `looks.ts`.
 *
 * A worker's memory is only reserved where its word was seen to have the cores: what is reserved and put back has to be told of.
 */
import type { Cores } from './cores.ts';
import { counter } from './counters.ts';
import type { Overtaking } from './overtaking.ts';
import type { Place } from './memory.ts';
import type { Rooms } from './rooms.ts';
import type { Summary } from './summary.ts';
import type { Versions } from './versions.ts';
import type { Warm } from './warm.ts';
import type { Workers } from './workers.ts';

const WARM_TRIES = 4;

interface Parts {
  readonly cores: Cores;
  readonly workers: Workers;
  readonly summary: Summary;
  readonly rooms: Rooms;
  readonly overtaking: Overtaking;
  readonly versions: Versions;
  readonly warm: Warm;
  readonly counters: Float64Array;
}

export class Several {
  readonly #parts: Parts;
  readonly #isShared: boolean;
  /** The home at which the next look begins. */
  #next = 0;

  /** The cores of what was claimed last. */
  mask = 0;
  /** Memory was reserved for a moment, in vain. */
  hasGiven = false;

  constructor(parts: Parts, { isShared }: Pick<Place, 'isShared'>) {
    this.#parts = parts;
    this.#isShared = isShared;
  }

  /** The lead of what it claimed on a worker with a warm instance, whose hint is forgotten; -1: nothing. */
  findWarm(version: number, memoryMb: number): number {
    const { warm, counters, cores } = this.#parts;
    const tries = Math.min(warm.count(version), WARM_TRIES);
    for (let i = 0; i < tries; i++) {
      const hint = warm.peek(version);
      const lead = this.#takeFree(cores.homeOf(hint), hint, version, memoryMb);
      if (lead >= 0) {
        warm.drop(version);
        return lead;
      }
      counters[counter.staleWarmHints]! += 1;
      warm.sink(version);
    }
    return -1;
  }

  /** The same anywhere. */
  findAnywhere(version: number, memoryMb: number): number {
    const first = this.#next;
    const after = this.#findFrom(first, Infinity, version, memoryMb);
    return after >= 0 ? after : this.#findFrom(0, first, version, memoryMb);
  }

  /** The same on the worker, if it has room. */
  findOn(home: number, version: number, memoryMb: number): number {
    return this.#takeFree(home, -1, version, memoryMb);
  }

  /** The same on a worker whatever its room says, in the word of the core first, if there is one. */
  claim(home: number, core: number, version: number, memoryMb: number): number {
    const { cores, versions, workers } = this.#parts;
    const count = versions.coreCount(version);
    const word = cores.wordWith(home, count, core);
    if (word < 0 || (!this.#isShared && workers.free(home) < memoryMb)) return -1;
    return workers.reserve(home, memoryMb) ? this.#claimIn(word, count, home, memoryMb) : -1;
  }

  /** The same beyond its cap. */
  claimBeyondCap(core: number, version: number, memoryMb: number): number {
    const { cores, versions, workers } = this.#parts;
    const home = cores.homeOf(core);
    const count = versions.coreCount(version);
    const word = cores.wordWith(home, count, core);
    if (word < 0 || (!this.#isShared && workers.unreserved(home) < memoryMb)) return -1;
    return workers.reserveBeyondCap(home, memoryMb) ? this.#claimIn(word, count, home, memoryMb) : -1;
  }

  #claimIn(word: number, count: number, home: number, memoryMb: number): number {
    const mask = this.#parts.cores.claimSeveral(word, count);
    this.mask = mask;
    if (mask !== 0) return (word << 5) + 31 - Math.clz32(mask & -mask);
    this.#parts.workers.unreserve(home, memoryMb);
    // As in placement.ts: who settled the worker meanwhile has promised too little.
    this.#parts.rooms.settle(home);
    this.hasGiven = true;
    return -1;
  }

  #findFrom(first: number, end: number, version: number, memoryMb: number): number {
    const { summary } = this.#parts;
    for (let home = summary.next(memoryMb, first); home >= 0 && home < end; home = summary.next(memoryMb, home + 1)) {
      const lead = this.#takeFree(home, -1, version, memoryMb);
      if (lead < 0) continue;
      this.#next = home;
      return lead;
    }
    return -1;
  }

  #takeFree(home: number, core: number, version: number, memoryMb: number): number {
    if (home === this.#parts.overtaking.homeKept) return -1;
    return this.claim(home, core, version, memoryMb);
  }
}
