/**
 * Hermod, and the policies that its authors compare it with. They name a policy by three things, T/LB/S:
 *
 *   T    when an invocation is bound to a server: E, early, as it arrives; L, late, as a server has a core for it
 *   LB   which server: LL, the least loaded; LOC, by locality, the one that the function always goes to; R, at random
 *   S    what the server does: PS, processor sharing; FCFS, first come first served
 *
 * Hermod is early binding and processor sharing with a balance of its own, here `hybrid`: while some core is free it packs, onto a server in use that has a
 * core left, one where the function is warm before others, and only then onto an idle one; when all cores are taken, onto the least loaded,
 * warm before cold among equals. So the default here is Hermod; `binding=late` is their L/∗/FCFS, `balance=least-loaded` their E/LL/PS,
 * `balance=locality` E/LOC/PS, `balance=random` E/R/PS, each with `discipline=fcfs` for FCFS.
 *
 * A front counts what it has sent to its servers and what has come back. With several fronts each has a part of the servers for itself, as the authors say of
 * a sharded Hermod. On a server run as many as its memory takes, as in OpenWhisk, in which they built it; the others wait there. Which of several
 * servers that are equal is taken is not said: here the one that came to its count last. Left out: OpenWhisk's message bus.
 */
import type { Lane } from '../../engine/lane.ts';
import type { Random } from '../../engine/random.ts';
import { isAvoided } from '../../faults/drawing.ts';
import type { OptionValues, Policy, PolicyKind } from '../../policy.ts';
import { SHARING_OPTIONS, serversFor } from '../../servers/disciplines.ts';
import { Instances } from '../../servers/instances.ts';
import { JobQueues } from '../../servers/job-queues.ts';
import { chargeEnd, type Servers } from '../../servers/servers.ts';
import type { World } from '../../world.ts';
import { Invokers } from '../openwhisk/invokers.ts';
import { Placement } from './placement.ts';

type Balance = 'hybrid' | 'least-loaded' | 'locality' | 'random';

/** The golden ratio's part of 2^32, so that neighbouring functions have homes far apart. */
const SPREAD = 0x9e3779b1;

interface Part {
  readonly first: number;
  readonly count: number;
  readonly placement: Placement;
}

class HermodPolicy implements Policy {
  readonly #world: World;
  readonly #random: Random;
  readonly #servers: Servers;
  readonly #invokers: Invokers;
  readonly #parts: readonly Part[];
  readonly #balance: Balance;
  readonly #isLate: boolean;
  /** By front, where binding is late: who waits for a core. */
  readonly #queues: JobQueues;
  readonly #gateway: Lane;
  readonly #network: Lane;
  readonly #kinds: { readonly [K in 'taken' | 'reached' | 'answered']: number };

