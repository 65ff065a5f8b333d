/**
 * Requests that wait for a core or for memory. One FIFO per power of two of memory, linked through the records of the
 * requests, and one list of all in order of arrival. The oldest of all goes first if it fits, which is one look; else
 * the oldest of the heads that fit, so a release looks at 30 heads at most, however many wait.
 *
 *   128 MB ..  255    head -> r7 -> r9 -> r12 <- tail
 *   256 MB ..  511    (empty)
 *   512 MB .. 1023    head -> r3 <- tail
 *
 * Requests of several cores have FIFOs of their own, one per power of two of cores: whether one of them fits is not a question of memory alone.
 * So have those for one core that are dedicated, again one per power of two of memory: what an extra seat could serve does not stand behind them.
 *
 * Within one FIFO nobody passes a head for which the memory is short, even where the next would fit: that is the price
 * of constant work. Rejected: one FIFO (a big request in front stops all), a scan for the first that fits (as long as the queue).
 *
 * Who comes again, having waited before elsewhere, is put among the others by how long he has waited: an entry knows since when. That is a walk
 * from where the last such one was put, and so for those that come in order of their waiting one pass through the queue for all together; it is
 * no longer than INSERT_STEPS_MAX, and ends before somebody who has waited longer if it has to. Who is put before another shares his
 * number of arrival.
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
const FIRST_SEVERAL: number = 2 * SIZE_CLASS_COUNT;
const INSERT_STEPS_MAX = 1024;
/** 2 or 3 cores, 4 to 7, 8 to 15, 16 to 31, 32. Their FIFOs come after those by size, which come after each other: any seat, dedicated. */
export const SEVERAL_CLASS_COUNT = 5;
const CLASS_COUNT: number = FIRST_SEVERAL + SEVERAL_CLASS_COUNT;

/** Folded into the code, as an imported function is not. */
const ensure: (condition: boolean, message: string) => void = assert;

/** Of one request; an entry has 16 bits for it. */
export const OVERTAKE_COUNT_MAX = 0xffff;

export interface Waiter {
  readonly request: number;
  readonly version: number;
  readonly memoryMb: number;
  readonly queueClass: number;
}

export class Queue {
  readonly #entries: SharedInt32;
  /** The entry of each request that waits. */
  readonly #entryOf: SharedInt32;
  /** A bit for each request: does it wait? */
  readonly #waiting: SharedInt32;
  readonly #heads: SharedInt32 = sharedInt32(CLASS_COUNT, -1);
  readonly #tails: SharedInt32 = sharedInt32(CLASS_COUNT, -1);
  /** Of each entry. */
  readonly #classes: Uint8Array;
  /** A bit for each size class in which somebody waits: for any seat, and dedicated. */
  #sizeClasses = 0;
  #dedicatedClasses = 0;
  /** Of each entry: when it began to wait, in ticks. */
  readonly #since: Int32Array;
  /** Who was inserted last, and of each class; -1: nobody, or he waits no more and was the first. */
  #finger = -1;
  readonly #fingers: Int32Array = new Int32Array(CLASS_COUNT).fill(-1);
  /** The same for several cores. */
  #severalClasses = 0;
  #length = 0;
  #arrival = 0;
  /** Ends of the list of all; -1: nobody waits. */
  #oldest = -1;
  #youngest = -1;
  /** Entries that are free again, linked by NEXT; the last one freed first. */
  #free = -1;
  /** Entries from here on were never used. */
  #unused = 0;

