/**
 * The worker machine: what runs in which slot and on which core, and what is done about it. Pure; the agent is its shell.
 *
 * A core is idle, or holds one lease from `assign` until the action `release`; a lease may have several cores, and is named by its
 * lead, the lowest. slots.ts draws what a slot goes through.
 *
 * Invariants, asserted in the parts and checked by properties:
 * - exclusive: a core has at most one instance that is starting, busy, or dying from its lease;
 * - exactly one result for each assignment: one action `complete`, and before the core's `release`;
 * - a core is released only when its instance has answered and lives, or is gone, or never was (its lease awaited a
 *   zygote that failed); never while it may still run;
 * - clean: an instance of a fresh version is killed after its first answer, and its core held until it is gone;
 * - memory is bounded: what all slots may use together stays within the budget, but for those being killed;
 * - a refused lease hears of it when it may fit: the action `roomAvailable`;
 * - what rests (idle instances, cells, zygotes) for two ticks is frozen, and thawed before it is used: what it left
 *   behind (children, native threads) uses a core that others hold for that long at most; who is known to do nothing stays awake for longer.
 *
 * Idle instances are taken last-in-first-out per version (the most recent has the warmest caches). What goes when memory or
 * slots are needed is for keep-alive.ts to say.
 *
 * Hot path: `assign` of an idle instance and `answered`. Nothing is allocated in any event.
 */
import { assert } from '../../base/assert.ts';
import { Ahead, CellLack } from './ahead.ts';
import { Actions, Ending, Kill, SlotState } from './actions.ts';
import { checkFleet } from './invariants.ts';
import { type CoreLease, Leases } from './leases.ts';
import { Fit, Room } from './room.ts';
import { After, type IsStill, neverStill, Rest, Slots } from './slots.ts';
import { type VersionProperties, Versions } from './versions.ts';
import { Zygotes } from './zygotes.ts';

export type { VersionProperties } from './versions.ts';

const NONE = -1;

export interface WorkerLimits {
  readonly coreCount: number;
  readonly slotCount: number;
  readonly versionCount: number;
  readonly memoryMb: number;
  readonly initTimeoutUs: number;
  readonly codeTimeoutUs: number;
  /** How many stem cells to keep waiting, for each kind of cell. */
  readonly cellTargets: readonly number[];
  /** What a stem cell is counted with while it is one. */
  readonly cellMemoryMb: number;
  /** Most copies that wait ahead of invocations of one version. */
  readonly copiesAheadMax: number;
}

export class WorkerMachine {
  /** What the shell has to do; it drains this after each event. */
  readonly actions: Actions;
  readonly #limits: WorkerLimits;
  readonly #versions: Versions;
  readonly #slots: Slots;
  readonly #leases: Leases;
  readonly #room: Room;
  readonly #zygotes: Zygotes;
  readonly #ahead: Ahead;

  constructor(limits: WorkerLimits) {
    // With a slot for each core, a lease is refused for slots only while something is on its way out.
    assert(limits.slotCount >= limits.coreCount, `${limits.slotCount} slots for ${limits.coreCount} cores`);
    this.#limits = limits;
    // A slot: freeze or thaw, kill with a thaw, cold, start or fork with a thaw. A core: complete, release, room, and the assignment
    // that re-enters then. Who is refused hears of room once, and to be refused makes none (`dropVersion`): that ends.
    const actions = new Actions(limits.slotCount * 6 + limits.coreCount * 8 + 64);
    const versions = new Versions(limits.versionCount);
    const slots = new Slots(limits.slotCount, limits.cellTargets.length, versions, actions);
    const leases = new Leases(limits.coreCount, slots, versions, actions);
    const room = new Room(limits.memoryMb, slots, versions, leases);
    const zygotes = new Zygotes(limits, slots, { versions, leases, actions });
    this.actions = actions;
    this.#versions = versions;
    this.#slots = slots;
    this.#leases = leases;
    this.#room = room;
    this.#zygotes = zygotes;
    this.#ahead = new Ahead(limits, slots, { versions, room, zygotes, actions });
  }

  // --- versions -----------------------------------------------------------------------------------------------

