/**
 * First come, first served: each core runs one job from its start to its end, and holds still for it while it sleeps; who finds all cores of
 * its server taken waits in the server's queue.
 */
import { assert } from '../../base/assert.ts';
import { type Servers, type ServersSetup, chargeStart, forget } from './servers.ts';

export class FirstCome implements Servers {
  readonly #setup: ServersSetup;
  readonly #coreCount: number;
  readonly #running: Int32Array;
  readonly #queues: number[][];
  readonly #ends: number;
  #waitingCount = 0;

  constructor(setup: ServersSetup) {
    const { serverCount, coreCount } = setup.world.cluster;
    this.#setup = setup;
    this.#coreCount = coreCount;
    this.#running = new Int32Array(serverCount);
    this.#queues = Array.from({ length: serverCount }, () => []);
    this.#ends = setup.world.engine.kind((job, life) => this.#endPhase(job, life));
  }

  get waitingCount(): number {
    return this.#waitingCount;
  }

  count(server: number): number {
    return this.#running[server]! + this.#queues[server]!.length;
  }

  begin(server: number, job: number): void {
    this.#setup.world.jobs.server[job] = server;
    if (this.#running[server]! < this.#coreCount) return this.#start(server, job);
    this.#queues[server]!.push(job);
    this.#waitingCount++;
  }

  /** Who waits, not who runs. */
  take(server: number, job: number): void {
    const queue = this.#queues[server]!;
    const at = queue.indexOf(job);
    assert(at >= 0, 'a job is taken from a server where it does not wait');
    queue.splice(at, 1);
    this.#waitingCount--;
  }

  clear(server: number, lost: (job: number) => void): void {
    const { world } = this.#setup;
    world.recorder.coresBusy(-this.#running[server]!, world.nowUs);
    this.#running[server] = 0;
    this.#waitingCount -= this.#queues[server]!.length;
    this.#queues[server] = [];
    const { jobs } = world;
    for (let job = 0; job < jobs.capacity; job++) {
      if (jobs.isLive(job) && jobs.server[job] === server) forget(jobs, job, lost);
    }
  }

  #start(server: number, job: number): void {
    const { world } = this.#setup;
    chargeStart(this.#setup, server, job);
    this.#running[server]!++;
    world.started(job);
    world.recorder.coresBusy(1, world.nowUs);
    world.engine.after(world.jobs.leftUs[job]!, this.#ends, job, world.jobs.life[job]);
  }

  #endPhase(job: number, life: number): void {
    const { world, instances, ended } = this.#setup;
    const { jobs } = world;
    if (!jobs.isSame(job, life)) return;
    const server = jobs.server[job]!;
    if (jobs.advance(job)) {
      world.engine.after(jobs.leftUs[job]!, this.#ends, job, life);
      return;
    }
    this.#running[server]!--;
    world.recorder.coresBusy(-1, world.nowUs);
    instances?.put(server, jobs.functionOf[job]!);
    ended(job, server);
    this.#startNext(server);
  }

  #startNext(server: number): void {
    const queue = this.#queues[server]!;
    if (queue.length === 0 || this.#running[server]! >= this.#coreCount) return;
    this.#waitingCount--;
    this.#start(server, queue.shift()!);
  }
}
