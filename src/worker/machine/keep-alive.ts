/**
 * What is kept when not everything can be: one rule behind one interface, so that rules can be compared on a trace.
 *
 * An item is something that is kept and can be had again at a cost (an instance, a zygote; a slot of the machine). A
 * group is what it is an instance of (a function version), for rules that ask. The one with the lowest priority goes first.
 *
 * The rule that ships is greedy-dual: priority = clock at the last use + frequency × cost / size, and the clock
 * moves to the priority of whatever was evicted, so that what is not used ages (Fuerst and Sharma, "FaasCache",
 * ASPLOS '21; it is GreedyDual-Size-Frequency of web caches). FaasCache counts the uses of a function; here each item's own
 * count, or the instances that one burst needed would never leave (`npm run bench -- keep-alive` shows both). Rejected: a heap. Evictions are rare, and a scan over the
 * items at each costs less than keeping a heap in order at every use.
 */
export interface KeepAlive {
  /** The item is new: whatever had its number before is no more. */
  began(item: number): void;
  /** The item is used now. `worth`: what it costs to have it again for what it takes up, microseconds per MB. */
  touch(item: number, group: number, worth: number, nowUs: number): void;
  /** The lowest goes first. Only of items that were touched since they came. */
  priority(item: number): number;
  /** The item went to make room. */
  evicted(item: number): void;
  /** True: it goes now, though nobody needs its room. */
  expired(item: number, nowUs: number): boolean;
}

export class GreedyDual implements KeepAlive {
  readonly #priority: Float64Array;
  readonly #frequency: Float64Array;
  #clock = 0;

  constructor(itemCount: number) {
    this.#priority = new Float64Array(itemCount);
    this.#frequency = new Float64Array(itemCount);
  }

  began(item: number): void {
    this.#frequency[item] = 0;
    this.#priority[item] = this.#clock;
  }

  touch(item: number, _group: number, worth: number): void {
    this.#frequency[item]! += 1;
    this.#priority[item] = this.#clock + this.#frequency[item]! * worth;
  }

  priority(item: number): number {
    return this.#priority[item]!;
  }

  /** That of something new with so many uses. */
  priorityOf(useCount: number, worth: number): number {
    return this.#clock + useCount * worth;
  }

  evicted(item: number): void {
    // What was kept by force meanwhile may be far behind: the clock never goes back.
    if (this.#priority[item]! > this.#clock) this.#clock = this.#priority[item]!;
  }

  expired(): boolean {
    return false;
  }
}

/** The least recently used goes first: the rival that knows neither cost nor size. */
export class LeastRecentlyUsed implements KeepAlive {
  readonly #usedUs: Float64Array;

  constructor(itemCount: number) {
    this.#usedUs = new Float64Array(itemCount);
  }

  began(): void {}

  touch(item: number, _group: number, _worth: number, nowUs: number): void {
    this.#usedUs[item] = nowUs;
  }

  priority(item: number): number {
    return this.#usedUs[item]!;
  }

  evicted(): void {}

  expired(_item: number, _nowUs: number): boolean {
    return false;
  }
}

/** Kept for a fixed time after the last use, as most platforms do; the least recently used goes where that is too long. */
export class FixedTime extends LeastRecentlyUsed {
  readonly #keepUs: number;

  constructor(itemCount: number, keepUs: number) {
    super(itemCount);
    this.#keepUs = keepUs;
  }

  override expired(item: number, nowUs: number): boolean {
    return nowUs - this.priority(item) > this.#keepUs;
  }
}

/** The item below `itemCount` that goes first of those that may go; -1 if there is none. For users with few items. */
export function victim(rule: KeepAlive, itemCount: number, mayGo: (item: number) => boolean): number {
  let found = -1;
  for (let item = 0; item < itemCount; item++) {
    if (mayGo(item) && (found < 0 || rule.priority(item) < rule.priority(found))) found = item;
  }
  return found;
}
