/**
 * Reserved concurrency. What is counted is leased and waiting requests of all versions of a function.
 *
 *   [ running | max, -1: none ]
 *
 * Where several shards count, a function with a limit has one number for all, entered by compare-and-swap, so that an attempt that is
 * refused is never counted. Without a limit each shard counts for itself: else all shards would write the line of the
 * busiest function at each decision. The two add up, whenever a limit comes or goes; a request that another shard admits
 * at the moment at which a limit comes is as one that was there before.
 */
import type { Place, ShardMemory } from './memory.ts';
import type { SharedInt32 } from './shared.ts';

const STRIDE_LOG2 = 1;
const RUNNING = 0;
const MAX = 1;

export class Functions {
  readonly #records: SharedInt32;
  readonly #shards: readonly ShardMemory[];
  readonly #own: SharedInt32;
  readonly #isShared: boolean;

  constructor({ memory, shard, isShared }: Place) {
    this.#records = memory.functions;
    this.#shards = memory.shards;
    this.#own = memory.shards[shard]!.functions;
    this.#isShared = isShared;
  }

  /** -1: no limit of its own. */
  setMax(functionIndex: number, max: number): void {
    Atomics.store(this.#records, (functionIndex << STRIDE_LOG2) + MAX, max);
  }

  max(functionIndex: number): number {
    return this.#records[(functionIndex << STRIDE_LOG2) + MAX]!;
  }

  running(functionIndex: number): number {
    return this.#records[(functionIndex << STRIDE_LOG2) + RUNNING]! + this.#unlimited(functionIndex);
  }

  /** False: it is at its limit, and nothing changed. */
  enter(functionIndex: number): boolean {
    const at = functionIndex << STRIDE_LOG2;
    const max = this.#records[at + MAX]!;
    if (this.#isShared) {
      if (max >= 0) return this.#enterLimited(functionIndex, max);
      this.#own[functionIndex]! += 1;
      return true;
    }
    if (max >= 0 && this.#records[at + RUNNING]! >= max) return false;
    this.#records[at + RUNNING]! += 1;
    return true;
  }

  /** One that was granted before, whatever the limit says. */
  enterAgain(functionIndex: number): void {
    if (this.#isShared) this.#own[functionIndex]! += 1;
    else this.#records[(functionIndex << STRIDE_LOG2) + RUNNING]! += 1;
  }

  leave(functionIndex: number): void {
    const at = functionIndex << STRIDE_LOG2;
    if (!this.#isShared) this.#records[at + RUNNING]! -= 1;
    else if (this.#records[at + MAX]! < 0) this.#own[functionIndex]! -= 1;
    else Atomics.sub(this.#records, at + RUNNING, 1);
  }

  #enterLimited(functionIndex: number, max: number): boolean {
    const at = functionIndex << STRIDE_LOG2;
    let running = Atomics.load(this.#records, at + RUNNING);
    for (;;) {
      if (running + this.#unlimited(functionIndex) >= max) return false;
      const seen = Atomics.compareExchange(this.#records, at + RUNNING, running, running + 1);
      if (seen === running) return true;
      running = seen;
    }
  }

  #unlimited(functionIndex: number): number {
    let sum = 0;
    for (const { functions } of this.#shards) sum += functions[functionIndex]!;
    return sum;
  }
}
