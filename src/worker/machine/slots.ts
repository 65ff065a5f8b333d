/**
 * The slots of a worker: what each holds, what memory that is counted with, and which of them rest.
 *
 *                           start, fork          ready           answered
 *             ┌───────────────────────▶ starting ─────▶ busy ◀────────────▶ idle ◀──────── readying
 *     free ───┤                            ▲   initialised          assign     ready          ▲
 *       ▲     ├───▶ awaiting ──────────────┘                                  start, fork ahead │
 *       │     ├───────────────────────────────────────────────────────────────────────────────┘
 *       │     │ boot             booted         adopt                  initialised
 *       │     └─────▶ booting ─────────▶ cell ────────▶ initialising ────────────▶ zygote
 *       │ exited                            (any of them, but awaiting: it has no process)
 *       └──────────── dying ◀──────────────────────────────────────────────────── kill
 *
 * Memory is counted from when a slot is taken until its processes are killed or gone: what is dying has given its
 * memory back, for whatever it was killed for.
 *
 * Idle instances, cells and zygotes rest, in one list with the newest first. Those of it that are frozen are its oldest.
 */
import { assert } from '../../base/assert.ts';
import { type Actions, type Kill, SlotState } from './actions.ts';
import { GreedyDual } from './keep-alive.ts';
import { SlotList } from './slot-list.ts';
import type { Versions } from './versions.ts';

const NONE = -1;

/** How a slot rests: since the last tick, for how many ticks, or frozen. */
export const Rest = { new: 0, seen: 1, frozen: 255 } as const;
/** Ticks for which one is left awake that does nothing: it may be used again soon, and freezing wakes all its threads, twice. */
const STILL_TICKS = 20;

export type IsStill = (slot: number) => boolean;
export const neverStill: IsStill = () => false;

/** Whether an instance is used again after its answer. `dropped`: its version was dropped, or its zygote ended. */
export const After = { kept: 0, spent: 1, dropped: 2 } as const;

export class Slots {
  readonly count: number;
  readonly state: Uint8Array;
  readonly version: Int32Array;
  readonly memoryMb: Int32Array;
  /** The core that leads the lease it holds, until it is gone; -1 if it has none. */
  readonly core: Int32Array;
  /** The zygote that a copy comes from, until either is gone. */
  readonly zygote: Int32Array;
  /** Of a zygote: the slots whose `zygote` it is. */
  readonly children: Int32Array;
  /** Of a cell or zygote. */
  readonly cellKind: Int8Array;
  /** Cells of each kind, booting ones too. */
  readonly cellCount: Int32Array;
  readonly after: Uint8Array;
  readonly rest: Uint8Array;
  /** When it is killed, microseconds; Infinity while it waits for nothing. */
  readonly deadlineUs: Float64Array;
  /** How long its invocation may run. */
  readonly timeoutUs: Float64Array;
  /** When it was started, forked or adopted. */
  readonly sinceUs: Float64Array;

  /** Idle instances of each version, newest first. */
  readonly idle: SlotList;
  /** Idle instances, cells and zygotes, newest first. */
  readonly resting: SlotList;
  readonly keepAlive: GreedyDual;
  frozenCount = 0;
  residentMb = 0;
  freeCount: number;
  dyingCount = 0;
  /** Slots that are initialising or zygotes. */
  zygoteCount = 0;
  /** Slots that are booting, initialising or readying: each has a deadline and, most of them, no lease. */
  pendingCount = 0;

  /** Microseconds from start, fork or adoption to ready, for each MB that it is counted with. */
  readonly #worth: Float64Array;
  readonly #freeSlots: Int32Array;
  readonly #versions: Versions;
  readonly #actions: Actions;

  constructor(count: number, cellKindCount: number, versions: Versions, actions: Actions) {
    this.count = count;
    this.state = new Uint8Array(count);
    this.version = new Int32Array(count).fill(NONE);
    this.memoryMb = new Int32Array(count);
    this.core = new Int32Array(count).fill(NONE);
    this.zygote = new Int32Array(count).fill(NONE);
    this.children = new Int32Array(count);
    this.cellKind = new Int8Array(count).fill(NONE);
    this.cellCount = new Int32Array(cellKindCount);
    this.after = new Uint8Array(count);
    this.rest = new Uint8Array(count);
    this.deadlineUs = new Float64Array(count).fill(Infinity);
    this.timeoutUs = new Float64Array(count);
    this.sinceUs = new Float64Array(count);
    this.idle = new SlotList(versions.count, count);
    this.resting = new SlotList(1, count);
    this.keepAlive = new GreedyDual(count);
    this.#worth = new Float64Array(count);
    this.#freeSlots = Int32Array.from({ length: count }, (_, index) => count - 1 - index);
    this.freeCount = count;
    this.#versions = versions;
    this.#actions = actions;
  }

