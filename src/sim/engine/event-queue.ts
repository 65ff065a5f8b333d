/**
 * Events in the order of their times, those of one time in the order in which they were put in. A heap of four children to a node in typed
 * arrays: nothing is allocated but when it grows, to twice its size.
 *
 * An event is (time, kind, a, b): 64-bit float, small integer, two 32-bit integers.
 */
const CHILDREN_LOG2 = 2;

export class EventQueue {
  #size = 0;
  /** By place in the heap. */
  #times: Float64Array;
  #slots: Int32Array;
  /** By slot. */
  #orders: Float64Array;
  #kinds: Uint8Array;
  #as: Int32Array;
  #bs: Int32Array;
  /** Slots that are free: a stack. */
  #free: Int32Array;
  /** The number of the next event that is put in. Who has numbers of his own sets it before each. */
  order = 0;

  constructor(capacity: number) {
    this.#times = new Float64Array(capacity);
    this.#slots = new Int32Array(capacity);
    this.#orders = new Float64Array(capacity);
    this.#kinds = new Uint8Array(capacity);
    this.#as = new Int32Array(capacity);
    this.#bs = new Int32Array(capacity);
    this.#free = Int32Array.from({ length: capacity }, (_, i) => i);
  }

  get size(): number {
    return this.#size;
  }

  /** Infinity: there is none. */
  get headUs(): number {
    return this.#size === 0 ? Infinity : this.#times[0]!;
  }

  get headOrder(): number {
    return this.#orders[this.#slots[0]!]!;
  }

  get headKind(): number {
    return this.#kinds[this.#slots[0]!]!;
  }

  get headA(): number {
    return this.#as[this.#slots[0]!]!;
  }

  get headB(): number {
    return this.#bs[this.#slots[0]!]!;
  }

  push(timeUs: number, kind: number, a: number, b: number): void {
    if (this.#size === this.#free.length) this.#grow();
    const slot = this.#free[this.#size]!;
    const order = this.order++;
    this.#orders[slot] = order;
    this.#kinds[slot] = kind;
    this.#as[slot] = a;
    this.#bs[slot] = b;
    const times = this.#times;
    const slots = this.#slots;
    let at = this.#size++;
    while (at > 0) {
      const parent = (at - 1) >>> CHILDREN_LOG2;
      if (this.#goesBefore(parent, timeUs, slot)) break;
      times[at] = times[parent]!;
      slots[at] = slots[parent]!;
      at = parent;
    }
    times[at] = timeUs;
    slots[at] = slot;
  }

  /** Takes the first away. */
  pop(): void {
    const times = this.#times;
    const slots = this.#slots;
    const last = --this.#size;
    this.#free[last] = slots[0]!;
    if (last === 0) return;
    const timeUs = times[last]!;
    const slot = slots[last]!;
    let at = 0;
    for (;;) {
      const child = this.#leastChild(at, last);
      if (child < 0 || !this.#goesBefore(child, timeUs, slot)) break;
      times[at] = times[child]!;
      slots[at] = slots[child]!;
      at = child;
    }
    times[at] = timeUs;
    slots[at] = slot;
  }

  #leastChild(at: number, size: number): number {
    const first = (at << CHILDREN_LOG2) + 1;
    if (first >= size) return -1;
    const end = Math.min(first + (1 << CHILDREN_LOG2), size);
    let least = first;
    for (let child = first + 1; child < end; child++) {
      if (this.#goesBefore(child, this.#times[least]!, this.#slots[least]!)) least = child;
    }
    return least;
  }

  #goesBefore(at: number, timeUs: number, slot: number): boolean {
    const mine = this.#times[at]!;
    return mine < timeUs || (mine === timeUs && this.#orders[this.#slots[at]!]! < this.#orders[slot]!);
  }

  #grow(): void {
    const before = this.#free.length;
    const length = Math.max(16, before * 2);
    this.#times = grown(this.#times, new Float64Array(length));
    this.#slots = grown(this.#slots, new Int32Array(length));
    this.#orders = grown(this.#orders, new Float64Array(length));
    this.#kinds = grown(this.#kinds, new Uint8Array(length));
    this.#as = grown(this.#as, new Int32Array(length));
    this.#bs = grown(this.#bs, new Int32Array(length));
    this.#free = grown(this.#free, new Int32Array(length));
    for (let slot = before; slot < length; slot++) this.#free[slot] = slot;
  }
}

function grown<A extends Float64Array | Int32Array | Uint8Array>(from: A, to: A): A {
  to.set(from as never);
  return to;
}
