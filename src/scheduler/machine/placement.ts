/**
 * Finds a core for a request, reserves the memory beside it and claims it: on a worker that is believed to hold a warm instance of its version,
 * its last core first; then the core freed last; then wherever the summary says. Each step looks at a fixed number of
 * places, and the last finds what there is, so preference never leaves a request waiting beside an idle core.
 *
 * Extra seats have a summary of their own, which is asked where that of the cores has nothing (`findExtra`). They are in no list of idle
 * cores, and no hint leads to one: so where there are none, a decision pays nothing for them.
 *
 * Memory comes before the core: a reservation that fails changes nothing that other shards see, while a core put back would have to be told of.
 * A shard whose list of idle cores has run out takes references to idle cores from wherever the summary leads it, those beside the core that
 * it claims: references to cores move between the shards, and no work does (Kaffes, Yadwadkar, Kozyrakis, SoCC '19, section 3).
 *
 * Budget and check: as scheduler.ts.
 */
import { assert } from '../../base/assert.ts';
import { coreCountOf, lowestCore, withoutLowest } from '../../base/core-mask.ts';
import type { Cores } from './cores.ts';
import { counter } from './counters.ts';
import type { IdleList } from './idle-list.ts';
import { countWord } from './memory.ts';
import type { Overtaking } from './overtaking.ts';
import type { Rooms } from './rooms.ts';
import type { Leases } from './leases.ts';
import { EVERYWHERE } from './looks.ts';
import { Several } from './several.ts';
import type { SharedInt32 } from './shared.ts';
import type { Summary } from './summary.ts';
import type { Versions } from './versions.ts';
import type { Warm } from './warm.ts';
import type { Withdrawal } from './withdrawal.ts';
import type { Workers } from './workers.ts';

// Constants of this module are folded into the code, imported ones are not (see words.ts).
const { grantSummary, grantExtra, staleWarmHints, grantWarmCore, grantWarmWorker, grantIdleList, staleIdleReferences } =
  counter;
const ensure: (condition: boolean, message: string) => void = assert;
const WARM_TRIES = 4;
const IDLE_TRIES = 8;

interface Parts {
  readonly cores: Cores;
  readonly leases: Leases;
  readonly workers: Workers;
  readonly summary: Summary;
  readonly extras: Summary;
  readonly rooms: Rooms;
  readonly overtaking: Overtaking;
  readonly idleList: IdleList;
  readonly versions: Versions;
  readonly warm: Warm;
  readonly counters: Float64Array;
  readonly counts: SharedInt32;
}

export class Placement {
  readonly #cores: Cores;
  readonly #leases: Leases;
  readonly #workers: Workers;
  readonly #summary: Summary;
  /** Of extra seats. */
  readonly #extras: Summary;
  readonly #rooms: Rooms;
  readonly #overtaking: Overtaking;
  readonly #idleList: IdleList;
  readonly #warm: Warm;
  readonly #versions: Versions;
  readonly #several: Several;
  readonly #counters: Float64Array;
  readonly #counts: SharedInt32;
  readonly #withdrawal: Withdrawal;
  readonly #isShared: boolean;

  /** How the last core was found: a grant counter. */
  path = 0;
  /** 1 if its worker is believed to hold a warm instance. */
  isWarm = 0;
  /** All cores of what was found last, until it is leased or put back; 0: the one core. */
  mask = 0;
  /** Something was given back that others may have missed meanwhile. */
  hasGiven = false;

  constructor(parts: Parts, withdrawal: Withdrawal, isShared: boolean) {
    this.#cores = parts.cores;
    this.#leases = parts.leases;
    this.#workers = parts.workers;
    this.#summary = parts.summary;
    this.#extras = parts.extras;
    this.#rooms = parts.rooms;
    this.#overtaking = parts.overtaking;
    this.#idleList = parts.idleList;
    this.#warm = parts.warm;
    this.#versions = parts.versions;
    this.#several = new Several(parts, { isShared });
    this.#counters = parts.counters;
    this.#counts = parts.counts;
    this.#withdrawal = withdrawal;
    this.#isShared = isShared;
  }

