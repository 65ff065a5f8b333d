/**
 * The worker machine: which instance runs on which core, and what is done about it. Pure; the agent is its shell.
 *
 * A core is idle, or holds one lease from `assign` until the action `release`. An instance (a slot) goes
 *
 *            start            ready              answered
 *     free ────────▶ starting ──────▶ busy ◀──────────────▶ idle
 *       ▲                │             │       assign         │
 *       │    exited      ▼             ▼                      ▼ evicted
 *       └───────────── dying ◀─────────┴──────────────────────┘
 *
 * Invariants, asserted here and checked by properties:
 * - exclusive: a core has at most one instance that is starting, busy, or dying from its lease;
 * - exactly one result for each assignment: one action `complete`, and before the core's `release`;
 * - a core is released only when its instance has answered and lives, or is gone; never while it may still run;
 * - warm memory is bounded: what all instances may use together stays within the budget, but for those that are
 *   already being killed to make room.
 *
 * - an instance that has been idle for two ticks is frozen, and thawed before it runs: what it left behind (children,
 *   native threads) uses a core that others hold for that long at most.
 *
 * Warm instances are taken last-in-first-out per version (the most recent has the warmest caches), and the least
 * recently used of all goes first when memory or slots are needed.
 */
import { assert } from '../../base/assert.ts';
import { Actions, Ending, Kill, SlotState } from './actions.ts';
import { SlotList } from './slot-list.ts';

const NONE = -1;

/** How an idle instance rests: since the last tick, longer, or frozen. */
const Rest = { new: 0, seen: 1, frozen: 2 } as const;

export interface WorkerLimits {
  readonly coreCount: number;
  readonly slotCount: number;
  readonly versionCount: number;
  readonly memoryMb: number;
  readonly initTimeoutUs: number;
}

export class WorkerMachine {
  /** What the shell has to do; it drains this after each event. */
  readonly actions: Actions;
  readonly #limits: WorkerLimits;

  readonly #coreSlot: Int32Array;
  readonly #coreSequence: Uint32Array;
  /** When its instance is killed, microseconds; Infinity while nothing runs. */
  readonly #coreDeadlineUs: Float64Array;
  /** 1 once the assignment has had its result. */
  readonly #coreCompleted: Uint8Array;
  readonly #coreTimeoutUs: Float64Array;

  readonly #slotState: Uint8Array;
  readonly #slotVersion: Int32Array;
  readonly #slotMemoryMb: Int32Array;
  readonly #slotCore: Int32Array;

  readonly #freeSlots: Int32Array;
  #freeCount: number;
  /** Idle slots of each version, newest first. */
  readonly #warm: SlotList;
  /** All idle slots, newest first. */
  readonly #idle: SlotList;
  /** `Rest` of each idle slot. Those of the idle list that are frozen are its oldest. */
  readonly #slotRest: Uint8Array;
  #frozenCount = 0;
  #residentMb = 0;
  #idleMb = 0;

  constructor(limits: WorkerLimits) {
    // With a slot for each core, a lease is refused only while some instance is on its way out: its end brings the next try.
    assert(limits.slotCount >= limits.coreCount, `${limits.slotCount} slots for ${limits.coreCount} cores`);
    this.#limits = limits;
    this.#coreSlot = new Int32Array(limits.coreCount).fill(NONE);
    this.#coreSequence = new Uint32Array(limits.coreCount);
    this.#coreDeadlineUs = new Float64Array(limits.coreCount).fill(Infinity);
    this.#coreCompleted = new Uint8Array(limits.coreCount);
    this.#coreTimeoutUs = new Float64Array(limits.coreCount);
    this.#slotState = new Uint8Array(limits.slotCount);
    this.#slotVersion = new Int32Array(limits.slotCount).fill(NONE);
    this.#slotMemoryMb = new Int32Array(limits.slotCount);
    this.#slotCore = new Int32Array(limits.slotCount).fill(NONE);
    this.#slotRest = new Uint8Array(limits.slotCount);
    this.#freeSlots = Int32Array.from({ length: limits.slotCount }, (_, index) => limits.slotCount - 1 - index);
    this.#freeCount = limits.slotCount;
    this.#warm = new SlotList(limits.versionCount, limits.slotCount);
    this.#idle = new SlotList(1, limits.slotCount);
    // An assignment can evict every idle instance and start one more; a tick can freeze every one.
    this.actions = new Actions(limits.slotCount * 2 + limits.coreCount * 4 + 8);
  }

