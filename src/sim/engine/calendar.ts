/**
 * The event queue of a large simulation: the same order as `EventQueue`, at a third of the work with half a million events.
 *
 * A heap of that size goes through ten far places of memory for each event. Here the near future is cut into *buckets* of equal time, and an event
 * is written behind the others of its bucket: one place. What lies beyond the last bucket is *far*. When time comes to a bucket, its
 * events are read in one go into a small heap, *front*, which stays in the cache; what is put in for a time before that is put there at once, and so is
 * what finds its bucket full. When the last bucket is done, the buckets begin anew, and far is dealt out to them.
 *
 * Each event has the number of its arrival with it, so that events of one time leave in that order, whichever way they went. The width of a bucket is
 * chosen anew in each round; it changes nothing but the speed.
 *
 * After R. Brown: Calendar Queues, CACM 31 (1988), and W. T. Tang, R. S. M. Goh, I. L.-J. Thng: Ladder Queue, ACM TOMACS 15 (2005).
 */
import { LINE_OFFSET, lineBuffer } from '../../base/cache-lines.ts';
import { EventQueue } from './event-queue.ts';

/**
 * Told of what is about to happen, several events of a kind, so that it can read then what it will need, in loops so short that the reads do not wait
 * for each other. It changes nothing.
 */
export type Foresight = (as: Int32Array, bs: Int32Array, count: number) => void;

/** With fewer events than this a heap is as good. */
const SMALL = 512;
/** Events that a bucket holds at most. */
const BUCKET_LOG2 = 5;
const BUCKET_SIZE = 1 << BUCKET_LOG2;
/** Events that a bucket should hold. */
const WANTED = 16;
const SAMPLE_SIZE = 512;
const BUCKET_COUNT_MIN = 64;
const BUCKET_COUNT_MAX = 1 << 17;
/** One bucket for so many events. */
const EVENTS_EACH_LOG2 = 4;
const WIDTH_MIN_US = 1e-9;

/** Events in no order, each in 32 bytes: half a line of the cache. */
class Records {
  #floats = new Float64Array(0);
  #ints = new Int32Array(0);

  constructor(capacity: number) {
    this.#allot(capacity);
  }

  get capacity(): number {
    return this.#floats.length >> 2;
  }

  grow(): void {
    const before = this.#ints;
    this.#allot(this.capacity * 2);
    this.#ints.set(before);
  }

  write(at: number, from: EventRegister): void {
    const float = at << 2;
    const int = at << 3;
    this.#floats[float] = from.timeUs;
    this.#floats[float + 1] = from.order;
    this.#ints[int + 4] = from.kind;
    this.#ints[int + 5] = from.a;
    this.#ints[int + 6] = from.b;
  }

  kind(at: number): number {
    return this.#ints[(at << 3) + 4]!;
  }

  a(at: number): number {
    return this.#ints[(at << 3) + 5]!;
  }

  b(at: number): number {
    return this.#ints[(at << 3) + 6]!;
  }

  timeUs(at: number): number {
    return this.#floats[at << 2]!;
  }

  read(at: number, into: EventRegister): void {
    const float = at << 2;
    const int = at << 3;
    into.timeUs = this.#floats[float]!;
    into.order = this.#floats[float + 1]!;
    into.kind = this.#ints[int + 4]!;
    into.a = this.#ints[int + 5]!;
    into.b = this.#ints[int + 6]!;
  }

  #allot(capacity: number): void {
    const bytes = lineBuffer(capacity * 32);
    this.#floats = new Float64Array(bytes, LINE_OFFSET);
    this.#ints = new Int32Array(bytes, LINE_OFFSET);
  }
}

class EventRegister {
  timeUs = 0;
  order = 0;
  kind = 0;
  a = 0;
  b = 0;
}

export class Calendar {
  readonly #front = new EventQueue(SMALL);
  readonly #foresights: readonly (Foresight | undefined)[];
  readonly #soonAs = new Int32Array(BUCKET_SIZE);
  readonly #soonBs = new Int32Array(BUCKET_SIZE);
  readonly #register = new EventRegister();
  #size = 0;
  #order = 0;
  #counts = new Uint8Array(0);
  #buckets = new Records(0);
  #far = new Records(SMALL);
  #farCount = 0;
  /** The next bucket to go into the front; Infinity: there are none, and everything is in the front. */
  #at = Infinity;
  #startUs = 0;
  #perUs = 0;
  /** For how many there was no place in their buckets, since these were made. */
  #crowdedCount = 0;
  readonly #sample = new Float64Array(SAMPLE_SIZE);

  /** By kind; those that come later may be added. */
  constructor(foresights: readonly (Foresight | undefined)[]) {
    this.#foresights = foresights;
  }

  get size(): number {
    return this.#size;
  }

  /** Infinity: there is none. */
  get headUs(): number {
    return this.#front.headUs;
  }

  get headKind(): number {
    return this.#front.headKind;
  }

  get headA(): number {
    return this.#front.headA;
  }

  get headB(): number {
    return this.#front.headB;
  }

