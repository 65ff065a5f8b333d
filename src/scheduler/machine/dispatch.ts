/**
 * Who gets a core next: a request that has just come, or one of those that wait. After every event `serveWaiting` brings about that no head
 * of the queue fits anywhere, as far as this shard can see.
 *
 * What is particular to several shards (docs/decisions/008-wait-release-steal.md): a look may be in vain, because another shard was faster, and is made
 * again until the summary says that there is nothing; before each look the shard may have to stand back for another (turns.ts); and whatever it gives
 * makes it owe the others a telling (`owes`), which the shell has it do once for each batch.
 *
 * Budget and check: as scheduler.ts.
 */
import { coreCountOf } from '../../base/core-mask.ts';
import type { Actions } from './actions.ts';
import type { Bells } from './bells.ts';
import type { Cores } from './cores.ts';
import { counter } from './counters.ts';
import type { Leases } from './leases.ts';
import { EVERYWHERE, Looks } from './looks.ts';
import { countWord, type Place, type SharedMemory, sumCounts } from './memory.ts';
import type { Overtaking } from './overtaking.ts';
import type { Placement } from './placement.ts';
import type { Provisioned } from './provisioned.ts';
import { classOf, type Queue, severalClassOf } from './queue.ts';
import type { Rooms } from './rooms.ts';
import type { SharedInt32 } from './shared.ts';
import type { Summary } from './summary.ts';
import type { Turns } from './turns.ts';
import type { Versions } from './versions.ts';
import type { Workers } from './workers.ts';

// Constants of this module are folded into the code, imported ones are not (see words.ts).
const COUNT = counter;
const { IDLE, LEASED } = countWord;

interface Parts {
  readonly cores: Cores;
  readonly leases: Leases;
  readonly workers: Workers;
  readonly summary: Summary;
  readonly extras: Summary;
  readonly rooms: Rooms;
  readonly versions: Versions;
  readonly queue: Queue;
  readonly actions: Actions;
  readonly overtaking: Overtaking;
  readonly provisioned: Provisioned;
  readonly turns: Turns;
  readonly bells: Bells;
  readonly counters: Float64Array;
  readonly counts: SharedInt32;
}

export class Dispatch {
  readonly #cores: Cores;
  readonly #leases: Leases;
  readonly #workers: Workers;
  readonly #summary: Summary;
  readonly #extras: Summary;
  readonly #rooms: Rooms;
  readonly #versions: Versions;
  readonly #queue: Queue;
  readonly #actions: Actions;
  readonly #overtaking: Overtaking;
  readonly #provisioned: Provisioned;
  readonly #turns: Turns;
  readonly #bells: Bells;
  readonly #counters: Float64Array;
  readonly #counts: SharedInt32;
  readonly #waiting: SharedInt32;
  readonly #memory: SharedMemory;
  readonly #placement: Placement;
  readonly #isShared: boolean;
  readonly #looks = new Looks();
  /** Something was made possible for other shards, and they were not told yet. */
  owes = false;
  /** They may keep a worker now, whatever is idle. */
  owesAll = false;

  constructor(parts: Parts, placement: Placement, { memory, shard, isShared }: Place) {
    this.#cores = parts.cores;
    this.#leases = parts.leases;
    this.#workers = parts.workers;
    this.#summary = parts.summary;
    this.#extras = parts.extras;
    this.#rooms = parts.rooms;
    this.#versions = parts.versions;
    this.#queue = parts.queue;
    this.#actions = parts.actions;
    this.#overtaking = parts.overtaking;
    this.#provisioned = parts.provisioned;
    this.#turns = parts.turns;
    this.#bells = parts.bells;
    this.#counters = parts.counters;
    this.#counts = parts.counts;
    this.#waiting = memory.shards[shard]!.waiting;
    this.#memory = memory;
    this.#placement = placement;
    this.#isShared = isShared;
  }

  // ---- a request that has just come

