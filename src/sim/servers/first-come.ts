/**
 * First come, first served: each core runs one job from its start to its end, and holds still for it while it sleeps; who finds all cores of
 * its server taken waits in the server's queue. Who wants several cores waits until as many are free, and so do all behind him.
 */
import { doubleColumn } from './columns.ts';
import { CoresWanted } from './cores-wanted.ts';
import { JobQueues } from './job-queues.ts';
import { Residents } from './residents.ts';
import type { Servers, ServersSetup } from './servers.ts';

const NONE = -1;

export class FirstCome implements Servers {
  readonly #setup: ServersSetup;
  readonly #residents: Residents;
  readonly #cores: CoresWanted;
  /** By server: cores that are taken, and those that the jobs in its queue want. */
  readonly #taken: Int32Array;
  readonly #wanted: Int32Array;
  readonly #queues: JobQueues;
  readonly #ends: number;
  /** By job: when its phase ends; -1: it has no core, or sleeps. An event at another time counts for nothing. */
  #endsUs = new Float64Array(0);

  constructor(setup: ServersSetup) {
    this.#setup = setup;
    this.#residents = new Residents(setup, (server, job) => this.#run(server, job));
    this.#cores = new CoresWanted(setup.world);
    this.#taken = new Int32Array(setup.serverCount);
    this.#wanted = new Int32Array(setup.serverCount);
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
    return this.#wanted[server]!;
  }

  idle(server: number): number {
    return this.#setup.coreCount - this.#taken[server]!;
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
      this.#wanted[server]! -= this.#cores.of(job);
      this.#residents.leave(server, job);
      // Who was first may have been the only one who does not fit.
      this.#startNext(server);
      return;
    }
    const { jobs, nowUs } = this.#setup.world;
    if (!this.#residents.isAsleep(job)) {
      jobs.setLeftUs(job, (this.#endsUs[job]! - nowUs) * this.#residents.speeds[server]!);
      this.#endsUs[job] = NONE;
    }
    this.#residents.leave(server, job);
    this.#free(server, job);
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
    this.#wanted[server] = 0;
    for (let job = 0; job < this.#endsUs.length; job++) {
      if (world.jobs.server(job) === server) this.#endsUs[job] = NONE;
    }
    world.recorder.coresBusy(-this.#taken[server]!, world.nowUs);
    this.#taken[server] = 0;
    this.#residents.clear(server, lost);
  }

  #admit(server: number, job: number): void {
    if (job >= this.#endsUs.length) this.#endsUs = doubleColumn(this.#endsUs, job);
    this.#endsUs[job] = NONE;
    if (this.#queues.length(server) === 0 && this.#fits(server, job)) return this.#start(server, job);
    this.#queues.push(server, job);
    this.#wanted[server]! += this.#cores.of(job);
  }

  #start(server: number, job: number): void {
    const { world } = this.#setup;
    this.#residents.charge(server, job);
    const coreCount = this.#cores.of(job);
    this.#taken[server]! += coreCount;
    world.started(job);
    world.recorder.coresBusy(coreCount, world.nowUs);
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
    this.#free(server, job);
    this.#residents.end(server, job);
    this.#startNext(server);
  }

  #free(server: number, job: number): void {
    const { world } = this.#setup;
    const coreCount = this.#cores.of(job);
    this.#taken[server]! -= coreCount;
    world.recorder.coresBusy(-coreCount, world.nowUs);
  }

  #fits(server: number, job: number): boolean {
    return this.#taken[server]! + this.#cores.of(job) <= this.#setup.coreCount;
  }

  #startNext(server: number): void {
    while (this.#queues.length(server) > 0 && this.#fits(server, this.#queues.first(server))) {
      const job = this.#queues.shift(server);
      this.#wanted[server]! -= this.#cores.of(job);
      this.#start(server, job);
    }
  }
}
