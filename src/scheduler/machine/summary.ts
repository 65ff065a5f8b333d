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
 * Several shards: a node may promise too much, which costs whoever believed it one attempt in vain; it must not promise too little when
 * nothing moves. So who stored a node looks at what is below once more, until the look finds what the node says, and only who has changed a
 * node goes on to the one above. Each shard begins its way down at another child, or all would meet at the leftmost worker.
 *
 * Rejected: one bit per word of cores (the same tree with bits). It finds idle cores, but when memory is short it has
 * to be asked again and again for the next idle core until one has the memory: a sweep, exactly under pressure.
 * Rejected too: one such tree of bits for each size of memory. It rounds sizes up, and each idle core costs as many updates as sizes.
 *
 * Budget: `set` mostly 1 leaf and 1 node, at worst 16 loads a level; `find` at worst 16 loads a level; 5 levels for
 * 20,000 workers. Allocates nothing. Checked by bench/schedule.ts.
 */
import type { SharedInt32 } from './shared.ts';

const CHILDREN_LOG2 = 4;
const CHILDREN = 1 << CHILDREN_LOG2;
/** So that the children of a node begin a cache line. */
const SHIFT = CHILDREN - 1;

/** Node 0 is the top; the children of node n are 16 n + 1 to 16 n + 16; the homes of the workers are the lowest level. */
export class Summary {
  readonly #rooms: SharedInt32;
  readonly #firstLeaf: number;
  readonly #isShared: boolean;
  /** Of the children of a node, the one that is looked at first. */
  readonly #firstChild: number;

  /** `start`: 0 up to, not including, 1: where among the children this shard begins. */
  constructor(rooms: SharedInt32, homeCountMax: number, isShared = false, start = 0) {
    this.#firstLeaf = firstLeafFor(homeCountMax);
    this.#rooms = rooms;
    this.#isShared = isShared;
    this.#firstChild = Math.floor(CHILDREN * start);
  }

  /** Integers for `rooms`, all of them -1 at first. */
  static lengthFor(homeCountMax: number): number {
    // One group more, so that a whole group can always be looked at.
    return SHIFT + firstLeafFor(homeCountMax) + homeCountMax + CHILDREN;
  }

  /** The greatest room of all workers; -1: no idle core. */
  get greatest(): number {
    return this.#isShared ? Atomics.load(this.#rooms, SHIFT) : this.#rooms[SHIFT]!;
  }

