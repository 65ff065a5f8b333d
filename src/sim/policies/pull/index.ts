/**
 * Workers ask for work: invocations wait in a central queue, and a worker asks for one (or a batch) each time that a core of it is free. So no
 * core is sent more than it asked for, and each is idle for a round trip between two invocations while there is a queue. Where nothing
 * waits, the question stays at the queue until something comes; or the worker asks again after a time.
 *
 * Of Hiku, the preference for workers that are warm for the function is left out.
 */
import { assert } from '../../../base/assert.ts';
import type { Lane } from '../../engine/lane.ts';
import type { Random } from '../../engine/random.ts';
import type { OptionValues, Policy, PolicyKind } from '../../policy.ts';
import { CoresWanted } from '../../servers/cores-wanted.ts';
import { serversOf } from '../../servers/disciplines.ts';
import { JobQueues } from '../../servers/job-queues.ts';
import { chargeEnd, type Servers } from '../../servers/servers.ts';
import type { World } from '../../world.ts';

const QUEUE = 0;

class PullPolicy implements Policy {
  readonly #world: World;
  readonly #random: Random;
  readonly #servers: Servers;
  readonly #cores: CoresWanted;
  readonly #batch: number;
  readonly #pollUs: number;
  readonly #queue = new JobQueues(1);
  /** Questions that wait at the queue, the oldest first: a ring with a place for each core. */
  readonly #parked: Int32Array;
  #parkedFirst = 0;
  #parkedCount = 0;
  #vainCount = 0;
  /** By server: cores for which it has asked, or will. */
  readonly #asking: Int32Array;
  readonly #toQueue: Lane;
  readonly #toWorker: Lane;
  readonly #fromWorker: Lane;
  readonly #queued: number;
  readonly #asks: number;
  readonly #asked: number;
  readonly #reached: number;

  constructor(world: World, options: OptionValues) {
    const { engine, cluster } = world;
    this.#world = world;
    this.#random = world.random('policy');
    this.#servers = serversOf('fcfs', world, (job, server) => this.#end(job, server));
    this.#cores = new CoresWanted(world);
    this.#batch = options['batch'] as number;
    this.#pollUs = (options['poll'] as number) * 1e3;
    this.#parked = new Int32Array(cluster.serverCount * cluster.coreCount);
    this.#asking = new Int32Array(cluster.serverCount);
    this.#toQueue = engine.lane();
    this.#toWorker = engine.lane();
    this.#fromWorker = engine.lane();
    this.#queued = world.message((job) => this.#enqueue(job), { withScheduler: true });
    this.#asks = engine.kind((server) => this.#ask(server));
    this.#asked = world.message((server) => this.#hear(server), { from: (server) => server, withScheduler: true });
    this.#reached = world.message((job, server) => this.#servers.begin(server, job), { to: (_job, server) => server });
    this.#askForAll();
  }

  get waitingCount(): number {
    return this.#queue.total + this.#servers.waitingCount;
  }

  arrive(job: number): void {
    chargeEnd(this.#world, job);
    const { costs, nowUs } = this.#world;
    this.#toQueue.push(nowUs + costs.gatewayUs + costs.networkUs, this.#queued, job, 0);
  }

  counters(): Readonly<Record<string, number>> {
    return { 'asked in vain': this.#vainCount };
  }

  pending(): readonly string[] {
    return this.#queue.total === 0 ? [] : [`${this.#queue.total} wait in the central queue`];
  }

  check(): void {
    assert(this.#queue.total === 0 || this.#parkedCount === 0, 'somebody waits beside a question');
    const { serverCount, coreCount } = this.#world.cluster;
    for (let server = 0; server < serverCount; server++) {
      assert(this.#asking[server]! <= coreCount, 'a server asks for more cores than it has');
    }
  }

  /** Its questions are answered no more. */
  gone(server: number): void {
    const places = this.#parked.length;
    const parked = Array.from({ length: this.#parkedCount }, (_, i) => this.#parked[(this.#parkedFirst + i) % places]!);
    this.#parkedCount = 0;
    for (const each of parked) {
      if (each === server) this.#asking[server]!--;
      else this.#park(each);
    }
  }

  /** It asks for each core that is free. */
  back(server: number): void {
    while (this.#asking[server]! < this.#servers.idle(server)) {
      this.#asking[server]!++;
      this.#ask(server);
    }
  }

  slow(server: number, factor: number): void {
    this.#servers.slow(server, factor);
  }

  /** At the start all cores are free. */
  #askForAll(): void {
    const { cluster, engine } = this.#world;
    this.#asking.fill(cluster.coreCount);
    for (let i = 0; i < this.#parked.length; i++) {
      const server = i % cluster.serverCount;
      if (this.#pollUs === 0) this.#park(server);
      else engine.at(this.#random.unit() * this.#pollUs, this.#asks, server);
    }
  }

  #enqueue(job: number): void {
    if (this.#parkedCount === 0) {
      this.#queue.push(QUEUE, job);
      return;
    }
    const server = this.#parked[this.#parkedFirst]!;
    this.#parkedFirst = (this.#parkedFirst + 1) % this.#parked.length;
    this.#parkedCount--;
    this.#asking[server]!--;
    this.#hand(server, job);
  }

  #ask(server: number): void {
    const { costs, nowUs, counters, faults } = this.#world;
    if (faults?.isServing(server) === false) {
      this.#asking[server]!--;
      return;
    }
    counters.messages++;
    this.#fromWorker.push(nowUs + costs.networkUs, this.#asked, server, 0);
  }

  #hear(server: number): void {
    const { costs, counters, engine, faults } = this.#world;
    if (faults?.isGone(server) === true) {
      this.#asking[server]!--;
      return;
    }
    if (this.#queue.total === 0 && this.#pollUs === 0) return this.#park(server);
    if (this.#queue.total === 0) {
      this.#vainCount++;
      counters.messages++;
      engine.after(costs.networkUs + this.#pollUs, this.#asks, server);
      return;
    }
    this.#asking[server]!--;
    for (let i = 0; i < this.#batch && this.#queue.total > 0; i++) this.#hand(server, this.#queue.shift(QUEUE));
  }

  #park(server: number): void {
    this.#parked[(this.#parkedFirst + this.#parkedCount) % this.#parked.length] = server;
    this.#parkedCount++;
  }

  #hand(server: number, job: number): void {
    const { costs, nowUs, counters } = this.#world;
    // To the queue, to the worker, its answer.
    counters.messages += 3;
    this.#toWorker.push(nowUs + costs.decisionUs + costs.networkUs, this.#reached, job, server);
  }

  #end(job: number, server: number): void {
    const coreCount = this.#cores.of(job);
    this.#world.finish(job, this.#world.costs.networkUs);
    // Of its batch somebody may wait at the worker, and has the core.
    const free = this.#servers.idle(server) - this.#servers.waiting(server);
    for (let core = 0; core < coreCount && this.#asking[server]! < free; core++) {
      this.#asking[server]!++;
      this.#ask(server);
    }
  }
}

export const pull: PolicyKind = {
  name: 'pull',
  summary: 'workers with a free core ask a central queue for the next invocation',
  source: 'Akbari, Hauswirth: Hiku: Pull-Based Scheduling for Serverless Computing, IEEE CCGrid 2025',
  options: {
    batch: { help: 'invocations that a worker is given at once at most', default: 1, min: 1, max: 1024, isWhole: true },
    poll: {
      help: 'time until a worker asks again, ms; 0: its question waits at the queue',
      default: 0,
      min: 0,
      max: 1e6,
    },
  },
  make: (world, options) => new PullPolicy(world, options),
};
