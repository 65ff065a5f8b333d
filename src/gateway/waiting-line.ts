/**
 * The requests of a gateway that wait for a core, the oldest first, and which of them it gives up for those that come. A queue that is
 * served in order and longer than its clients' patience serves nobody: each request that reaches a core is one whose client has
 * just left. So, once those who came have found somebody who has waited too long, for a while without a break, whoever has
 * waited too long is refused, and its client may try again; what waits then is young, and the queue short when the load ends. A
 * burst is served whole, however long that takes, if few come after it.
 *
 * After the controlled delay of K. Nichols and V. Jacobson, ACM Queue 10(5), 2012, which drops packets, and its use for requests
 * by B. Maurer, "Fail at Scale", ACM Queue 13(8), 2015.
 *
 * Budget: a few writes for a request that waits; one read of the clock's value for one that comes. Allocates nothing.
 */
import { LIMITS } from '../base/limits.ts';

export interface Waiter {
  readonly acceptedUs: number;
  /** Of its version: what its invocations took lately, microseconds. */
  readonly entry: { readonly runUs: number };
  // Its place in the line; the line's own.
  older: Waiter | null;
  newer: Waiter | null;
  isInLine: boolean;
}

const LATE_US = LIMITS.lateWaitMs * 1000;
const STANDING_US = LIMITS.standingLineMs * 1000;
/** How many times as long as it runs a request may wait. */
const RUNS_MAX = 10;
/** Some in front may wait longer for good reason; so many are passed by to look for others. */
const PASSED_BY_MAX = 32;

export class WaitingLine<W extends Waiter> {
  #oldest: Waiter | null = null;
  #newest: Waiter | null = null;
  /** Since when whoever came has found somebody late, or nearly so; -1: the last one found nobody. */
  #lateSinceUs = -1;
  #isStanding = false;

  add(waiter: W): void {
    waiter.older = this.#newest;
    waiter.newer = null;
    waiter.isInLine = true;
    if (this.#newest === null) this.#oldest = waiter;
    else this.#newest.newer = waiter;
    this.#newest = waiter;
  }

  /** Nothing happens where it is in no line. */
  remove(waiter: W): void {
    if (!waiter.isInLine) return;
    const { older, newer } = waiter;
    if (older === null) this.#oldest = newer;
    else older.newer = newer;
    if (newer === null) this.#newest = older;
    else newer.older = older;
    waiter.older = null;
    waiter.newer = null;
    waiter.isInLine = false;
  }

  /** Another one comes: calls `refuse` for each that is to make room for it. */
  comes(nowUs: number, refuse: (waiter: W) => void): void {
    const oldestUs = this.#oldest === null ? 0 : nowUs - this.#oldest.acceptedUs;
    // While some are refused, the oldest of the others is nearly late.
    if (oldestUs < LATE_US / 2) this.#stand(-1, false);
    if (oldestUs < LATE_US) return;
    if (this.#lateSinceUs < 0) this.#stand(nowUs, false);
    if (nowUs - this.#lateSinceUs < STANDING_US) return;
    this.#stand(this.#lateSinceUs, true);
    this.#makeRoom(nowUs, refuse);
  }

  /** Somebody was late for so long that more come than can be served. */
  get isStanding(): boolean {
    return this.#isStanding;
  }

  /** One has ended, and another is served: in a line that stands, the others are looked at again, so that it is short soon after the load. */
  ends(nowUs: number, refuse: (waiter: W) => void): void {
    if (this.#oldest === null) this.#stand(-1, false);
    else this.#makeRoom(nowUs, refuse);
  }

  #stand(lateSinceUs: number, isStanding: boolean): void {
    this.#lateSinceUs = lateSinceUs;
    this.#isStanding = isStanding;
  }

  #makeRoom(nowUs: number, refuse: (waiter: W) => void): void {
    let waiter: Waiter | null = this.#oldest;
    for (let passedBy = 0; waiter !== null && passedBy < PASSED_BY_MAX;) {
      const waitedUs = nowUs - waiter.acceptedUs;
      if (waitedUs < LATE_US) return;
      const next: Waiter | null = waiter.newer;
      if (waitedUs < RUNS_MAX * waiter.entry.runUs) passedBy++;
      else {
        this.remove(waiter as W);
        refuse(waiter as W);
      }
      waiter = next;
    }
  }

  /** For tests. */
  *waiters(): Iterable<W> {
    for (let waiter = this.#oldest; waiter !== null; waiter = waiter.newer) yield waiter as W;
  }
}
