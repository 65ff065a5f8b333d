/**
 * Requests that wait for a core or for memory. One FIFO per power of two of memory, linked through the records of the
 * requests; the oldest of those heads that fit goes first, so a release looks at 16 heads at most, however many wait.
 *
 *   128 MB ..  255    head -> r7 -> r9 -> r12 <- tail
 *   256 MB ..  511    (empty)
 *   512 MB .. 1023    head -> r3 <- tail
 *
 * Within one FIFO nobody passes a head for which the memory is short, even where the next would fit: that is the price
 * of constant work. Rejected: one FIFO (a big request in front stops all), a scan for the first that fits (as long as the queue).
 *
 * A record is written when its request begins to wait; requests that are granted at once never touch it.
 * Budget: 32 bytes a request, two cache lines to link, at most 16 to choose. Allocates nothing. Checked by bench/schedule.ts.
 */
import { sharedInt32, type SharedInt32 } from './shared.ts';
import { memoryOf } from './versions.ts';

const STRIDE = 8;
const WAITING = 0;
const NEXT = 1;
const PREVIOUS = 2;
const ARRIVAL = 3;
const TAG = 4;
const FUNCTION_MEMORY = 5;
const OVERTAKEN = 6;
const SIZE_CLASS_COUNT = 16;

export class Queue {
  readonly #records: SharedInt32;
  readonly #heads: SharedInt32 = sharedInt32(SIZE_CLASS_COUNT, -1);
  readonly #tails: SharedInt32 = sharedInt32(SIZE_CLASS_COUNT, -1);
  /** A bit for each size class in which somebody waits. */
  #sizeClasses = 0;
  #length = 0;
  #arrival = 0;

  constructor(requestCountMax: number) {
    this.#records = sharedInt32(requestCountMax * STRIDE);
  }

  get length(): number {
    return this.#length;
  }

  isWaiting(request: number): boolean {
    return this.#records[request * STRIDE + WAITING] !== 0;
  }

  tag(request: number): number {
    return this.#records[request * STRIDE + TAG]!;
  }

  functionMemory(request: number): number {
    return this.#records[request * STRIDE + FUNCTION_MEMORY]!;
  }

  overtaken(request: number): number {
    return this.#records[request * STRIDE + OVERTAKEN]!;
  }

  addOvertaken(request: number): void {
    this.#records[request * STRIDE + OVERTAKEN]! += 1;
  }

  pushBack(request: number, tag: number, functionMemory: number): void {
    this.#arrival = (this.#arrival + 1) | 0;
    this.#write(request, tag, functionMemory, this.#arrival);
    const sizeClass = sizeClassOf(functionMemory);
    const tail = this.#tails[sizeClass]!;
    this.#link(sizeClass, tail, request, -1);
  }

  /** Before everybody who waits: it was granted already, and the agent could not take it. */
  pushFront(request: number, tag: number, functionMemory: number): void {
    const oldest = this.oldest();
    const arrival = oldest < 0 ? this.#arrival : (this.#records[oldest * STRIDE + ARRIVAL]! - 1) | 0;
    this.#write(request, tag, functionMemory, arrival);
    const sizeClass = sizeClassOf(functionMemory);
    this.#link(sizeClass, -1, request, this.#heads[sizeClass]!);
  }

  remove(request: number): void {
    const at = request * STRIDE;
    const sizeClass = this.#records[at + WAITING]! - 1;
    const previous = this.#records[at + PREVIOUS]!;
    const next = this.#records[at + NEXT]!;
    if (previous < 0) this.#heads[sizeClass] = next;
    else this.#records[previous * STRIDE + NEXT] = next;
    if (next < 0) this.#tails[sizeClass] = previous;
    else this.#records[next * STRIDE + PREVIOUS] = previous;
    if (previous < 0 && next < 0) this.#sizeClasses &= ~(1 << sizeClass);
    this.#records[at + WAITING] = 0;
    this.#length -= 1;
  }

  /** Somebody who wants about as much memory waits already, so a new request has to wait behind. */
  hasSizeClassOf(functionMemory: number): boolean {
    return (this.#sizeClasses & (1 << sizeClassOf(functionMemory))) !== 0;
  }

  /** The oldest of the heads that ask no more than `memoryMb`; -1 if there is none. */
  oldestWithin(memoryMb: number): number {
    if (memoryMb < 1) return -1;
    let rest = this.#sizeClasses & ((2 << (31 - Math.clz32(memoryMb))) - 1);
    let oldest = -1;
    let oldestArrival = 0;
    while (rest !== 0) {
      const head = this.#heads[31 - Math.clz32(rest & -rest)]!;
      rest &= rest - 1;
      if (memoryOf(this.#records[head * STRIDE + FUNCTION_MEMORY]!) > memoryMb) continue;
      const arrival = this.#records[head * STRIDE + ARRIVAL]!;
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

  /** For views and `checkInvariants`: the waiting requests of one size class, in order. */
  *inSizeClass(sizeClass: number): Generator<number> {
    for (let request = this.#heads[sizeClass]!; request >= 0; request = this.#records[request * STRIDE + NEXT]!) {
      yield request;
    }
  }

  get sizeClassCount(): number {
    return SIZE_CLASS_COUNT;
  }

  #write(request: number, tag: number, functionMemory: number, arrival: number): void {
    const at = request * STRIDE;
    this.#records[at + ARRIVAL] = arrival;
    this.#records[at + TAG] = tag;
    this.#records[at + FUNCTION_MEMORY] = functionMemory;
    this.#records[at + OVERTAKEN] = 0;
  }

  #link(sizeClass: number, previous: number, request: number, next: number): void {
    const at = request * STRIDE;
    this.#records[at + WAITING] = sizeClass + 1;
    this.#records[at + PREVIOUS] = previous;
    this.#records[at + NEXT] = next;
    if (previous < 0) this.#heads[sizeClass] = request;
    else this.#records[previous * STRIDE + NEXT] = request;
    if (next < 0) this.#tails[sizeClass] = request;
    else this.#records[next * STRIDE + PREVIOUS] = request;
    this.#sizeClasses |= 1 << sizeClass;
    this.#length += 1;
  }
}

function sizeClassOf(functionMemory: number): number {
  return 31 - Math.clz32(memoryOf(functionMemory));
}
