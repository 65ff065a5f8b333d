/**
 * Jobs by a number, the least first, those of the same number in the order in which they came: a binary heap of the few that one server has.
 * A server has one from the start, and may never have a job: so it begins small.
 */
const FIRST_CAPACITY = 8;

export class JobHeap {
  #size = 0;
  #order = 0;
  #keys = new Float64Array(FIRST_CAPACITY);
  #orders = new Float64Array(FIRST_CAPACITY);
  #jobs = new Int32Array(FIRST_CAPACITY);

  get size(): number {
    return this.#size;
  }

  /** Infinity: it is empty. */
  get leastUs(): number {
    return this.#size === 0 ? Infinity : this.#keys[0]!;
  }

  /** -1: it is empty. */
  get leastJob(): number {
    return this.#size === 0 ? -1 : this.#jobs[0]!;
  }

  /** The one that came last, -1 where there is none. Looks at all. */
  get newest(): number {
    let newest = -1;
    let order = -1;
    for (let at = 0; at < this.#size; at++) {
      if (this.#orders[at]! <= order) continue;
      order = this.#orders[at]!;
      newest = this.#jobs[at]!;
    }
    return newest;
  }

  push(key: number, job: number): void {
    if (this.#size === this.#jobs.length) this.#grow();
    if (this.#size === 0) this.#order = 0;
    this.#raise(this.#size++, key, this.#order++, job);
  }

  /** The least one, taken out. */
  pop(): number {
    const job = this.#jobs[0]!;
    this.#removeAt(0);
    return job;
  }

  /** Its number; null: it is not there. Looks at all. */
  remove(job: number): number | null {
    const at = this.#jobs.subarray(0, this.#size).indexOf(job);
    if (at < 0) return null;
    const key = this.#keys[at]!;
    this.#removeAt(at);
    return key;
  }

  has(job: number): boolean {
    return this.#jobs.subarray(0, this.#size).includes(job);
  }

  #removeAt(at: number): void {
    const last = --this.#size;
    if (at === last) return;
    const key = this.#keys[last]!;
    const order = this.#orders[last]!;
    const job = this.#jobs[last]!;
    const parent = (at - 1) >> 1;
    if (at > 0 && this.#isAfter(parent, key, order)) this.#raise(at, key, order, job);
    else this.#lower(at, key, order, job);
  }

  #raise(from: number, key: number, order: number, job: number): void {
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#isAfter(parent, key, order)) break;
      this.#copy(parent, at);
      at = parent;
    }
    this.#set(at, key, order, job);
  }

  #lower(from: number, key: number, order: number, job: number): void {
    let at = from;
    for (;;) {
      let least = at * 2 + 1;
      if (least >= this.#size) break;
      const right = least + 1;
      if (right < this.#size && this.#isAfter(least, this.#keys[right]!, this.#orders[right]!)) least = right;
      if (this.#isAfter(least, key, order)) break;
      this.#copy(least, at);
      at = least;
    }
    this.#set(at, key, order, job);
  }

  #isAfter(at: number, key: number, order: number): boolean {
    const mine = this.#keys[at]!;
    return mine > key || (mine === key && this.#orders[at]! > order);
  }

  #copy(from: number, to: number): void {
    this.#set(to, this.#keys[from]!, this.#orders[from]!, this.#jobs[from]!);
  }

  #set(at: number, key: number, order: number, job: number): void {
    this.#keys[at] = key;
    this.#orders[at] = order;
    this.#jobs[at] = job;
  }

  #grow(): void {
    const capacity = this.#jobs.length * 2;
    const keys = new Float64Array(capacity);
    const orders = new Float64Array(capacity);
    const jobs = new Int32Array(capacity);
    keys.set(this.#keys);
    orders.set(this.#orders);
    jobs.set(this.#jobs);
    this.#keys = keys;
    this.#orders = orders;
    this.#jobs = jobs;
  }
}
