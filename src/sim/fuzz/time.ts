/** Virtual time as shells know it: a clock, and calls that are put off. Over the engine of the simulator, so all that happens is in its trace. */
import type { Clock } from '../../base/clock.ts';
import { Engine } from '../engine/engine.ts';

const US_PER_MS = 1000;

export class VirtualTime implements Clock {
  readonly engine: Engine = new Engine();
  /** Whose event the last one was: no other node can have changed. '': anybody's. */
  owner = '';
  readonly #calls: ((() => void) | null)[] = [];
  readonly #free: number[] = [];
  readonly #serials: number[] = [];
  readonly #owners: string[] = [];
  readonly #kind: number;

  constructor() {
    this.#kind = this.engine.kind((slot, serial) => this.#call(slot, serial));
  }

  nowUs(): number {
    return this.engine.nowUs;
  }

  wallMs(): number {
    return Math.floor(this.engine.nowUs / US_PER_MS);
  }

  /** Answers what takes it back. */
  later(delayUs: number, what: () => void, owner = ''): () => void {
    const slot = this.#free.pop() ?? this.#calls.push(null) - 1;
    const serial = ((this.#serials[slot] ?? 0) + 1) | 0;
    this.#serials[slot] = serial;
    this.#calls[slot] = what;
    this.#owners[slot] = owner;
    this.engine.after(Math.max(0, delayUs), this.#kind, slot, serial);
    return () => {
      if (this.#serials[slot] === serial) this.#calls[slot] = null;
    };
  }

  every(intervalMs: number, listener: () => void, owner = ''): () => void {
    let takeBack = (): void => {};
    const again = (): void => {
      const what = (): void => {
        again();
        listener();
      };
      takeBack = this.later(intervalMs * US_PER_MS, what, owner);
    };
    again();
    return () => takeBack();
  }

  #call(slot: number, serial: number): void {
    if (this.#serials[slot] !== serial) return;
    const what = this.#calls[slot]!;
    this.#calls[slot] = null;
    this.#free.push(slot);
    this.owner = this.#owners[slot]!;
    what?.();
  }
}
