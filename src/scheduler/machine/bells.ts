/**
 * How shards wake each other. A shard's bell holds the shards that are still to be told of something given, itself among them: the
 * *baton*, which goes on until all of them have looked or nothing is idle. A notification only says "look"; what there is to
 * look for is in the words. How a sleeping event loop hears it is the shell's (scheduler/shards/doorbell.ts).
 */
import { LINE_LOG2 as SHARED_LINE_LOG2, type Place } from './memory.ts';
import type { SharedInt32 } from './shared.ts';

const LINE_LOG2 = SHARED_LINE_LOG2;

export class Bells {
  readonly #bells: SharedInt32;
  readonly #shard: number;
  readonly #shardCount: number;
  /** Whom to wake first, in rotation. */
  #next = 0;

  constructor({ memory, shard }: Place) {
    this.#bells = memory.bells;
    this.#shard = shard;
    this.#shardCount = memory.shards.length;
  }

  get isRung(): boolean {
    return Atomics.load(this.#bells, this.#shard << LINE_LOG2) !== 0;
  }

  /** What the bell holds, once. Before the look, so that whoever rings during it is heard after it. */
  take(): number {
    return Atomics.exchange(this.#bells, this.#shard << LINE_LOG2, 0);
  }

  ring(target: number, shards: number): void {
    const at = target << LINE_LOG2;
    if (Atomics.or(this.#bells, at, shards) === 0) Atomics.notify(this.#bells, at);
  }

  /** Wakes one of these shards, and leaves the others to it. */
  passOn(shards: number): void {
    if (shards === 0) return;
    let target = this.#next;
    while ((shards & (1 << target)) === 0) target = target + 1 === this.#shardCount ? 0 : target + 1;
    this.#next = target + 1 === this.#shardCount ? 0 : target + 1;
    this.ring(target, shards);
  }
}