  /** A free slot for an instance of the version: starting, readying or awaiting. There has to be room. */
  takeInstance(version: number, state: SlotState): number {
    const versions = this.#versions;
    const slot = this.#take(state, versions.memoryMb[version]!);
    this.version[slot] = version;
    this.timeoutUs[slot] = versions.timeoutUs[version]!;
    this.after[slot] =
      versions.fresh[version] === 1 ? After.spent : versions.dropped[version] === 1 ? After.dropped : After.kept;
    versions.slots[version]! += 1;
    versions.live[version]! += 1;
    if (state === SlotState.readying) this.#beginAhead(slot);
    return slot;
  }

  /** A free slot for a stem cell that boots. There has to be room. */
  takeCell(cellKind: number, memoryMb: number, nowUs: number): number {
    const slot = this.#take(SlotState.booting, memoryMb);
    this.cellKind[slot] = cellKind;
    this.cellCount[cellKind]! += 1;
    this.sinceUs[slot] = nowUs;
    this.pendingCount++;
    return slot;
  }

  /** Slots in this state. */
  countOf(state: SlotState): number {
    let found = 0;
    for (let slot = 0; slot < this.count; slot++) if (this.state[slot] === state) found++;
    return found;
  }

  /** Instances of the version that are initialised. */
  readyCount(version: number): number {
    let ready = 0;
    for (let slot = 0; slot < this.count; slot++) {
      if (this.version[slot] !== version) continue;
      if (this.state[slot] === SlotState.idle || this.state[slot] === SlotState.busy) ready++;
    }
    return ready;
  }

