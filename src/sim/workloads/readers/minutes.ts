/** Invocations that were counted by the minute: how many of whom, and when each of them is taken to have come. */
import { assert } from '../../../base/assert.ts';
import type { Random } from '../../engine/random.ts';
import type { Arrival, Arrivals } from '../../workload.ts';
import type { Distribution } from '../distributions.ts';
import { setPhases } from './recording.ts';

export const MINUTE_US = 60e6;
export const SPREADS = ['uniform', 'even', 'poisson'] as const;
export type Spread = (typeof SPREADS)[number];

const FIRST_CAPACITY = 1 << 12;

/** Only those that are not 0, in columns: filled in any order, then closed. */
export class MinuteCounts {
  readonly minuteCount: number;
  total = 0;
  #size = 0;
  #minuteOf = new Uint32Array(FIRST_CAPACITY);
  #functionOf = new Int32Array(FIRST_CAPACITY);
  #counts = new Uint32Array(FIRST_CAPACITY);
  /** Once closed: where each minute begins among the entries, and behind the last one their end. */
  #firstOf: Uint32Array;

  constructor(minuteCount: number) {
    this.minuteCount = minuteCount;
    this.#firstOf = new Uint32Array(minuteCount + 1);
  }

  add(minute: number, functionIndex: number, count: number): void {
    if (this.#size === this.#minuteOf.length) this.#grow();
    this.#minuteOf[this.#size] = minute;
    this.#functionOf[this.#size] = functionIndex;
    this.#counts[this.#size++] = count;
    this.total += count;
  }

  /** Puts the entries into the order of their minutes; those of one stay as they were. */
  close(): void {
    const firstOf = new Uint32Array(this.minuteCount + 1);
    for (let i = 0; i < this.#size; i++) firstOf[this.#minuteOf[i]! + 1]!++;
    for (let minute = 0; minute < this.minuteCount; minute++) firstOf[minute + 1]! += firstOf[minute]!;
    const functionOf = new Int32Array(this.#size);
    const counts = new Uint32Array(this.#size);
    const next = firstOf.slice();
    for (let i = 0; i < this.#size; i++) {
      const to = next[this.#minuteOf[i]!]!++;
      functionOf[to] = this.#functionOf[i]!;
      counts[to] = this.#counts[i]!;
    }
    this.#functionOf = functionOf;
    this.#counts = counts;
    this.#minuteOf = new Uint32Array(0);
    this.#firstOf = firstOf;
  }

  eachOf(minute: number, use: (functionIndex: number, count: number) => void): void {
    const end = this.#firstOf[minute + 1]!;
    for (let i = this.#firstOf[minute]!; i < end; i++) use(this.#functionOf[i]!, this.#counts[i]!);
  }

  eachTotal(use: (functionIndex: number, count: number) => void): void {
    for (let i = 0; i < this.#size; i++) use(this.#functionOf[i]!, this.#counts[i]!);
  }

  #grow(): void {
    const capacity = this.#size * 2;
    const minuteOf = new Uint32Array(capacity);
    const functionOf = new Int32Array(capacity);
    const counts = new Uint32Array(capacity);
    minuteOf.set(this.#minuteOf);
    functionOf.set(this.#functionOf);
    counts.set(this.#counts);
    this.#minuteOf = minuteOf;
    this.#functionOf = functionOf;
    this.#counts = counts;
  }
}

export interface MinuteSetup {
  readonly counts: MinuteCounts;
  /** By function: how long its invocations take. */
  readonly laws: readonly Distribution[];
  /** Share of each duration that is sleep. */
  readonly asleep: number;
  readonly spread: Spread;
  /** How much slower time goes than it was recorded. */
  readonly stretch: number;
  readonly repeat: number;
}

/** One minute is drawn at a time. In it, an arrival is one number: its moment in steps of 1/256 µs above, its function below; so to sort is enough. */
const STEPS_PER_US = 256;
const FUNCTION_BITS = 18;
const FUNCTION_SPAN = 2 ** FUNCTION_BITS;

export class MinuteArrivals implements Arrivals {
  readonly #setup: MinuteSetup;
  readonly #random: Random;
  /** Of those that have been drawn, and the next of them. */
  #packed = new Float64Array(FIRST_CAPACITY);
  #count = 0;
  #at = 0;
  /** Minutes that have been drawn, over all rounds. */
  #drawnCount = 0;

  constructor(setup: MinuteSetup, random: Random) {
    assert(setup.laws.length <= FUNCTION_SPAN, 'more functions than an arrival can name');
    this.#setup = setup;
    this.#random = random;
  }

  next(into: Arrival): boolean {
    const { counts, repeat, stretch } = this.#setup;
    while (this.#at === this.#count) {
      if (this.#drawnCount === counts.minuteCount * repeat) return false;
      this.#draw(this.#drawnCount++ % counts.minuteCount);
    }
    const packed = this.#packed[this.#at++]!;
    const steps = Math.floor(packed / FUNCTION_SPAN);
    into.timeUs = ((this.#drawnCount - 1) * MINUTE_US + steps / STEPS_PER_US) * stretch;
    into.functionIndex = packed - steps * FUNCTION_SPAN;
    this.step(into.functionIndex, into);
    return true;
  }

  step(functionIndex: number, into: Arrival): void {
    const { laws, asleep } = this.#setup;
    const durationUs = laws[functionIndex]!.draw(this.#random);
    setPhases(into, durationUs * (1 - asleep), durationUs * asleep);
  }

  #draw(minute: number): void {
    this.#count = 0;
    this.#at = 0;
    this.#setup.counts.eachOf(minute, (functionIndex, count) => this.#spread(functionIndex, count));
    this.#packed.subarray(0, this.#count).sort();
  }

  #spread(functionIndex: number, count: number): void {
    const random = this.#random;
    if (this.#setup.spread === 'poisson') {
      for (let at = random.exponential() / count; at < 1; at += random.exponential() / count)
        this.#put(functionIndex, at);
      return;
    }
    const isEven = this.#setup.spread === 'even';
    const offset = isEven ? random.unit() : 0;
    for (let i = 0; i < count; i++) this.#put(functionIndex, isEven ? (i + offset) / count : random.unit());
  }

  /** `at`: 0 … 1 of the minute. */
  #put(functionIndex: number, at: number): void {
    if (this.#count === this.#packed.length) {
      const packed = new Float64Array(this.#count * 2);
      packed.set(this.#packed);
      this.#packed = packed;
    }
    this.#packed[this.#count++] = Math.floor(at * MINUTE_US * STEPS_PER_US) * FUNCTION_SPAN + functionIndex;
  }
}
