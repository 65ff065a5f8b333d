/**
 * Finds and claims a core for a request: on a worker that is believed to hold a warm instance of its version, its
 * last core first; then the core freed last; then wherever the summary says. Each step looks at a fixed number of
 * places, and the last always succeeds, so preference never leaves a request waiting beside an idle core.
 *
 * Budget and check: as scheduler.ts.
 */
import { assert } from '../../base/assert.ts';
import type { Cores } from './cores.ts';
import { counter } from './counters.ts';
import type { IdleList } from './idle-list.ts';
import type { Summary } from './summary.ts';
import type { Warm } from './warm.ts';

// Constants of this module are folded into the code, imported ones are not (see words.ts).
const { grantSummary, staleWarmHints, grantWarmCore, grantWarmWorker, grantIdleList, staleIdleReferences } = counter;
const ensure: (condition: boolean, message: string) => void = assert;
const WARM_TRIES = 4;
const IDLE_TRIES = 8;

interface Parts {
  readonly cores: Cores;
  readonly summary: Summary;
  readonly idleList: IdleList;
  readonly warm: Warm;
  readonly counters: Float64Array;
}

export class Placement {
  readonly #cores: Cores;
  readonly #summary: Summary;
  readonly #idleList: IdleList;
  readonly #warm: Warm;
  readonly #counters: Float64Array;

  /** How the last core was found: a grant counter. */
  path = 0;
  /** 1 if its worker is believed to hold a warm instance. */
  isWarm = 0;

  constructor(parts: Parts) {
    this.#cores = parts.cores;
    this.#summary = parts.summary;
    this.#idleList = parts.idleList;
    this.#warm = parts.warm;
    this.#counters = parts.counters;
  }

  /** A claimed core on a worker with that much room. Only to be asked where the summary has one. */
  find(version: number, memoryMb: number): number {
    const warm = this.#findWarm(version, memoryMb);
    if (warm >= 0) return warm;
    this.isWarm = 0;
    const listed = this.#findListed(memoryMb);
    if (listed >= 0) return listed;
    const core = this.#cores.claimOn(this.#summary.find(memoryMb));
    ensure(core >= 0, 'the summary promised an idle core');
    this.path = grantSummary;
    return core;
  }

  /** For a request that gets a core which it did not choose: is its worker warm all the same? */
  takeWarmOn(home: number, version: number): void {
    this.isWarm = this.#warm.take(version, home << 5, this.#cores.endOf(home)) ? 1 : 0;
  }

  /** Undoes the last `find`. */
  putBack(core: number, version: number): void {
    this.#cores.free(core);
    this.#idleList.push(core);
    if (this.isWarm === 1) this.#warm.push(version, core);
  }

  #findWarm(version: number, memoryMb: number): number {
    const tries = Math.min(this.#warm.count(version), WARM_TRIES);
    for (let i = 0; i < tries; i++) {
      const hint = this.#warm.peek(version);
      if (this.#summary.roomOfWord(hint >>> 5) < memoryMb) {
        this.#counters[staleWarmHints]! += 1;
        this.#warm.sink(version);
        continue;
      }
      this.#warm.drop(version);
      this.isWarm = 1;
      if (this.#cores.claim(hint)) {
        this.path = grantWarmCore;
        return hint;
      }
      this.path = grantWarmWorker;
      return this.#cores.claimOn(this.#cores.homeOf(hint));
    }
    return -1;
  }

  #findListed(memoryMb: number): number {
    for (let i = 0; i < IDLE_TRIES; i++) {
      const core = this.#idleList.pop();
      if (core < 0) return -1;
      if (this.#summary.roomOfWord(core >>> 5) >= memoryMb && this.#cores.claim(core)) {
        this.path = grantIdleList;
        return core;
      }
      this.#counters[staleIdleReferences]! += 1;
    }
    return -1;
  }
}
