/**
 * A rival of the sharing machine, with its actions and its seats: each core has a stack of residents. Who comes new is put on top, on the core whose top has
 * had the most CPU time where it has none of its own; when the top ends, the one below goes on, on that core and no other. The top has the foreground,
 * awake or asleep; those below run while it sleeps.
 *
 * All extra seats are always open. One that has several cores is alone on them, on top of whoever was there.
 */
import { assert } from '../../../base/assert.ts';
import { coresOf } from '../../../base/core-mask.ts';
import { Level, SharingActions } from '../../../worker/machine/sharing.ts';
import type { ServerSharing } from '../../perch/workers.ts';

const NONE = -1;

export class StackSharing implements ServerSharing {
  readonly actions: SharingActions;
  /** It has no wish for time to pass. */
  readonly nextTickUs: number = Infinity;
  /** The last one is the top. One that has several cores is in the stack of each. */
  readonly #stacks: readonly number[][];
  /** By seat. */
  readonly #core: Int32Array;
  readonly #level: Uint8Array;
  readonly #mask: Int32Array;
  readonly #usedUs: Float64Array;

  constructor(coreCount: number, extraSeatCount: number) {
    const seatCount = coreCount + extraSeatCount;
    this.actions = new SharingActions(seatCount * 4 + 64);
    this.#stacks = Array.from({ length: coreCount }, () => []);
    this.#core = new Int32Array(seatCount).fill(NONE);
    this.#level = new Uint8Array(seatCount);
    this.#mask = new Int32Array(seatCount);
    this.#usedUs = new Float64Array(seatCount);
    for (let seat = coreCount; seat < seatCount; seat++) this.actions.openSeat(seat);
  }

  began(seat: number, _nowUs: number, _sharing = 'shared', usedUs = 0): void {
    const core = seat < this.#stacks.length ? seat : this.#mostUsed();
    assert(this.#core[seat] === NONE, `seat ${seat} is given to two`);
    this.#core[seat] = core;
    this.#mask[seat] = 0;
    this.#usedUs[seat] = usedUs;
    const stack = this.#stacks[core]!;
    const top = stack.at(-1);
    // Nobody goes before one that is alone on several.
    if (top !== undefined && this.#mask[top] !== 0) stack.splice(-1, 0, seat);
    else stack.push(seat);
    this.#level[seat] = Level.background;
    this.#settle(core);
  }

  beganSeveral(lead: number, mask: number): void {
    this.#core[lead] = lead;
    this.#mask[lead] = mask;
    this.#usedUs[lead] = 0;
    this.#level[lead] = Level.background;
    for (const core of coresOf(lead, mask)) {
      this.#stacks[core]!.push(lead);
      this.#settle(core);
    }
  }

  slept(): void {}

  woke(): void {}

  used(seat: number, cpuUs: number): void {
    this.#usedUs[seat] = cpuUs;
  }

  ended(seat: number): boolean {
    const cores = coresOf(this.#core[seat]!, this.#mask[seat]!);
    this.#core[seat] = NONE;
    this.#mask[seat] = 0;
    for (const core of cores) {
      const stack = this.#stacks[core]!;
      stack.splice(stack.indexOf(seat), 1);
      this.#settle(core);
    }
    this.actions.release(seat);
    return true;
  }

  tick(): number {
    return Infinity;
  }

  coreOf(seat: number): number {
    return this.#core[seat]!;
  }

  levelOf(seat: number): Level {
    return this.#level[seat] as Level;
  }

  checkInvariants(): void {
    for (const [core, stack] of this.#stacks.entries()) {
      for (const [at, seat] of stack.entries()) {
        const isTop = at === stack.length - 1;
        const isHere = coresOf(this.#core[seat]!, this.#mask[seat]!).includes(core);
        assert(isHere, `seat ${seat} is in the stack of core ${core}`);
        assert(this.#mask[seat] === 0 || isTop, `seat ${seat} has several cores, and is below another`);
        assert((this.#level[seat] === Level.foreground) === isTop, `exclusive: seat ${seat} on core ${core}`);
      }
    }
  }

  /** The core whose top has had the most; one that nobody is on before others, one that is alone on several last. */
  #mostUsed(): number {
    let found = 0;
    let most = -Infinity;
    for (const [core, stack] of this.#stacks.entries()) {
      const top = stack.at(-1);
      const usedUs = top === undefined ? Infinity : this.#mask[top] === 0 ? this.#usedUs[top]! : -1;
      if (usedUs <= most) continue;
      found = core;
      most = usedUs;
    }
    return found;
  }

  /** Who goes to the background goes first. */
  #settle(core: number): void {
    const stack = this.#stacks[core]!;
    const below = stack.at(-2);
    const top = stack.at(-1);
    if (below !== undefined) this.#tell(below, Level.background);
    if (top !== undefined) this.#tell(top, Level.foreground);
  }

  #tell(seat: number, level: Level): void {
    if (this.#level[seat] === level) return;
    this.#level[seat] = level;
    this.actions.place(seat, this.#core[seat]!, level);
  }
}
