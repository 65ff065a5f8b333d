/**
 * Random numbers of a simulation: xoshiro128** (Blackman and Vigna, 2018), period 2^128 - 1. Its state is filled from the seed and
 * the stream's number by SplitMix32, so each part of a simulation has a stream of its own: that one policy draws more
 * numbers than another changes nothing about the arrivals that both are given.
 */
import { exponentialOf } from './ziggurat.ts';

const UNIT = 2 ** -53;

export class Random {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  constructor(seed: number, stream: number) {
    const next = splitMix(seed, stream);
    this.#a = next();
    this.#b = next();
    this.#c = next();
    // The one state that the generator never leaves.
    this.#d = next() | 1;
  }

  /** A signed 32-bit integer. */
  int32(): number {
    const result = Math.imul(rotate(Math.imul(this.#b, 5), 7), 9);
    const shifted = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= shifted;
    this.#d = rotate(this.#d, 11);
    return result;
  }

  /** 0 <= x < 1, 53 bits. */
  unit(): number {
    const high = this.int32() >>> 5;
    const low = this.int32() >>> 6;
    return (high * 0x4000000 + low) * UNIT;
  }

  /** 0 … count - 1; the bias is below count / 2^32. */
  below(count: number): number {
    return Math.floor((this.int32() >>> 0) * 2 ** -32 * count);
  }

  /** Mean 1. */
  exponential(): number {
    return exponentialOf(this);
  }

  /** Mean 0, variance 1: Box and Muller's method, one of its two numbers. */
  normal(): number {
    return Math.sqrt(2 * this.exponential()) * Math.cos(2 * Math.PI * this.unit());
  }
}

function rotate(word: number, by: number): number {
  return (word << by) | (word >>> (32 - by));
}

function splitMix(seed: number, stream: number): () => number {
  let state = Math.imul(seed | 0, 0x9e3779b1) ^ Math.imul(stream | 0, 0x85ebca77);
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = state ^ (state >>> 16);
    mixed = Math.imul(mixed, 0x21f0aaad);
    mixed ^= mixed >>> 15;
    mixed = Math.imul(mixed, 0x735a2d97);
    return mixed ^ (mixed >>> 15);
  };
}
