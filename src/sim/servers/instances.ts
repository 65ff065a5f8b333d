/**
 * Which functions are warm where. Each server keeps instances that have ended their invocation, as many as fit beside those that
 * run; what has been at rest longest goes first. Perch's own policies have the shipped worker machine for that; this is for all others.
 */
import type { World } from '../world.ts';

export class Instances {
  readonly #world: World;
  /** For each server: how many instances rest of each function, in the order in which they were put to rest last. */
  readonly #resting: Map<number, number>[];
  readonly #usedMb: Float64Array;

  constructor(world: World) {
    this.#world = world;
    this.#resting = Array.from({ length: world.cluster.serverCount }, () => new Map());
    this.#usedMb = new Float64Array(world.cluster.serverCount);
  }

  /** An invocation of the function begins on the server; true: in an instance that was there. */
  take(server: number, functionIndex: number): boolean {
    const resting = this.#resting[server]!;
    const count = resting.get(functionIndex) ?? 0;
    if (count > 1) resting.set(functionIndex, count - 1);
    else resting.delete(functionIndex);
    if (count > 0) return true;
    this.#usedMb[server]! += this.#memoryMb(functionIndex);
    this.#makeRoom(server);
    return false;
  }

  /** It has ended there; its instance rests. */
  put(server: number, functionIndex: number): void {
    const resting = this.#resting[server]!;
    const count = resting.get(functionIndex) ?? 0;
    resting.delete(functionIndex);
    resting.set(functionIndex, count + 1);
    this.#makeRoom(server);
  }

  isWarm(server: number, functionIndex: number): boolean {
    return this.#resting[server]!.has(functionIndex);
  }

  /** Everything is gone, also what ran. */
  clear(server: number): void {
    this.#resting[server]!.clear();
    this.#usedMb[server] = 0;
  }

  #makeRoom(server: number): void {
    const resting = this.#resting[server]!;
    while (this.#usedMb[server]! > this.#world.cluster.memoryMb && resting.size > 0) {
      const [functionIndex, count] = resting.entries().next().value!;
      if (count > 1) resting.set(functionIndex, count - 1);
      else resting.delete(functionIndex);
      this.#usedMb[server]! -= this.#memoryMb(functionIndex);
    }
  }

  #memoryMb(functionIndex: number): number {
    return this.#world.workload.functions[functionIndex]!.memoryMb;
  }
}
