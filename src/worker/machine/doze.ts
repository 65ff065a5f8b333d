/**
 * When a resident that polls is frozen, and when it is let go on for a moment.
 *
 *     ──dozes──▶ frozen ──after its pause──▶ slice ──after it, or dozes──▶ frozen, for twice as long, up to the longest pause
 *                   └──────────wakes, ended──────┴──▶ free: thawed
 *
 * The slices are for what nobody sees: its own timers, a file, a pipe, shared memory. Whoever believes that it polls may be wrong.
 * So, of whatever time it dozes, it is bounded what that costs, but for slices in which it is seen to poll:
 *
 * - it is never frozen for longer than `pauseMaxUs` and what the shell's ticks are late;
 * - of each pause and the slice after it, the slice is at least `sliceUs / (sliceUs + pauseMaxUs)`;
 * - once it has been frozen for `patienceUs` since it began to doze, at least 1 / (1 + `patientRatio`): from then on a slice is a
 *   part of the pause before it.
 *
 * Frozen time counts for its timeout: who polls waits by its own will. Invariants: frozen only between `dozes` and
 * `wakes` or `ended`; `freeze` and `thaw` of a seat come in turns. Nothing is allocated; an event is constant work, a tick O(seats that
 * doze).
 */
import { assert } from '../../base/assert.ts';

export interface DozeLimits {
  readonly seatCount: number;
  readonly sliceUs: number;
  /** The first pause, and the longest: each is twice the one before. */
  readonly pauseUs: number;
  readonly pauseMaxUs: number;
  readonly patienceUs: number;
  readonly patientRatio: number;
}

export const DOZE_LIMITS: Omit<DozeLimits, 'seatCount'> = {
  sliceUs: 500,
  pauseUs: 25_000,
  pauseMaxUs: 50_000,
  patienceUs: 1_000_000,
  patientRatio: 10,
};

/** What the shell has to do, within the event. */
export interface DozeHandler {
  freeze(seat: number): void;
  thaw(seat: number): void;
}

const State = { free: 0, frozen: 1, slice: 2 } as const;

export class Doze {
  readonly #limits: DozeLimits;
  readonly #handler: DozeHandler;
  readonly #state: Uint8Array;
  /** When its state began, and is to end. */
  readonly #sinceUs: Float64Array;
  readonly #untilUs: Float64Array;
  readonly #pauseUs: Float64Array;
  /** Since it began to doze. */
  readonly #frozenUs: Float64Array;
  /** Those that doze, in any order, and where each is among them. */
  readonly #seats: Int32Array;
  readonly #at: Int32Array;
  #count = 0;

  constructor(limits: DozeLimits, handler: DozeHandler) {
    const { seatCount, sliceUs, pauseUs, pauseMaxUs, patientRatio } = limits;
    assert(sliceUs > 0 && pauseUs > 0 && pauseMaxUs >= pauseUs, `slices of ${sliceUs} µs, pauses of ${pauseUs} µs`);
    assert(patientRatio > 0, `a ratio of ${patientRatio}`);
    this.#limits = limits;
    this.#handler = handler;
    this.#state = new Uint8Array(seatCount);
    this.#sinceUs = new Float64Array(seatCount);
    this.#untilUs = new Float64Array(seatCount);
    this.#pauseUs = new Float64Array(seatCount);
    this.#frozenUs = new Float64Array(seatCount);
    this.#seats = new Int32Array(seatCount);
    this.#at = new Int32Array(seatCount);
  }

  /** It polls, as a source says that is trusted. Said again in a slice, that one is over; while it is frozen it says nothing new. */
  dozes(seat: number, nowUs: number): void {
    if (this.#state[seat] === State.slice) this.#freeze(seat, nowUs);
    if (this.#state[seat] !== State.free) return;
    this.#at[seat] = this.#count;
    this.#seats[this.#count++] = seat;
    this.#frozenUs[seat] = 0;
    this.#pauseUs[seat] = this.#limits.pauseUs;
    this.#freeze(seat, nowUs);
  }

  /** It polls no more, or nobody believes it any longer, or it is over. Nothing happens where it does not doze. */
  wakes(seat: number): void {
    const state = this.#state[seat];
    if (state === State.free) return;
    const last = this.#seats[--this.#count]!;
    this.#seats[this.#at[seat]!] = last;
    this.#at[last] = this.#at[seat]!;
    this.#state[seat] = State.free;
    if (state === State.frozen) this.#handler.thaw(seat);
  }

  tick(nowUs: number): void {
    for (let at = 0; at < this.#count; at++) {
      const seat = this.#seats[at]!;
      if (this.#untilUs[seat]! > nowUs) continue;
      if (this.#state[seat] === State.frozen) this.#thaw(seat, nowUs);
      else this.#freeze(seat, nowUs);
    }
  }

  /** When it wants a tick; Infinity: none. */
  get nextTickUs(): number {
    let nextUs = Infinity;
    for (let at = 0; at < this.#count; at++) nextUs = Math.min(nextUs, this.#untilUs[this.#seats[at]!]!);
    return nextUs;
  }

  isDozing(seat: number): boolean {
    return this.#state[seat] !== State.free;
  }

  isFrozen(seat: number): boolean {
    return this.#state[seat] === State.frozen;
  }

  #freeze(seat: number, nowUs: number): void {
    this.#state[seat] = State.frozen;
    this.#sinceUs[seat] = nowUs;
    this.#untilUs[seat] = nowUs + this.#pauseUs[seat]!;
    this.#pauseUs[seat] = Math.min(this.#pauseUs[seat]! * 2, this.#limits.pauseMaxUs);
    this.#handler.freeze(seat);
  }

  /** Of what it was frozen, and not of what it should have been: a tick may be late. */
  #thaw(seat: number, nowUs: number): void {
    const { sliceUs, patienceUs, patientRatio } = this.#limits;
    const pausedUs = nowUs - this.#sinceUs[seat]!;
    this.#frozenUs[seat] = this.#frozenUs[seat]! + pausedUs;
    const isPatient = this.#frozenUs[seat]! < patienceUs;
    this.#state[seat] = State.slice;
    this.#untilUs[seat] = nowUs + (isPatient ? sliceUs : Math.max(sliceUs, pausedUs / patientRatio));
    this.#handler.thaw(seat);
  }
}
