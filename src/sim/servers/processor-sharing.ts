/**
 * Processor sharing: all jobs of a server that are awake run at once, each on at most one core, at the same speed. It is what a kernel's
 * fair scheduler comes to when its time slices are short, and switching is free.
 *
 * Of each server a *virtual time* is kept, which goes on as fast as each of its jobs runs. A job's phase ends at a virtual time that is known when it
 * begins, so a change for all jobs is a change of one number. A server has one event under way at least, for its next end; one that
 * comes too early, as the server has slowed down since, is put off.
 */
import { assert } from '../../base/assert.ts';
import { JobHeap } from './job-heap.ts';
import { type Servers, type ServersSetup, chargeStart, forget } from './servers.ts';

/** Ends that lie closer together in virtual time than this, microseconds, are one: floats. */
const CLOSE_US = 1e-6;

export class ProcessorSharing implements Servers {
  readonly #setup: ServersSetup;
  readonly #coreCount: number;
  readonly #awake: JobHeap[];
  readonly #counts: Int32Array;
  readonly #virtualUs: Float64Array;
  readonly #settledUs: Float64Array;
  /** When the event that counts comes; Infinity: there is none. An event at another time counts for nothing. */
  readonly #eventUs: Float64Array;
  readonly #ends: number;
  readonly #wakes: number;
  #waitingCount = 0;

  constructor(setup: ServersSetup) {
    const { world } = setup;
    const { serverCount, coreCount } = world.cluster;
    this.#setup = setup;
    this.#coreCount = coreCount;
    this.#awake = Array.from({ length: serverCount }, () => new JobHeap());
    this.#counts = new Int32Array(serverCount);
    this.#virtualUs = new Float64Array(serverCount);
    this.#settledUs = new Float64Array(serverCount);
    this.#eventUs = new Float64Array(serverCount).fill(Infinity);
    this.#ends = world.engine.kind((server) => this.#end(server));
    this.#wakes = world.engine.kind((job, life) => this.#wake(job, life));
  }

  get waitingCount(): number {
    return this.#waitingCount;
  }

  count(server: number): number {
    return this.#counts[server]!;
  }

  begin(server: number, job: number): void {
    const { world } = this.#setup;
    chargeStart(this.#setup, server, job);
    world.jobs.server[job] = server;
    world.started(job);
    this.#counts[server]!++;
    this.#run(server, job);
  }

  take(server: number, job: number): void {
    const { jobs } = this.#setup.world;
    this.#settle(server);
    const endUs = this.#awake[server]!.remove(job);
    assert(endUs !== null, 'a job is taken from a server where it is not awake');
    jobs.leftUs[job] = Math.max(0, endUs - this.#virtualUs[server]!);
    this.#counts[server]!--;
    this.#leave(server);
  }

  clear(server: number, lost: (job: number) => void): void {
    const { jobs } = this.#setup.world;
    this.#settle(server);
    while (this.#awake[server]!.size > 0) {
      this.#awake[server]!.pop();
      this.#leave(server);
    }
    this.#counts[server] = 0;
    // Sleepers too.
    for (let job = 0; job < jobs.capacity; job++) {
      if (jobs.isLive(job) && jobs.server[job] === server) forget(jobs, job, lost);
    }
  }

  #run(server: number, job: number): void {
    const { world } = this.#setup;
    this.#settle(server);
    const awake = this.#awake[server]!;
    awake.push(this.#virtualUs[server]! + world.jobs.leftUs[job]!, job);
    if (awake.size <= this.#coreCount) world.recorder.coresBusy(1, world.nowUs);
    else this.#waitingCount++;
    this.#await(server);
  }

  #leave(server: number): void {
    const { world } = this.#setup;
    if (this.#awake[server]!.size < this.#coreCount) world.recorder.coresBusy(-1, world.nowUs);
    else this.#waitingCount--;
    this.#await(server);
  }

  #end(server: number): void {
    const { world } = this.#setup;
    if (this.#eventUs[server] !== world.nowUs) return;
    this.#eventUs[server] = Infinity;
    this.#settle(server);
    const awake = this.#awake[server]!;
    while (awake.size > 0 && awake.leastUs <= this.#virtualUs[server]! + CLOSE_US) {
      const job = awake.pop();
      this.#leave(server);
      this.#endPhase(server, job);
    }
    this.#await(server);
  }

  #endPhase(server: number, job: number): void {
    const { world, instances, ended } = this.#setup;
    if (world.jobs.advance(job)) {
      world.engine.after(world.jobs.leftUs[job]!, this.#wakes, job, world.jobs.life[job]);
      return;
    }
    this.#counts[server]!--;
    instances?.put(server, world.jobs.functionOf[job]!);
    ended(job, server);
  }

  #wake(job: number, life: number): void {
    const { jobs } = this.#setup.world;
    if (!jobs.isSame(job, life)) return;
    jobs.advance(job);
    this.#run(jobs.server[job]!, job);
  }

  /** Each job's part of a core. */
  #speed(server: number): number {
    return Math.min(1, this.#coreCount / this.#awake[server]!.size);
  }

  /** Brings the virtual time up to now. Before each change of how many there are. */
  #settle(server: number): void {
    const { nowUs } = this.#setup.world;
    if (this.#awake[server]!.size > 0) {
      this.#virtualUs[server]! += (nowUs - this.#settledUs[server]!) * this.#speed(server);
    }
    this.#settledUs[server] = nowUs;
  }

  #await(server: number): void {
    const awake = this.#awake[server]!;
    if (awake.size === 0) return;
    const { engine } = this.#setup.world;
    const leftUs = Math.max(0, awake.leastUs - this.#virtualUs[server]!) / this.#speed(server);
    const eventUs = engine.nowUs + leftUs;
    // The one under way comes first: it will look again.
    if (eventUs >= this.#eventUs[server]!) return;
    this.#eventUs[server] = eventUs;
    engine.at(eventUs, this.#ends, server);
  }
}
