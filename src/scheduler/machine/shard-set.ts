/** Some of the shards of a scheduler: a bit each, 32 to a word. Made once and filled anew, since deciding allocates nothing. */
export const WORD_LOG2 = 5;

export class ShardSet {
  /** Shard s is bit s & 31 of word s >>> 5. */
  readonly words: Int32Array;

  constructor(shardCount: number) {
    this.words = new Int32Array((shardCount + 31) >>> WORD_LOG2);
  }

  get isEmpty(): boolean {
    for (let word = 0; word < this.words.length; word++) if (this.words[word] !== 0) return false;
    return true;
  }

  has(shard: number): boolean {
    return ((this.words[shard >>> WORD_LOG2]! >>> (shard & 31)) & 1) === 1;
  }

  add(shard: number): void {
    this.words[shard >>> WORD_LOG2]! |= 1 << (shard & 31);
  }

  remove(shard: number): void {
    this.words[shard >>> WORD_LOG2]! &= ~(1 << (shard & 31));
  }

  clear(): void {
    this.words.fill(0);
  }
}
