/**
 * What is made before anybody asks: stem cells, copies of fresh versions, and provisioned instances.
 *
 * - Of each kind so many cells boot or wait as `cellTargets` says; new ones boot when no lease waits for its instance.
 * - A fresh version that has had an invocation keeps 1 + (its leases) instances waiting, at least 2, up to
 *   `copiesAheadMax`: each invocation uses one up, and the next is made when it is over.
 * - A version whose invocations are about to come, as the next steps of chains, has so many waiting, up to `copiesAheadMax`.
 * - A provisioned version keeps its count of instances, waiting or not.
 *
 * Copies use only what is free; provisioned instances may evict as a lease does. A missing cell takes the place of what is
 * worth less than it by the rule of keep-alive.ts, where its uses are the leases that took one of its kind or had to do
 * without, since all of that kind were there, and its cost is its boot. Without that condition a machine that is full of warm
 * instances, as it is after a while, would never have a cell again; with it a cell that had to go for a lease, and that no
 * other asks for, does not push the instance of that lease out again. Leases give cells up last all the same.
 *
 * Where a lease was refused, or a
 * provisioned instance has to wait, what becomes free is for those: the first two pause until something was placed, or
 * for `PAUSE_TICKS`. Without this a cell would boot in the very slot that another one was evicted from.
 *
 * What fails does not loop. A fresh version makes nothing ahead until one of its leases has had an instance; a
 * provisioned one, and a kind of cells, is tried again after a number of ticks that doubles with each failure.
 */
import { type Actions, SlotState } from './actions.ts';
import { Fit, type Room } from './room.ts';
import { Rest, type Slots } from './slots.ts';
import { backoffTicks, type Versions } from './versions.ts';
import type { Zygotes } from './zygotes.ts';

/** Why no stem cell of a kind waits. */
export const CellLack = {
  none: 0,
  /** None is to be kept. */
  unwanted: 1,
  boots: 2,
  fails: 3,
  slots: 4,
  memory: 5,
} as const;
export type CellLack = (typeof CellLack)[keyof typeof CellLack];

const NONE = -1;
const PAUSE_TICKS = 10;
/** Cells are not put off longer than so many ticks since the last one was. */
const BOOT_TICKS = 20;
/** A provisioned instance for which there is no room is tried again after so many ticks. */
const ROOM_TICKS = 10;

export interface AheadLimits {
  readonly coreCount: number;
  readonly initTimeoutUs: number;
  readonly cellTargets: readonly number[];
  readonly cellMemoryMb: number;
  readonly copiesAheadMax: number;
}

export class Ahead {
  readonly #limits: AheadLimits;
  readonly #slots: Slots;
  readonly #versions: Versions;
  readonly #room: Room;
  readonly #zygotes: Zygotes;
  readonly #actions: Actions;
  /** Consecutive failures of each kind of cell, and the tick before which none is booted. */
  readonly #cellFailures: Int32Array;
  readonly #cellTick: Float64Array;
  /** Leases that took a cell of each kind, or would have, since all of that kind were there. */
  readonly #cellUses: Float64Array;
  /** What the last boot of each kind took for each MB, microseconds; whatever it is worth, before the first one. */
  readonly #cellWorth: Float64Array;
  /** By version: nothing was made ahead of it, since a cell was still booting; and of how many that is so. */
  readonly #awaitsCell: Uint8Array;
  #awaitsCellCount = 0;
  /** Something was evicted for the slot of a cell. */
  #cellAwaitsSlot = false;
  #tickCount = 0;
  #bootTick = -BOOT_TICKS;
  #pausedUntilTick = 0;
  #stopping = false;

  constructor(
    limits: AheadLimits,
    slots: Slots,
    parts: { versions: Versions; room: Room; zygotes: Zygotes; actions: Actions },
  ) {
    this.#limits = limits;
    this.#slots = slots;
    this.#versions = parts.versions;
    this.#room = parts.room;
    this.#zygotes = parts.zygotes;
    this.#actions = parts.actions;
    this.#cellFailures = new Int32Array(limits.cellTargets.length);
    this.#cellTick = new Float64Array(limits.cellTargets.length);
    this.#cellUses = new Float64Array(limits.cellTargets.length);
    this.#cellWorth = new Float64Array(limits.cellTargets.length).fill(Infinity);
    this.#awaitsCell = new Uint8Array(parts.versions.count);
  }

