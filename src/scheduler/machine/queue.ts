/**
 * Requests that wait for a core or for memory. One FIFO per power of two of memory, linked through the records of the
 * requests; the oldest of those heads that fit goes first, so a release looks at 30 heads at most, however many wait.
 *
 *   128 MB ..  255    head -> r7 -> r9 -> r12 <- tail
 *   256 MB ..  511    (empty)
 *   512 MB .. 1023    head -> r3 <- tail
 *
 * Within one FIFO nobody passes a head for which the memory is short, even where the next would fit: that is the price
 * of constant work. Rejected: one FIFO (a big request in front stops all), a scan for the first that fits (as long as the queue).
 *
 * Whoever waits has an entry, and entries are few, so that they stay in the cache whatever indices the requests have;
 * all requests have one bit that says whether they wait. Requests that are granted at once touch nothing else here.
 * Budget: 32 bytes an entry, two cache lines to link, at most 30 to choose. Allocates nothing. Checked by bench/schedule.ts.
 */
import { assert } from '../../base/assert.ts';
import { sharedInt32, type SharedInt32 } from './shared.ts';

const STRIDE_LOG2 = 3;
const NEXT = 0;
const PREVIOUS = 1;
const ARRIVAL = 2;
const REQUEST = 3;
const VERSION = 4;
const MEMORY_MB = 5;
const OVERTAKEN = 6;
const SIZE_CLASS_COUNT = 30;

export class Queue {
  readonly #entries: SharedInt32;
  /** The entry of each request that waits. */
  readonly #entryOf: SharedInt32;
  /** A bit for each request: does it wait? */
  readonly #waiting: SharedInt32;
  readonly #heads: SharedInt32 = sharedInt32(SIZE_CLASS_COUNT, -1);
  readonly #tails: SharedInt32 = sharedInt32(SIZE_CLASS_COUNT, -1);
  /** A bit for each size class in which somebody waits. */
  #sizeClasses = 0;
  /** Did the last `oldestWithin` pass over a head that asks more? If not, what it found is the oldest of all. */
  passedOver = false;
  #length = 0;
  #arrival = 0;
  /** Entries that are free again, linked by NEXT; the last one freed first. */
  #free = -1;
  /** Entries from here on were never used. */
  #unused = 0;

  constructor(requestCountMax: number, entryCountMax: number) {
    this.#entries = sharedInt32(entryCountMax << STRIDE_LOG2);
    this.#entryOf = sharedInt32(requestCountMax);
    this.#waiting = sharedInt32(Math.ceil(requestCountMax / 32));
  }

  get length(): number {
    return this.#length;
  }

