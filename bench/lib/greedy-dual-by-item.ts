/**
 * Greedy-dual whose frequency is that of the item, not of its group: a second instance that a burst needed once is worth
 * what it was used for itself, however often its function is invoked. A rival of the rule that ships.
 */
import type { KeepAlive } from '../../src/worker/machine/keep-alive.ts';

export class GreedyDualByItem implements KeepAlive {
  readonly #priority: Float64Array;
  readonly #frequency: Float64Array;
  #clock = 0;

  constructor(itemCount: number) {
    this.#priority = new Float64Array(itemCount);
    this.#frequency = new Float64Array(itemCount);
  }

  count(): void {}

  forget(): void {}

  touch(item: number, _group: number, worth: number): void {
    this.#frequency[item]! += 1;
    this.#priority[item] = this.#clock + this.#frequency[item]! * worth;
  }

  priority(item: number): number {
    return this.#priority[item]!;
  }

  evicted(item: number): void {
    this.#clock = Math.max(this.#clock, this.#priority[item]!);
    this.#frequency[item] = 0;
  }

  expired(): boolean {
    return false;
  }
}
