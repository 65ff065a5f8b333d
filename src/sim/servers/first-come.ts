/**
 * First come, first served: each core runs one job from its start to its end, and holds still for it while it sleeps; who finds all cores of
 * its server taken waits in the server's queue.
 */
import { doubleColumn } from './columns.ts';
import { JobQueues } from './job-queues.ts';
import { Residents } from './residents.ts';
import type { Servers, ServersSetup } from './servers.ts';

const NONE = -1;

export class FirstCome implements Servers {
  readonly #setup: ServersSetup;
  readonly #residents: Residents;
  readonly #running: Int32Array;
  readonly #queues: JobQueues;
  readonly #ends: number;
  /** By job: when its phase ends; -1: it has no core, or sleeps. An event at another time counts for nothing. */
  #endsUs = new Float64Array(0);

  constructor(setup: ServersSetup) {
    this.#setup = setup;
    this.#residents = new Residents(setup, (server, job) => this.#run(server, job));
    this.#running = new Int32Array(setup.serverCount);
    this.#queues = new JobQueues(setup.serverCount);
    this.#ends = setup.world.engine.kind((job) => this.#endPhase(job));
  }

  get waitingCount(): number {
    return this.#queues.total;
  }

  count(server: number): number {
    return this.#residents.count(server);
  }

  waiting(server: number): number {
    return this.#queues.length(server);
  }

  idle(server: number): number {
    return this.#setup.coreCount - this.#running[server]!;
  }

  spare(server: number): number {
    return this.#queues.first(server);
  }

  hasBegun(job: number): boolean {
    return this.#residents.hasBegun(job);
  }

  begin(server: number, job: number): void {
    this.#residents.enter(server, job);
    this.#admit(server, job);
  }

  resume(server: number, job: number): void {
    this.#residents.enterAgain(server, job);
    this.#admit(server, job);
  }

  take(server: number, job: number): void {
    if (this.#queues.has(server, job)) {
      this.#queues.remove(server, job);
      this.#residents.leave(server, job);
      return;
    }
    const { jobs, nowUs } = this.#setup.world;
    if (!this.#residents.isAsleep(job)) {
      jobs.setLeftUs(job, (this.#endsUs[job]! - nowUs) * this.#residents.speeds[server]!);
      this.#endsUs[job] = NONE;
    }
    this.#residents.leave(server, job);
    this.#free(server);
    this.#startNext(server);
  }

  slow(server: number, factor: number): void {
    const { world } = this.#setup;
    const before = this.#residents.speeds[server]!;
    this.#residents.slow(server, factor);
    for (let job = 0; job < this.#endsUs.length; job++) {
      const isHere = world.jobs.isLive(job) && world.jobs.server(job) === server;
      if (!isHere || this.#endsUs[job]! < 0) continue;
      world.jobs.setLeftUs(job, (this.#endsUs[job]! - world.nowUs) * before);
      this.#run(server, job);
    }
  }

  clear(server: number, lost: (job: number) => void): void {
    const { world } = this.#setup;
    while (this.#queues.length(server) > 0) this.#queues.shift(server);
    for (let job = 0; job < this.#endsUs.length; job++) {
      if (world.jobs.server(job) === server) this.#endsUs[job] = NONE;
    }
    world.recorder.coresBusy(-this.#running[server]!, world.nowUs);
    this.#running[server] = 0;
    this.#residents.clear(server, lost);
  }

  #admit(server: number, job: number): void {
    if (job >= this.#endsUs.length) this.#endsUs = doubleColumn(this.#endsUs, job);
    this.#endsUs[job] = NONE;
    if (this.#running[server]! < this.#setup.coreCount) this.#start(server, job);
    else this.#queues.push(server, job);
  }

  #start(server: number, job: number): void {
    const { world } = this.#setup;
    this.#residents.charge(server, job);
    this.#running[server]!++;
    world.started(job);
    world.recorder.coresBusy(1, world.nowUs);
    if (world.jobs.isAsleep(job)) this.#residents.sleep(job);
    else this.#run(server, job);
  }

  #run(server: number, job: number): void {
    const { world } = this.#setup;
    this.#endsUs[job] = world.nowUs + world.jobs.leftUs(job) / this.#residents.speeds[server]!;
    world.engine.at(this.#endsUs[job]!, this.#ends, job);
  }

  #endPhase(job: number): void {
    const { jobs, nowUs } = this.#setup.world;
    if (this.#endsUs[job] !== nowUs) return;
    this.#endsUs[job] = NONE;
    const server = jobs.server(job);
    if (jobs.advance(job)) {
      this.#residents.sleep(job);
      return;
    }
    this.#free(server);
    this.#residents.end(server, job);
    this.#startNext(server);
  }

  #free(server: number): void {
    const { world } = this.#setup;
    this.#running[server]!--;
    world.recorder.coresBusy(-1, world.nowUs);
  }

  #startNext(server: number): void {
    if (this.#queues.length(server) === 0 || this.#running[server]! >= this.#setup.coreCount) return;
    this.#start(server, this.#queues.shift(server));
  }
}
