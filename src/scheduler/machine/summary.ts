/**
 * Finds a worker that can take a request, anywhere in the cluster, or that there is none, in constant work.
 *
 * One number per worker, its room: the memory in MB that a request could get there now, or -1 if the worker has no
 * idle core (or is kept for somebody). Above them a tree whose nodes hold the greatest room below, 16 children each,
 * one cache line:
 *
 *   top            1 node         the greatest room of all: a request that asks more can be placed nowhere
 *   ...
 *   level 1    1,250 nodes        each the greatest of 16 workers
 *   level 0   20,000 workers
 *
 * A request of m MB goes down to the leftmost worker with room >= m, so low workers fill first and high ones drain.
 * A change goes up only as far as it alters a greatest value: mostly nowhere.
 *
 * Rejected: one bit per word of cores (the same tree with bits). It finds idle cores, but when memory is short it has
 * to be asked again and again for the next idle core until one has the memory: a sweep, exactly under pressure.
 * Rejected too: one such tree of bits for each size of memory. It rounds sizes up, and each idle core costs as many updates as sizes.
 *
 * Budget: `set` mostly 1 leaf and 1 node, at worst 16 loads a level; `find` at worst 16 loads a level; 5 levels for
 * 20,000 workers. Allocates nothing. Checked by bench/schedule.ts.
 */
import { sharedInt32, type SharedInt32 } from './shared.ts';

const CHILDREN_LOG2 = 4;
const CHILDREN = 1 << CHILDREN_LOG2;

export class Summary {
  readonly #nodes: SharedInt32;
  /** Where each level begins in `#nodes`; the last is the top. */
  readonly #offsets: Int32Array;
  readonly #top: number;

  constructor(workerCountMax: number) {
    const offsets: number[] = [];
    let length = 0;
    let count = workerCountMax;
    for (;;) {
      offsets.push(length);
      if (count === 1 && offsets.length > 1) break;
      const padded = Math.ceil(count / CHILDREN) * CHILDREN;
      length += padded;
      count = padded / CHILDREN;
    }
    this.#top = length;
    this.#offsets = Int32Array.from(offsets);
    this.#nodes = sharedInt32(length + 1, -1);
  }

  /** The greatest room of all workers; -1: no idle core. */
  get greatest(): number {
    return this.#nodes[this.#top]!;
  }

  room(worker: number): number {
    return this.#nodes[worker]!;
  }

  set(worker: number, room: number): void {
    const nodes = this.#nodes;
    let index = worker;
    let before = nodes[index]!;
    if (before === room) return;
    nodes[index] = room;
    let now = room;
    for (let level = 1; level < this.#offsets.length; level++) {
      index >>>= CHILDREN_LOG2;
      const at = this.#offsets[level]! + index;
      const greatest = nodes[at]!;
      if (now <= greatest) {
        if (before !== greatest) return;
        now = this.#greatestBelow(level, index);
        if (now === greatest) return;
      }
      nodes[at] = now;
      before = greatest;
    }
  }

  /** The leftmost worker with that much room; only to be asked when `greatest` says that there is one. */
  find(memoryMb: number): number {
    let index = 0;
    for (let level = this.#offsets.length - 2; level >= 0; level--) {
      let at = this.#offsets[level]! + (index << CHILDREN_LOG2);
      while (this.#nodes[at]! < memoryMb) at++;
      index = at - this.#offsets[level]!;
    }
    return index;
  }

  /** For `checkInvariants`: every node is the greatest of its children. */
  agrees(): boolean {
    for (let level = 1; level < this.#offsets.length; level++) {
      const end = level + 1 < this.#offsets.length ? this.#offsets[level + 1]! : this.#top + 1;
      for (let at = this.#offsets[level]!; at < end; at++) {
        const index = at - this.#offsets[level]!;
        const hasChildren = this.#offsets[level - 1]! + (index << CHILDREN_LOG2) < this.#offsets[level]!;
        if (this.#nodes[at] !== (hasChildren ? this.#greatestBelow(level, index) : -1)) return false;
      }
    }
    return true;
  }

  #greatestBelow(level: number, index: number): number {
    const first = this.#offsets[level - 1]! + (index << CHILDREN_LOG2);
    let greatest = -1;
    for (let at = first; at < first + CHILDREN; at++) {
      const room = this.#nodes[at]!;
      if (room > greatest) greatest = room;
    }
    return greatest;
  }
}