  /** What is made ahead of the version and will be ready first; -1: nothing is. */
  oldestReadying(version: number): number {
    if (this.#versions.ahead[version] === 0) return NONE;
    let oldest = NONE;
    for (let slot = 0; slot < this.count; slot++) {
      if (this.state[slot] !== SlotState.readying || this.version[slot] !== version) continue;
      if (oldest === NONE || this.sinceUs[slot]! < this.sinceUs[oldest]!) oldest = slot;
    }
    return oldest;
  }

  /** What is made ahead from here on is for a lease. */
  takeReadying(slot: number): void {
    this.state[slot] = SlotState.starting;
    this.#endAhead(slot);
  }

  /** It waits for a lease no more, or was made ahead and is ready. */
  beIdle(slot: number): void {
    const version = this.version[slot]!;
    const isNew = this.state[slot] === SlotState.readying;
    if (isNew) this.#endAhead(slot);
    this.state[slot] = SlotState.idle;
    this.core[slot] = NONE;
    this.deadlineUs[slot] = Infinity;
    this.#versions.ahead[version]! += 1;
    this.idle.push(version, slot);
    this.beginRest(slot);
    this.touch(slot);
    if (isNew && this.#versions.provisioned[version]! > 0) this.#tellWarm(version);
  }

  /** An idle instance rests no more. */
  endIdle(slot: number): void {
    const version = this.version[slot]!;
    this.idle.remove(version, slot);
    this.endRest(slot);
    this.#versions.ahead[version]! -= 1;
  }

  beginRest(slot: number): void {
    this.rest[slot] = Rest.new;
    this.resting.push(0, slot);
  }

  endRest(slot: number): void {
    this.resting.remove(0, slot);
    if (this.rest[slot] === Rest.frozen) this.frozenCount--;
  }

  /** A resting slot is about to be used. */
  thaw(slot: number, core: number): void {
    if (this.rest[slot] === Rest.frozen) this.#actions.thaw(slot, core);
  }

  /** A resting slot is used and goes on resting: it is awake for two ticks. */
  stir(slot: number, core: number): void {
    this.thaw(slot, core);
    this.endRest(slot);
    this.beginRest(slot);
  }

  /** Looks at those that are awake alone. With one that is frozen all older ones are: they are less likely to be used again. */
  freezeResting(isStill: IsStill): void {
    let next = NONE;
    let isFreezing = false;
    for (let slot = this.resting.head(0); slot !== NONE; slot = next) {
      next = this.resting.after(slot);
      const rest = this.rest[slot]!;
      if (rest === Rest.frozen) return;
      if (rest !== Rest.new && this.#isForking(slot)) {
        this.stir(slot, NONE);
        continue;
      }
      isFreezing ||= rest >= STILL_TICKS || (rest !== Rest.new && !isStill(slot));
      if (!isFreezing) {
        this.rest[slot] = rest + 1;
        continue;
      }
      this.rest[slot] = Rest.frozen;
      this.frozenCount++;
      this.#actions.freeze(slot);
    }
  }

  /** A zygote has to be awake while copies of it are being made or reaped. */
  #isForking(zygote: number): boolean {
    if (this.children[zygote] === 0) return false;
    for (let slot = 0; slot < this.count; slot++) {
      if (this.zygote[slot] !== zygote) continue;
      const state = this.state[slot];
      if (state === SlotState.starting || state === SlotState.readying || state === SlotState.dying) return true;
    }
    return false;
  }

  /** An instance or zygote is used now: its priority to be kept rises. */
  touch(slot: number): void {
    const version = this.version[slot]!;
    this.keepAlive.touch(slot, version, this.#worth[slot]!);
  }

  /** It is ready now, and that is what it would cost to have it again. */
  learnCost(slot: number, nowUs: number): void {
    this.#worth[slot] = (nowUs - this.sinceUs[slot]!) / this.memoryMb[slot]!;
  }

  /** A stem cell is the version's zygote from here on. */
  becomeZygote(slot: number, version: number, memoryMb: number): void {
    this.endRest(slot);
    this.cellCount[this.cellKind[slot]!]! -= 1;
    this.state[slot] = SlotState.initialising;
    this.version[slot] = version;
    this.#versions.zygote[version] = slot;
    this.#versions.slots[version]! += 1;
    this.setMemory(slot, memoryMb);
    this.zygoteCount++;
    this.pendingCount++;
  }

  beCell(slot: number): void {
    this.state[slot] = SlotState.cell;
    this.deadlineUs[slot] = Infinity;
    this.pendingCount--;
    this.beginRest(slot);
  }

  beZygote(slot: number, memoryMb: number, nowUs: number): void {
    this.state[slot] = SlotState.zygote;
    this.deadlineUs[slot] = Infinity;
    this.pendingCount--;
    this.setMemory(slot, memoryMb);
    this.learnCost(slot, nowUs);
    this.beginRest(slot);
    this.touch(slot);
  }

  setMemory(slot: number, memoryMb: number): void {
    this.residentMb += memoryMb - this.memoryMb[slot]!;
    this.memoryMb[slot] = memoryMb;
  }

  adoptChild(zygote: number, slot: number): void {
    this.zygote[slot] = zygote;
    this.children[zygote]! += 1;
  }

  /** It is no copy of its zygote any more, or waits for none. */
  leaveZygote(slot: number): void {
    this.children[this.zygote[slot]!]! -= 1;
    this.zygote[slot] = NONE;
  }

  /** Every process in the slot is to end. */
  kill(slot: number, why: Kill): void {
    this.#leave(slot);
    this.state[slot] = SlotState.dying;
    this.dyingCount++;
    this.deadlineUs[slot] = Infinity;
    this.#actions.kill(slot, why);
    // Who reaps it has to be awake.
    const zygote = this.zygote[slot]!;
    if (zygote !== NONE && this.state[zygote] === SlotState.zygote) this.stir(zygote, NONE);
  }

  /** There is no process in the slot. Its core, if it had one, is the caller's matter. */
  free(slot: number): void {
    if (this.state[slot] === SlotState.dying) this.dyingCount--;
    else this.#leave(slot);
    assert(this.children[slot] === 0, `slot ${slot} is freed and has copies`);
    const version = this.version[slot]!;
    if (version !== NONE) this.#versions.slots[version]! -= 1;
    if (this.zygote[slot] !== NONE) this.leaveZygote(slot);
    this.state[slot] = SlotState.free;
    this.version[slot] = NONE;
    this.core[slot] = NONE;
    this.cellKind[slot] = NONE;
    this.deadlineUs[slot] = Infinity;
    this.#freeSlots[this.freeCount++] = slot;
  }

  /** It leaves whatever its state had it in, and gives its memory back. */
  #leave(slot: number): void {
    const version = this.version[slot]!;
    this.residentMb -= this.memoryMb[slot]!;
    switch (this.state[slot]) {
      case SlotState.idle:
        this.endIdle(slot);
        break;
      case SlotState.readying:
        this.#endAhead(slot);
        break;
      case SlotState.booting:
        this.pendingCount--;
        this.cellCount[this.cellKind[slot]!]! -= 1;
        return;
      case SlotState.cell:
        this.endRest(slot);
        this.cellCount[this.cellKind[slot]!]! -= 1;
        return;
      case SlotState.initialising:
        this.pendingCount--;
        return this.#endZygote(slot);
      case SlotState.zygote:
        this.endRest(slot);
        return this.#endZygote(slot);
    }
    this.#versions.live[version]! -= 1;
  }

  #tellWarm(version: number): void {
    this.#versions.toldWarm[version] = 1;
    this.#actions.warmed(version);
  }

  #endZygote(slot: number): void {
    const version = this.version[slot]!;
    this.zygoteCount--;
    // A dropped version's zygote may outlive its successor under the same index.
    if (this.#versions.zygote[version] === slot) this.#versions.zygote[version] = NONE;
  }

  #beginAhead(slot: number): void {
    this.#versions.ahead[this.version[slot]!]! += 1;
    this.pendingCount++;
  }

  #endAhead(slot: number): void {
    this.#versions.ahead[this.version[slot]!]! -= 1;
    this.pendingCount--;
  }

  #take(state: SlotState, memoryMb: number): number {
    assert(this.freeCount > 0, 'no slot is free');
    const slot = this.#freeSlots[--this.freeCount]!;
    this.state[slot] = state;
    this.memoryMb[slot] = memoryMb;
    this.residentMb += memoryMb;
    this.after[slot] = After.kept;
    // Until it is touched it is worth as little as anything can be.
    this.#worth[slot] = 0;
    this.keepAlive.began(slot);
    return slot;
  }
}