  /** A claimed core for it, its memory reserved; -1 if it has to wait. */
  findForNew(version: number, memoryMb: number): number {
    const isOwn = this.#summary.hasRoom(memoryMb);
    if ((isOwn || this.#hasExtraFor(version, memoryMb)) && this.#isTurn()) {
      if (this.#queue.length === 0)
        return isOwn ? this.#placement.find(version, memoryMb) : this.#placement.findExtra(version, memoryMb);
      // Somebody waits, mostly for memory. Who asks about as much may not pass him at all, who asks less only so often.
      if (!this.#queue.hasClass(this.#classOf(version))) return this.#findBesideWaiting(version, memoryMb);
    }
    return -1;
  }

  /** The same among the instances that are kept for it, past all who wait. */
  findPassing(version: number, memoryMb: number): number {
    if (!this.#mayPassBy || !this.#isTurn()) return -1;
    return this.#findProvisioned(version, memoryMb);
  }

  /** Makes the claimed core the request's. */
  lease(core: number, request: number, version: number): void {
    this.#counters[this.#placement.path]! += 1;
    if (this.#placement.mask !== 0) return this.#leaseSeveral(core, request, version);
    this.#counts[IDLE]! -= 1;
    this.#counts[LEASED]! += 1;
    if (this.#isShared) this.#countGrant();
    this.settleSeen(this.#cores.homeOf(core));
    const sequence = this.#leases.begin(core, request, version);
    this.#actions.push(request, core, sequence, this.#placement.isWarm);
  }

  /** The same with all that was claimed. */
  #leaseSeveral(lead: number, request: number, version: number): void {
    const { mask, isWarm } = this.#placement;
    const coreCount = coreCountOf(mask);
    this.#placement.mask = 0;
    this.#counts[IDLE]! -= coreCount;
    this.#counts[LEASED]! += coreCount;
    if (this.#isShared) this.#countGrant();
    this.settleSeen(this.#cores.homeOf(lead));
    this.#actions.push(request, lead, this.#leases.beginSeveral(lead, mask, request, version), isWarm);
    this.#actions.setMask(mask);
  }

  // ---- those who wait

  wait(request: number, version: number, memoryMb: number): void {
    const coreCount = this.#versions.coreCount(version);
    if (coreCount > 1) this.#lookLater(version);
    this.#queue.pushBack(request, version, memoryMb, this.#classOf(version));
    if (this.#isShared) this.#raise(version);
  }

  /** One that has waited so many ticks elsewhere, and goes before those who have waited less. True: it is granted. */
  again(request: number, version: number, waitedTicks: number): boolean {
    const memoryMb = this.#versions.memoryMb(version);
    const core = this.findForNew(version, memoryMb);
    if (core >= 0) {
      this.lease(core, request, version);
      return true;
    }
    this.#counters[COUNT.queued]! += 1;
    this.#waitAgain(request, version, (this.#queue.tick - waitedTicks) | 0);
    this.serveWaiting();
    return !this.#queue.isWaiting(request);
  }

  /** Before everybody else. No worker is to be kept for another then. */
  waitFirst(request: number, version: number, memoryMb: number): void {
    this.#queue.pushFront(request, version, memoryMb, this.#classOf(version));
    this.#looks.gave(EVERYWHERE);
    this.endKept();
    if (this.#isShared) this.#raise(version);
  }

  dequeue(entry: number): void {
    const version = this.#queue.version(entry);
    const isSeveral = this.#queue.hasSeveral && this.#queue.isSeveral(entry);
    if (isSeveral) this.#looks.changed(this.#queue.severalClass(entry));
    this.#queue.remove(entry);
    this.#overtaking.dequeued(entry);
    if (this.#isShared) {
      this.#waiting[version]! -= 1;
      // Others may stand back for the one who was first.
      if (this.#queue.length > 0) this.#turns.raise(false);
      else this.#turns.lower();
      this.owes = true;
      if (isSeveral && this.#turns.wantNoMore()) this.owesAll = true;
    }
    if (entry === this.#overtaking.keptFor) this.endKept();
  }

  endKept(): void {
    if (this.#overtaking.keptHome < 0) return;
    const home = this.#overtaking.end();
    if (this.#isShared) this.#turns.keepsNoMore();
    this.owesAll = this.#isShared;
    this.settle(home);
    this.#looks.gave(home);
    this.owes = true;
  }

  /**
   * A core that is released, and owned, goes straight to the oldest waiting request that fits there. `serveWaiting` would do the same;
   * this way the core is never idle: neither the bitmap nor the idle list hears of it, and this is each release of a
   * busy cluster. The memory of the ended lease is free already.
   */
  handOver(core: number, home: number): boolean {
    if (home === this.#overtaking.homeKept || this.#cores.isWithdrawn(core) || !this.#isTurn()) return false;
    // It may be the last core that an older request of several lacked.
    if (this.#queue.hasSeveral) return false;
    const isExtra = this.#cores.isExtra(core, home);
    // It may be memory that was short, and a core is better than an extra seat.
    if (isExtra && this.#cores.hasIdle(home)) return false;
    const freeMb = this.#workers.free(home);
    const entry = this.#queue.oldestWithin(freeMb, isExtra ? -1 : freeMb);
    if (entry < 0) return false;
    const memoryMb = this.#queue.memoryMb(entry);
    if (entry !== this.#queue.oldest() && !this.#overtaking.mayPassOn(home, memoryMb)) return false;
    if (!this.#workers.reserve(home, memoryMb)) return false;
    const request = this.#queue.request(entry);
    const version = this.#queue.version(entry);
    this.#placement.takeWarmOn(home, version);
    this.dequeue(entry);
    this.#counters[COUNT.grantHandedOver]! += 1;
    this.#counts[LEASED]! += 1;
    if (this.#isShared) this.#countGrant();
    this.#actions.push(request, core, this.#leases.begin(core, request, version), this.#placement.isWarm);
    return true;
  }

  /** Grants whatever waits and fits: afterwards no head of the queue fits anywhere. */
  serveWaiting(): void {
    if (this.#queue.length === 0) return;
    this.#serveRound();
    while (this.#queue.hasSeveral && this.#keepForSeveral()) this.#serveRound();
  }

  /** The worker's cores or memory have become more, maybe. */
  gave(home: number): void {
    this.settle(home);
    this.owes = true;
    if (this.#queue.length === 0) return;
    if (this.#queue.hasSeveral) this.#looks.gave(home);
    this.serveWaiting();
  }

  /**
   * As `serveWaiting`. `isRung`: other shards have said that there is something, or that they have had a lot; what does not suit the oldest here, or is
   * gone already, was passed on to others.
   */
  serveWoken(isRung: boolean): void {
    this.#looks.gave(EVERYWHERE);
    this.serveWaiting();
    if (this.#queue.length === 0 || !this.#turns.isAside || (!isRung && this.greatest < 0)) return;
    if (!this.#overtaking.countLook()) return;
    this.settle(this.#overtaking.keptHome);
    this.serveWaiting();
  }

  /** Tells the summary what the worker's cores and memory have become. */
  settle(home: number): void {
    if (this.#rooms.settle(home)) this.owes = true;
  }

  /** The same after a core was taken, or put back and its wish looked at. */
  settleSeen(home: number): void {
    if (this.#rooms.settleSeen(home)) this.owes = true;
  }

  /** The greatest room of all, extra seats too; -1: nothing is idle. */
  get greatest(): number {
    return Math.max(this.#summary.greatest, this.#extraGreatest);
  }

  /** May another shard find something? A worker that is kept has no room for anybody, but for those for whom it keeps instances. */
  get mayServe(): boolean {
    if (this.greatest >= 0) return true;
    return this.#versions.provisionedCount > 0 && sumCounts(this.#memory, IDLE) > 0;
  }

  // ---- leaves

  /** Nothing is looked up where there are none. */
  get #extraGreatest(): number {
    return this.#cores.hasExtras ? this.#extras.greatest : -1;
  }

  /**
   * What is idle does not suit those who wait here. Other shards have to know before this one goes on with newcomers: each of two shards that
   * do so would stand back for the other, for the flag of neither changes.
   */
  #findBesideWaiting(version: number, memoryMb: number): number {
    if (this.#isShared) {
      const ownMb = this.#summary.greatest;
      const seenMb = Math.max(ownMb, this.#extraGreatest);
      // It may have been given since the last look, and suit them: then they go first.
      if (seenMb < 0 || this.#queue.oldestWithin(seenMb, ownMb) >= 0) return -1;
      this.#standAside(seenMb);
    }
    return this.#findOvertaking(version, memoryMb);
  }

  /** A core for a request that is not the oldest; a worker may become kept for the oldest instead. */
  #findOvertaking(version: number, memoryMb: number, where: number = EVERYWHERE): number {
    const core = this.#find(version, memoryMb, where);
    if (core < 0) return -1;
    const home = this.#cores.homeOf(core);
    if (this.#overtaking.mayPassOn(home)) return core;
    this.#placement.putBack(core, version, memoryMb);
    this.settle(home);
    // While a worker is kept nobody is counted, so the second place is final.
    const isRoom = this.#summary.hasRoom(memoryMb) || this.#hasExtraFor(version, memoryMb);
    return isRoom ? this.#find(version, memoryMb, where) : -1;
  }

  /** What `find` finds, or else an extra seat where the version may have one. -1: there is none of either. */
  #find(version: number, memoryMb: number, where: number): number {
    const mayFind = this.#versions.coreCount(version) > 1 || this.#summary.hasRoom(memoryMb);
    const core = mayFind ? this.#placement.find(version, memoryMb, where) : -1;
    if (core >= 0 || !this.#hasExtraFor(version, memoryMb)) return core;
    return this.#placement.findExtra(version, memoryMb);
  }

  #hasExtraFor(version: number, memoryMb: number): boolean {
    return this.#cores.hasExtras && !this.#versions.isDedicated(version) && this.#extras.hasRoom(memoryMb);
  }

  #classOf(version: number): number {
    const versions = this.#versions;
    return classOf(versions.memoryMb(version), versions.coreCount(version), versions.isDedicated(version));
  }

  /** Is it worth a look at what is provisioned? */
  get #mayPassBy(): boolean {
    return this.#versions.provisionedCount > 0 && (this.#isShared || this.#counts[IDLE]! > 0);
  }

  #findProvisioned(version: number, memoryMb: number): number {
    this.#placement.path = COUNT.grantProvisioned;
    this.#placement.isWarm = 1;
    const hint = this.#provisioned.find(version);
    return hint < 0 ? -1 : this.#placement.claimProvisioned(hint, version, memoryMb);
  }

  /** May this shard claim anything now? If not, the one that it stands back for is woken. */
  #isTurn(): boolean {
    if (!this.#isShared) return true;
    const ahead = this.#turns.toStandBackFor();
    if (ahead < 0) return true;
    this.#bells.wakeFirst(ahead);
    return false;
  }

  /** Whoever stands aside is woken, too, once he was passed often: where all that is released is claimed again at once, he is never told of anything. */
  #countGrant(): void {
    const aside = this.#turns.countGrant();
    // While a worker is kept nobody counts it.
    if (aside >= 0 && this.#overtaking.homeKept < 0) this.#bells.wake(aside);
  }

  /** One who wants several cores begins to wait: if he is first, he has just looked everywhere; what other shards have given since then they have not told. */
  #lookLater(version: number): void {
    if (this.#isShared) this.#looks.gave(EVERYWHERE);
    else if (!this.#queue.hasClass(this.#classOf(version)))
      this.#looks.looked(severalClassOf(this.#versions.coreCount(version)));
  }

  /** The worker has come to have more cores or memory in all, or is passed over from now on. */
  grew(home: number): void {
    if (home === this.#overtaking.keptHome && this.#overtaking.isVain()) this.endKept();
    this.#overtaking.grew(home);
    this.gave(home);
  }

  #waitAgain(request: number, version: number, since: number): void {
    const memoryMb = this.#versions.memoryMb(version);
    const before = this.#queue.oldest();
    this.#queue.insert({ request, version, memoryMb, queueClass: this.#classOf(version) }, since);
    if (this.#versions.coreCount(version) > 1) this.#looks.gave(EVERYWHERE);
    // No worker is to be kept for one who has waited less.
    if (this.#queue.oldest() !== before) this.endKept();
    if (this.#isShared) this.#raise(version);
  }

  #serveRound(): void {
    if (this.#overtaking.keptHome >= 0) this.#serveKept();
    if (this.greatest > 0 || this.#mayPassBy) this.#serveAll();
  }

  /** True: a worker is kept from now on for the oldest, who wants several cores and finds nothing. */
  #keepForSeveral(): boolean {
    const oldest = this.#queue.oldest();
    if (!this.#queue.isSeveral(oldest) || this.#overtaking.keptHome >= 0) return false;
    // Whoever stands back does not know yet that it finds nothing.
    if (this.#isShared && this.#turns.toStandBackFor() >= 0) return false;
    if (this.#isShared && !this.#turns.mayKeep()) {
      this.#turns.want();
      return false;
    }
    const isKept = this.#overtaking.keepForSeveral();
    if (isKept) this.settle(this.#overtaking.keptHome);
    if (this.#isShared && isKept) this.#turns.keeps();
    // Whoever keeps one tells all who wait when he does not any more.
    if (this.#isShared && !isKept && this.#overtaking.otherKeeper() >= 0) this.#turns.want();
    return isKept;
  }

  /** True: one who waits for several cores, and is older than `than`, was granted them, or a worker became kept: what fitted before may not fit now. */
  #serveSeveral(than: number): boolean {
    for (let classes = -1; ;) {
      const entry = this.#queue.oldestSeveral(classes, than);
      if (entry < 0) return false;
      const several = this.#queue.severalClass(entry);
      const where = this.#looks.where(several);
      const { homeKept } = this.#overtaking;
      if (where >= EVERYWHERE && this.#tryServe(entry, where)) return true;
      this.#looks.looked(several);
      if (this.#overtaking.homeKept !== homeKept) return true;
      classes &= ~(1 << several);
    }
  }

  /** False: there is no place for it. `where`: the only worker to look at, by its home. */
  #tryServe(entry: number, where: number): boolean {
    const version = this.#queue.version(entry);
    const memoryMb = this.#queue.memoryMb(entry);
    const core =
      entry === this.#queue.oldest()
        ? this.#find(version, memoryMb, where)
        : this.#findOvertaking(version, memoryMb, where);
    if (core >= 0) this.#serve(entry, core);
    return core >= 0;
  }

  #serveAll(): void {
    let seenMb = -1;
    for (;;) {
      if (!this.#isTurn()) return;
      const ownMb = this.#summary.greatest;
      seenMb = Math.max(ownMb, this.#extraGreatest);
      const entry = this.#queue.oldestWithin(seenMb, ownMb);
      if (this.#queue.hasSeveral && this.#serveSeveral(entry)) continue;
      if (entry < 0) {
        if (this.#servePassing()) continue;
        break;
      }
      this.#tryServe(entry, EVERYWHERE);
    }
    if (this.#isShared) this.#standAside(seenMb);
  }

  /** False: none of those who wait may pass the others. */
  #servePassing(): boolean {
    const entry = this.#mayPassBy ? this.#provisioned.waiter() : -1;
    if (entry < 0) return false;
    const core = this.#findProvisioned(this.#queue.version(entry), this.#queue.memoryMb(entry));
    if (core >= 0) this.#serve(entry, core);
    return core >= 0;
  }

  #serveKept(): void {
    if (this.#isShared && this.#overtaking.isVain()) return this.endKept();
    const entry = this.#overtaking.keptFor;
    const version = this.#queue.version(entry);
    const core = this.#placement.claimKept(version, this.#queue.memoryMb(entry));
    if (core < 0) return;
    this.#placement.takeWarmOn(this.#cores.homeOf(core), version);
    this.#placement.path = COUNT.grantKept;
    this.#serve(entry, core);
  }

  #serve(entry: number, core: number): void {
    const request = this.#queue.request(entry);
    const version = this.#queue.version(entry);
    this.dequeue(entry);
    this.lease(core, request, version);
  }

  /**
   * Cores are idle, and they do not suit who waits here: nobody is to stand back for him. `seenMb`: the greatest room, as it was when he found
   * nothing. One that was given since then may suit him, and others who do not stand back may claim it each time before he looks.
   */
  #standAside(seenMb: number): void {
    if (this.#queue.length === 0 || this.#turns.isAside || seenMb < 0) return;
    this.#turns.raise(true);
    this.owes = true;
  }

  #raise(version: number): void {
    this.#waiting[version]! += 1;
    if (!this.#turns.isRaised) this.#turns.raise(false);
  }
}