  push(timeUs: number, kind: number, a: number, b: number): void {
    this.#size++;
    const order = this.#order++;
    if (this.#bucketOf(timeUs) < this.#at) {
      this.#front.order = order;
      this.#front.push(timeUs, kind, a, b);
      if (this.#at === Infinity && this.#size > SMALL) this.#dealAll();
      return;
    }
    const event = this.#register;
    event.timeUs = timeUs;
    event.order = order;
    event.kind = kind;
    event.a = a;
    event.b = b;
    this.#put(event);
    // It was empty: the first of all events has to be in the front.
    if (this.#front.size === 0) this.#fillFront();
  }

  /** Takes the first away. */
  pop(): void {
    this.#front.pop();
    this.#size--;
    if (this.#bucketOf(this.#front.headUs) >= this.#at && this.#size > 0) this.#fillFront();
  }

  /** By one function for all, as floats on both sides of a bucket's end may not agree on where it lies. -1 while there are none. */
  #bucketOf(timeUs: number): number {
    return this.#perUs === 0 ? -1 : Math.floor((timeUs - this.#startUs) * this.#perUs);
  }

  /** All that is there goes into new buckets. */
  #dealAll(): void {
    while (this.#front.size > 0) {
      this.#takeFront();
      this.#putFar(this.#register);
    }
    for (let bucket = 0; bucket < this.#counts.length; bucket++) {
      for (let i = 0; i < this.#counts[bucket]!; i++) {
        this.#buckets.read((bucket << BUCKET_LOG2) + i, this.#register);
        this.#putFar(this.#register);
      }
    }
    this.#counts.fill(0);
    this.#deal();
    this.#fillFront();
  }

  /** All is far, and goes into new buckets. */
  #deal(): void {
    const wanted = Math.min(BUCKET_COUNT_MAX, Math.max(BUCKET_COUNT_MIN, this.#size >> EVENTS_EACH_LOG2));
    const count = 2 ** Math.ceil(Math.log2(wanted));
    if (this.#counts.length !== count) {
      this.#counts = new Uint8Array(count);
      this.#buckets = new Records(count << BUCKET_LOG2);
    }
    this.#at = 0;
    this.#setWidth();
    this.#crowdedCount = 0;
    const farCount = this.#farCount;
    this.#farCount = 0;
    for (let i = 0; i < farCount; i++) {
      this.#far.read(i, this.#register);
      this.#put(this.#register);
    }
  }

  #put(event: EventRegister): void {
    const bucket = Math.max(0, this.#bucketOf(event.timeUs));
    if (bucket >= this.#counts.length) return this.#putFar(event);
    const count = this.#counts[bucket]!;
    if (count < BUCKET_SIZE) {
      this.#counts[bucket] = count + 1;
      this.#buckets.write((bucket << BUCKET_LOG2) + count, event);
      return;
    }
    this.#putFront(event);
    // The buckets were made for fewer; but where all are of one time, others would be no better.
    if (++this.#crowdedCount > this.#size) this.#dealAll();
  }

  #putFar(event: EventRegister): void {
    if (this.#farCount === this.#far.capacity) this.#far.grow();
    this.#far.write(this.#farCount++, event);
  }

  #putFront({ timeUs, order, kind, a, b }: EventRegister): void {
    this.#front.order = order;
    this.#front.push(timeUs, kind, a, b);
  }

  #takeFront(): void {
    const front = this.#front;
    const event = this.#register;
    event.timeUs = front.headUs;
    event.order = front.headOrder;
    event.kind = front.headKind;
    event.a = front.headA;
    event.b = front.headB;
    front.pop();
  }

  /** Buckets go into the front until the first of all events is there. */
  #fillFront(): void {
    while (this.#bucketOf(this.#front.headUs) >= this.#at) {
      const counts = this.#counts;
      let at = this.#at;
      while (at < counts.length && counts[at] === 0) at++;
      this.#at = at + 1;
      if (at < counts.length) this.#load(at);
      else this.#beginRound();
    }
  }

  /** The buckets are empty: what is left is far, or found no place in its bucket. */
  #beginRound(): void {
    if (this.#size > SMALL >> 1) {
      while (this.#front.size > 0) {
        this.#takeFront();
        this.#putFar(this.#register);
      }
      return this.#deal();
    }
    this.#at = Infinity;
    this.#perUs = 0;
    for (let i = 0; i < this.#farCount; i++) {
      this.#far.read(i, this.#register);
      this.#putFront(this.#register);
    }
    this.#farCount = 0;
  }

  /** From the first of what is far on, and so wide that the nearest quarter fills its buckets as it should: by a sample of them. */
  #setWidth(): void {
    const sample = this.#sample;
    const count = Math.min(this.#farCount, sample.length);
    let firstUs = Infinity;
    for (let i = 0; i < this.#farCount; i++) firstUs = Math.min(firstUs, this.#far.timeUs(i));
    for (let i = 0; i < count; i++) sample[i] = this.#far.timeUs(Math.floor((i / count) * this.#farCount));
    const nearUs = sample.subarray(0, count).sort()[count >> 2]! - firstUs;
    this.#startUs = firstUs;
    this.#perUs = 1 / Math.max((nearUs / (this.#farCount / 4)) * WANTED, WIDTH_MIN_US);
  }

  #load(bucket: number): void {
    const count = this.#counts[bucket]!;
    const event = this.#register;
    this.#counts[bucket] = 0;
    for (let i = 0; i < count; i++) {
      this.#buckets.read((bucket << BUCKET_LOG2) + i, event);
      this.#putFront(event);
    }
    this.#foresee(bucket + 1);
  }

  /** One bucket ahead: what is read now has come until it is needed. */
  #foresee(bucket: number): void {
    if (bucket >= this.#counts.length) return;
    const first = bucket << BUCKET_LOG2;
    const end = first + this.#counts[bucket]!;
    for (let at = first; at < end;) at = this.#foreseeKind(at, end);
  }

  /** Of those that follow, as long as they are of one kind. Answers the next one. */
  #foreseeKind(first: number, end: number): number {
    const records = this.#buckets;
    const kind = records.kind(first);
    let at = first;
    for (; at < end && records.kind(at) === kind; at++) {
      this.#soonAs[at - first] = records.a(at);
      this.#soonBs[at - first] = records.b(at);
    }
    this.#foresights[kind]?.(this.#soonAs, this.#soonBs, at - first);
    return at;
  }
}
