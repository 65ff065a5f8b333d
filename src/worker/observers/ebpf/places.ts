/** The table that the programs in the kernel keep, `struct place` of sleep.bpf.c, in memory that is shared with it: 32-bit words. */

import type { Clock } from '../../../base/clock.ts';

/** Where in a place its words are. Those of `…Ns` are two, the low one first. */
export const Word = {
  runnable: 0,
  changes: 1,
  sleptNs: 2,
  wokeNs: 4,
  /** Of the watch. */
  number: 6,
  inputs: 7,
  sends: 8,
  /** Inputs and sends when it asked in vain last. */
  seen: 9,
  polledNs: 10,
  /** Of that without a break. */
  runNs: 12,
  stops: 14,
  stopAfterNs: 15,
  notesTraffic: 16,
  ringsFor: 18,
  sentNs: 20,
  receivedNs: 22,
} as const;
export type Word = (typeof Word)[keyof typeof Word];

/** What a place rings for, bits: once for each time that it is asked to. */
export const RingsFor = { nothing: 0, changes: 1, traffic: 2 } as const;

const WORDS = 32;
export const PLACE_BYTES: number = WORDS * 4;
const US_PER_WORD_OF_NS = 2 ** 32 / 1000;

export class Places {
  readonly #words: Uint32Array;
  /** The kernel's clock is CLOCK_MONOTONIC; this turns its moments into those of the clock. */
  readonly #offsetUs: number;

  constructor(shared: ArrayBuffer, clock: Clock) {
    this.#words = new Uint32Array(shared);
    // Whoever loses the CPU between the two looks finds too little.
    const offsetsUs = Array.from({ length: 20 }, () => clock.nowUs() - Number(process.hrtime.bigint() / 1000n));
    this.#offsetUs = Math.max(...offsetsUs);
  }

  /** For the watch of this number. */
  clear(place: number, number: number): void {
    this.#words.fill(0, place * WORDS, (place + 1) * WORDS);
    this.set(place, Word.number, number);
  }

  get(place: number, word: Word): number {
    return Atomics.load(this.#words, place * WORDS + word);
  }

  set(place: number, word: Word, value: number): void {
    this.#words[place * WORDS + word] = value;
  }

  /** What is read after this has not happened without a ring: one of both sees the other. */
  ringFor(place: number, about: number): void {
    Atomics.store(this.#words, place * WORDS + Word.ringsFor, about);
  }

  /** How often something came or was sent; wraps around. */
  traffic(place: number): number {
    return (this.get(place, Word.inputs) + this.get(place, Word.sends)) >>> 0;
  }

  /** Beyond 2⁵³ ns, 104 days, it is right to two nanoseconds instead of to one. */
  durationUs(place: number, word: Word): number {
    const at = place * WORDS + word;
    return this.#words[at + 1]! * US_PER_WORD_OF_NS + this.#words[at]! / 1000;
  }

  momentUs(place: number, word: Word): number {
    return this.durationUs(place, word) + this.#offsetUs;
  }

  endRun(place: number): void {
    this.#words.fill(0, place * WORDS + Word.runNs, place * WORDS + Word.runNs + 2);
  }
}
