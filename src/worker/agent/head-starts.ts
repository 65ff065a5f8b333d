/**
 * Head starts: an invocation that begins in the foreground of a core on which others are has its first milliseconds in real time.
 *
 * By the kernel's own rule (EEVDF) who wakes does not always go before those of SCHED_IDLE: who has run more than its share of a
 * core waits until they have caught up, and the share of one who sleeps often is small beside theirs. Measured beside four of them that sleep now and then: 4 to 5 ms (p99)
 * from wake to run, and as much again while it runs; in real time 0.04 ms. It ends with the result, after HEAD_START_US, and
 * with whatever place it is given: nobody is in real time whom a tick does not end.
 */
import type { Instance } from './instance.ts';

/** So short that what the kernel itself has to do on the core can wait for it. */
const HEAD_START_US = 3000;

export class HeadStarts {
  /** By seat. */
  readonly #instances: (Instance | null)[];
  readonly #untilUs: Float64Array;
  readonly #end: (seat: number, instance: Instance) => void;
  #count = 0;

  /** `end`: it is to have the place that it has without. */
  constructor(seatCount: number, end: (seat: number, instance: Instance) => void) {
    this.#instances = new Array<Instance | null>(seatCount).fill(null);
    this.#untilUs = new Float64Array(seatCount);
    this.#end = end;
  }

  /** False where the machine knows none. */
  begin(seat: number, instance: Instance, nowUs: number): boolean {
    if (!instance.goFirst()) return false;
    this.#instances[seat] = instance;
    this.#untilUs[seat] = nowUs + HEAD_START_US;
    this.#count++;
    return true;
  }

  /** Nothing happens where it has none. */
  end(seat: number): void {
    const instance = this.#instances[seat] ?? null;
    if (instance === null) return;
    this.#instances[seat] = null;
    this.#count--;
    this.#end(seat, instance);
  }

  tick(nowUs: number): void {
    if (this.#count === 0) return;
    for (let seat = 0; seat < this.#untilUs.length; seat++) if (this.#untilUs[seat]! <= nowUs) this.end(seat);
  }

  /** When it wants a tick; Infinity: none. */
  get nextTickUs(): number {
    return this.#count > 0 ? 0 : Infinity;
  }
}