  isWaiting(request: number): boolean {
    return (this.#waiting[request >>> 5]! & (1 << (request & 31))) !== 0;
  }

  /** Only of a request that waits. */
  entryOf(request: number): number {
    return this.#entryOf[request]!;
  }

  request(entry: number): number {
    return this.#entries[(entry << STRIDE_LOG2) + REQUEST]!;
  }

  version(entry: number): number {
    return this.#entries[(entry << STRIDE_LOG2) + VERSION]!;
  }

  memoryMb(entry: number): number {
    return this.#entries[(entry << STRIDE_LOG2) + MEMORY_MB]!;
  }

  overtaken(entry: number): number {
    return this.#entries[(entry << STRIDE_LOG2) + OVERTAKEN]!;
  }

  addOvertaken(entry: number): void {
    this.#entries[(entry << STRIDE_LOG2) + OVERTAKEN]! += 1;
  }

  pushBack(request: number, version: number, memoryMb: number): void {
    this.#arrival = (this.#arrival + 1) | 0;
    const entry = this.#add(request, version, memoryMb);
    this.#entries[(entry << STRIDE_LOG2) + ARRIVAL] = this.#arrival;
    this.#link(entry, this.#tails[sizeClassOf(memoryMb)]!, -1);
  }

  /** Before everybody who waits: it was granted already, and the agent could not take it. */
  pushFront(request: number, version: number, memoryMb: number): void {
    const oldest = this.oldest();
    const arrival = oldest < 0 ? this.#arrival : (this.#entries[(oldest << STRIDE_LOG2) + ARRIVAL]! - 1) | 0;
    const entry = this.#add(request, version, memoryMb);
    this.#entries[(entry << STRIDE_LOG2) + ARRIVAL] = arrival;
    this.#link(entry, -1, this.#heads[sizeClassOf(memoryMb)]!);
  }

  remove(entry: number): void {
    const at = entry << STRIDE_LOG2;
    const sizeClass = sizeClassOf(this.#entries[at + MEMORY_MB]!);
    const request = this.#entries[at + REQUEST]!;
    const previous = this.#entries[at + PREVIOUS]!;
    const next = this.#entries[at + NEXT]!;
    if (previous < 0) this.#heads[sizeClass] = next;
    else this.#entries[(previous << STRIDE_LOG2) + NEXT] = next;
    if (next < 0) this.#tails[sizeClass] = previous;
    else this.#entries[(next << STRIDE_LOG2) + PREVIOUS] = previous;
    if (previous < 0 && next < 0) this.#sizeClasses &= ~(1 << sizeClass);
    this.#waiting[request >>> 5]! &= ~(1 << (request & 31));
    this.#entries[at + NEXT] = this.#free;
    this.#free = entry;
    this.#length -= 1;
  }

  /** Somebody who wants about as much memory waits already, so a new request has to wait behind. */
  hasSizeClassOf(memoryMb: number): boolean {
    return (this.#sizeClasses & (1 << sizeClassOf(memoryMb))) !== 0;
  }

  /** The oldest of the heads that ask no more than `memoryMb`; -1 if there is none. */
  oldestWithin(memoryMb: number): number {
    this.passedOver = true;
    if (memoryMb < 1) return -1;
    let rest = this.#sizeClasses & ((2 << (31 - Math.clz32(memoryMb))) - 1);
    this.passedOver = rest !== this.#sizeClasses;
    let oldest = -1;
    let oldestArrival = 0;
    while (rest !== 0) {
      const head = this.#heads[31 - Math.clz32(rest & -rest)]!;
      rest &= rest - 1;
      if (this.#entries[(head << STRIDE_LOG2) + MEMORY_MB]! > memoryMb) {
        this.passedOver = true;
        continue;
      }
      const arrival = this.#entries[(head << STRIDE_LOG2) + ARRIVAL]!;
      // By difference, so that the order survives the wrap of the counter.
      if (oldest < 0 || ((arrival - oldestArrival) | 0) < 0) {
        oldest = head;
        oldestArrival = arrival;
      }
    }
    return oldest;
  }

  /** The oldest of all; -1 if nobody waits. */
  oldest(): number {
    return this.oldestWithin(0x3fffffff);
  }

  /** For views and `checkInvariants`: the entries of one size class, in order. */
  *inSizeClass(sizeClass: number): Generator<number> {
    for (let entry = this.#heads[sizeClass]!; entry >= 0; entry = this.#entries[(entry << STRIDE_LOG2) + NEXT]!)
      yield entry;
  }

  get sizeClassCount(): number {
    return SIZE_CLASS_COUNT;
  }

  #add(request: number, version: number, memoryMb: number): number {
    let entry = this.#free;
    if (entry >= 0) this.#free = this.#entries[(entry << STRIDE_LOG2) + NEXT]!;
    else entry = this.#unused++;
    const at = entry << STRIDE_LOG2;
    assert(at < this.#entries.length, 'more requests wait than there are entries');
    this.#entries[at + REQUEST] = request;
    this.#entries[at + VERSION] = version;
    this.#entries[at + MEMORY_MB] = memoryMb;
    this.#entries[at + OVERTAKEN] = 0;
    this.#entryOf[request] = entry;
    this.#waiting[request >>> 5]! |= 1 << (request & 31);
    this.#length += 1;
    return entry;
  }

  #link(entry: number, previous: number, next: number): void {
    const sizeClass = sizeClassOf(this.#entries[(entry << STRIDE_LOG2) + MEMORY_MB]!);
    this.#entries[(entry << STRIDE_LOG2) + PREVIOUS] = previous;
    this.#entries[(entry << STRIDE_LOG2) + NEXT] = next;
    if (previous < 0) this.#heads[sizeClass] = entry;
    else this.#entries[(previous << STRIDE_LOG2) + NEXT] = entry;
    if (next < 0) this.#tails[sizeClass] = entry;
    else this.#entries[(next << STRIDE_LOG2) + PREVIOUS] = entry;
    this.#sizeClasses |= 1 << sizeClass;
  }
}

function sizeClassOf(memoryMb: number): number {
  return 31 - Math.clz32(memoryMb);
}
