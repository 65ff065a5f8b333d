/** What the machine knows of each function version, in typed arrays. */
const NONE = -1;

/** Ticks that pass after so many failures in a row before the next try: 2, 4, 8 … at most a minute of ticks of 10 ms. */
const BACKOFF_TICKS_MAX = 6000;
const BACKOFF_DOUBLINGS_MAX = 13;

export const backoffTicks = (failureCount: number): number =>
  Math.min(BACKOFF_TICKS_MAX, 2 ** Math.min(failureCount, BACKOFF_DOUBLINGS_MAX));

export interface VersionProperties {
  readonly memoryMb: number;
  readonly timeoutUs: number;
  /** Every invocation gets an instance that has run none before. */
  readonly fresh: boolean;
  /** Which cells its runtime uses; -1: its runtime has none, and every instance is a process of its own. */
  readonly cellKind: number;
}

export class Versions {
  readonly count: number;
  /** 0: not set. */
  readonly memoryMb: Int32Array;
  readonly timeoutUs: Float64Array;
  readonly cellKind: Int8Array;
  readonly fresh: Uint8Array;
  readonly dropped: Uint8Array;
  /** Its zygote said that it cannot be copied. */
  readonly plainOnly: Uint8Array;
  /** It has had an invocation. */
  readonly invoked: Uint8Array;
  /** What was made ahead failed: nothing more is, before its next lease. */
  readonly aheadFailed: Uint8Array;
  /** It was said to be warm, and nothing has been said since. */
  readonly toldWarm: Uint8Array;
  /** The slot of its zygote, initialising or initialised; -1 if there is none. */
  readonly zygote: Int32Array;
  /** Instances starting, readying, awaiting, busy and idle. */
  readonly live: Int32Array;
  /** Instances readying and idle: those of `live` that hold no lease. */
  readonly ahead: Int32Array;
  /** Slots that hold anything of it, dying ones too. */
  readonly slots: Int32Array;
  /** How many instances are to be kept ready, and how many of those there are slots for. */
  readonly asked: Int32Array;
  readonly provisioned: Int32Array;
  /** How many should wait for what is about to come, the next steps of chains: a wish, for which nothing goes. */
  readonly wanted: Int32Array;
  readonly provisionFailures: Int32Array;
  /** Tick before which no provisioned instance is tried again. */
  readonly provisionTick: Float64Array;

  /** Versions with a provisioned count, and the sum of these. */
  provisionedCount = 0;
  provisionedTotal = 0;
  readonly #provisionedList: Int32Array;

  constructor(count: number) {
    this.count = count;
    this.memoryMb = new Int32Array(count);
    this.timeoutUs = new Float64Array(count);
    this.cellKind = new Int8Array(count).fill(NONE);
    this.fresh = new Uint8Array(count);
    this.dropped = new Uint8Array(count);
    this.plainOnly = new Uint8Array(count);
    this.invoked = new Uint8Array(count);
    this.aheadFailed = new Uint8Array(count);
    this.toldWarm = new Uint8Array(count);
    this.zygote = new Int32Array(count).fill(NONE);
    this.live = new Int32Array(count);
    this.ahead = new Int32Array(count);
    this.slots = new Int32Array(count);
    this.asked = new Int32Array(count);
    this.provisioned = new Int32Array(count);
    this.wanted = new Int32Array(count);
    this.provisionFailures = new Int32Array(count);
    this.provisionTick = new Float64Array(count);
    this.#provisionedList = new Int32Array(count);
  }

  set(version: number, properties: VersionProperties): void {
    this.memoryMb[version] = properties.memoryMb;
    this.timeoutUs[version] = properties.timeoutUs;
    this.fresh[version] = properties.fresh ? 1 : 0;
    this.cellKind[version] = properties.cellKind;
    // Whatever else is known was learnt of another version that had this index.
    this.dropped[version] = 0;
    this.plainOnly[version] = 0;
    this.invoked[version] = 0;
    this.aheadFailed[version] = 0;
    this.wanted[version] = 0;
    this.provisionFailures[version] = 0;
    this.provisionTick[version] = 0;
  }

  /** All versions together are granted `totalMax`. Whoever lacks some has what this one gives up, the lowest index first. */
  provision(version: number, count: number, totalMax: number): void {
    this.asked[version] = count;
    this.provisionFailures[version] = 0;
    this.provisionTick[version] = 0;
    this.#grant(version, totalMax);
    for (let other = 0; other < this.count && this.provisionedTotal < totalMax; other++) {
      if (this.asked[other]! > this.provisioned[other]!) this.#grant(other, totalMax);
    }
  }

  #grant(version: number, totalMax: number): void {
    const before = this.provisioned[version]!;
    const count = Math.min(this.asked[version]!, Math.max(0, totalMax - this.provisionedTotal + before));
    if (before === 0 && count > 0) this.#provisionedList[this.provisionedCount++] = version;
    if (before > 0 && count === 0) {
      const at = this.#provisionedList.indexOf(version);
      this.#provisionedList[at] = this.#provisionedList[--this.provisionedCount]!;
    }
    this.provisioned[version] = count;
    this.provisionedTotal += count - before;
  }

  provisionedAt(index: number): number {
    return this.#provisionedList[index]!;
  }

  isForkable(version: number): boolean {
    return this.cellKind[version]! >= 0 && this.plainOnly[version] === 0 && this.dropped[version] === 0;
  }

  /** Instances that could go without its provisioned count being missed. */
  spareCount(version: number): number {
    return Math.min(this.ahead[version]!, this.live[version]! - this.provisioned[version]!);
  }
}
