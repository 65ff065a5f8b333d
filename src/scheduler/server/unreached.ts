/**
 * Workers that a gateway could not reach: for how long each is passed over. The scheduler reaches them, or they would not be here.
 *
 * Any gateway may be broken, or lie; so what it says weighs little against the worker's own word that something runs there, which somebody must
 * have sent. A worker of which that was heard in the last `LIFE_TICKS` is passed over for one tick, and then not for `OFFERED_TICKS`. One of
 * which nothing is heard is passed over for twice as long each time, up to `PASSED_TICKS_MAX`, and given out in between: the first
 * lease that starts there ends that.
 *
 * Time comes in ticks. There are as many entries as workers that were reported in the last `KEPT_TICKS`, so few.
 */

/** How long a tick is, for the shell. */
export const TICK_MS = 100;
export const PASSED_TICKS_MAX: number = 10_000 / TICK_MS;
export const OFFERED_TICKS = 9;
const LIFE_TICKS = 10_000 / TICK_MS;
/** Who was not reported for so long begins anew. */
const KEPT_TICKS = 60_000 / TICK_MS;

interface Entry {
  isPassed: boolean;
  /** When it is passed over no more, or was last. */
  end: number;
  ticks: number;
  /** When it was last heard that something runs there. */
  heard: number;
}

export class Unreached {
  /** By the worker's index. */
  readonly #entries = new Map<number, Entry>();
  #now = 0;

  has(worker: number): boolean {
    return this.#entries.get(worker)?.isPassed ?? false;
  }

  /** A gateway could not reach it. True: it is passed over from now on. */
  report(worker: number): boolean {
    const entry = this.#entries.get(worker);
    if (entry === undefined) {
      this.#entries.set(worker, { isPassed: true, end: this.#now + 1, ticks: 1, heard: -Infinity });
      return true;
    }
    const isAlive = this.#now - entry.heard <= LIFE_TICKS;
    // What was granted before comes back; and whoever is reached has its turn.
    if (entry.isPassed || (isAlive && this.#now < entry.end + OFFERED_TICKS)) return false;
    entry.ticks = isAlive ? 1 : Math.min(entry.ticks * 2, PASSED_TICKS_MAX);
    entry.isPassed = true;
    entry.end = this.#now + entry.ticks;
    return true;
  }

  /** The worker says that something runs, or ran, which a gateway has sent it. */
  heard(worker: number): void {
    const entry = this.#entries.get(worker);
    if (entry !== undefined) entry.heard = this.#now;
  }

  /** Calls it with each that is passed over no more. */
  tick(over: (worker: number) => void): void {
    this.#now++;
    for (const [worker, entry] of this.#entries) {
      if (entry.isPassed && this.#now >= entry.end) {
        entry.isPassed = false;
        over(worker);
      } else if (this.#now - entry.end > KEPT_TICKS) this.#entries.delete(worker);
    }
  }

  /** It is another one, or somewhere else now. True: it was passed over. */
  forget(worker: number): boolean {
    const isPassed = this.has(worker);
    this.#entries.delete(worker);
    return isPassed;
  }
}
