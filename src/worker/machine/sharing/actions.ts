/** What the sharing machine tells its shell, in a fixed array of integers: nothing is allocated for an action. */
import { assert } from '../../../base/assert.ts';

/** Background is what the kernel runs only where nobody of the foreground wants the core (`SCHED_IDLE`). */
export const Level = { foreground: 0, background: 1 } as const;
export type Level = (typeof Level)[keyof typeof Level];

const ActionKind = { place: 0, openSeat: 1, closeSeat: 2, release: 3 } as const;

const STRIDE = 4;

export interface SharingActionHandler {
  /** Pin the resident of the seat to the core (-1: all cores), with that priority. */
  place(seat: number, core: number, level: Level): void;
  /** The scheduler may grant the extra seat from now on. */
  openSeat(seat: number): void;
  /** The scheduler may grant it no longer. One that it has granted meanwhile is legal: `began` follows. */
  closeSeat(seat: number): void;
  /** The lease of the seat is over: the one action of its kind for each `began`. */
  release(seat: number): void;
}

export class SharingActions {
  readonly #buffer: Int32Array;
  #count = 0;
  #draining = false;

  constructor(capacity: number) {
    this.#buffer = new Int32Array(capacity * STRIDE);
  }

  get count(): number {
    return this.#count;
  }

  place(seat: number, core: number, level: Level): void {
    this.#push(ActionKind.place, seat, core, level);
  }

  openSeat(seat: number): void {
    this.#push(ActionKind.openSeat, seat, 0, 0);
  }

  closeSeat(seat: number): void {
    this.#push(ActionKind.closeSeat, seat, 0, 0);
  }

  release(seat: number): void {
    this.#push(ActionKind.release, seat, 0, 0);
  }

  /**
   * Carries out what is pending, in order. The handler may feed the machine again: what that adds is carried out in
   * the same loop. False: such a loop runs.
   */
  drain(handler: SharingActionHandler): boolean {
    if (this.#draining) return false;
    this.#draining = true;
    for (let index = 0; index < this.#count; index++) this.#carryOut(handler, index * STRIDE);
    this.#count = 0;
    this.#draining = false;
    return true;
  }

  #push(kind: number, a: number, b: number, c: number): void {
    const at = this.#count * STRIDE;
    assert(at < this.#buffer.length, 'more actions than one event can cause');
    this.#buffer[at] = kind;
    this.#buffer[at + 1] = a;
    this.#buffer[at + 2] = b;
    this.#buffer[at + 3] = c;
    this.#count++;
  }

  #carryOut(handler: SharingActionHandler, at: number): void {
    const a = this.#buffer[at + 1]!;
    switch (this.#buffer[at]) {
      case ActionKind.place:
        return handler.place(a, this.#buffer[at + 2]!, this.#buffer[at + 3] as Level);
      case ActionKind.openSeat:
        return handler.openSeat(a);
      case ActionKind.closeSeat:
        return handler.closeSeat(a);
      default:
        return handler.release(a);
    }
  }
}
