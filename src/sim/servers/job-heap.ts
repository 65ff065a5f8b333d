/** Jobs by a number, the least first, those of the same number in the order in which they came: a binary heap of the few that one server has. */
export class JobHeap {
  readonly #keys: number[] = [];
  readonly #orders: number[] = [];
  readonly #jobs: number[] = [];
  #order = 0;

  get size(): number {
    return this.#jobs.length;
  }

  /** Infinity: it is empty. */
  get leastUs(): number {
    return this.#keys[0] ?? Infinity;
  }

  push(key: number, job: number): void {
    this.#keys.push(key);
    this.#orders.push(this.#order++);
    this.#jobs.push(job);
    this.#raise(this.#jobs.length - 1);
  }

  /** The least one, taken out. */
  pop(): number {
    const job = this.#jobs[0]!;
    this.#removeAt(0);
    return job;
  }

  /** Its number; null: it is not there. Looks at all. */
  remove(job: number): number | null {
    const at = this.#jobs.indexOf(job);
    if (at < 0) return null;
    const key = this.#keys[at]!;
    this.#removeAt(at);
    return key;
  }

  #removeAt(at: number): void {
    const last = this.#jobs.length - 1;
    this.#swap(at, last);
    this.#keys.pop();
    this.#orders.pop();
    this.#jobs.pop();
    if (at === last) return;
    this.#raise(at);
    this.#lower(at);
  }

  #raise(from: number): void {
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#goesBefore(at, parent)) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  #lower(from: number): void {
    let at = from;
    for (;;) {
      const left = at * 2 + 1;
      if (left >= this.#jobs.length) return;
      const right = left + 1;
      const least = right < this.#jobs.length && this.#goesBefore(right, left) ? right : left;
      if (!this.#goesBefore(least, at)) return;
      this.#swap(at, least);
      at = least;
    }
  }

  #goesBefore(a: number, b: number): boolean {
    const difference = this.#keys[a]! - this.#keys[b]!;
    return difference < 0 || (difference === 0 && this.#orders[a]! < this.#orders[b]!);
  }

  #swap(a: number, b: number): void {
    for (const column of [this.#keys, this.#orders, this.#jobs]) {
      const kept = column[a]!;
      column[a] = column[b]!;
      column[b] = kept;
    }
  }
}
