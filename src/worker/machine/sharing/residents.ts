/** The seats of a server and who is on them, in typed arrays; the seats below `coreCount` are the cores' own. */
import { Level } from './actions.ts';

const NONE = -1;

/**
 * ```
 *            began            ended
 *   free ───────────▶ held ───────────▶ free
 *                       └────▶ kept ────▶        its lease stays until a borrower has ended, or sleeps
 *   free ───────────▶ joined ──────────▶ free    one more core of a lease of several
 * ```
 */
export const SeatState = { free: 0, held: 1, kept: 2, joined: 3 } as const;
export type SeatState = (typeof SeatState)[keyof typeof SeatState];

/**
 * What its function says of it. `dedicated`: its core is never lent, and it is never put in the background. `spare`: it goes after all
 * others, and has what they leave.
 */
export type ResidentSharing = 'shared' | 'dedicated' | 'spare';

export class Residents {
  readonly coreCount: number;
  readonly seatCount: number;
  readonly state: Uint8Array;
  readonly isAsleep: Uint8Array;
  /** Its sleep says nothing about its threads: it may poll, or say so only. It gives the foreground to who comes. */
  readonly yields: Uint8Array;
  /** On a seat of its own whose core is its own too, whatever others do. */
  readonly isFixed: Uint8Array;
  /** Nobody else is on its cores. */
  readonly isAlone: Uint8Array;
  /** It goes after all who are not, and keeps no seat from them. */
  readonly isSpare: Uint8Array;
  /** Of a lease of several cores, as core-mask.ts says; else 0. */
  readonly mask: Int32Array;
  /** Counts who came first. Who goes on with the work of one that has just left its seat came when that one did. */
  readonly sequence: Float64Array;
  /** Attained service, as `serviceOf` has it: what it is ordered by. */
  readonly service: Float64Array;
  /** Where it is and how, as the shell knows it. */
  readonly core: Int32Array;
  readonly level: Uint8Array;
  /** By seat: until when somebody may go on with the work of who left last. */
  readonly #followedUntilUs: Float64Array;
  #cameCount = 0;

  constructor(coreCount: number, seatCount: number) {
    this.coreCount = coreCount;
    this.seatCount = seatCount;
    this.state = new Uint8Array(seatCount);
    this.isAsleep = new Uint8Array(seatCount);
    this.yields = new Uint8Array(seatCount);
    this.isFixed = new Uint8Array(seatCount);
    this.isAlone = new Uint8Array(seatCount);
    this.isSpare = new Uint8Array(seatCount);
    this.mask = new Int32Array(seatCount);
    this.sequence = new Float64Array(seatCount);
    this.service = new Float64Array(seatCount);
    this.core = new Int32Array(seatCount).fill(NONE);
    this.level = new Uint8Array(seatCount);
    this.#followedUntilUs = new Float64Array(seatCount).fill(-Infinity);
  }

  isOwn(seat: number): boolean {
    return seat < this.coreCount;
  }

  isHeld(seat: number): boolean {
    return this.state[seat] === SeatState.held;
  }

  isAwake(seat: number): boolean {
    return this.isHeld(seat) && this.isAsleep[seat] === 0;
  }

  /** The resident that the core belongs to; -1: none does. */
  ownerOf(core: number): number {
    return this.isHeld(core) && this.isFixed[core] === 1 ? core : NONE;
  }

  /** Whether somebody else than the seat's resident is on the core. */
  hasOther(core: number, seat: number): boolean {
    for (let other = 0; other < this.seatCount; other++) {
      if (other !== seat && this.core[other] === core && this.isHeld(other)) return true;
    }
    return false;
  }

  /** `followsUs`: it goes on with the work of others, at this moment; Infinity: it does not. */
  add(seat: number, isFixed: boolean, isAlone: boolean, followsUs = Infinity): void {
    this.state[seat] = SeatState.held;
    this.isAsleep[seat] = 0;
    this.yields[seat] = 0;
    this.isFixed[seat] = isFixed ? 1 : 0;
    this.isAlone[seat] = isAlone ? 1 : 0;
    this.isSpare[seat] = 0;
    this.mask[seat] = 0;
    if (followsUs > this.#followedUntilUs[seat]!) this.sequence[seat] = this.#cameCount++;
    this.#followedUntilUs[seat] = -Infinity;
    this.service[seat] = 0;
    this.core[seat] = this.isOwn(seat) ? seat : NONE;
    this.level[seat] = Level.foreground;
  }

  /** `followedUntilUs`: who comes until then, and goes on with its work, has its place in the order. */
  remove(seat: number, state: SeatState, followedUntilUs = -Infinity): void {
    this.#followedUntilUs[seat] = followedUntilUs;
    this.state[seat] = state;
    this.isAsleep[seat] = 0;
    this.core[seat] = NONE;
  }
}