  /** Any request may wait, so there are as many entries; the ones that were never used cost nothing. */
  constructor(requestCountMax: number) {
    const entryCountMax = requestCountMax;
    this.#entries = sharedInt32(entryCountMax << STRIDE_LOG2);
    this.#classes = new Uint8Array(entryCountMax);
    this.#since = new Int32Array(entryCountMax);
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

  /** Does it ask for several cores? */
  isSeveral(entry: number): boolean {
    return this.#classes[entry]! >= FIRST_SEVERAL;
  }

  /** Must it have cores of a worker's own? */
  isDedicated(entry: number): boolean {
    return this.#classes[entry]! >= SIZE_CLASS_COUNT;
  }

  /** Of one that asks for several cores: 0 and up. */
  severalClass(entry: number): number {
    return this.#classes[entry]! - FIRST_SEVERAL;
  }

  /** The time, in ticks of whoever tells it: wraps, and does not go back. */
  tick = 0;

  pushBack(request: number, version: number, memoryMb: number, queueClass: number): void {
    const arrival = (this.#arrival + 1) | 0;
    this.#arrival = arrival;
    const entry = this.#add(request, version, memoryMb, arrival);
    this.#classes[entry] = queueClass;
    const youngest = this.#youngest;
    this.#entries[(entry << STRIDE_LOG2) + OLDER] = youngest;
    this.#entries[(entry << STRIDE_LOG2) + YOUNGER] = -1;
    if (youngest < 0) this.#oldest = entry;
    else this.#entries[(youngest << STRIDE_LOG2) + YOUNGER] = entry;
    this.#youngest = entry;
    this.#since[entry] = this.tick;
    this.#link(entry, this.#tails[queueClass]!, -1);
  }

  /** Before everybody who waits: it was granted already, and the agent could not take it. */
  pushFront(request: number, version: number, memoryMb: number, queueClass: number): void {
    const oldest = this.#oldest;
    const arrival = oldest < 0 ? this.#arrival : (this.#entries[(oldest << STRIDE_LOG2) + ARRIVAL]! - 1) | 0;
    const entry = this.#add(request, version, memoryMb, arrival);
    this.#classes[entry] = queueClass;
    this.#since[entry] = oldest < 0 ? this.tick : this.#since[oldest]!;
    this.#entries[(entry << STRIDE_LOG2) + OLDER] = -1;
    this.#entries[(entry << STRIDE_LOG2) + YOUNGER] = oldest;
    if (oldest < 0) this.#youngest = entry;
    else this.#entries[(oldest << STRIDE_LOG2) + OLDER] = entry;
    this.#oldest = entry;
    this.#link(entry, -1, this.#heads[queueClass]!);
  }

  /** Behind those who have waited as long or longer, since that tick, and before the others. */
  insert({ request, version, memoryMb, queueClass }: Waiter, since: number): void {
    const older = this.#lastNotAfter(this.#finger, this.#oldest, YOUNGER, since);
    const younger = older < 0 ? this.#oldest : this.#entries[(older << STRIDE_LOG2) + YOUNGER]!;
    if (younger < 0) {
      this.pushBack(request, version, memoryMb, queueClass);
      const last = this.#youngest;
      this.#since[last] = since;
      this.#finger = last;
      this.#fingers[queueClass] = last;
      return;
    }
    const arrival = this.#entries[(younger << STRIDE_LOG2) + ARRIVAL]!;
    const entry = this.#add(request, version, memoryMb, arrival);
    this.#classes[entry] = queueClass;
    // Where the walk was cut short the next one has waited longer.
    this.#since[entry] = ((since - this.#since[younger]!) | 0) < 0 ? since : this.#since[younger]!;
    this.#entries[(entry << STRIDE_LOG2) + OLDER] = older;
    this.#entries[(entry << STRIDE_LOG2) + YOUNGER] = younger;
    this.#entries[(younger << STRIDE_LOG2) + OLDER] = entry;
    if (older < 0) this.#oldest = entry;
    else this.#entries[(older << STRIDE_LOG2) + YOUNGER] = entry;
    const previous = this.#lastNotAfter(this.#fingers[queueClass]!, this.#heads[queueClass]!, NEXT, this.#since[entry]);
    this.#link(
      entry,
      previous,
      previous < 0 ? this.#heads[queueClass]! : this.#entries[(previous << STRIDE_LOG2) + NEXT]!,
    );
    this.#finger = entry;
    this.#fingers[queueClass] = entry;
  }

  remove(entry: number): void {
    const at = entry << STRIDE_LOG2;
    const queueClass = this.#classes[entry]!;
    const request = this.#entries[at + REQUEST]!;
    const previous = this.#entries[at + PREVIOUS]!;
    const next = this.#entries[at + NEXT]!;
    if (previous < 0) this.#heads[queueClass] = next;
    else this.#entries[(previous << STRIDE_LOG2) + NEXT] = next;
    if (next < 0) this.#tails[queueClass] = previous;
    else this.#entries[(next << STRIDE_LOG2) + PREVIOUS] = previous;
    if (previous < 0 && next < 0) this.#close(queueClass);
    const older = this.#entries[at + OLDER]!;
    const younger = this.#entries[at + YOUNGER]!;
    if (older < 0) this.#oldest = younger;
    else this.#entries[(older << STRIDE_LOG2) + YOUNGER] = younger;
    if (younger < 0) this.#youngest = older;
    else this.#entries[(younger << STRIDE_LOG2) + OLDER] = older;
    this.#waiting[request >>> 5]! &= ~(1 << (request & 31));
    if (entry === this.#finger) this.#finger = older;
    if (entry === this.#fingers[queueClass]) this.#fingers[queueClass] = previous;
    this.#entries[at + NEXT] = this.#free;
    this.#free = entry;
    this.#length -= 1;
  }

  /** Somebody who wants about as much waits already, so a new request has to wait behind. */
  hasClass(queueClass: number): boolean {
    return this.#heads[queueClass]! >= 0;
  }

  /** Does anybody wait for several cores? */
  get hasSeveral(): boolean {
    return this.#severalClasses !== 0;
  }

  /**
   * The oldest of those that are first in their class of several cores, in the classes of `classes` (a bit each), and older than `than` (-1: anybody);
   * -1 if there is none.
   */
  oldestSeveral(classes: number, than: number): number {
    let oldest = than;
    for (let rest = this.#severalClasses & classes; rest !== 0; rest &= rest - 1) {
      const head = this.#heads[FIRST_SEVERAL + 31 - Math.clz32(rest & -rest)]!;
      if (oldest < 0 || this.isOlder(head, oldest)) oldest = head;
    }
    return oldest === than ? -1 : oldest;
  }

  /**
   * Of those that ask for one core, the oldest that asks no more than `memoryMb`, or than `dedicatedMb` where it is dedicated, and is first in
   * its size class; -1 if there is none.
   */
  oldestWithin(memoryMb: number, dedicatedMb: number): number {
    const oldest = this.#oldest;
    if (oldest < 0) return -1;
    const isAny = (this.#severalClasses | this.#dedicatedClasses) === 0 || !this.isDedicated(oldest);
    const withinMb = isAny ? memoryMb : this.isSeveral(oldest) ? -1 : dedicatedMb;
    // Before all, also before one of another class who has waited exactly as long.
    if (this.#entries[(oldest << STRIDE_LOG2) + MEMORY_MB]! <= withinMb) return oldest;
    const any = memoryMb < 1 ? -1 : this.#oldestHeadWithin(this.#sizeClasses, 0, memoryMb);
    if (this.#dedicatedClasses === 0 || dedicatedMb < 1) return any;
    const dedicated = this.#oldestHeadWithin(this.#dedicatedClasses, SIZE_CLASS_COUNT, dedicatedMb);
    return any < 0 || (dedicated >= 0 && this.isOlder(dedicated, any)) ? dedicated : any;
  }

  /** The oldest of all; -1 if nobody waits. */
  oldest(): number {
    return this.#oldest;
  }

  /** Who came next of all; -1: nobody. */
  younger(entry: number): number {
    return this.#entries[(entry << STRIDE_LOG2) + YOUNGER]!;
  }

  /** Did the one arrive before the other? By difference, so that the order survives the wrap of the counter. */
  isOlder(entry: number, other: number): boolean {
    const arrival = this.#entries[(entry << STRIDE_LOG2) + ARRIVAL]!;
    const ahead = (arrival - this.#entries[(other << STRIDE_LOG2) + ARRIVAL]!) | 0;
    return ahead < 0 || (ahead === 0 && ((this.#since[entry]! - this.#since[other]!) | 0) < 0);
  }

  /** When it began to wait, in ticks. */
  since(entry: number): number {
    return this.#since[entry]!;
  }

  /** For views and `checkInvariants`: all entries, the oldest first. */
  *inOrder(): Generator<number> {
    for (let entry = this.#oldest; entry >= 0; entry = this.#entries[(entry << STRIDE_LOG2) + YOUNGER]!) yield entry;
  }

  /** For views and `checkInvariants`: the entries of one class, in order. */
  *inClass(queueClass: number): Generator<number> {
    for (let entry = this.#heads[queueClass]!; entry >= 0; entry = this.#entries[(entry << STRIDE_LOG2) + NEXT]!)
      yield entry;
  }

  get classCount(): number {
    return CLASS_COUNT;
  }

  /** `classes`: a bit for each of the size classes from `first` on. */
  #oldestHeadWithin(classes: number, first: number, memoryMb: number): number {
    let rest = classes & ((2 << (31 - Math.clz32(memoryMb))) - 1);
    let oldest = -1;
    while (rest !== 0) {
      const head = this.#heads[first + 31 - Math.clz32(rest & -rest)]!;
      rest &= rest - 1;
      if (this.#entries[(head << STRIDE_LOG2) + MEMORY_MB]! > memoryMb) continue;
      if (oldest < 0 || this.isOlder(head, oldest)) oldest = head;
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
    const queueClass = this.#classes[entry]!;
    this.#entries[(entry << STRIDE_LOG2) + PREVIOUS] = previous;
    this.#entries[(entry << STRIDE_LOG2) + NEXT] = next;
    if (previous < 0) this.#heads[queueClass] = entry;
    else this.#entries[(previous << STRIDE_LOG2) + NEXT] = entry;
    if (next < 0) this.#tails[queueClass] = entry;
    else this.#entries[(next << STRIDE_LOG2) + PREVIOUS] = entry;
    if (queueClass < SIZE_CLASS_COUNT) this.#sizeClasses |= 1 << queueClass;
    else if (queueClass < FIRST_SEVERAL) this.#dedicatedClasses |= 1 << (queueClass - SIZE_CLASS_COUNT);
    else this.#severalClasses |= 1 << (queueClass - FIRST_SEVERAL);
  }

  /** Of the list that `link` leads along, from the finger or the first on, the last that began to wait no later; -1: none. */
  #lastNotAfter(finger: number, first: number, link: number, since: number): number {
    const isBehind = finger >= 0 && ((this.#since[finger]! - since) | 0) <= 0;
    let last = isBehind ? finger : -1;
    let next = isBehind ? this.#entries[(finger << STRIDE_LOG2) + link]! : first;
    for (let i = 0; i < INSERT_STEPS_MAX && next >= 0 && ((this.#since[next]! - since) | 0) <= 0; i++) {
      last = next;
      next = this.#entries[(next << STRIDE_LOG2) + link]!;
    }
    return last;
  }

  #close(queueClass: number): void {
    if (queueClass < SIZE_CLASS_COUNT) this.#sizeClasses &= ~(1 << queueClass);
    else if (queueClass < FIRST_SEVERAL) this.#dedicatedClasses &= ~(1 << (queueClass - SIZE_CLASS_COUNT));
    else this.#severalClasses &= ~(1 << (queueClass - FIRST_SEVERAL));
  }
}

/** Which FIFO: by memory, for any seat or dedicated, or for several cores by cores. */
export function classOf(memoryMb: number, coreCount: number, isDedicated: boolean): number {
  if (coreCount > 1) return FIRST_SEVERAL + severalClassOf(coreCount);
  return 31 - Math.clz32(memoryMb) + (isDedicated ? SIZE_CLASS_COUNT : 0);
}

export function severalClassOf(coreCount: number): number {
  return 30 - Math.clz32(coreCount);
}
