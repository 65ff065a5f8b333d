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
  /** Where each core counts as a server (`coresApart`): how many such make one that has the memory. */
  readonly #perServer: number;

  constructor(world: World, perServer = 1) {
    this.#world = world;
    this.#perServer = perServer;
    this.#resting = Array.from({ length: world.cluster.serverCount }, () => new Map());
    this.#usedMb = new Float64Array(world.cluster.serverCount);
  }

  /** An invocation of the function begins on the server; true: in an instance that was there. */
  take(place: number, functionIndex: number): boolean {
    const server = this.#serverOf(place);
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
  put(place: number, functionIndex: number): void {
    const server = this.#serverOf(place);
    const resting = this.#resting[server]!;
    const count = resting.get(functionIndex) ?? 0;
    resting.delete(functionIndex);
    resting.set(functionIndex, count + 1);
    this.#makeRoom(server);
  }

  /** An instance that was in use is gone: killed, or moved to another server. */
  drop(place: number, functionIndex: number): void {
    const server = this.#serverOf(place);
    this.#usedMb[server]! -= this.#memoryMb(functionIndex);
  }

  /** One comes from another server, in use. */
  bring(place: number, functionIndex: number): void {
    const server = this.#serverOf(place);
    this.#usedMb[server]! += this.#memoryMb(functionIndex);
    this.#makeRoom(server);
  }

  isWarm(place: number, functionIndex: number): boolean {
    const server = this.#serverOf(place);
    return this.#resting[server]!.has(functionIndex);
  }

  /** Everything is gone, also what ran. */
  clear(place: number): void {
    const server = this.#serverOf(place);
    this.#resting[server]!.clear();
    this.#usedMb[server] = 0;
  }

  #serverOf(place: number): number {
    return this.#perServer === 1 ? place : Math.floor(place / this.#perServer);
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
