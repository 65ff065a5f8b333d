/**
 * The cores and their leases. A core holds one lease from `begin` until the action `release`, and in between there is
 * exactly one action `complete` for it.
 */
import { assert } from '../../base/assert.ts';
import { type Actions, type Ending, SlotState } from './actions.ts';
import type { Slots } from './slots.ts';
import type { Versions } from './versions.ts';

const NONE = -1;

export class Leases {
  readonly coreCount: number;
  /** What holds the core's lease; -1: the core is idle. */
  readonly slot: Int32Array;
  /** A lease was refused, and nothing has become free since. */
  refused = false;

  readonly #sequence: Uint32Array;
  /** 1 once the lease has had its result. */
  readonly #completed: Uint8Array;
  readonly #slots: Slots;
  readonly #versions: Versions;
  readonly #actions: Actions;

  constructor(coreCount: number, slots: Slots, versions: Versions, actions: Actions) {
    this.coreCount = coreCount;
    this.slot = new Int32Array(coreCount).fill(NONE);
    this.#sequence = new Uint32Array(coreCount);
    this.#completed = new Uint8Array(coreCount);
    this.#slots = slots;
    this.#versions = versions;
    this.#actions = actions;
  }

  begin(core: number, sequence: number, slot: number): void {
    this.slot[core] = slot;
    this.#sequence[core] = sequence;
    this.#completed[core] = 0;
    this.#slots.core[slot] = core;
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
}