  /**
   * A claimed core on a worker with that much room, and the memory reserved. Only to be asked where the summary has one. -1: other
   * shards were faster, and now there is none. Of several cores: the lead, or -1 if no worker has as many. `where`: only on the worker of that home.
   */
  find(version: number, memoryMb: number, where: number = EVERYWHERE): number {
    if (this.#versions.coreCount(version) > 1) return this.#findSeveral(version, memoryMb, where);
    const warm = this.#findWarm(version, memoryMb);
    if (warm >= 0) return warm;
    this.isWarm = 0;
    const listed = this.#findListed(memoryMb);
    if (listed >= 0) return listed;
    this.path = grantSummary;
    if (this.#isShared) return this.#findAnywhere(memoryMb);
    const core = this.#take(this.#summary.find(memoryMb), -1, memoryMb);
    ensure(core >= 0, 'the summary promised an idle core');
    return core;
  }

  /** As `find`, an extra seat, for one that is not dedicated. */
  findExtra(version: number, memoryMb: number): number {
    this.path = grantExtra;
    for (;;) {
      const home = this.#seekExtra(version, memoryMb);
      if (home < 0) return -1;
      const core = this.#takeExtra(home, memoryMb);
      if (core >= 0) return core;
      if (this.#rooms.settle(home)) this.hasGiven = true;
    }
  }

  /** On the kept worker, for the request that it is kept for; -1: it does not fit yet. */
  claimKept(version: number, memoryMb: number): number {
    const home = this.#overtaking.keptHome;
    if (this.#versions.coreCount(version) > 1) return this.#claimed(this.#several.claim(home, -1, version, memoryMb));
    const isDedicated = this.#versions.isDedicated(version);
    if (this.#workers.free(home) < memoryMb || !this.#cores.hasIdleFor(home, isDedicated)) return -1;
    return this.#ownSuits(home, isDedicated) ? this.#take(home, -1, memoryMb) : this.#takeExtra(home, memoryMb);
  }

  /** Where an instance is kept for the version: whatever the cap of the worker, and whoever it is kept for. -1: others were faster. */
  claimProvisioned(hint: number, version: number, memoryMb: number): number {
    const home = this.#cores.homeOf(hint);
    if (this.#versions.coreCount(version) > 1)
      return this.#claimed(this.#several.claimBeyondCap(hint, version, memoryMb));
    if (!this.#workers.reserveBeyondCap(home, memoryMb)) return -1;
    const isOwn = this.#ownSuits(home, this.#versions.isDedicated(version));
    return isOwn ? this.#claim(home, hint, memoryMb) : this.#claimExtra(home, memoryMb);
  }

  /** For a request that gets a core which it did not choose: is its worker warm all the same? */
  takeWarmOn(home: number, version: number): void {
    this.isWarm = this.#warm.take(version, home << 5, this.#cores.endOf(home)) ? 1 : 0;
  }

  /** Undoes the last `find`. */
  putBack(core: number, version: number, memoryMb: number): void {
    this.#workers.unreserve(this.#cores.homeOf(core), memoryMb);
    // What is claimed counts as idle until it is leased.
    this.#counts[countWord.IDLE]! -= coreCountOf(this.mask);
    this.put(core, this.mask);
    this.mask = 0;
    if (this.isWarm === 1) this.#warm.push(version, this.#cores.hintOf(core, this.#cores.homeOf(core)));
    this.hasGiven = true;
  }

  /** The cores, which are owned, are nobody's from now on. */
  put(lead: number, mask: number): void {
    if (mask === 0) {
      if (this.#withdrawal.put(lead) && !this.#cores.isExtra(lead, this.#cores.homeOf(lead))) this.#idleList.push(lead);
      return;
    }
    const idle = this.#withdrawal.putSeveral(lead, mask);
    for (let rest = idle; rest !== 0; rest = withoutLowest(rest)) this.#idleList.push(lowestCore(lead, rest));
  }

  /** A lease of several cores has ended, and one was counted as leased no more already: all are nobody's. */
  endSeveral(lead: number): void {
    const mask = this.#leases.endSeveral(lead);
    this.#counts[countWord.LEASED]! -= coreCountOf(mask) - 1;
    this.put(lead, mask);
  }

  #findSeveral(version: number, memoryMb: number, where: number): number {
    const several = this.#several;
    this.isWarm = 1;
    this.path = grantWarmWorker;
    let lead = where === EVERYWHERE ? several.findWarm(version, memoryMb) : -1;
    if (lead < 0) {
      this.path = grantSummary;
      lead = where === EVERYWHERE ? several.findAnywhere(version, memoryMb) : several.findOn(where, version, memoryMb);
      if (lead >= 0) this.takeWarmOn(this.#cores.homeOf(lead), version);
    }
    return this.#claimed(lead);
  }

  #claimed(lead: number): number {
    if (lead >= 0) this.mask = this.#several.mask;
    if (this.#several.hasGiven) {
      this.#several.hasGiven = false;
      this.hasGiven = true;
    }
    return lead;
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
      const core = this.#take(this.#cores.homeOf(hint), hint, memoryMb);
      if (core >= 0) {
        this.path = core === hint ? grantWarmCore : grantWarmWorker;
        return core;
      }
      this.#counters[staleWarmHints]! += 1;
    }
    return -1;
  }

  #findListed(memoryMb: number): number {
    for (let i = 0; i < IDLE_TRIES; i++) {
      const core = this.#idleList.pop();
      if (core < 0) return -1;
      if (this.#summary.roomOfWord(core >>> 5) >= memoryMb && this.#cores.isIdle(core)) {
        const taken = this.#take(this.#cores.homeOf(core), core, memoryMb);
        if (taken >= 0) {
          this.path = grantIdleList;
          return taken;
        }
      }
      this.#counters[staleIdleReferences]! += 1;
    }
    return -1;
  }

  /** Several shards: until the top of the summary says that there is none. */
  #findAnywhere(memoryMb: number): number {
    for (;;) {
      const home = this.#summary.seek(memoryMb);
      if (home < 0) return -1;
      const core = this.#take(home, -1, memoryMb);
      if (core >= 0) {
        this.#stealBeside(core);
        return core;
      }
      // It promised too much, and nobody is waited for who may be about to say so.
      if (this.#rooms.settle(home)) this.hasGiven = true;
    }
  }

  /** The home of a worker with room on its extra seats: of one with a warm instance, whose hint is forgotten, before others; -1: none has. */
  #seekExtra(version: number, memoryMb: number): number {
    const tries = Math.min(this.#warm.count(version), WARM_TRIES);
    this.isWarm = 1;
    for (let i = 0; i < tries; i++) {
      const hint = this.#warm.peek(version);
      if (this.#extras.roomOfWord(hint >>> 5) >= memoryMb) {
        this.#warm.drop(version);
        return this.#cores.homeOf(hint);
      }
      this.#counters[staleWarmHints]! += 1;
      this.#warm.sink(version);
    }
    this.isWarm = 0;
    return this.#extras.seek(memoryMb);
  }

  /** Is it to be a core of the worker's own? */
  #ownSuits(home: number, isDedicated: boolean): boolean {
    return isDedicated || this.#cores.hasIdle(home);
  }

  #stealBeside(core: number): void {
    for (let bits = this.#cores.idleBeside(core); bits !== 0; bits &= bits - 1)
      this.#idleList.push((core & ~31) + 31 - Math.clz32(bits & -bits));
  }

  #take(home: number, preferred: number, memoryMb: number): number {
    if (this.#isShared && this.#isOthers(home)) return -1;
    return this.#workers.reserve(home, memoryMb) ? this.#claim(home, preferred, memoryMb) : -1;
  }

  #takeExtra(home: number, memoryMb: number): number {
    if (this.#isShared && this.#isOthers(home)) return -1;
    return this.#workers.reserve(home, memoryMb) ? this.#claimExtra(home, memoryMb) : -1;
  }

  /** Does another shard keep the worker? */
  #isOthers(home: number): boolean {
    const { homeKept, keptHome } = this.#overtaking;
    return home === homeKept && home !== keptHome;
  }

  #claim(home: number, preferred: number, memoryMb: number): number {
    if (preferred >= 0 && this.#cores.claim(preferred)) return preferred;
    return this.#claimedOrUndone(home, this.#cores.claimOn(home), memoryMb);
  }

  #claimExtra(home: number, memoryMb: number): number {
    return this.#claimedOrUndone(home, this.#cores.claimExtraOn(home), memoryMb);
  }

  /** The core; -1: it was not there, and the memory is given back. */
  #claimedOrUndone(home: number, core: number, memoryMb: number): number {
    if (core >= 0) return core;
    // It was hidden from others meanwhile, and who settled the worker meanwhile has promised too little.
    this.#workers.unreserve(home, memoryMb);
    this.#rooms.settle(home);
    this.hasGiven = true;
    return -1;
  }
}
