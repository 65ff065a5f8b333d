/**
 * How shards wake each other. A shard's bell holds the shards that are still to be told of something given, itself among them: the
 * *baton*, which goes on until all of them have looked or nothing is idle. A notification only says "look"; what there is to
 * look for is in the words. How a sleeping event loop hears it is the shell's (scheduler/shards/doorbell.ts).
 *
 * A bell is one word for each 32 shards, and the one that has the shard's own bit is the first of its line:
 *
 *   shards     0–31   32–63   64–95
 *   bell of 5  [ 0 ]  [ 1 ]   [ 2 ]     place in the line: the word, exclusive-or the word of the shard itself
 *   of 40      [ 1 ]  [ 0 ]   [ 3 ]
 *
 * It has rung when its first word is not 0. Whoever rings sets that one last, so whoever finds it set finds the others too; and it is set at each ring, since
 * whoever is rung is in the set. With 32 shards or fewer there is no other one.
 */
import { LINE_LOG2 as SHARED_LINE_LOG2, type Place } from './memory.ts';
import { ShardSet, WORD_LOG2 } from './shard-set.ts';
import type { SharedInt32 } from './shared.ts';

const LINE_LOG2 = SHARED_LINE_LOG2;

export class Bells {
  readonly #bells: SharedInt32;
  readonly #shard: number;
  readonly #shardCount: number;
  /** Whom to wake first, in rotation. */
  #next = 0;
  readonly #some: ShardSet;
  readonly #told: ShardSet;

  constructor({ memory, shard }: Place) {
    this.#bells = memory.bells;
    this.#shard = shard;
    this.#shardCount = memory.shards.length;
    this.#some = new ShardSet(this.#shardCount);
    this.#told = new ShardSet(this.#shardCount);
  }

  get isRung(): boolean {
    return Atomics.load(this.#bells, this.#shard << LINE_LOG2) !== 0;
  }

  /** What the bell holds, once; good until the next time. Before the look, so that whoever rings during it is heard after it. */
  take(): ShardSet {
    const { words } = this.#told;
    const at = this.#shard << LINE_LOG2;
    const own = this.#shard >>> WORD_LOG2;
    words[own] = Atomics.exchange(this.#bells, at, 0);
    for (let word = 0; word < words.length; word++)
      if (word !== own) words[word] = Atomics.exchange(this.#bells, at + (word ^ own), 0);
    return this.#told;
  }

  /** It alone is to look. */
  wake(target: number): void {
    this.#some.clear();
    this.#some.add(target);
    ring(this.#bells, target, this.#some);
  }

  /** It is to look, and to leave the rest to this shard. */
  wakeFirst(target: number): void {
    this.#some.clear();
    this.#some.add(target);
    this.#some.add(this.#shard);
    ring(this.#bells, target, this.#some);
  }

  wakeEach(shards: ShardSet): void {
    for (let shard = 0; shard < this.#shardCount; shard++) if (shards.has(shard)) this.wake(shard);
  }

  /** Wakes one of these shards, and leaves the others to it. */
  passOn(shards: ShardSet): void {
    if (shards.isEmpty) return;
    let target = this.#next;
    while (!shards.has(target)) target = target + 1 === this.#shardCount ? 0 : target + 1;
    this.#next = target + 1 === this.#shardCount ? 0 : target + 1;
    ring(this.#bells, target, shards);
  }
}

/** The target has to be one of the shards. */
export function ring(bells: SharedInt32, target: number, { words }: ShardSet): void {
  const at = target << LINE_LOG2;
  const own = target >>> WORD_LOG2;
  for (let word = 0; word < words.length; word++)
    if (word !== own && words[word] !== 0) Atomics.or(bells, at + (word ^ own), words[word]!);
  if (Atomics.or(bells, at, words[own]!) === 0) Atomics.notify(bells, at);
}
