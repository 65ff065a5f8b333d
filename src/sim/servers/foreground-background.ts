/**
 * Foreground–background (least attained service first; Kleinrock: Queueing Systems II, 1976, 4.6) with time slices as short as can be, and
 * free switching: attained-levels.ts. With a quantum: foreground-background-quantum.ts.
 */
import { AttainedLevels } from './attained-levels.ts';
import { doubleColumn } from './columns.ts';
import { closeUs, Residents } from './residents.ts';
import type { Servers, ServersSetup } from './servers.ts';

export class ForegroundBackground implements Servers {
  readonly #setup: ServersSetup;
  readonly #residents: Residents;
  readonly #levels: AttainedLevels[];
  readonly #settledUs: Float64Array;
  /** When the event that counts comes; Infinity: there is none. */
  readonly #eventUs: Float64Array;
  readonly #changes: number;
  /** By job: what it had attained when it slept or was taken. */
  #attainedUs = new Float64Array(0);
  #waitingCount = 0;

  constructor(setup: ServersSetup) {
    this.#setup = setup;
    this.#residents = new Residents(setup, (server, job) => this.#run(server, job));
    this.#levels = Array.from({ length: setup.serverCount }, () => new AttainedLevels(setup.coreCount));
    this.#settledUs = new Float64Array(setup.serverCount);
    this.#eventUs = new Float64Array(setup.serverCount).fill(Infinity);
    this.#changes = setup.world.engine.kind((server) => this.#change(server));
  }

  get waitingCount(): number {
    return this.#waitingCount;
  }

  count(server: number): number {
    return this.#residents.count(server);
  }

  waiting(server: number): number {
    return Math.max(0, this.#levels[server]!.size - this.#setup.coreCount);
  }

  idle(server: number): number {
    return Math.max(0, this.#setup.coreCount - this.#levels[server]!.size);
  }

  spare(server: number): number {
    return this.waiting(server) === 0 ? -1 : this.#levels[server]!.spare;
  }

  hasBegun(job: number): boolean {
    return this.#residents.hasBegun(job);
  }

  begin(server: number, job: number): void {
    this.#residents.enter(server, job);
    if (job >= this.#attainedUs.length) this.#attainedUs = doubleColumn(this.#attainedUs, job);
    this.#attainedUs[job] = 0;
    this.#admit(server, job);
  }

  resume(server: number, job: number): void {
    this.#residents.enterAgain(server, job);
    if (job >= this.#attainedUs.length) this.#attainedUs = doubleColumn(this.#attainedUs, job);
    this.#admit(server, job);
  }

  take(server: number, job: number): void {
    this.#settle(server);
    if (!this.#residents.isAsleep(job)) {
      const levels = this.#levels[server]!;
      levels.take(job);
      this.#setup.world.jobs.setLeftUs(job, levels.lastLeftUs);
      this.#attainedUs[job] = levels.lastAttainedUs;
      this.#recount(server, levels.size + 1);
    }
    this.#residents.leave(server, job);
    this.#await(server);
  }

  slow(server: number, factor: number): void {
    this.#settle(server);
    this.#residents.slow(server, factor);
    this.#await(server);
  }

  clear(server: number, lost: (job: number) => void): void {
    this.#settle(server);
    const before = this.#levels[server]!.size;
    this.#levels[server]!.clear();
    this.#recount(server, before);
    this.#eventUs[server] = Infinity;
    this.#residents.clear(server, lost);
  }

  #admit(server: number, job: number): void {
    const { world } = this.#setup;
    this.#residents.charge(server, job);
    world.started(job);
    if (world.jobs.isAsleep(job)) this.#residents.sleep(job);
    else this.#run(server, job);
  }

  #run(server: number, job: number): void {
    this.#settle(server);
    const levels = this.#levels[server]!;
    levels.add(job, this.#attainedUs[job]!, this.#setup.world.jobs.leftUs(job));
    this.#recount(server, levels.size - 1);
    this.#await(server);
  }

  #change(server: number): void {
    const { nowUs } = this.#setup.world;
    if (this.#eventUs[server] !== nowUs) return;
    this.#eventUs[server] = Infinity;
    this.#settle(server);
    const levels = this.#levels[server]!;
    for (let job = levels.takeEnded(); job >= 0; job = levels.takeEnded()) {
      this.#attainedUs[job] = levels.lastAttainedUs;
      this.#recount(server, levels.size + 1);
      this.#residents.endPhase(server, job);
    }
    this.#await(server);
  }

  /** After a change of how many are awake. */
  #recount(server: number, before: number): void {
    const { world, coreCount } = this.#setup;
    const after = this.#levels[server]!.size;
    const busy = Math.min(after, coreCount) - Math.min(before, coreCount);
    if (busy !== 0) world.recorder.coresBusy(busy, world.nowUs);
    this.#waitingCount += after - before - busy;
  }

  #settle(server: number): void {
    const { nowUs } = this.#setup.world;
    const spanUs = nowUs - this.#settledUs[server]!;
    this.#settledUs[server] = nowUs;
    this.#levels[server]!.advance(spanUs * this.#residents.speeds[server]!, closeUs(nowUs));
  }

  #await(server: number): void {
    const { engine } = this.#setup.world;
    const eventUs = engine.nowUs + this.#levels[server]!.nextUs / this.#residents.speeds[server]!;
    // The one under way comes first: it will look again.
    if (eventUs >= this.#eventUs[server]!) return;
    this.#eventUs[server] = eventUs;
    engine.at(eventUs, this.#changes, server);
  }
}