  /** Is there such a room? As `greatest`, but a shard asks the others only before it says no. */
  hasRoom(memoryMb: number): boolean {
    return this.#rooms[SHIFT]! >= memoryMb || (this.#isShared && Atomics.load(this.#rooms, SHIFT) >= memoryMb);
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

  /**
   * Several shards: one store of `set`, and the nodes above, until what is below them has been seen to agree. The room has to be
   * looked at again afterwards (rooms.ts), plainly: the load of the node above came between. True: a node was raised, so that somebody may find what he did not before.
   */
  swap(home: number, room: number): boolean {
    const leaf = this.#firstLeaf + home;
    const before = Atomics.exchange(this.#rooms, SHIFT + leaf, room);
    return this.#climb(leaf, before, room) || room > before;
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

  /** The first home from that one on with that much room, as far as is known; -1: there is none. */
  next(memoryMb: number, from: number): number {
    let node = this.#firstLeaf + from;
    for (;;) {
      if (SHIFT + node < this.#rooms.length && this.#rooms[SHIFT + node]! >= memoryMb) {
        if (node >= this.#firstLeaf) return node - this.#firstLeaf;
        node = (node << CHILDREN_LOG2) + 1;
        continue;
      }
      // The last child of its node: on beside that one.
      while (node > 0 && (node & (CHILDREN - 1)) === 0) node = (node - 1) >>> CHILDREN_LOG2;
      if (node === 0) return -1;
      node++;
    }
  }

  /** Several shards: some worker with that much room, it seems; -1: there is none. A node that promised too much is put right. */
  seek(memoryMb: number): number {
    let node = 0;
    while (node < this.#firstLeaf) {
      // The read of the top is the one that counts; what follows it is not read before it.
      if (node === 0 && Atomics.load(this.#rooms, SHIFT) < memoryMb) return -1;
      const child = this.#childWith(node, memoryMb);
      if (child < 0) this.#putRight(node);
      node = child < 0 ? 0 : child;
    }
    return node - this.#firstLeaf;
  }

  /** Makes every node what is below it, the lowest first. */
  rebuild(): void {
    for (let node = this.#firstLeaf - 1; node >= 0; node--)
      if (this.#hasChildren(node)) this.#settleNode(node, Atomics.load(this.#rooms, SHIFT + node));
  }

  /** For `checkInvariants`: every node is the greatest of its children. */
  agrees(): boolean {
    for (let node = 0; node < this.#firstLeaf && this.#hasChildren(node); node++) {
      if (this.#rooms[SHIFT + node] !== this.#greatestBelow(node)) return false;
    }
    return true;
  }

  #hasChildren(node: number): boolean {
    return SHIFT + node * CHILDREN + CHILDREN < this.#rooms.length;
  }

  #childWith(node: number, memoryMb: number): number {
    const first = (node << CHILDREN_LOG2) + 1;
    for (let i = 0; i < CHILDREN; i++) {
      const child = first + ((i + this.#firstChild) & (CHILDREN - 1));
      // Beyond the last worker there is nothing.
      if (SHIFT + child < this.#rooms.length && this.#rooms[SHIFT + child]! >= memoryMb) return child;
    }
    return -1;
  }

  #putRight(node: number): void {
    const before = Atomics.load(this.#rooms, SHIFT + node);
    if (this.#settleNode(node, before)) this.#climb(node, before, -1);
  }

  /** A node was changed from `before` to `now`. True: one above was raised. */
  #climb(from: number, before: number, now: number): boolean {
    let node = from;
    let isRaised = false;
    while (node > 0) {
      node = (node - 1) >>> CHILDREN_LOG2;
      const greatest = Atomics.load(this.#rooms, SHIFT + node);
      // It neither promised what is gone nor lacks what is there.
      if (now <= greatest && before < greatest) return isRaised;
      if (!this.#settleNode(node, greatest)) return isRaised;
      before = Math.max(greatest, this.#highestSwapped);
      now = this.#rooms[SHIFT + node]!;
      isRaised ||= this.#isNodeRaised;
    }
    return isRaised;
  }

  /** Of the last `#settleNode`: the greatest value that it replaced, and whether it ever replaced a smaller one by a greater. */
  #highestSwapped = -1;
  #isNodeRaised = false;

  /** False: the node, of which an atomic load has just said `first`, was what is below it. */
  #settleNode(node: number, first: number): boolean {
    const rooms = this.#rooms;
    let isChanged = false;
    this.#highestSwapped = -1;
    this.#isNodeRaised = false;
    // Before the children each time: nothing that follows an atomic load is read before it.
    for (let said = first; ; said = Atomics.load(rooms, SHIFT + node)) {
      const greatest = this.#greatestBelow(node);
      if (greatest === said) return isChanged;
      const swapped = Atomics.exchange(rooms, SHIFT + node, greatest);
      this.#highestSwapped = Math.max(this.#highestSwapped, swapped);
      this.#isNodeRaised ||= greatest > swapped;
      isChanged = true;
    }
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

/** Levels of 16 children each, as many as there have to be. */
function firstLeafFor(homeCountMax: number): number {
  let firstLeaf = 0;
  let leafCount = 1;
  do {
    firstLeaf = firstLeaf * CHILDREN + 1;
    leafCount *= CHILDREN;
  } while (leafCount < homeCountMax);
  return firstLeaf;
}