  /** Before the first `assign` or `provision` of the version. An index may be used again after `dropVersion`. */
  setVersion(versionIndex: number, properties: VersionProperties): void {
    assert(properties.memoryMb > 0, `version ${versionIndex} has ${properties.memoryMb} MB`);
    assert(properties.cellKind < this.#limits.cellTargets.length, `no such kind of cell: ${properties.cellKind}`);
    this.#versions.set(versionIndex, properties);
  }

  /**
   * Nobody asks for the version again: its idle and readying instances go now, busy ones when they answer, its zygote
   * with the last of them. Its provisioned count is 0.
   */
  dropVersion(versionIndex: number): void {
    const slots = this.#slots;
    const zygote = this.#versions.zygote[versionIndex]!;
    const tookRoom = this.#versions.slots[versionIndex]! + this.#versions.provisioned[versionIndex]! > 0;
    this.#versions.dropped[versionIndex] = 1;
    this.#versions.provision(versionIndex, 0, this.#provisionedMax);
    this.#versions.wanted[versionIndex] = 0;
    this.#versions.zygote[versionIndex] = NONE;
    for (let slot = 0; slot < slots.count; slot++) {
      if (slots.version[slot] !== versionIndex || slots.state[slot] === SlotState.dying) continue;
      const state = slots.state[slot];
      if (state === SlotState.idle || state === SlotState.readying) slots.kill(slot, Kill.evicted);
      else slots.after[slot] = After.dropped;
    }
    if (zygote !== NONE) this.#zygotes.endIfUnused(zygote);
    this.#leases.noteCold(versionIndex);
    // Else who is refused, and drops a version for it, would be told to try again for ever.
    if (tookRoom) this.#leases.noteRoom();
  }

  /**
   * Keep so many instances of the version, waiting or busy, whatever else has to go for it; 0 ends it. It happens at
   * the next ticks: tick while `awakeCount` is above 0. Returns how many it will try to keep: no more than the slots
   * that not even a lease on each core would need; more of them later, when other versions give theirs up.
   */
  provision(versionIndex: number, count: number): number {
    const versions = this.#versions;
    assert(versions.memoryMb[versionIndex]! > 0, `version ${versionIndex} is provisioned and was not set`);
    versions.provision(versionIndex, versions.dropped[versionIndex] === 1 ? 0 : count, this.#provisionedMax);
    this.#leases.noteRoom();
    return versions.provisioned[versionIndex]!;
  }

  /** So many invocations of the version are about to come: instances for them are made ahead where there is room, and give way to leases. */
  want(versionIndex: number, count: number, nowUs: number): void {
    this.#ahead.want(versionIndex, count, nowUs);
  }

  /** How many it tries to keep. */
  provisionedCount(versionIndex: number): number {
    return this.#versions.provisioned[versionIndex]!;
  }

  /** Instances of the version that are initialised: idle or busy. */
  provisionedReady(versionIndex: number): number {
    return this.#slots.readyCount(versionIndex);
  }

  /** There are fewer than that, and the last try to make one failed; it is tried again later. */
  provisionedFailed(versionIndex: number): boolean {
    if (this.#versions.provisionFailures[versionIndex] === 0) return false;
    return this.provisionedReady(versionIndex) < this.#versions.provisioned[versionIndex]!;
  }

  /** It turned out that its zygote cannot be copied: every instance is a process of its own. */
  isPlainOnly(versionIndex: number): boolean {
    return this.#versions.plainOnly[versionIndex] === 1;
  }

  // --- events -------------------------------------------------------------------------------------------------

  /**
   * A lease to carry out. False: a core of it is busy, or there is neither slot nor memory for now, even though something
   * may have been evicted for it: `roomAvailable` follows when to try again.
   */
  assign(lease: CoreLease, versionIndex: number, nowUs: number): boolean {
    const { core, mask = 0 } = lease;
    assert(core >= 0 && core < this.#limits.coreCount, `no such core: ${core}`);
    if (!this.#leases.mayBegin(core, mask)) return false;
    const slots = this.#slots;
    const slot = slots.idle.head(versionIndex);
    if (slot === NONE) {
      if (!this.#assignCold(lease, versionIndex, nowUs)) return false;
    } else {
      slots.thaw(slot, core);
      slots.endIdle(slot);
      this.#leases.begin(lease, slot);
      this.#run(slot, core, nowUs);
    }
    this.#versions.invoked[versionIndex] = 1;
    this.#ahead.taken(versionIndex, nowUs);
    return true;
  }

  /** The code for the slot is still to be fetched, or is here: what that may take, or its initialisation, begins now. */
  code(slot: number, isHere: boolean, nowUs: number): void {
    this.#zygotes.code(slot, isHere, nowUs);
  }

  /** The stem cell can adopt a function. */
  booted(slot: number, nowUs: number): void {
    if (this.#slots.state[slot] !== SlotState.booting) return;
    this.#slots.beCell(slot);
    this.#ahead.cellBooted(slot, nowUs);
  }

  /** The zygote can be copied. `memoryMb`: what it was seen to use; 0 where that is unknown. */
  initialised(slot: number, memoryMb: number, nowUs: number): void {
    if (this.#slots.state[slot] !== SlotState.initialising) return;
    const version = this.#slots.version[slot]!;
    this.#zygotes.initialised(slot, memoryMb, nowUs);
    this.#zygotes.endIfUnused(slot);
    this.#ahead.fillVersion(version, nowUs);
    this.#ahead.fill(nowUs);
    this.#leases.noteRoom();
  }

  /** The zygote's function failed to initialise: so do all leases that await it. */
  initFailed(slot: number): void {
    if (this.#slots.state[slot] !== SlotState.initialising) return;
    this.#endInitialising(slot, Ending.initFailed, Kill.ended);
  }

  /** The zygote's function holds what a copy cannot have: every instance is a process of its own from now on. */
  uncopyable(slot: number, nowUs: number): void {
    if (this.#slots.state[slot] !== SlotState.initialising) return;
    this.#zygotes.uncopyable(slot, nowUs);
    this.#leases.noteRoom();
  }

  /** The instance has initialised, or the copy has rehearsed. */
  ready(slot: number, nowUs: number): void {
    const slots = this.#slots;
    const state = slots.state[slot];
    if (state !== SlotState.starting && state !== SlotState.readying) return;
    const version = slots.version[slot]!;
    slots.learnCost(slot, nowUs);
    this.#ahead.versionReady(version);
    if (state === SlotState.starting) this.#run(slot, slots.core[slot]!, nowUs);
    else slots.beIdle(slot);
    this.#ahead.fillVersion(version, nowUs);
  }

  /** The instance answered its invocation, or said that it failed to initialise. `last`: it said that it ends now. */
  answered(slot: number, last: boolean): void {
    const slots = this.#slots;
    const state = slots.state[slot]!;
    if (state === SlotState.dying) return;
    if (state !== SlotState.busy) {
      assert(state === SlotState.starting || state === SlotState.readying, `slot ${slot} answered in state ${state}`);
      return this.#endNow(slot, Ending.answered, Kill.ended);
    }
    const core = slots.core[slot]!;
    this.#leases.complete(core, slot, Ending.answered);
    if (last) return slots.kill(slot, Kill.ended);
    const after = slots.after[slot];
    if (after !== After.kept) return slots.kill(slot, after === After.spent ? Kill.spent : Kill.evicted);
    slots.beIdle(slot);
    this.#leases.release(core, slots.version[slot]!);
  }

  /** It had no core for so long, though it wanted one: that counts against no timeout, of its start or its invocation. */
  waited(slot: number, us: number): void {
    this.#slots.deadlineUs[slot]! += us;
  }

  /** Whatever is in the slot broke its protocol, or its channel failed. */
  broke(slot: number): void {
    this.#endNow(slot, Ending.broke, Kill.broke);
  }

  /** Its channel ended. If it rests, it is not used again; otherwise its exit follows and says why. */
  lost(slot: number): void {
    const state = this.#slots.state[slot];
    if (state !== SlotState.idle && state !== SlotState.cell && state !== SlotState.zygote) return;
    this.#endNow(slot, Ending.broke, Kill.lost);
  }

  /** Every process in the slot is gone. */
  exited(slot: number, nowUs: number): void {
    const slots = this.#slots;
    const state = slots.state[slot]!;
    assert(state !== SlotState.free && state !== SlotState.awaiting, `slot ${slot} exited in state ${state}`);
    const version = slots.version[slot]!;
    const core = slots.core[slot]!;
    const zygote = slots.zygote[slot]!;
    this.#noteFailure(slot);
    if (state === SlotState.initialising) this.#zygotes.endAwaiting(slot, Ending.exited);
    if (slots.children[slot]! > 0) this.#zygotes.orphan(slot);
    slots.free(slot);
    if (zygote !== NONE) this.#zygotes.endIfUnused(zygote);
    if (core !== NONE) {
      this.#leases.complete(core, slot, Ending.exited);
      this.#leases.release(core, version);
    }
    if (version !== NONE) {
      this.#leases.noteCold(version);
      this.#ahead.fillVersion(version, nowUs);
    }
    // Cells pause while somebody was refused, so the room is still there when the shell tries again.
    this.#leases.noteRoom();
    this.#ahead.fill(nowUs);
    this.#ahead.fillCells(nowUs);
  }

  /**
   * Kills what has passed its deadline, freezes what has rested since the tick before the last one, and makes ahead what is missing: call it
   * once at the beginning, for the first cells. `isStill`: no thread of one that rests has run since this was asked last. Returns the next
   * deadline, microseconds; Infinity if there is none.
   */
  tick(nowUs: number, isStill: IsStill = neverStill): number {
    const { deadlineUs, count } = this.#slots;
    this.#slots.freezeResting(isStill);
    for (let slot = 0; slot < count; slot++) {
      if (deadlineUs[slot]! > nowUs) continue;
      const ending = this.#slots.state[slot] === SlotState.busy ? Ending.timedOut : Ending.initTimedOut;
      this.#endNow(slot, ending, Kill.timedOut);
    }
    this.#ahead.tick(nowUs);
    let nextUs = Infinity;
    for (let slot = 0; slot < count; slot++) {
      if (deadlineUs[slot]! < nextUs) nextUs = deadlineUs[slot]!;
    }
    return nextUs;
  }

  /** Kills everything, with a result for what runs. For the platform's own end: nothing is assigned after it. */
  stop(): void {
    const { state, count } = this.#slots;
    this.#ahead.stop();
    for (let slot = 0; slot < count; slot++) {
      if (state[slot] !== SlotState.awaiting) this.#endNow(slot, Ending.exited, Kill.evicted);
    }
  }

  // --- what is where ------------------------------------------------------------------------------------------

  /** The lead of the lease that the instance serves; -1 between two invocations, once it is gone, and for cells and zygotes. */
  coreOf(slot: number): number {
    return this.#slots.core[slot]!;
  }

  /** What holds the core's lease; -1 if it has none. */
  slotOf(core: number): number {
    return this.#leases.slot[core]!;
  }

  /** The cores of the lease that the core leads (core-mask.ts); 0: it alone. */
  maskOf(core: number): number {
    return this.#leases.maskOf(core);
  }

  stateOf(slot: number): SlotState {
    return this.#slots.state[slot]! as SlotState;
  }

  /** -1 for a stem cell, and a free slot. */
  versionOf(slot: number): number {
    return this.#slots.version[slot]!;
  }

  /** The zygote that it was forked from, or awaits; -1 if it has none. */
  zygoteOf(slot: number): number {
    return this.#slots.zygote[slot]!;
  }

  /** The core of a lease that awaits this zygote, for its log; -1 if there is none. */
  awaitingCore(zygoteSlot: number): number {
    return this.#zygotes.awaitingCore(zygoteSlot);
  }

  isFrozen(slot: number): boolean {
    const state = this.#slots.state[slot];
    const rests = state === SlotState.idle || state === SlotState.cell || state === SlotState.zygote;
    return rests && this.#slots.rest[slot] === Rest.frozen;
  }

  get residentMb(): number {
    return this.#slots.residentMb;
  }

  /** Slots that are not free. */
  get residentCount(): number {
    return this.#slots.count - this.#slots.freeCount;
  }

  /** Idle instances. */
  get idleCount(): number {
    return this.#slots.idle.count;
  }

  /** Stem cells of the kind that have booted and wait for a function. */
  waitingCells(cellKind: number): number {
    return this.#zygotes.waitingCount(cellKind);
  }

  /** Why no stem cell waits that the version could have; `none` too where it has no use for one. */
  cellLack(versionIndex: number): CellLack {
    if (!this.#versions.isForkable(versionIndex)) return CellLack.none;
    return this.#ahead.cellLack(this.#versions.cellKind[versionIndex]!);
  }

  /** Slots in this state; for metrics, not for every step. */
  countOf(state: SlotState): number {
    return this.#slots.countOf(state);
  }

  /** What needs ticks besides leases: what a later tick will freeze, make ahead, or give up waiting for. */
  get awakeCount(): number {
    const { resting, frozenCount, pendingCount } = this.#slots;
    return resting.count - frozenCount + pendingCount + this.#ahead.waitingCount;
  }

  /** For tests: everything that must hold between two events. */
  checkInvariants(): void {
    checkFleet(this.#limits.memoryMb, this.#slots, this.#leases, this.#versions);
  }

  get #provisionedMax(): number {
    return this.#slots.count - this.#limits.coreCount;
  }

  // --- how --------------------------------------------------------------------------------------------------

  #assignCold(lease: CoreLease, version: number, nowUs: number): boolean {
    assert(this.#versions.memoryMb[version]! > 0, `version ${version} is assigned and was not set`);
    if (this.#ahead.isStopping) return false;
    const { core } = lease;
    const readying = this.#slots.oldestReadying(version);
    if (readying !== NONE) {
      this.#slots.takeReadying(readying);
      this.#leases.begin(lease, readying);
      this.actions.take(readying, core);
      return true;
    }
    const slot = this.#place(core, version, nowUs);
    if (slot === NONE) {
      this.#leases.refused = true;
      this.#ahead.pause();
      return false;
    }
    this.#leases.begin(lease, slot);
    this.#ahead.resume();
    this.#ahead.fill(nowUs);
    return true;
  }

  /** A slot for the lease: a copy of the zygote there is or will be, else a process of its own; -1: no room. */
  #place(core: number, version: number, nowUs: number): number {
    const memoryMb = this.#versions.memoryMb[version]!;
    let zygote = this.#versions.zygote[version]!;
    let fit: Fit = Fit.never;
    if (zygote !== NONE) fit = this.#room.make(memoryMb, zygote);
    else if (this.#versions.isForkable(version) && this.#ahead.mayAdopt) {
      const cell = this.#zygotes.cell(this.#versions.cellKind[version]!);
      if (cell !== NONE) fit = this.#room.make(this.#ahead.adoptionMb(version), cell);
      if (cell !== NONE && fit === Fit.now) {
        this.#zygotes.adopt(cell, core, version, nowUs);
        this.#ahead.cellUsed(this.#versions.cellKind[version]!);
        zygote = cell;
      }
    }
    if (fit === Fit.later) return NONE;
    if (fit === Fit.now) return this.#placeCopy(zygote, core, version, nowUs);
    if (this.#room.make(memoryMb, NONE) !== Fit.now) return NONE;
    const slot = this.#slots.takeInstance(version, SlotState.starting);
    this.#zygotes.start(slot, core, nowUs);
    this.#ahead.cellMissed(version);
    return slot;
  }

  #placeCopy(zygote: number, core: number, version: number, nowUs: number): number {
    const awaits = this.#slots.state[zygote] === SlotState.initialising;
    const slot = this.#slots.takeInstance(version, awaits ? SlotState.awaiting : SlotState.starting);
    this.#slots.adoptChild(zygote, slot);
    if (!awaits) this.#zygotes.fork(slot, core, nowUs);
    return slot;
  }

  #run(slot: number, core: number, nowUs: number): void {
    this.#slots.state[slot] = SlotState.busy;
    this.#slots.deadlineUs[slot] = nowUs + this.#slots.timeoutUs[slot]!;
    this.actions.run(slot, core);
  }

  /** Kills whatever is in the slot; its lease, or those that await it, end so. */
  #endNow(slot: number, ending: Ending, why: Kill): void {
    const slots = this.#slots;
    const state = slots.state[slot]!;
    if (state === SlotState.free || state === SlotState.dying || state === SlotState.awaiting) return;
    if (state === SlotState.initialising) return this.#endInitialising(slot, ending, why);
    const version = slots.version[slot]!;
    const core = slots.core[slot]!;
    if (core !== NONE) this.#leases.complete(core, slot, ending);
    if (!this.#ahead.isStopping) this.#noteFailure(slot);
    if (state === SlotState.zygote) this.#zygotes.end(slot, why);
    else slots.kill(slot, why);
    if (version !== NONE) this.#leases.noteCold(version);
  }

  #endInitialising(zygote: number, ending: Ending, why: Kill): void {
    this.#noteFailure(zygote);
    this.#zygotes.endAwaiting(zygote, ending);
    this.#slots.kill(zygote, why);
  }

  /** What ends in this state did not become what it should have. */
  #noteFailure(slot: number): void {
    const { state, version, cellKind, after } = this.#slots;
    // Its version was dropped: the index may be another's.
    if (after[slot] === After.dropped) return;
    this.#ahead.failed(state[slot]! as SlotState, cellKind[slot]!, version[slot]!);
  }
}
