/**
 * Requests that wait for a core or for memory. One FIFO per power of two of memory, linked through the records of the
 * requests, and one list of all in order of arrival. The oldest of all goes first if it fits, which is one look; else
 * the oldest of the heads that fit, so a release looks at 30 heads at most, however many wait.
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
/** Lower 16 bits: its version; upper 16: how often it was overtaken. */
const VERSION_OVERTAKEN = 4;
const MEMORY_MB = 5;
/** Neighbours in the order of all who wait. */
const OLDER = 6;
const YOUNGER = 7;
const SIZE_CLASS_COUNT = 30;

/** Folded into the code, as an imported function is not. */
const ensure: (condition: boolean, message: string) => void = assert;

/** Of one request; an entry has 16 bits for it. */
export const OVERTAKE_COUNT_MAX = 0xffff;

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
  #length = 0;
  #arrival = 0;
  /** Ends of the list of all; -1: nobody waits. */
  #oldest = -1;
  #youngest = -1;
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
    return this.#entries[(entry << STRIDE_LOG2) + VERSION_OVERTAKEN]! & 0xffff;
  }

  memoryMb(entry: number): number {
    return this.#entries[(entry << STRIDE_LOG2) + MEMORY_MB]!;
  }

  overtaken(entry: number): number {
    return this.#entries[(entry << STRIDE_LOG2) + VERSION_OVERTAKEN]! >>> 16;
  }

  addOvertaken(entry: number): void {
    this.#entries[(entry << STRIDE_LOG2) + VERSION_OVERTAKEN]! += 0x10000;
  }

  pushBack(request: number, version: number, memoryMb: number): void {
    const arrival = (this.#arrival + 1) | 0;
    this.#arrival = arrival;
    const entry = this.#add(request, version, memoryMb, arrival);
    const youngest = this.#youngest;
    this.#entries[(entry << STRIDE_LOG2) + OLDER] = youngest;
    this.#entries[(entry << STRIDE_LOG2) + YOUNGER] = -1;
    if (youngest < 0) this.#oldest = entry;
    else this.#entries[(youngest << STRIDE_LOG2) + YOUNGER] = entry;
    this.#youngest = entry;
    this.#link(entry, this.#tails[sizeClassOf(memoryMb)]!, -1);
  }

  /** Before everybody who waits: it was granted already, and the agent could not take it. */
  pushFront(request: number, version: number, memoryMb: number): void {
    const oldest = this.#oldest;
    const arrival = oldest < 0 ? this.#arrival : (this.#entries[(oldest << STRIDE_LOG2) + ARRIVAL]! - 1) | 0;
    const entry = this.#add(request, version, memoryMb, arrival);
    this.#entries[(entry << STRIDE_LOG2) + OLDER] = -1;
    this.#entries[(entry << STRIDE_LOG2) + YOUNGER] = oldest;
    if (oldest < 0) this.#youngest = entry;
    else this.#entries[(oldest << STRIDE_LOG2) + OLDER] = entry;
    this.#oldest = entry;
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
    const older = this.#entries[at + OLDER]!;
    const younger = this.#entries[at + YOUNGER]!;
    if (older < 0) this.#oldest = younger;
    else this.#entries[(older << STRIDE_LOG2) + YOUNGER] = younger;
    if (younger < 0) this.#youngest = older;
    else this.#entries[(younger << STRIDE_LOG2) + OLDER] = older;
    this.#waiting[request >>> 5]! &= ~(1 << (request & 31));
    this.#entries[at + NEXT] = this.#free;
    this.#free = entry;
    this.#length -= 1;
  }

  /** Somebody who wants about as much memory waits already, so a new request has to wait behind. */
  hasSizeClassOf(memoryMb: number): boolean {
    return (this.#sizeClasses & (1 << sizeClassOf(memoryMb))) !== 0;
  }

  /** The oldest of those that ask no more than `memoryMb` and are first in their size class; -1 if there is none. */
  oldestWithin(memoryMb: number): number {
    const oldest = this.#oldest;
    if (oldest < 0 || this.#entries[(oldest << STRIDE_LOG2) + MEMORY_MB]! <= memoryMb) return oldest;
    return memoryMb < 1 ? -1 : this.#oldestHeadWithin(memoryMb);
  }

  /** The oldest of all; -1 if nobody waits. */
  oldest(): number {
    return this.#oldest;
  }

  /** Who came next of all; -1: nobody. */
  younger(entry: number): number {
    return this.#entries[(entry << STRIDE_LOG2) + YOUNGER]!;
  }

  /** For `checkInvariants`: did the one arrive before the other? By difference, as the counter wraps. */
  isOlder(entry: number, other: number): boolean {
    const arrival = this.#entries[(entry << STRIDE_LOG2) + ARRIVAL]!;
    return ((arrival - this.#entries[(other << STRIDE_LOG2) + ARRIVAL]!) | 0) < 0;
  }

  /** For views and `checkInvariants`: all entries, the oldest first. */
  *inOrder(): Generator<number> {
    for (let entry = this.#oldest; entry >= 0; entry = this.#entries[(entry << STRIDE_LOG2) + YOUNGER]!) yield entry;
  }

  /** For views and `checkInvariants`: the entries of one size class, in order. */
  *inSizeClass(sizeClass: number): Generator<number> {
    for (let entry = this.#heads[sizeClass]!; entry >= 0; entry = this.#entries[(entry << STRIDE_LOG2) + NEXT]!)
      yield entry;
  }

  get sizeClassCount(): number {
    return SIZE_CLASS_COUNT;
  }

  #oldestHeadWithin(memoryMb: number): number {
    let rest = this.#sizeClasses & ((2 << (31 - Math.clz32(memoryMb))) - 1);
    let oldest = -1;
    let oldestArrival = 0;
    while (rest !== 0) {
      const head = this.#heads[31 - Math.clz32(rest & -rest)]!;
      rest &= rest - 1;
      if (this.#entries[(head << STRIDE_LOG2) + MEMORY_MB]! > memoryMb) continue;
      const arrival = this.#entries[(head << STRIDE_LOG2) + ARRIVAL]!;
      // By difference, so that the order survives the wrap of the counter.
      if (oldest < 0 || ((arrival - oldestArrival) | 0) < 0) {
        oldest = head;
        oldestArrival = arrival;
      }
    }
    return oldest;
  }

  #add(request: number, version: number, memoryMb: number, arrival: number): number {
    let entry = this.#free;
    if (entry >= 0) this.#free = this.#entries[(entry << STRIDE_LOG2) + NEXT]!;
    else entry = this.#unused++;
    const at = entry << STRIDE_LOG2;
    ensure(at < this.#entries.length, 'more requests wait than there are entries');
    this.#entries[at + REQUEST] = request;
    this.#entries[at + ARRIVAL] = arrival;
    this.#entries[at + VERSION_OVERTAKEN] = version;
    this.#entries[at + MEMORY_MB] = memoryMb;
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
