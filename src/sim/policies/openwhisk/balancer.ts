/**
 * What one controller of OpenWhisk knows: of each server so many MB are its own to give away, and it gives them to a function first on its home server,
 * then on those that the function's step leads to from there. Nothing of what other controllers give away reaches it.
 */
import { assert } from '../../../base/assert.ts';

/** The least that a controller has of a server, MB: what the smallest function takes. Controllers together may then have more than there is. */
const SHARE_MB_MIN = 128;
/** More than any server has. */
const OUT_MB = 1 << 29;

export class Balancer {
  readonly #freeMb: Int32Array;
  readonly #steps: readonly number[];
  /** How many invocations found no server with room. */
  overloadCount = 0;

  /** `steps`: of `stepsFor`, the same for all controllers. */
  constructor(serverCount: number, shareMb: number, steps: readonly number[]) {
    this.#freeMb = new Int32Array(serverCount).fill(Math.max(SHARE_MB_MIN, Math.floor(shareMb)));
    this.#steps = steps;
  }

  freeMb(server: number): number {
    return this.#freeMb[server]!;
  }

  /** The server for an invocation that takes so much memory. `draw`: a server at random, for when all are full. */
  take(hash: number, memoryMb: number, draw: () => number): number {
    const freeMb = this.#freeMb;
    const step = this.#steps[hash % this.#steps.length]!;
    let server = hash % freeMb.length;
    for (let i = 0; i < freeMb.length && freeMb[server]! < memoryMb; i++) {
      server += step;
      if (server >= freeMb.length) server -= freeMb.length;
    }
    if (freeMb[server]! < memoryMb) {
      this.overloadCount++;
      server = draw();
    }
    freeMb[server]! -= memoryMb;
    return server;
  }

  /** Nothing fits there any more; what is given back is counted all the same. */
  takeOut(server: number): void {
    this.#freeMb[server]! -= OUT_MB;
  }

  putBack(server: number): void {
    this.#freeMb[server]! += OUT_MB;
  }

  give(server: number, memoryMb: number): void {
    this.#freeMb[server]! += memoryMb;
  }
}

/** Numbers up to `count` that have no divisor in common with it nor with each other: each of them leads to all servers. */
export function stepsFor(count: number): readonly number[] {
  assert(count > 0, 'steps through no servers');
  const steps: number[] = [];
  for (let step = 1; step <= count; step++) {
    if (divisorOf(step, count) === 1 && steps.every((other) => divisorOf(other, step) === 1)) steps.push(step);
  }
  return steps;
}

/** A whole number from 0 on, below 2^31, for a function: the same at all controllers. */
export function hashOf(functionIndex: number): number {
  let mixed = Math.imul(functionIndex + 1, 0x9e3779b1);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 1;
}

/** The greatest that both have in common. */
function divisorOf(a: number, b: number): number {
  return b === 0 ? a : divisorOf(b, a % b);
}
