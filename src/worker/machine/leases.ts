/**
 * The cores and their leases. A core holds one lease from `begin` until the action `release`, and in between there is
 * exactly one action `complete` for it. A lease of several cores has all of them for as long, and one of each action, which
 * names its lead: the lowest of them.
 */
import { assert } from '../../base/assert.ts';
import { type Actions, type Ending, SlotState } from './actions.ts';
import { isLedBy, lowestCore, normalMask, withoutLowest } from '../../base/core-mask.ts';
import type { Slots } from './slots.ts';
import type { Versions } from './versions.ts';

const NONE = -1;

/** The right of one invocation to its cores, as far as the machine has to know it. */
export interface CoreLease {
  /** Its only core, or the lowest of several. */
  readonly core: number;
  readonly sequence: number;
  /** Its cores, as core-mask.ts says; none or 0: the one core. */
  readonly mask?: number;
}

export class Leases {
  readonly coreCount: number;
  /** What holds the core's lease; -1: the core is idle. */
  readonly slot: Int32Array;
  /** A lease was refused, and nothing has become free since. */
  refused = false;

  readonly #sequence: Uint32Array;
  /** Of the lease that the core leads; 0: it is its only core. */
  readonly #mask: Int32Array;
  /** 1 once the lease has had its result. */
  readonly #completed: Uint8Array;
  readonly #slots: Slots;
  readonly #versions: Versions;
  readonly #actions: Actions;

  constructor(coreCount: number, slots: Slots, versions: Versions, actions: Actions) {
    this.coreCount = coreCount;
    this.slot = new Int32Array(coreCount).fill(NONE);
    this.#sequence = new Uint32Array(coreCount);
    this.#mask = new Int32Array(coreCount);
    this.#completed = new Uint8Array(coreCount);
    this.#slots = slots;
    this.#versions = versions;
    this.#actions = actions;
  }

  /** False where one of its cores is busy or does not exist, or the core does not lead them. */
  mayBegin(core: number, mask: number): boolean {
    if (this.slot[core] !== NONE) return false;
    if (mask === 0) return true;
    if (!isLedBy(core, mask)) return false;
    for (let rest = mask; rest !== 0; rest = withoutLowest(rest)) {
      if (this.slot[lowestCore(core, rest)] !== NONE) return false;
    }
    return true;
  }

  begin({ core, sequence, mask = 0 }: CoreLease, slot: number): void {
    this.slot[core] = slot;
    this.#sequence[core] = sequence;
    this.#completed[core] = 0;
    this.#slots.core[slot] = core;
    this.#mask[core] = normalMask(mask);
    if (mask !== 0) this.#hold(core, mask, slot);
  }

  /** Of the lease that the core leads. */
  maskOf(core: number): number {
    return this.#mask[core]!;
  }

  /** Nothing happens where the lease has had its result. `where`: the slot that says what happened. */
  complete(core: number, where: number, ending: Ending): void {
    if (this.#completed[core] === 1) return;
    this.#completed[core] = 1;
    this.#actions.complete(core, where, ending);
  }

  release(core: number, version: number): void {
    assert(this.#completed[core] === 1, `core ${core} is released without a result`);
    this.slot[core] = NONE;
    if (this.#mask[core] !== 0) this.#hold(core, this.#mask[core]!, NONE);
    const warm = this.isWarm(version);
    if (warm) this.#versions.toldWarm[version] = 1;
    else this.noteCold(version);
    this.#actions.release(core, this.#sequence[core]!, warm);
    this.noteRoom();
  }

  isWarm(version: number): boolean {
    if (this.#slots.idle.head(version) !== NONE) return true;
    const zygote = this.#versions.zygote[version]!;
    return zygote !== NONE && this.#slots.state[zygote] === SlotState.zygote;
  }

  /** Something of the version is gone. */
  noteCold(version: number): void {
    if (this.#versions.toldWarm[version] === 0 || this.isWarm(version)) return;
    this.#versions.toldWarm[version] = 0;
    this.#actions.evicted(version);
  }

  /** A slot or memory is free, or may be evicted, that was not so before. */
  noteRoom(): void {
    if (!this.refused) return;
    this.refused = false;
    this.#actions.roomAvailable();
  }

  #hold(lead: number, mask: number, slot: number): void {
    for (let rest = mask; rest !== 0; rest = withoutLowest(rest)) this.slot[lowestCore(lead, rest)] = slot;
  }
}