  constructor(world: World, options: OptionValues) {
    const { engine, cluster } = world;
    const frontCount = Math.min(options['fronts'] as number, cluster.serverCount);
    this.#world = world;
    this.#random = world.random('policy');
    this.#servers = serversFor(options, world, (job, server) => this.#end(job, server));
    this.#invokers = new Invokers(world, this.#servers, cluster.memoryMb);
    // One for all fronts: each reads and writes of its own servers.
    const books = world.hasColdStarts ? new Instances(world) : null;
    const coresOf = world.workload.functions.map((each) => each.coreCount);
    this.#parts = Array.from({ length: frontCount }, (_, front) => {
      const first = Math.ceil((front * cluster.serverCount) / frontCount);
      const count = Math.ceil(((front + 1) * cluster.serverCount) / frontCount) - first;
      const { coreCount } = cluster;
      return { first, count, placement: new Placement({ first, count, coreCount, coresOf, books }) };
    });
    this.#balance = options['balance'] as Balance;
    this.#isLate = options['binding'] === 'late';
    this.#queues = new JobQueues(frontCount);
    this.#gateway = engine.lane();
    this.#network = engine.lane();
    this.#kinds = {
      taken: engine.kind((job, front) => this.#take(job, front)),
      reached: world.message((job, server) => this.#invokers.reach(server, job), { to: (_job, server) => server }),
      answered: world.message((server, functionIndex) => this.#release(server, functionIndex), {
        from: (server) => server,
      }),
    };
  }

  get waitingCount(): number {
    return this.#queues.total + this.#invokers.waitingCount + this.#servers.waitingCount;
  }

  arrive(job: number): void {
    chargeEnd(this.#world, job);
    const { nowUs, costs } = this.#world;
    const readyUs = nowUs + costs.gatewayUs + costs.decisionUs;
    this.#gateway.push(readyUs, this.#kinds.taken, job, this.#random.below(this.#parts.length));
  }

  check(): void {
    this.#invokers.check();
  }

  crash(server: number): void {
    this.#invokers.fail(server);
  }

  gone(server: number): void {
    this.#partOf(server).placement.takeOut(server);
    this.#invokers.fail(server);
  }

  back(server: number): void {
    this.#partOf(server).placement.putBack(server);
    this.#assignWaiting(this.#frontOf(server));
  }

  slow(server: number, factor: number): void {
    this.#servers.slow(server, factor);
  }

  pending(): readonly string[] {
    const waiting = this.#queues.total === 0 ? [] : [`${this.#queues.total} invocations wait for a core`];
    return [...waiting, ...this.#invokers.pending()];
  }

  #take(job: number, front: number): void {
    const isReady = !this.#isLate || (this.#queues.length(front) === 0 && this.#hasRoom(job, front));
    if (isReady) this.#assign(job, front);
    else this.#queues.push(front, job);
  }

  #assign(job: number, front: number): void {
    const { jobs, nowUs, costs, counters } = this.#world;
    const functionIndex = jobs.functionOf(job);
    const server = this.#choose(functionIndex, this.#parts[front]!);
    this.#parts[front]!.placement.assign(server, functionIndex);
    counters.messages++;
    this.#network.push(nowUs + costs.networkUs, this.#kinds.reached, job, server);
  }

  /** Late binding asks only while a core is free, and then has no use for a server without one. */
  #choose(functionIndex: number, { first, count, placement }: Part): number {
    if (this.#isLate || this.#balance === 'hybrid') return placement.hybrid(functionIndex);
    if (this.#balance === 'least-loaded') return placement.leastLoaded();
    const isLocal = this.#balance === 'locality';
    let place = isLocal ? (Math.imul(functionIndex, SPREAD) >>> 0) % count : this.#random.below(count);
    // The next one that is there, of those of the part.
    for (let tried = 1; tried < count && isAvoided(this.#world, first + place); tried++) place = (place + 1) % count;
    return first + place;
  }

  #end(job: number, server: number): void {
    const { jobs, nowUs, costs, counters } = this.#world;
    const functionIndex = jobs.functionOf(job);
    counters.messages++;
    this.#network.push(nowUs + costs.networkUs, this.#kinds.answered, server, functionIndex);
    this.#world.finish(job, costs.networkUs);
    this.#invokers.end(server, functionIndex);
  }

  /** At the front whose server it is. */
  #release(server: number, functionIndex: number): void {
    const front = this.#frontOf(server);
    this.#parts[front]!.placement.release(server, functionIndex);
    this.#assignWaiting(front);
  }

  #partOf(server: number): Part {
    return this.#parts[this.#frontOf(server)]!;
  }

  #frontOf(server: number): number {
    return frontOf(server, this.#world.cluster.serverCount, this.#parts.length);
  }

  #assignWaiting(front: number): void {
    while (this.#queues.length(front) > 0 && this.#hasRoom(this.#queues.first(front), front))
      this.#assign(this.#queues.shift(front), front);
  }

  #hasRoom(job: number, front: number): boolean {
    return this.#parts[front]!.placement.hasRoom(this.#world.jobs.functionOf(job));
  }
}

function frontOf(server: number, serverCount: number, frontCount: number): number {
  return Math.floor((server * frontCount) / serverCount);
}

export const hermod: PolicyKind = {
  name: 'hermod',
  summary:
    'packs invocations onto servers while a core is free, then takes the least loaded; servers share their cores',
  source:
    'Kaffes, Yadwadkar, Kozyrakis: Hermod: Principled and Practical Scheduling for Serverless Functions, SoCC 2022 (arXiv 2111.07226)',
  options: {
    binding: {
      help: 'early: to a server as it arrives; late: as a core is free, from one queue',
      default: 'early',
      choices: ['early', 'late'],
    },
    balance: {
      help: "which server, where binding is early; hybrid is Hermod's own",
      default: 'hybrid',
      choices: ['hybrid', 'least-loaded', 'locality', 'random'],
    },
    fronts: { help: 'each with a part of the servers for itself', default: 1, min: 1, max: 4096, isWhole: true },
    ...SHARING_OPTIONS,
  },
  make: (world, options) => new HermodPolicy(world, options),
};
