/**
 * Zygotes: a stem cell that adopted a version initialises on the core of the lease that asked first. Every lease of the version
 * that comes meanwhile awaits the same initialisation in a slot that is kept for it; then each gets a copy. Such a slot
 * has no process, so it is freed at once where the zygote fails; how long it waits is bounded by the zygote's deadline.
 */
import { type Actions, type Ending, Kill, SlotState } from './actions.ts';
import type { Leases } from './leases.ts';
import { After, type Slots } from './slots.ts';
import type { Versions } from './versions.ts';

const NONE = -1;

export class Zygotes {
  readonly #limits: { readonly initTimeoutUs: number; readonly codeTimeoutUs: number };
  readonly #slots: Slots;
  readonly #versions: Versions;
  readonly #leases: Leases;
  readonly #actions: Actions;

  constructor(
    limits: { readonly initTimeoutUs: number; readonly codeTimeoutUs: number },
    slots: Slots,
    parts: { versions: Versions; leases: Leases; actions: Actions },
  ) {
    this.#limits = limits;
    this.#slots = slots;
    this.#versions = parts.versions;
    this.#leases = parts.leases;
    this.#actions = parts.actions;
  }

  /** The newest cell of the kind that waits; -1 if there is none. */
  cell(cellKind: number): number {
    const { resting, state, cellKind: kinds } = this.#slots;
    for (let slot = resting.head(0); slot !== NONE; slot = resting.after(slot)) {
      if (state[slot] === SlotState.cell && kinds[slot] === cellKind) return slot;
    }
    return NONE;
  }

  /** Cells of the kind that wait. */
  waitingCount(cellKind: number): number {
    const { resting, state, cellKind: kinds } = this.#slots;
    let count = 0;
    for (let slot = resting.head(0); slot !== NONE; slot = resting.after(slot)) {
      if (state[slot] === SlotState.cell && kinds[slot] === cellKind) count++;
    }
    return count;
  }

  adopt(cell: number, core: number, version: number, nowUs: number): void {
    const slots = this.#slots;
    slots.thaw(cell, core);
    slots.becomeZygote(cell, version, this.#versions.memoryMb[version]!);
    this.#beginWait(cell, nowUs);
    this.#actions.adopt(cell, core, version);
  }

  /** The slot, starting or readying, gets a process of its own. */
  start(slot: number, core: number, nowUs: number): void {
    this.#beginWait(slot, nowUs);
    this.#actions.start(slot, core, this.#slots.version[slot]!);
  }

  /** What the slot's code or, once that is here, its initialisation may take begins now. */
  code(slot: number, isHere: boolean, nowUs: number): void {
    const state = this.#slots.state[slot];
    const waits = state === SlotState.starting || state === SlotState.readying || state === SlotState.initialising;
    if (waits) this.#beginWait(slot, nowUs, isHere ? this.#limits.initTimeoutUs : this.#limits.codeTimeoutUs);
  }

  /** The slot, starting or readying, gets a copy; it is the zygote's child already. */
  fork(slot: number, core: number, nowUs: number): void {
    const zygote = this.#slots.zygote[slot]!;
    this.#slots.stir(zygote, core);
    this.#slots.touch(zygote);
    this.#beginWait(slot, nowUs);
    this.#actions.fork(slot, zygote, core);
  }

  initialised(zygote: number, memoryMb: number, nowUs: number): void {
    const slots = this.#slots;
    const limitMb = slots.memoryMb[zygote]!;
    slots.beZygote(zygote, memoryMb > 0 ? Math.min(memoryMb, limitMb) : limitMb, nowUs);
    for (let slot = 0; slot < slots.count; slot++) {
      if (!this.#awaits(slot, zygote)) continue;
      slots.state[slot] = SlotState.starting;
      this.fork(slot, slots.core[slot]!, nowUs);
    }
  }

  uncopyable(zygote: number, nowUs: number): void {
    const slots = this.#slots;
    if (slots.after[zygote] === After.kept) this.#versions.plainOnly[slots.version[zygote]!] = 1;
    for (let slot = 0; slot < slots.count; slot++) {
      if (!this.#awaits(slot, zygote)) continue;
      slots.leaveZygote(slot);
      slots.state[slot] = SlotState.starting;
      this.start(slot, slots.core[slot]!, nowUs);
    }
    slots.kill(zygote, Kill.uncopyable);
  }

  /** Every lease that awaits it ends so. */
  endAwaiting(zygote: number, ending: Ending): void {
    const slots = this.#slots;
    for (let slot = 0; slot < slots.count; slot++) {
      if (!this.#awaits(slot, zygote)) continue;
      const core = slots.core[slot]!;
      const version = slots.version[slot]!;
      slots.free(slot);
      this.#leases.complete(core, zygote, ending);
      this.#leases.release(core, version);
    }
  }

  /** Kills an initialised zygote. Its copies go with it: none is used again, and the exits of those that run follow. */
  end(zygote: number, why: Kill): void {
    const slots = this.#slots;
    slots.kill(zygote, why);
    for (let slot = 0; slot < slots.count; slot++) {
      if (slots.zygote[slot] === zygote) this.#endCopy(slot);
    }
  }

  /** The zygote is gone, and some of its copies have yet to be reported so. */
  orphan(zygote: number): void {
    const slots = this.#slots;
    for (let slot = 0; slot < slots.count && slots.children[zygote]! > 0; slot++) {
      if (slots.zygote[slot] !== zygote) continue;
      slots.leaveZygote(slot);
      this.#endCopy(slot);
    }
  }

  /** Its version was dropped, and the last of its copies is gone. */
  endIfUnused(zygote: number): void {
    const { state, children, after } = this.#slots;
    if (children[zygote]! > 0 || after[zygote] !== After.dropped || state[zygote] === SlotState.dying) return;
    this.#slots.kill(zygote, Kill.evicted);
  }

  /** The core of one of the leases that await it; -1 if there is none. */
  awaitingCore(zygote: number): number {
    for (let slot = 0; slot < this.#slots.count; slot++) {
      if (this.#awaits(slot, zygote)) return this.#slots.core[slot]!;
    }
    return NONE;
  }

  #awaits(slot: number, zygote: number): boolean {
    return this.#slots.state[slot] === SlotState.awaiting && this.#slots.zygote[slot] === zygote;
  }

  #endCopy(slot: number): void {
    const { state, after } = this.#slots;
    if (state[slot] === SlotState.idle || state[slot] === SlotState.readying) this.#slots.kill(slot, Kill.lost);
    else if (after[slot] === After.kept) after[slot] = After.dropped;
  }

  #beginWait(slot: number, nowUs: number, timeoutUs: number = this.#limits.initTimeoutUs): void {
    this.#slots.sinceUs[slot] = nowUs;
    this.#slots.deadlineUs[slot] = nowUs + timeoutUs;
  }
}
