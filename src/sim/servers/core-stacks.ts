/**
 * A stack for each core: a job that finds all cores of its server taken goes on top of the one whose job has had most, which goes on when
 * all above it have ended. Of each stack the highest that is awake runs. A sleeper keeps its place, and takes the core again when it wakes.
 *
 * The switch is paid before a job goes on that was taken off its core, and before one that takes the core of another.
 */
import { intColumn } from './columns.ts';
import { PreemptiveServers } from './preemptive.ts';
import { closeUs } from './residents.ts';
import { RunningCores } from './running-cores.ts';
import type { ServersSetup } from './servers.ts';

const NONE = -1;

export class CoreStacks extends PreemptiveServers {
  readonly #cores: RunningCores;
  /** By core: who is there, the highest last. */
  readonly #stacks: number[][];
  /** By server: jobs that are awake, and cores that run one. */
  readonly #awake: Int32Array;
  readonly #running: Int32Array;
  /** By job. */
  #coreOf = new Int32Array(0);

  constructor(setup: ServersSetup) {
    super(setup, setup.coreCount);
    this.#cores = new RunningCores(setup, this.residents.speeds);
    this.#stacks = Array.from({ length: setup.serverCount * setup.coreCount }, () => []);
    this.#awake = new Int32Array(setup.serverCount);
    this.#running = new Int32Array(setup.serverCount);
  }

  waiting(server: number): number {
    return this.#awake[server]! - this.#running[server]!;
  }

  idle(server: number): number {
    return this.setup.coreCount - this.#running[server]!;
  }

  spare(server: number): number {
    if (this.waiting(server) === 0) return NONE;
    for (let core = this.#cores.first(server); core < this.#cores.first(server + 1); core++) {
      const running = this.#cores.job(core);
      const job = this.#stacks[core]!.findLast((each) => each !== running && !this.residents.isAsleep(each));
      if (job !== undefined) return job;
    }
    return NONE;
  }

  take(server: number, job: number): void {
    const core = this.#coreOf[job]!;
    const stack = this.#stacks[core]!;
    stack.splice(stack.indexOf(job), 1);
    const isRunning = this.#cores.job(core) === job;
    if (isRunning) this.#release(server, core);
    if (!this.residents.isAsleep(job)) this.#count(server, -1);
    this.residents.leave(server, job);
    if (isRunning) this.#goOn(server, core);
  }

  protected override reset(job: number): void {
    this.#cores.reset(job);
    if (job >= this.#coreOf.length) this.#coreOf = intColumn(this.#coreOf, job);
  }

  /** It has a place in a stack, awake or asleep. */
  protected override admit(server: number, job: number): void {
    const core = this.#choose(server);
    this.#coreOf[job] = core;
    this.#stacks[core]!.push(job);
    super.admit(server, job);
  }

  protected settle(server: number): void {
    this.#cores.settleAll(server);
  }

  protected await(server: number): void {
    for (let core = this.#cores.first(server); core < this.#cores.first(server + 1); core++) this.#awaitEnd(core);
  }

  protected empty(server: number): void {
    for (let core = this.#cores.first(server); core < this.#cores.first(server + 1); core++) {
      if (this.#cores.job(core) !== NONE) this.#release(server, core);
      this.#stacks[core]!.length = 0;
    }
    this.#count(server, -this.#awake[server]!);
  }

  /** An empty one, else one where all sleep, else the one whose job has had most. */
  #choose(server: number): number {
    let mostUs = -1;
    let most = NONE;
    let asleep = NONE;
    for (let core = this.#cores.first(server); core < this.#cores.first(server + 1); core++) {
      if (this.#stacks[core]!.length === 0) return core;
      if (this.#cores.job(core) === NONE) {
        if (asleep === NONE) asleep = core;
        continue;
      }
      const attainedUs = this.#cores.attainedOnUs(core);
      if (attainedUs <= mostUs) continue;
      mostUs = attainedUs;
      most = core;
    }
    return asleep === NONE ? most : asleep;
  }

  protected run(server: number, job: number): void {
    const core = this.#coreOf[job]!;
    const stack = this.#stacks[core]!;
    const running = this.#cores.job(core);
    this.#count(server, 1);
    if (running === NONE || stack.indexOf(job) > stack.indexOf(running)) this.#takeOver(server, core, job);
  }

  /** The job has the core, whoever had it before. */
  #takeOver(server: number, core: number, job: number): void {
    const { costs, counters } = this.setup.world;
    let delayUs = 0;
    if (this.#cores.job(core) !== NONE) {
      this.#release(server, core);
      counters.preemptions++;
      delayUs = costs.switchUs;
    }
    this.#put(server, core, job, delayUs);
  }

  #put(server: number, core: number, job: number, delayUs: number): void {
    this.#running[server]!++;
    this.countWaiting(-1);
    this.#cores.put(core, job, delayUs);
    this.#awaitEnd(core);
  }

  #release(server: number, core: number): number {
    this.#running[server]!--;
    this.countWaiting(1);
    return this.#cores.release(core);
  }

  protected happen(core: number): void {
    const { nowUs } = this.setup.world;
    if (this.#cores.endUs(core) > nowUs + closeUs(nowUs)) return this.#awaitEnd(core);
    const server = Math.floor(core / this.setup.coreCount);
    const job = this.#release(server, core);
    this.#count(server, -1);
    const stack = this.#stacks[core]!;
    if (!this.setup.world.jobs.advance(job)) {
      stack.splice(stack.indexOf(job), 1);
      this.#goOn(server, core);
      this.residents.end(server, job);
      return;
    }
    this.residents.sleep(job);
    this.#goOn(server, core);
  }

  /** The core is free: the highest that is awake has it. */
  #goOn(server: number, core: number): void {
    const job = this.#stacks[core]!.findLast((each) => !this.residents.isAsleep(each));
    if (job !== undefined) this.#put(server, core, job, this.setup.world.costs.switchUs);
  }

  /** So many more (or fewer) are awake; those that run none of the cores wait. */
  #count(server: number, change: number): void {
    this.#awake[server]! += change;
    this.countWaiting(change);
  }

  #awaitEnd(core: number): void {
    this.awaitAt(core, this.#cores.endUs(core));
  }
}
