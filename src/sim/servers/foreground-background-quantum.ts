/**
 * Foreground–background with time slices, and with switches that cost: a job keeps its core for a quantum at least, and from then on until
 * somebody waits who has had no more than it. Of several cores the one goes first whose job has had most.
 *
 * The switch is paid before a job goes on that was taken off a core, and before one that takes the core of another.
 */
import { JobHeap } from './job-heap.ts';
import { byteColumn } from './columns.ts';
import { PreemptiveServers } from './preemptive.ts';
import { closeUs } from './residents.ts';
import { RunningCores } from './running-cores.ts';
import type { ServersSetup } from './servers.ts';

const NONE = -1;

export class ForegroundBackgroundQuantum extends PreemptiveServers {
  readonly #cores: RunningCores;
  /** By core: until when its job has it for sure. */
  readonly #sliceEndsUs: Float64Array;
  /** By server: those without a core, by what they have attained. */
  readonly #waiting: JobHeap[];
  readonly #idle: Int32Array;
  /** By job: whether it was taken off a core and has had none since. */
  #isDisplaced = new Uint8Array(0);

  constructor(setup: ServersSetup) {
    super(setup, 1);
    const { serverCount, coreCount } = setup;
    this.#cores = new RunningCores(setup, this.residents.speeds);
    this.#sliceEndsUs = new Float64Array(serverCount * coreCount);
    this.#waiting = Array.from({ length: serverCount }, () => new JobHeap());
    this.#idle = new Int32Array(serverCount).fill(coreCount);
  }

  waiting(server: number): number {
    return this.#waiting[server]!.size;
  }

  idle(server: number): number {
    return this.#idle[server]!;
  }

  spare(server: number): number {
    return this.#waiting[server]!.leastJob;
  }

  take(server: number, job: number): void {
    const core = this.#coreOf(server, job);
    if (core !== NONE) this.#release(server, core);
    else if (!this.residents.isAsleep(job)) {
      this.#waiting[server]!.remove(job);
      this.countWaiting(-1);
    }
    this.residents.leave(server, job);
    this.#dispatch(server);
  }

  protected override reset(job: number): void {
    this.#cores.reset(job);
    if (job >= this.#isDisplaced.length) this.#isDisplaced = byteColumn(this.#isDisplaced, job);
  }

  /** It is charged when it has a core. */
  protected override admit(server: number, job: number): void {
    this.#isDisplaced[job] = 0;
    if (this.setup.world.jobs.isAsleep(job)) super.admit(server, job);
    else this.run(server, job);
  }

  protected settle(server: number): void {
    this.#cores.settleAll(server);
  }

  protected empty(server: number): void {
    for (let core = this.#cores.first(server); core < this.#cores.first(server + 1); core++) {
      if (this.#cores.job(core) !== NONE) this.#release(server, core);
    }
    const waiting = this.#waiting[server]!;
    this.countWaiting(-waiting.size);
    while (waiting.size > 0) waiting.pop();
  }

  protected run(server: number, job: number): void {
    this.#waiting[server]!.push(this.#cores.attainedUs(job), job);
    this.countWaiting(1);
    this.#dispatch(server);
  }

  protected happen(server: number): void {
    const { nowUs } = this.setup.world;
    for (let core = this.#cores.first(server); core < this.#cores.first(server + 1); core++) {
      if (this.#cores.endUs(core) <= nowUs + closeUs(nowUs))
        this.residents.endPhase(server, this.#release(server, core));
    }
    this.#dispatch(server);
  }

  /** Cores to those who wait: the idle ones, then those of jobs that have had their slice and more than they. */
  #dispatch(server: number): void {
    const waiting = this.#waiting[server]!;
    const { counters, costs } = this.setup.world;
    while (waiting.size > 0) {
      let core = this.#idle[server]! > 0 ? this.#coreOf(server, NONE) : NONE;
      let delayUs = 0;
      if (core === NONE) {
        core = this.#mostAttained(server, waiting.leastUs);
        if (core === NONE) break;
        const job = this.#release(server, core);
        this.#isDisplaced[job] = 1;
        waiting.push(this.#cores.attainedUs(job), job);
        this.countWaiting(1);
        counters.preemptions++;
        delayUs = costs.switchUs;
      }
      this.#start(server, core, delayUs);
    }
    this.await(server);
  }

  /** The one that has had least, on this core. */
  #start(server: number, core: number, delayUs: number): void {
    const { costs, nowUs } = this.setup.world;
    const job = this.#waiting[server]!.pop();
    this.countWaiting(-1);
    this.residents.charge(server, job);
    const switchUs = this.#isDisplaced[job] === 1 ? costs.switchUs : delayUs;
    this.#isDisplaced[job] = 0;
    this.#idle[server]!--;
    this.#cores.put(core, job, switchUs);
    this.#sliceEndsUs[core] = nowUs + switchUs + this.setup.quantumUs;
  }

  #release(server: number, core: number): number {
    this.#idle[server]!++;
    return this.#cores.release(core);
  }

  /** The core whose job has had most, and its slice, and no less than that; -1: none. */
  #mostAttained(server: number, attainedUs: number): number {
    const { nowUs } = this.setup.world;
    const close = closeUs(nowUs);
    let mostUs = attainedUs - close;
    let most = NONE;
    for (let core = this.#cores.first(server); core < this.#cores.first(server + 1); core++) {
      if (this.#sliceEndsUs[core]! > nowUs + close) continue;
      const mineUs = this.#cores.attainedOnUs(core);
      if (mineUs < mostUs || (mineUs === mostUs && most !== NONE)) continue;
      mostUs = mineUs;
      most = core;
    }
    return most;
  }

  /** -1 as the job: an idle core. -1: there is none. */
  #coreOf(server: number, job: number): number {
    for (let core = this.#cores.first(server); core < this.#cores.first(server + 1); core++) {
      if (this.#cores.job(core) === job) return core;
    }
    return NONE;
  }

  protected await(server: number): void {
    const leastUs = this.#waiting[server]!.leastUs;
    let eventUs = Infinity;
    for (let core = this.#cores.first(server); core < this.#cores.first(server + 1); core++) {
      eventUs = Math.min(eventUs, this.#cores.endUs(core));
      if (leastUs === Infinity) continue;
      eventUs = Math.min(eventUs, Math.max(this.#sliceEndsUs[core]!, this.#cores.attainsAtUs(core, leastUs)));
    }
    this.awaitAt(server, Math.max(eventUs, this.setup.world.nowUs));
  }
}
