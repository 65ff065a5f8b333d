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
/** So that the children of a node begin a cache line. */
const SHIFT = CHILDREN - 1;

/** Node 0 is the top; the children of node n are 16 n + 1 to 16 n + 16; the homes of the workers are the lowest level. */
export class Summary {
  readonly #rooms: SharedInt32;
  readonly #firstLeaf: number;

  constructor(homeCountMax: number) {
    let firstLeaf = 0;
    let leafCount = 1;
    do {
      firstLeaf = firstLeaf * CHILDREN + 1;
      leafCount *= CHILDREN;
    } while (leafCount < homeCountMax);
    this.#firstLeaf = firstLeaf;
    // One group more, so that a whole group can always be looked at.
    this.#rooms = sharedInt32(SHIFT + firstLeaf + homeCountMax + CHILDREN, -1);
  }

  /** The greatest room of all workers; -1: no idle core. */
  get greatest(): number {
    return this.#rooms[SHIFT]!;
  }

  room(home: number): number {
    return this.#rooms[SHIFT + this.#firstLeaf + home]!;
  }

  /** The room of the worker that the word of cores belongs to. Only this array is read, which is the smallest of all. */
  roomOfWord(word: number): number {
    const room = this.#rooms[SHIFT + this.#firstLeaf + word]!;
    return room >= -1 ? room : this.room(-2 - room);
  }

  /** A word that is not its worker's first has no room; in its place it says where the worker's is. */
  setHome(word: number, home: number): void {
    this.#rooms[SHIFT + this.#firstLeaf + word] = -2 - home;
  }

  set(home: number, room: number): void {
    const rooms = this.#rooms;
    let node = this.#firstLeaf + home;
    let before = rooms[SHIFT + node]!;
    if (before === room) return;
    rooms[SHIFT + node] = room;
    let now = room;
    while (node > 0) {
      node = (node - 1) >>> CHILDREN_LOG2;
      const greatest = rooms[SHIFT + node]!;
      if (now <= greatest) {
        if (before !== greatest) return;
        now = this.#greatestBelow(node);
        if (now === greatest) return;
      }
      rooms[SHIFT + node] = now;
      before = greatest;
    }
  }

  /** The home of the leftmost worker with that much room; only to be asked when `greatest` says that there is one. */
  find(memoryMb: number): number {
    let node = 0;
    while (node < this.#firstLeaf) {
      node = (node << CHILDREN_LOG2) + 1;
      while (this.#rooms[SHIFT + node]! < memoryMb) node++;
    }
    return node - this.#firstLeaf;
  }

  /** For `checkInvariants`: every node is the greatest of its children. */
  agrees(): boolean {
    for (let node = 0; SHIFT + node * CHILDREN + CHILDREN < this.#rooms.length && node < this.#firstLeaf; node++) {
      if (this.#rooms[SHIFT + node] !== this.#greatestBelow(node)) return false;
    }
    return true;
  }

  #greatestBelow(node: number): number {
    const rooms = this.#rooms;
    const first = SHIFT + (node << CHILDREN_LOG2) + 1;
    let even = -1;
    let odd = -1;
    for (let at = first; at < first + CHILDREN; at += 4) {
      even = greater(greater(even, rooms[at]!), rooms[at + 2]!);
      odd = greater(greater(odd, rooms[at + 1]!), rooms[at + 3]!);
    }
    return greater(even, odd);
  }
}

/** Without branches, as `Math.max` is not: which is the greater is anybody's guess, the processor's too. */
function greater(a: number, b: number): number {
  const difference = (a - b) | 0;
  return (a - (difference & (difference >> 31))) | 0;
}
