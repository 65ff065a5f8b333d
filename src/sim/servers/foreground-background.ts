/**
 * Foreground–background (least attained service first; Kleinrock: Queueing Systems II, 1976, 4.6) with time slices as short as can be, and
 * free switching: attained-levels.ts. A job of several cores has attained what each of its threads has. With a quantum: foreground-background-quantum.ts.
 */
import { AttainedLevels } from './attained-levels.ts';
import { doubleColumn } from './columns.ts';
import { CoresWanted } from './cores-wanted.ts';
import { PreemptiveServers } from './preemptive.ts';
import { closeUs } from './residents.ts';
import type { ServersSetup } from './servers.ts';

export class ForegroundBackground extends PreemptiveServers {
  readonly #levels: AttainedLevels[];
  readonly #settledUs: Float64Array;
  /** By job: what it had attained when it slept or was taken. */
  #attainedUs = new Float64Array(0);

  constructor(setup: ServersSetup) {
    super(setup, 1);
    const cores = new CoresWanted(setup.world);
    this.#levels = Array.from({ length: setup.serverCount }, () => new AttainedLevels(setup.coreCount, cores));
    this.#settledUs = new Float64Array(setup.serverCount);
  }

  waiting(server: number): number {
    return Math.max(0, this.#levels[server]!.threadCount - this.setup.coreCount);
  }

  idle(server: number): number {
    return Math.max(0, this.setup.coreCount - this.#levels[server]!.threadCount);
  }

  spare(server: number): number {
    return this.waiting(server) === 0 ? -1 : this.#levels[server]!.spare;
  }

  take(server: number, job: number): void {
    this.settle(server);
    if (!this.residents.isAsleep(job)) {
      const levels = this.#levels[server]!;
      const before = levels.threadCount;
      levels.take(job);
      this.setup.world.jobs.setLeftUs(job, levels.lastLeftUs);
      this.#attainedUs[job] = levels.lastAttainedUs;
      this.#recount(server, before);
    }
    this.residents.leave(server, job);
    this.await(server);
  }

  protected override reset(job: number): void {
    if (job >= this.#attainedUs.length) this.#attainedUs = doubleColumn(this.#attainedUs, job);
    this.#attainedUs[job] = 0;
  }

  protected empty(server: number): void {
    this.settle(server);
    const before = this.#levels[server]!.threadCount;
    this.#levels[server]!.clear();
    this.#recount(server, before);
  }

  protected run(server: number, job: number): void {
    this.settle(server);
    const levels = this.#levels[server]!;
    const before = levels.threadCount;
    levels.add(job, this.#attainedUs[job]!, this.setup.world.jobs.leftUs(job));
    this.#recount(server, before);
    this.await(server);
  }

  protected happen(server: number): void {
    this.settle(server);
    const levels = this.#levels[server]!;
    for (let before = levels.threadCount, job = levels.takeEnded(); job >= 0; job = levels.takeEnded()) {
      this.#attainedUs[job] = levels.lastAttainedUs;
      this.#recount(server, before);
      before = levels.threadCount;
      this.residents.endPhase(server, job);
    }
    this.await(server);
  }

  /** After a change of how many threads are awake. */
  #recount(server: number, before: number): void {
    const { world, coreCount } = this.setup;
    const after = this.#levels[server]!.threadCount;
    const busy = Math.min(after, coreCount) - Math.min(before, coreCount);
    if (busy !== 0) world.recorder.coresBusy(busy, world.nowUs);
    this.countWaiting(after - before - busy);
  }

  protected settle(server: number): void {
    const { nowUs } = this.setup.world;
    const spanUs = nowUs - this.#settledUs[server]!;
    this.#settledUs[server] = nowUs;
    this.#levels[server]!.advance(spanUs * this.residents.speeds[server]!, closeUs(nowUs));
  }

  protected await(server: number): void {
    const leftUs = this.#levels[server]!.nextUs / this.residents.speeds[server]!;
    this.awaitAt(server, this.setup.world.nowUs + leftUs);
  }
}