  get isStopping(): boolean {
    return this.#stopping;
  }

  /** What a later tick may make that no other event would. */
  get waitingCount(): number {
    if (this.#stopping) return 0;
    let count = 0;
    for (let index = 0; index < this.#versions.provisionedCount; index++) {
      if (this.#lacksProvisioned(this.#versions.provisionedAt(index))) count++;
    }
    for (let kind = 0; kind < this.#limits.cellTargets.length; kind++) {
      if (this.#lacksCells(kind) && (this.#isPaused || this.#cellTick[kind]! > this.#tickCount)) count++;
    }
    return count;
  }

  stop(): void {
    this.#stopping = true;
  }

  /** A lease was refused. */
  pause(): void {
    this.#pausedUntilTick = this.#tickCount + PAUSE_TICKS;
  }

  /** A lease was placed where there was no warm instance. */
  resume(): void {
    this.#pausedUntilTick = 0;
  }

  tick(nowUs: number): void {
    this.#tickCount++;
    this.fill(nowUs);
    this.fillCells(nowUs);
  }

  /** Provisioned instances, as far as there is room. */
  fill(nowUs: number): void {
    if (this.#stopping) return;
    for (let index = 0; index < this.#versions.provisionedCount; index++) {
      this.#fillProvisioned(this.#versions.provisionedAt(index), nowUs);
    }
  }

  /**
   * A lease of the version was placed. While another copy waits, the next one is made once this one has ended: it would
   * take CPU time from the invocation.
   */
  taken(version: number, nowUs: number): void {
    if (this.#versions.ahead[version] === 0) this.fillVersion(version, nowUs);
  }

  /** So many invocations of the version are about to come. What rests frozen is awake again for them. */
  want(version: number, count: number, nowUs: number): void {
    const { wanted, dropped } = this.#versions;
    if (dropped[version] === 1 || this.#stopping) return;
    const isMore = count > wanted[version]!;
    wanted[version] = count;
    if (!isMore) return;
    const slot = this.#slots.idle.head(version);
    if (slot !== NONE && this.#slots.rest[slot] === Rest.frozen) this.#slots.stir(slot, NONE);
    this.fillVersion(version, nowUs);
  }

  /** Instances ahead of the version's next invocations. */
  fillVersion(version: number, nowUs: number): void {
    const { aheadFailed, dropped, ahead } = this.#versions;
    if (this.#stopping || this.#isPaused || dropped[version] === 1 || aheadFailed[version] === 1) return;
    const target = this.#aheadTarget(version);
    while (ahead[version]! < target && this.#makeOne(version, false, nowUs));
  }

  #aheadTarget(version: number): number {
    const { fresh, invoked, live, ahead, wanted } = this.#versions;
    const leases = live[version]! - ahead[version]!;
    const copies = fresh[version] === 1 && invoked[version] === 1 ? Math.max(2, 1 + leases) : 0;
    return Math.min(this.#limits.copiesAheadMax, Math.max(copies, wanted[version]!));
  }

  /** What ended in this state did not become what it should have, if it was to become something. */
  failed(state: SlotState, cellKind: number, version: number): void {
    switch (state) {
      case SlotState.booting:
      case SlotState.cell:
        return this.#cellFailed(cellKind);
      case SlotState.starting:
      case SlotState.readying:
      case SlotState.initialising:
        return this.#versionFailed(version);
    }
  }

  /** An instance or zygote of the version failed to initialise. */
  #versionFailed(version: number): void {
    const { aheadFailed, provisioned, provisionFailures, provisionTick } = this.#versions;
    aheadFailed[version] = 1;
    if (provisioned[version] === 0) return;
    provisionFailures[version]! += 1;
    provisionTick[version] = this.#tickCount + backoffTicks(provisionFailures[version]!);
  }

  versionReady(version: number): void {
    this.#versions.aheadFailed[version] = 0;
    this.#versions.provisionFailures[version] = 0;
  }

  /** A cell did not boot, or ended by itself. */
  #cellFailed(kind: number): void {
    this.#cellFailures[kind]! += 1;
    this.#cellTick[kind] = this.#tickCount + backoffTicks(this.#cellFailures[kind]!);
  }

  cellBooted(slot: number, nowUs: number): void {
    const kind = this.#slots.cellKind[slot]!;
    this.#cellFailures[kind] = 0;
    this.#cellTick[kind] = 0;
    this.#cellWorth[kind] = (nowUs - this.#slots.sinceUs[slot]!) / this.#limits.cellMemoryMb;
    this.#fillAwaiting(nowUs);
  }

  /** Who comes too late for this cell awaits the next one. */
  #fillAwaiting(nowUs: number): void {
    for (let version = 0; version < this.#awaitsCell.length && this.#awaitsCellCount > 0; version++) {
      if (this.#awaitsCell[version] === 0) continue;
      this.#awaitsCell[version] = 0;
      this.#awaitsCellCount--;
      this.fillVersion(version, nowUs);
    }
  }

  /** A lease took a cell of the kind. */
  cellUsed(kind: number): void {
    this.#cellUses[kind]! += 1;
  }

  /** A lease of the version got a process of its own. Perhaps it would have taken a cell. */
  cellMissed(version: number): void {
    const { zygote, cellKind, memoryMb } = this.#versions;
    if (zygote[version] !== NONE || !this.#versions.isForkable(version) || !this.mayAdopt) return;
    // Where a zygote does not fit beside the instance, a cell is of no use.
    if (this.#room.everFits(memoryMb[version]!, NONE)) this.cellUsed(cellKind[version]!);
  }

  cellLack(kind: number): CellLack {
    if (this.#zygotes.cell(kind) !== NONE) return CellLack.none;
    if (this.#limits.cellTargets[kind] === 0) return CellLack.unwanted;
    if (this.#cellFailures[kind]! > 0) return CellLack.fails;
    const isFree = this.#room.isFree(this.#limits.cellMemoryMb);
    if (this.#slots.cellCount[kind]! > 0 || isFree) return CellLack.boots;
    return this.#slots.freeCount === 0 ? CellLack.slots : CellLack.memory;
  }

  /** One more zygote would still leave a slot for a lease on every core, beside all that is provisioned. */
  get mayAdopt(): boolean {
    return this.#slots.zygoteCount + this.#versions.provisionedTotal < this.#slots.count - this.#limits.coreCount;
  }

  /** What a cell needs beyond what it is counted with, to become the version's zygote and have one copy. */
  adoptionMb(version: number): number {
    return 2 * this.#versions.memoryMb[version]! - this.#limits.cellMemoryMb;
  }

  get #isPaused(): boolean {
    return this.#pausedUntilTick > this.#tickCount;
  }

  #lacksProvisioned(version: number): boolean {
    return this.#versions.live[version]! < this.#versions.provisioned[version]!;
  }

  #fillProvisioned(version: number, nowUs: number): void {
    while (this.#lacksProvisioned(version) && this.#versions.provisionTick[version]! <= this.#tickCount) {
      if (!this.#makeOne(version, true, nowUs)) return;
    }
  }

  #lacksCells(kind: number): boolean {
    return this.#slots.cellCount[kind]! < this.#limits.cellTargets[kind]!;
  }

  /** Not while a lease waits for its instance, which would have to share the machine with them; but now and then all the same. */
  fillCells(nowUs: number): void {
    if (this.#stopping || this.#isPaused) return;
    if (this.#tickCount < this.#bootTick + BOOT_TICKS && this.#isAwaited()) return;
    const { cellTargets, cellMemoryMb, initTimeoutUs } = this.#limits;
    this.#cellAwaitsSlot = false;
    for (let kind = 0; kind < cellTargets.length; kind++) {
      if (this.#cellTick[kind]! > this.#tickCount) continue;
      while (this.#lacksCells(kind) && this.#makeCellRoom(kind)) {
        const slot = this.#slots.takeCell(kind, cellMemoryMb, nowUs);
        this.#slots.deadlineUs[slot] = nowUs + initTimeoutUs;
        this.#actions.boot(slot, kind);
        this.#bootTick = this.#tickCount;
      }
      if (!this.#lacksCells(kind)) this.#cellUses[kind] = 0;
    }
  }

  #makeCellRoom(kind: number): boolean {
    const { cellMemoryMb } = this.#limits;
    const uses = this.#cellUses[kind]!;
    if (uses === 0) return this.#room.isFree(cellMemoryMb);
    const fit = this.#room.makeForCell(cellMemoryMb, this.#slots.keepAlive.priorityOf(uses, this.#cellWorth[kind]!));
    if (fit === Fit.later) this.#cellAwaitsSlot = true;
    return fit === Fit.now;
  }

  #isAwaited(): boolean {
    const { state, core, count } = this.#slots;
    for (let slot = 0; slot < count; slot++) {
      if (state[slot] === SlotState.initialising) return true;
      if (state[slot] === SlotState.starting && core[slot] !== NONE) return true;
    }
    return false;
  }

  /** One more instance of the version. False: there is no room, or its zygote has to be initialised first. */
  #makeOne(version: number, mayEvict: boolean, nowUs: number): boolean {
    const copy = this.#makeCopy(version, mayEvict, nowUs);
    if (copy !== Fit.never) return copy === Fit.now;
    const fit = this.#fit(this.#versions.memoryMb[version]!, NONE, mayEvict);
    if (fit !== Fit.now) {
      this.#waitForRoom(version, fit);
      return false;
    }
    this.#zygotes.start(this.#slots.takeInstance(version, SlotState.readying), NONE, nowUs);
    return true;
  }

  /** `never`: it has to be a process of its own. */
  #makeCopy(version: number, mayEvict: boolean, nowUs: number): Fit {
    const zygote = this.#versions.zygote[version]!;
    if (zygote === NONE) {
      const mayFork = this.#versions.isForkable(version) && this.mayAdopt;
      return mayFork ? this.#makeZygote(version, mayEvict, nowUs) : Fit.never;
    }
    if (this.#slots.state[zygote] === SlotState.initialising) return Fit.later;
    const fit = this.#fit(this.#versions.memoryMb[version]!, zygote, mayEvict);
    // A process of its own may fit in the place of the zygote.
    if (fit !== Fit.now) return mayEvict && fit === Fit.never ? Fit.never : this.#waitForRoom(version, fit);
    const slot = this.#slots.takeInstance(version, SlotState.readying);
    this.#slots.adoptChild(zygote, slot);
    this.#zygotes.fork(slot, NONE, nowUs);
    return Fit.now;
  }

  #makeZygote(version: number, mayEvict: boolean, nowUs: number): Fit {
    const kind = this.#versions.cellKind[version]!;
    const cell = this.#zygotes.cell(kind);
    if (cell === NONE) return this.#slots.cellCount[kind]! > 0 ? this.#awaitCell(version) : Fit.never;
    const fit = this.#fit(this.adoptionMb(version), cell, mayEvict);
    if (fit !== Fit.now) return mayEvict && fit === Fit.never ? Fit.never : this.#waitForRoom(version, fit);
    this.#zygotes.adopt(cell, NONE, version, nowUs);
    return Fit.later;
  }

  #awaitCell(version: number): Fit {
    this.#awaitsCellCount += 1 - this.#awaitsCell[version]!;
    this.#awaitsCell[version] = 1;
    return Fit.later;
  }

  #fit(memoryMb: number, keep: number, mayEvict: boolean): Fit {
    if (mayEvict) return this.#room.make(memoryMb, keep);
    // Else the copies that a cell has pushed out of their slots would take them again.
    if (this.#cellAwaitsSlot && this.#slots.freeCount <= 1) return Fit.never;
    return this.#room.isFree(memoryMb) ? Fit.now : Fit.never;
  }

  #waitForRoom(version: number, fit: Fit): Fit {
    if (this.#versions.provisioned[version]! > 0) this.#versions.provisionTick[version] = this.#tickCount + ROOM_TICKS;
    if (fit === Fit.later) this.pause();
    return Fit.later;
  }
}
