/** Cores that run one job each, for disciplines that take jobs off their cores: what each job has had of its phase, and all in all. */
import { doubleColumn } from './columns.ts';
import type { ServersSetup } from './servers.ts';

const NONE = -1;

/** Cores are numbered through all servers: server × coreCount + core. */
export class RunningCores {
  readonly #setup: ServersSetup;
  readonly #speeds: Float64Array;
  readonly #jobs: Int32Array;
  /** Since when its job has been running, or will be: a switch goes before. */
  readonly #fromUs: Float64Array;
  /** By job, and when it was put on a core last: all that it has had. */
  #attainedUs = new Float64Array(0);

  /** `speeds`: what a microsecond does on each server. */
  constructor(setup: ServersSetup, speeds: Float64Array) {
    this.#setup = setup;
    this.#speeds = speeds;
    this.#jobs = new Int32Array(setup.serverCount * setup.coreCount).fill(NONE);
    this.#fromUs = new Float64Array(setup.serverCount * setup.coreCount);
  }

  /** The first core of the server; those of the next follow. */
  first(server: number): number {
    return server * this.#setup.coreCount;
  }

  /** -1: none. */
  job(core: number): number {
    return this.#jobs[core]!;
  }

  /** A job has come that has had nothing yet. */
  reset(job: number): void {
    if (job >= this.#attainedUs.length) this.#attainedUs = doubleColumn(this.#attainedUs, job);
    this.#attainedUs[job] = 0;
  }

  /** Of a job that runs nowhere now. */
  attainedUs(job: number): number {
    return this.#attainedUs[job]!;
  }

  attainedOnUs(core: number): number {
    return this.#attainedUs[this.#jobs[core]!]! + this.#hadUs(core);
  }

  fromUs(core: number): number {
    return this.#fromUs[core]!;
  }

  /** `delayUs`: what the core does before. */
  put(core: number, job: number, delayUs: number): void {
    const { world } = this.#setup;
    this.#jobs[core] = job;
    this.#fromUs[core] = world.nowUs + delayUs;
    world.started(job);
    world.recorder.coresBusy(1, world.nowUs);
  }

  /** The job is off its core, which is idle now. */
  release(core: number): number {
    const { world } = this.#setup;
    this.settle(core);
    const job = this.#jobs[core]!;
    this.#jobs[core] = NONE;
    world.recorder.coresBusy(-1, world.nowUs);
    return job;
  }

  /** Before its speed changes. */
  settle(core: number): void {
    const { jobs, nowUs } = this.#setup.world;
    const job = this.#jobs[core]!;
    const hadUs = this.#hadUs(core);
    this.#attainedUs[job]! += hadUs;
    jobs.setLeftUs(job, Math.max(0, jobs.leftUs(job) - hadUs));
    this.#fromUs[core] = Math.max(this.#fromUs[core]!, nowUs);
  }

  /** Before the speed of the server changes. */
  settleAll(server: number): void {
    for (let core = this.first(server); core < this.first(server + 1); core++) {
      if (this.#jobs[core] !== NONE) this.settle(core);
    }
  }

  /** When the phase of its job ends if nothing comes between; Infinity: it has none. */
  endUs(core: number): number {
    const job = this.#jobs[core]!;
    return job === NONE ? Infinity : this.#fromUs[core]! + this.#setup.world.jobs.leftUs(job) / this.#speed(core);
  }

  /** When its job will have attained so much. */
  attainsAtUs(core: number, attainedUs: number): number {
    return this.#fromUs[core]! + (attainedUs - this.#attainedUs[this.#jobs[core]!]!) / this.#speed(core);
  }

  #hadUs(core: number): number {
    return Math.max(0, this.#setup.world.nowUs - this.#fromUs[core]!) * this.#speed(core);
  }

  #speed(core: number): number {
    return this.#speeds[Math.floor(core / this.#setup.coreCount)]!;
  }
}
