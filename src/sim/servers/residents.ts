/**
 * What all disciplines do alike with the jobs that are at their servers: count them, charge what it costs to start or to move them, put
 * them to sleep and wake them, and tell of their end.
 */
import { assert } from '../../base/assert.ts';
import { byteColumn, doubleColumn } from './columns.ts';
import type { ServersSetup } from './servers.ts';

const NONE = -1;

/** What a job has had on the way to where it is. */
const state = { fresh: 0, begun: 1, moved: 2 } as const;

/** What lies this close together is one moment, microseconds, at a time of so many: sums of floats are no better, after a day least of all. */
export function closeUs(nowUs: number): number {
  return 1e-6 + nowUs * 1e-15;
}

export class Residents {
  readonly setup: ServersSetup;
  readonly #counts: Int32Array;
  /** What one microsecond does on each server: 1, but for slow ones. */
  readonly speeds: Float64Array;
  readonly #wakes: number;
  /** Its phase of sleep is over: it wants a core. */
  readonly #woke: (server: number, job: number) => void;
  /** By job: when it wakes; -1: it does not sleep. */
  #wakesUs = new Float64Array(0);
  #states = new Uint8Array(0);

  constructor(setup: ServersSetup, woke: (server: number, job: number) => void) {
    this.setup = setup;
    this.#counts = new Int32Array(setup.serverCount);
    this.speeds = new Float64Array(setup.serverCount).fill(1);
    this.#woke = woke;
    this.#wakes = setup.world.engine.kind((job) => this.#wake(job));
  }

  count(server: number): number {
    return this.#counts[server]!;
  }

  hasBegun(job: number): boolean {
    return this.#states[job] !== state.fresh;
  }

  slow(server: number, factor: number): void {
    // A faster one would have events closer together than times can be told apart.
    assert(factor >= 1, `a server that is slow by a factor of ${factor}`);
    this.speeds[server] = 1 / factor;
  }

  isAsleep(job: number): boolean {
    return this.#wakesUs[job]! >= 0;
  }

  enter(server: number, job: number): void {
    if (job >= this.#states.length) this.#grow(job);
    this.#states[job] = state.fresh;
    this.#place(server, job);
  }

  enterAgain(server: number, job: number): void {
    if (job >= this.#states.length) this.#grow(job);
    if (this.#states[job] === state.begun) this.#states[job] = state.moved;
    this.#place(server, job);
  }

  /** Before it has a core for the first time here: what that costs goes before its present phase. Later on it costs nothing. */
  charge(server: number, job: number): void {
    if (this.#states[job] === state.begun) return;
    const { world, instances } = this.setup;
    const { jobs, costs } = world;
    if (this.#states[job] === state.moved) {
      jobs.setLeftUs(job, jobs.leftUs(job) + costs.migrateUs);
      instances?.bring(server, jobs.functionOf(job));
    } else {
      jobs.setLeftUs(job, jobs.leftUs(job) + this.#startUs(server, job));
    }
    this.#states[job] = state.begun;
  }

  /** It leaves before its end. If it sleeps, `leftUs` is what is left of its sleep. */
  leave(server: number, job: number): void {
    const { world, instances } = this.setup;
    assert(world.jobs.server(job) === server, 'a job is taken from a server where it is not');
    if (this.isAsleep(job)) {
      world.jobs.setLeftUs(job, this.#wakesUs[job]! - world.nowUs);
      this.#wakesUs[job] = NONE;
    }
    if (this.#states[job] === state.begun) instances?.drop(server, world.jobs.functionOf(job));
    this.#counts[server]!--;
    world.jobs.setServer(job, NONE);
  }

  /** Its phase is over, and its core is free; the job is asleep or gone afterwards. Whoever needs the core should have it before. */
  endPhase(server: number, job: number): void {
    const { world } = this.setup;
    if (world.jobs.advance(job)) this.sleep(job);
    else this.end(server, job);
  }

  sleep(job: number): void {
    const { world } = this.setup;
    this.#wakesUs[job] = world.nowUs + world.jobs.leftUs(job);
    world.engine.at(this.#wakesUs[job]!, this.#wakes, job);
  }

  end(server: number, job: number): void {
    const { world, instances, ended } = this.setup;
    this.#counts[server]!--;
    instances?.put(server, world.jobs.functionOf(job));
    ended(job, server);
  }

  /** After the discipline has forgotten all that it knew of the server. */
  clear(server: number, lost: (job: number) => void): void {
    const { world, instances } = this.setup;
    const { jobs } = world;
    const gone: number[] = [];
    for (let job = 0; job < jobs.capacity; job++) {
      if (jobs.isLive(job) && jobs.server(job) === server) gone.push(job);
    }
    gone.sort((a, b) => jobs.arrivalUs(a) - jobs.arrivalUs(b) || a - b);
    this.#counts[server] = 0;
    instances?.clear(server);
    for (const job of gone) {
      this.#wakesUs[job] = NONE;
      jobs.setServer(job, NONE);
      jobs.restart(job);
    }
    for (const job of gone) lost(job);
  }

  #place(server: number, job: number): void {
    this.#wakesUs[job] = NONE;
    this.#counts[server]!++;
    this.setup.world.jobs.setServer(job, server);
  }

  #wake(job: number): void {
    const { world } = this.setup;
    // Taken, lost or another by now.
    if (this.#wakesUs[job] !== world.nowUs) return;
    this.#wakesUs[job] = NONE;
    const hasMore = world.jobs.advance(job);
    assert(hasMore, 'a job ends asleep');
    this.#woke(world.jobs.server(job), job);
  }

  #startUs(server: number, job: number): number {
    const { world, instances } = this.setup;
    const { costs, counters, workload } = world;
    const functionIndex = world.jobs.functionOf(job);
    if (instances === null || instances.take(server, functionIndex)) return costs.startUs;
    counters.coldStarts++;
    const { initUs } = workload.functions[functionIndex]!;
    return costs.startUs + (initUs >= 0 ? initUs : costs.coldStartUs);
  }

  #grow(job: number): void {
    this.#wakesUs = doubleColumn(this.#wakesUs, job);
    this.#states = byteColumn(this.#states, job);
  }
}
