/** What a machine of the worker tells its shell, until that carries it out: a fixed array of integers. Nothing is allocated for an action. */
import { assert } from '../../base/assert.ts';

const STRIDE = 4;

/** The one that is being carried out: to be read before its handler is called. */
export interface PresentAction {
  readonly kind: number;
  readonly a: number;
  readonly b: number;
  readonly c: number;
}

export class ActionBuffer<Handler> implements PresentAction {
  readonly #buffer: Int32Array;
  readonly #carryOut: (handler: Handler, action: PresentAction) => void;
  #count = 0;
  /** Where the present one is. */
  #at = 0;
  #draining = false;

  constructor(capacity: number, carryOut: (handler: Handler, action: PresentAction) => void) {
    this.#buffer = new Int32Array(capacity * STRIDE);
    this.#carryOut = carryOut;
  }

  get count(): number {
    return this.#count;
  }

  get kind(): number {
    return this.#buffer[this.#at]!;
  }

  get a(): number {
    return this.#buffer[this.#at + 1]!;
  }

  get b(): number {
    return this.#buffer[this.#at + 2]!;
  }

  get c(): number {
    return this.#buffer[this.#at + 3]!;
  }

  push(kind: number, a = 0, b = 0, c = 0): void {
    const at = this.#count * STRIDE;
    assert(at < this.#buffer.length, 'more actions than one event can cause');
    this.#buffer[at] = kind;
    this.#buffer[at + 1] = a;
    this.#buffer[at + 2] = b;
    this.#buffer[at + 3] = c;
    this.#count++;
  }

  /**
   * Carries out what is pending, in order. The handler may feed the machine again: what that adds is carried out in
   * the same loop, so that re-entrant events never interleave with an event's own actions. False: such a loop runs.
   */
  drain(handler: Handler): boolean {
    if (this.#draining) return false;
    this.#draining = true;
    for (let index = 0; index < this.#count; index++) {
      this.#at = index * STRIDE;
      this.#carryOut(handler, this);
    }
    this.#count = 0;
    this.#draining = false;
    return true;
  }
}
