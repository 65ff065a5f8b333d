/**
 * Processor sharing: all jobs of a server that are awake run at once, each on at most one core, at the same speed. It is what a kernel's
 * fair scheduler comes to when its time slices are short. A job of several cores has a thread for each, and threads share the cores, as in a kernel: so it has as
 * many shares, and all jobs go on at the same speed still.
 *
 * With a quantum, switching costs: a core that is shared stays with a thread for the quantum and then takes `switchUs` to go over to the next. Of n threads
 * on c cores, n - c are one too many for a core, so as many cores are shared (all, from 2 c jobs on) and lose the switch's part of their time.
 *
 * Of each server a *virtual time* is kept, which goes on as fast as each of its jobs runs. A job's phase ends at a virtual time that is known when it
 * begins, so a change for all jobs is a change of one number. A server has one event under way at least, for its next end; one that
 * comes too early, as the server has slowed down since, is put off.
 */
import { assert } from '../../base/assert.ts';
import { CoresWanted } from './cores-wanted.ts';
import { JobHeap } from './job-heap.ts';
import { PreemptiveServers } from './preemptive.ts';
import { closeUs } from './residents.ts';
import type { ServersSetup } from './servers.ts';

export class ProcessorSharing extends PreemptiveServers {
  readonly #coreCount: number;
  /** What is lost of a core that is shared, 0 … 1, and switches in a microsecond of it. */
  readonly #lostShare: number;
  readonly #switchRate: number;
  /** Switches that have happened, with the begun part of the next. */
  #switches = 0;
  readonly #awake: JobHeap[];
  readonly #cores: CoresWanted;
  /** By server: threads of those that are awake. */
  readonly #threads: Int32Array;
  readonly #virtualUs: Float64Array;
  readonly #settledUs: Float64Array;
  constructor(setup: ServersSetup) {
    super(setup, 1);
    const { world, serverCount, coreCount, quantumUs } = setup;
    const { switchUs } = world.costs;
    this.#coreCount = coreCount;
    this.#lostShare = quantumUs === 0 ? 0 : switchUs / (quantumUs + switchUs);
    this.#switchRate = quantumUs === 0 ? 0 : 1 / (quantumUs + switchUs);
    this.#awake = Array.from({ length: serverCount }, () => new JobHeap());
    this.#cores = new CoresWanted(world);
    this.#threads = new Int32Array(serverCount);
    this.#virtualUs = new Float64Array(serverCount);
    this.#settledUs = new Float64Array(serverCount);
  }

  waiting(server: number): number {
    return Math.max(0, this.#threads[server]! - this.#coreCount);
  }

  idle(server: number): number {
    return Math.max(0, this.#coreCount - this.#threads[server]!);
  }

  /** All have begun; the one that came last has had least for what its server has done. */
  spare(server: number): number {
    return this.waiting(server) === 0 ? -1 : this.#awake[server]!.newest;
  }

  take(server: number, job: number): void {
    this.settle(server);
    if (!this.residents.isAsleep(job)) {
      const endUs = this.#awake[server]!.remove(job);
      assert(endUs !== null, 'a job is taken from a server where it is not');
      this.setup.world.jobs.setLeftUs(job, Math.max(0, endUs - this.#virtualUs[server]!));
      this.#want(server, -this.#cores.of(job));
    }
    this.residents.leave(server, job);
    this.await(server);
  }

  protected empty(server: number): void {
    this.settle(server);
    while (this.#awake[server]!.size > 0) {
      this.#want(server, -this.#cores.of(this.#awake[server]!.pop()));
    }
  }

  protected run(server: number, job: number): void {
    const { world } = this.setup;
    this.settle(server);
    this.#awake[server]!.push(this.#virtualUs[server]! + world.jobs.leftUs(job), job);
    this.#want(server, this.#cores.of(job));
    this.await(server);
  }

  /** So many threads more, or fewer. */
  #want(server: number, change: number): void {
    const { world } = this.setup;
    const before = this.#threads[server]!;
    this.#threads[server] = before + change;
    const busy = Math.min(before + change, this.#coreCount) - Math.min(before, this.#coreCount);
    if (busy !== 0) world.recorder.coresBusy(busy, world.nowUs);
    if (busy !== change) this.countWaiting(change - busy);
  }

  protected happen(server: number): void {
    const { nowUs } = this.setup.world;
    this.settle(server);
    const awake = this.#awake[server]!;
    while (awake.size > 0 && awake.leastUs <= this.#virtualUs[server]! + closeUs(nowUs)) {
      const job = awake.pop();
      this.#want(server, -this.#cores.of(job));
      this.residents.endPhase(server, job);
    }
    this.await(server);
  }

  /** Each thread's part of a core. */
  #speed(server: number): number {
    const count = this.#threads[server]!;
    const speed = this.residents.speeds[server]!;
    if (count <= this.#coreCount) return speed;
    const lost = this.#lostShare * Math.min(this.#coreCount, count - this.#coreCount);
    return ((this.#coreCount - lost) / count) * speed;
  }

  /** Brings the virtual time up to now. Before each change of how many there are. */
  protected settle(server: number): void {
    const { nowUs } = this.setup.world;
    const spanUs = nowUs - this.#settledUs[server]!;
    if (spanUs === 0) return;
    this.#settledUs[server] = nowUs;
    const count = this.#threads[server]!;
    if (count === 0) return;
    this.#virtualUs[server]! += spanUs * this.#speed(server);
    if (count > this.#coreCount && this.#switchRate > 0) this.#countSwitches(count, spanUs);
  }

  #countSwitches(count: number, spanUs: number): void {
    const before = Math.floor(this.#switches);
    this.#switches += Math.min(this.#coreCount, count - this.#coreCount) * spanUs * this.#switchRate;
    this.setup.world.counters.preemptions += Math.floor(this.#switches) - before;
  }

  protected await(server: number): void {
    const awake = this.#awake[server]!;
    if (awake.size === 0) return;
    const leftUs = Math.max(0, awake.leastUs - this.#virtualUs[server]!) / this.#speed(server);
    this.awaitAt(server, this.setup.world.nowUs + leftUs);
  }
}