  /**
   * A lease to carry out. False: the core is busy, or there is neither slot nor memory even with all idle instances
   * gone; then nothing changed and the scheduler is to be told.
   */
  assign(
    core: number,
    sequence: number,
    run: { versionIndex: number; memoryMb: number; timeoutUs: number },
    nowUs: number,
  ): boolean {
    assert(core >= 0 && core < this.#limits.coreCount, `no such core: ${core}`);
    if (this.#coreSlot[core] !== NONE) return false;
    const warmSlot = this.#takeWarm(run.versionIndex, core);
    const slot = warmSlot === NONE ? this.#makeRoom(run.memoryMb) : warmSlot;
    if (slot === NONE) return false;
    this.#coreSlot[core] = slot;
    this.#coreSequence[core] = sequence;
    this.#coreCompleted[core] = 0;
    this.#coreTimeoutUs[core] = run.timeoutUs;
    this.#slotCore[slot] = core;
    if (warmSlot !== NONE) {
      this.#run(slot, core, nowUs);
      return true;
    }
    this.#slotState[slot] = SlotState.starting;
    this.#slotVersion[slot] = run.versionIndex;
    this.#slotMemoryMb[slot] = run.memoryMb;
    this.#residentMb += run.memoryMb;
    this.#coreDeadlineUs[core] = nowUs + this.#limits.initTimeoutUs;
    this.actions.start(slot, core, run.versionIndex);
    return true;
  }

  /** The instance has initialised. */
  ready(slot: number, nowUs: number): void {
    if (this.#slotState[slot] !== SlotState.starting) return;
    this.#run(slot, this.#holding(slot), nowUs);
  }

  /** The instance answered its invocation. `last`: it said that it ends now. */
  answered(slot: number, last: boolean): void {
    const state = this.#slotState[slot];
    if (state === SlotState.dying) return;
    assert(state === SlotState.busy || state === SlotState.starting, `an instance answered in state ${state}`);
    const core = this.#holding(slot);
    this.#complete(core, Ending.answered);
    if (last || state === SlotState.starting) {
      this.#kill(slot, Kill.ended);
      return;
    }
    this.#slotState[slot] = SlotState.idle;
    this.#slotRest[slot] = Rest.new;
    this.#slotCore[slot] = NONE;
    this.#warm.push(this.#versionOf(slot), slot);
    this.#idle.push(0, slot);
    this.#idleMb += this.#memoryOf(slot);
    this.#release(core, true);
  }

  /** The instance broke its protocol, or its channel failed. */
  broke(slot: number): void {
    const state = this.#slotState[slot];
    if (state === SlotState.dying || state === SlotState.free) return;
    if (state === SlotState.idle) this.#unlink(slot);
    else this.#complete(this.#holding(slot), Ending.broke);
    this.#kill(slot, Kill.broke);
  }

  /** Its channel ended. If it is idle, it is not used again; if it runs, its exit follows and says why. */
  lost(slot: number): void {
    if (this.#slotState[slot] !== SlotState.idle) return;
    this.#unlink(slot);
    this.#kill(slot, Kill.lost);
  }

  /** Every process of the instance is gone. */
  exited(slot: number): void {
    const state = this.#slotState[slot];
    assert(state !== SlotState.free, `a free slot exited: ${slot}`);
    if (state === SlotState.idle) this.#unlink(slot);
    // A dying slot gave its memory back when it was killed.
    if (state !== SlotState.dying) this.#residentMb -= this.#memoryOf(slot);
    const core = this.#slotCore[slot]!;
    const version = this.#versionOf(slot);
    this.#slotState[slot] = SlotState.free;
    this.#slotVersion[slot] = NONE;
    this.#slotCore[slot] = NONE;
    this.#freeSlots[this.#freeCount++] = slot;
    if (core !== NONE) {
      this.#complete(core, Ending.exited);
      this.#release(core, false);
    }
    if (this.#warm.head(version) === NONE) this.actions.evicted(version);
  }

  /**
   * Kills what has passed its deadline, and freezes what has been idle since the tick before the last one.
   * Returns the next deadline, microseconds; Infinity if there is none.
   */
  tick(nowUs: number): number {
    this.#freezeIdle();
    let nextUs = Infinity;
    for (let core = 0; core < this.#limits.coreCount; core++) {
      const deadlineUs = this.#coreDeadlineUs[core]!;
      if (deadlineUs > nowUs) {
        if (deadlineUs < nextUs) nextUs = deadlineUs;
        continue;
      }
      const slot = this.#coreSlot[core]!;
      this.#complete(core, this.#slotState[slot] === SlotState.starting ? Ending.initTimedOut : Ending.timedOut);
      this.#kill(slot, Kill.timedOut);
    }
    return nextUs;
  }

  /** The version is no more: its idle instances go now, its busy ones are not reused because nobody asks for them. */
  dropVersion(versionIndex: number): void {
    for (let slot = this.#warm.head(versionIndex); slot !== NONE; slot = this.#warm.head(versionIndex)) {
      this.#unlink(slot);
      this.#kill(slot, Kill.evicted);
    }
  }

  /** Kills everything, with a result for what runs. For the platform's own end. */
  stop(): void {
    for (let slot = 0; slot < this.#limits.slotCount; slot++) {
      const state = this.#slotState[slot];
      if (state === SlotState.free || state === SlotState.dying) continue;
      if (state === SlotState.idle) this.#unlink(slot);
      else this.#complete(this.#holding(slot), Ending.exited);
      this.#kill(slot, Kill.evicted);
    }
  }

  /** The core whose lease the instance serves; -1 between two invocations, and once it is gone. */
  coreOf(slot: number): number {
    return this.#slotCore[slot]!;
  }

  stateOf(slot: number): SlotState {
    return this.#slotState[slot]! as SlotState;
  }

  /** The instance that serves the core's lease; -1 if it has none. */
  slotOf(core: number): number {
    return this.#coreSlot[core]!;
  }

  get residentMb(): number {
    return this.#residentMb;
  }

  get residentCount(): number {
    return this.#limits.slotCount - this.#freeCount;
  }

  /** Idle instances that a later tick will freeze. */
  get awakeCount(): number {
    return this.#idle.count - this.#frozenCount;
  }

  isFrozen(slot: number): boolean {
    return this.#slotState[slot] === SlotState.idle && this.#slotRest[slot] === Rest.frozen;
  }

  get idleCount(): number {
    return this.#idle.count;
  }

  /** For tests: everything that must hold between two events. */
  checkInvariants(): void {
    let residentMb = 0;
    let idle = 0;
    let idleMb = 0;
    let frozen = 0;
    for (let slot = 0; slot < this.#limits.slotCount; slot++) {
      const state = this.#slotState[slot]! as SlotState;
      const core = this.#slotCore[slot]!;
      if (state === SlotState.free || state === SlotState.idle)
        assert(core === NONE, `slot ${slot} rests and holds core ${core}`);
      if (state === SlotState.starting || state === SlotState.busy)
        assert(core !== NONE, `slot ${slot} runs without a core`);
      if (core !== NONE) assert(this.#coreSlot[core] === slot, `slot ${slot} and core ${core} disagree`);
      if (state === SlotState.idle) {
        idle++;
        if (this.#slotRest[slot] === Rest.frozen) frozen++;
        idleMb += this.#memoryOf(slot);
      }
      if (state !== SlotState.free && state !== SlotState.dying) residentMb += this.#memoryOf(slot);
    }
    for (let core = 0; core < this.#limits.coreCount; core++) {
      const slot = this.#coreSlot[core]!;
      if (slot === NONE) assert(this.#coreDeadlineUs[core] === Infinity, `core ${core} rests with a deadline`);
      else assert(this.#slotCore[slot] === core, `core ${core} and slot ${slot} disagree`);
    }
    assert(idle === this.#idle.count, 'the idle list and the states disagree');
    assert(frozen === this.#frozenCount, `frozen: ${this.#frozenCount} kept, ${frozen} found`);
    for (let slot = this.#idle.head(0), left = this.awakeCount; slot !== NONE; slot = this.#idle.after(slot), left--)
      assert((this.#slotRest[slot] === Rest.frozen) === left <= 0, 'a frozen instance is newer than one that is awake');
    assert(idleMb === this.#idleMb, `idle memory: ${this.#idleMb} kept, ${idleMb} found`);
    assert(residentMb === this.#residentMb, `resident memory: ${this.#residentMb} kept, ${residentMb} found`);
    assert(residentMb <= this.#limits.memoryMb, `resident memory ${residentMb} exceeds ${this.#limits.memoryMb}`);
  }

  #run(slot: number, core: number, nowUs: number): void {
    this.#slotState[slot] = SlotState.busy;
    this.#coreDeadlineUs[core] = nowUs + this.#coreTimeoutUs[core]!;
    this.actions.run(slot, core);
  }

  #complete(core: number, ending: Ending): void {
    this.#coreDeadlineUs[core] = Infinity;
    if (this.#coreCompleted[core] === 1) return;
    this.#coreCompleted[core] = 1;
    this.actions.complete(core, this.#coreSlot[core]!, ending);
  }

  #release(core: number, warm: boolean): void {
    assert(this.#coreCompleted[core] === 1, `core ${core} is released without a result`);
    this.#coreSlot[core] = NONE;
    this.actions.release(core, this.#coreSequence[core]!, warm);
  }

  #kill(slot: number, why: Kill): void {
    this.#slotState[slot] = SlotState.dying;
    this.#residentMb -= this.#memoryOf(slot);
    this.actions.kill(slot, why);
  }

  #takeWarm(versionIndex: number, core: number): number {
    const slot = this.#warm.head(versionIndex);
    if (slot === NONE) return NONE;
    if (this.#slotRest[slot] === Rest.frozen) this.actions.thaw(slot, core);
    this.#unlink(slot);
    return slot;
  }

  /** Looks at those that are awake alone. */
  #freezeIdle(): void {
    for (let slot = this.#idle.head(0); slot !== NONE; slot = this.#idle.after(slot)) {
      const rest = this.#slotRest[slot]!;
      if (rest === Rest.frozen) return;
      this.#slotRest[slot] = rest + 1;
      if (rest === Rest.new) continue;
      this.#frozenCount++;
      this.actions.freeze(slot);
    }
  }

  /** A free slot, with memory for it; kills idle instances for either, the least recently used first. */
  #makeRoom(memoryMb: number): number {
    if (this.#residentMb - this.#idleMb + memoryMb > this.#limits.memoryMb) return NONE;
    while (this.#residentMb + memoryMb > this.#limits.memoryMb) this.#evictOldest();
    if (this.#freeCount === 0) {
      // Its slot is free only once it is gone; the lease is refused for now.
      if (this.#idle.tail(0) !== NONE) this.#evictOldest();
      return NONE;
    }
    return this.#freeSlots[--this.#freeCount]!;
  }

  #evictOldest(): void {
    const slot = this.#idle.tail(0);
    assert(slot !== NONE, 'nothing is left to evict');
    this.#unlink(slot);
    this.#kill(slot, Kill.evicted);
  }

  #unlink(slot: number): void {
    this.#warm.remove(this.#versionOf(slot), slot);
    this.#idle.remove(0, slot);
    this.#idleMb -= this.#memoryOf(slot);
    if (this.#slotRest[slot] === Rest.frozen) this.#frozenCount--;
  }

  #holding(slot: number): number {
    const core = this.#slotCore[slot]!;
    assert(core !== NONE, `slot ${slot} has no core`);
    return core;
  }

  #versionOf(slot: number): number {
    return this.#slotVersion[slot]!;
  }

  #memoryOf(slot: number): number {
    return this.#slotMemoryMb[slot]!;
  }
}
