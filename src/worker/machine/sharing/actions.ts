/** What the sharing machine tells its shell, in a fixed array of integers: nothing is allocated for an action. */
import { ActionBuffer, type PresentAction } from '../action-buffer.ts';

/** Background is what the kernel runs only where nobody of the foreground wants the core (`SCHED_IDLE`). */
export const Level = { foreground: 0, background: 1 } as const;
export type Level = (typeof Level)[keyof typeof Level];

const ActionKind = { place: 0, openSeat: 1, closeSeat: 2, release: 3 } as const;

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
  readonly #pending: ActionBuffer<SharingActionHandler>;

  constructor(capacity: number) {
    this.#pending = new ActionBuffer(capacity, carryOut);
  }

  get count(): number {
    return this.#pending.count;
  }

  place(seat: number, core: number, level: Level): void {
    this.#pending.push(ActionKind.place, seat, core, level);
  }

  openSeat(seat: number): void {
    this.#pending.push(ActionKind.openSeat, seat);
  }

  closeSeat(seat: number): void {
    this.#pending.push(ActionKind.closeSeat, seat);
  }

  release(seat: number): void {
    this.#pending.push(ActionKind.release, seat);
  }

  /** Carries out what is pending, in order, and what that adds. False: such a loop runs. */
  drain(handler: SharingActionHandler): boolean {
    return this.#pending.drain(handler);
  }
}

function carryOut(handler: SharingActionHandler, { kind, a, b, c }: PresentAction): void {
  switch (kind) {
    case ActionKind.place:
      return handler.place(a, b, c as Level);
    case ActionKind.openSeat:
      return handler.openSeat(a);
    case ActionKind.closeSeat:
      return handler.closeSeat(a);
    default:
      return handler.release(a);
  }
}
