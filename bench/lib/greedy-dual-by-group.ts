/**
 * Greedy-dual as FaasCache has it: the frequency is that of the function, and all its instances have it in common. A
 * rival of the rule that ships.
 */
import type { KeepAlive } from '../../src/worker/machine/keep-alive.ts';

/** What such a rule has to be told beside what all are. */
export interface CountsGroups {
  /** One more use of the group: once for an invocation. */
  count(group: number): void;
  /** Nothing of the group is left: its count begins anew. */
  forget(group: number): void;
}

export class GreedyDualByGroup implements KeepAlive, CountsGroups {
  readonly #priority: Float64Array;
  readonly #frequency: Float64Array;
  #clock = 0;

  constructor(itemCount: number, groupCount: number) {
    this.#priority = new Float64Array(itemCount);
    this.#frequency = new Float64Array(groupCount);
  }

  began(): void {}

  count(group: number): void {
    this.#frequency[group]! += 1;
  }

  forget(group: number): void {
    this.#frequency[group] = 0;
  }

  touch(item: number, group: number, worth: number): void {
    this.#priority[item] = this.#clock + this.#frequency[group]! * worth;
  }

  priority(item: number): number {
    return this.#priority[item]!;
  }

  evicted(item: number): void {
    // What was kept by force meanwhile may be far behind: the clock never goes back.
    if (this.#priority[item]! > this.#clock) this.#clock = this.#priority[item]!;
  }

  expired(): boolean {
    return false;
  }
}
