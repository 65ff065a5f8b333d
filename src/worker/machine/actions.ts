/** What the worker machine tells its shell, in a fixed array of integers: nothing is allocated for an action. */
import { assert } from '../../base/assert.ts';

export const SlotState = { free: 0, starting: 1, busy: 2, idle: 3, dying: 4 } as const;
export type SlotState = (typeof SlotState)[keyof typeof SlotState];

/** How an assignment came to its result. */
export const Ending = { answered: 0, exited: 1, timedOut: 2, initTimedOut: 3, broke: 4 } as const;
export type Ending = (typeof Ending)[keyof typeof Ending];

/** Why an instance is killed. */
export const Kill = { evicted: 0, timedOut: 1, broke: 2, ended: 3, lost: 4 } as const;
export type Kill = (typeof Kill)[keyof typeof Kill];

export const ActionKind = {
  start: 0,
  run: 1,
  complete: 2,
  release: 3,
  kill: 4,
  evicted: 5,
  freeze: 6,
  thaw: 7,
} as const;

const STRIDE = 4;

export interface ActionHandler {
  /** Start an instance in the slot, on the core. */
  start(slot: number, core: number, versionIndex: number): void;
  /** Pin the instance to the core and hand it the core's invocation. */
  run(slot: number, core: number): void;
  /** The core's invocation has its result now. */
  complete(core: number, slot: number, ending: Ending): void;
  /** The lease is over; `warm`: an instance of its version stays. */
  release(core: number, sequence: number, warm: boolean): void;
  kill(slot: number, why: Kill): void;
  /** The idle instance may use no CPU until `thaw`. */
  freeze(slot: number): void;
  /** It may run again, on this core alone: pin it first. Its `run` follows. */
  thaw(slot: number, core: number): void;
  /** The last idle instance of the version is gone. */
  evicted(versionIndex: number): void;
}

export class Actions {
  readonly #buffer: Int32Array;
  #count = 0;
  #draining = false;

  constructor(capacity: number) {
    this.#buffer = new Int32Array(capacity * STRIDE);
  }

  get count(): number {
    return this.#count;
  }

  start(slot: number, core: number, versionIndex: number): void {
    this.#push(ActionKind.start, slot, core, versionIndex);
  }

  run(slot: number, core: number): void {
    this.#push(ActionKind.run, slot, core, 0);
  }

  complete(core: number, slot: number, ending: Ending): void {
    this.#push(ActionKind.complete, core, slot, ending);
  }

  release(core: number, sequence: number, warm: boolean): void {
    this.#push(ActionKind.release, core, sequence | 0, warm ? 1 : 0);
  }

  kill(slot: number, why: Kill): void {
    this.#push(ActionKind.kill, slot, why, 0);
  }

  freeze(slot: number): void {
    this.#push(ActionKind.freeze, slot, 0, 0);
  }

  thaw(slot: number, core: number): void {
    this.#push(ActionKind.thaw, slot, core, 0);
  }

  evicted(versionIndex: number): void {
    this.#push(ActionKind.evicted, versionIndex, 0, 0);
  }

  /**
   * Carries out what is pending, in order. The handler may feed the machine again: what that adds is carried out in
   * the same loop, so that re-entrant events never interleave with an event's own actions. False: such a loop runs.
   */
  drain(handler: ActionHandler): boolean {
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

  #carryOut(handler: ActionHandler, at: number): void {
    const a = this.#buffer[at + 1]!;
    const b = this.#buffer[at + 2]!;
    const c = this.#buffer[at + 3]!;
    switch (this.#buffer[at]) {
      case ActionKind.start:
        return handler.start(a, b, c);
      case ActionKind.run:
        return handler.run(a, b);
      case ActionKind.complete:
        return handler.complete(a, b, c as Ending);
      case ActionKind.release:
        return handler.release(a, b >>> 0, c === 1);
      case ActionKind.kill:
        return handler.kill(a, b as Kill);
      case ActionKind.freeze:
        return handler.freeze(a);
      case ActionKind.thaw:
        return handler.thaw(a, b);
      default:
        return handler.evicted(a);
    }
  }
}
