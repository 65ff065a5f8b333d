/**
 * OpenWhisk's invokers: on each server functions run as far as its memory goes, and who comes beyond that waits there, first come first served. Without that
 * bound a burst of cold starts would never end: who finds every instance busy with its own start would start another.
 */
import { assert } from '../../../base/assert.ts';
import { JobQueues } from '../../servers/job-queues.ts';
import type { Servers } from '../../servers/servers.ts';
import type { World } from '../../world.ts';

export class Invokers {
  readonly #world: World;
  readonly #servers: Servers;
  /** Of each server, for what runs. */
  readonly #memoryMb: number;
  readonly #usedMb: Float64Array;
  readonly #queues: JobQueues;

  constructor(world: World, servers: Servers, memoryMb: number) {
    this.#world = world;
    this.#servers = servers;
    this.#memoryMb = memoryMb;
    this.#usedMb = new Float64Array(world.cluster.serverCount);
    this.#queues = new JobQueues(world.cluster.serverCount);
  }

  /** For want of memory. */
  get waitingCount(): number {
    return this.#queues.total;
  }

  /** The invocation has come to the server: it runs at once, or waits until there is memory. */
  reach(server: number, job: number): void {
    const isFree = this.#queues.length(server) === 0 && this.#hasRoom(server, job);
    // To one that fails nobody comes.
    if (isFree || !this.#isServing(server)) this.#begin(server, job);
    else this.#queues.push(server, job);
  }

  /** One of the function has ended on the server. */
  end(server: number, functionIndex: number): void {
    this.#usedMb[server]! -= this.#memoryOf(functionIndex);
    const queues = this.#queues;
    while (queues.length(server) > 0 && this.#hasRoom(server, queues.first(server))) {
      this.#begin(server, queues.shift(server));
    }
  }

  /** The server fails: whoever waits there fails with it. */
  fail(server: number): void {
    while (this.#queues.length(server) > 0) this.#begin(server, this.#queues.shift(server));
  }

  check(): void {
    for (const [server, usedMb] of this.#usedMb.entries()) {
      const isAlone = this.#servers.count(server) <= 1 || !this.#isServing(server);
      assert(usedMb >= 0 && (usedMb <= this.#memoryMb || isAlone), `server ${server}: ${usedMb} MB in use`);
      assert(usedMb > 0 || this.#queues.length(server) === 0, `server ${server} is idle, and somebody waits for it`);
    }
  }

  pending(): readonly string[] {
    return this.#queues.total === 0 ? [] : [`${this.#queues.total} invocations wait for memory on their server`];
  }

  #isServing(server: number): boolean {
    return this.#world.faults?.isServing(server) !== false;
  }

  #begin(server: number, job: number): void {
    this.#usedMb[server]! += this.#memoryOf(this.#world.jobs.functionOf(job));
    this.#servers.begin(server, job);
  }

  /** What is larger than a server's memory runs there alone. */
  #hasRoom(server: number, job: number): boolean {
    const usedMb = this.#usedMb[server]!;
    return usedMb === 0 || usedMb + this.#memoryOf(this.#world.jobs.functionOf(job)) <= this.#memoryMb;
  }

  #memoryOf(functionIndex: number): number {
    return this.#world.workload.functions[functionIndex]!.memoryMb;
  }
}
