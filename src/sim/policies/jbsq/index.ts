/**
 * Join the bounded shortest queue: invocations wait in a central queue, and each core (or server) has n at most, the one it runs included. With
 * n = 1 that is one queue for all cores, and each core is idle from an end until the next invocation has come; a larger n hides that
 * time, and lets some wait behind others while elsewhere a core becomes free.
 *
 * The invocation itself passes through the queue, as a request of one packet does in R2P2.
 */
import { assert } from '../../../base/assert.ts';
import type { Lane } from '../../engine/lane.ts';
import type { Random } from '../../engine/random.ts';
import type { OptionValues, Policy, PolicyKind } from '../../policy.ts';
import { serversOf } from '../../servers/disciplines.ts';
import { JobQueues } from '../../servers/job-queues.ts';
import { LeastCounts } from '../../servers/least-counts.ts';
import { chargeEnd, type Servers } from '../../servers/servers.ts';
import type { World } from '../../world.ts';

const QUEUE = 0;

class JbsqPolicy implements Policy {
  readonly #world: World;
  readonly #random: Random;
  /** A place is a core or a server. */
  readonly #places: Servers;
  readonly #placesPerServer: number;
  readonly #bound: number;
  readonly #counts: LeastCounts;
  readonly #queue = new JobQueues(1);
  readonly #toScheduler: Lane;
  readonly #toWorker: Lane;
  readonly #fromWorker: Lane;
  readonly #requested: number;
  readonly #reached: number;
  readonly #reported: number;

  constructor(world: World, options: OptionValues) {
    const { engine, cluster } = world;
    const coresApart = options['per'] === 'core';
    this.#world = world;
    this.#random = world.random('policy');
    this.#places = serversOf('fcfs', world, (job, place) => this.#end(job, place), { coresApart });
    this.#placesPerServer = coresApart ? cluster.coreCount : 1;
    this.#bound = (options['n'] as number) * (coresApart ? 1 : cluster.coreCount);
    this.#counts = new LeastCounts(cluster.serverCount * this.#placesPerServer);
    this.#toScheduler = engine.lane();
    this.#toWorker = engine.lane();
    this.#fromWorker = engine.lane();
    this.#requested = world.message((job) => this.#request(job), { withScheduler: true });
    this.#reached = world.message((job, place) => this.#places.begin(place, job), {
      to: (_job, place) => this.#serverOf(place),
    });
    this.#reported = world.message((place) => this.#release(place), {
      from: (place) => this.#serverOf(place),
      withScheduler: true,
    });
  }

  get waitingCount(): number {
    return this.#queue.total + this.#places.waitingCount;
  }

  arrive(job: number): void {
    chargeEnd(this.#world, job);
    const { costs, nowUs } = this.#world;
    this.#toScheduler.push(nowUs + costs.gatewayUs + costs.networkUs, this.#requested, job, 0);
  }

  pending(): readonly string[] {
    return this.#queue.total === 0 ? [] : [`${this.#queue.total} wait in the central queue`];
  }

  check(): void {
    const placeCount = this.#world.cluster.serverCount * this.#placesPerServer;
    for (let place = 0; place < placeCount; place++) {
      assert(this.#counts.count(place) <= this.#bound, 'a place was sent more than its bound');
      assert(this.#places.count(place) <= this.#counts.count(place), 'a place has more than it was sent');
    }
    assert(this.#queue.total === 0 || this.#counts.least >= this.#bound, 'somebody waits although there is a place');
  }

  gone(server: number): void {
    for (let i = 0; i < this.#placesPerServer; i++) this.#counts.takeOut(server * this.#placesPerServer + i);
  }

  back(server: number): void {
    for (let i = 0; i < this.#placesPerServer; i++) this.#counts.putBack(server * this.#placesPerServer + i);
    this.#assignWaiting();
  }

  slow(server: number, factor: number): void {
    for (let i = 0; i < this.#placesPerServer; i++) this.#places.slow(server * this.#placesPerServer + i, factor);
  }

  #request(job: number): void {
    if (this.#counts.least < this.#bound) this.#assign(job);
    else this.#queue.push(QUEUE, job);
  }

  #assign(job: number): void {
    const { costs, nowUs, counters } = this.#world;
    const place = this.#counts.draw(this.#random);
    this.#counts.up(place);
    // To the queue, to the worker, its report, its answer.
    counters.messages += 4;
    this.#toWorker.push(nowUs + costs.decisionUs + costs.networkUs, this.#reached, job, place);
  }

  #end(job: number, place: number): void {
    const { costs, nowUs } = this.#world;
    this.#fromWorker.push(nowUs + costs.networkUs, this.#reported, place, 0);
    this.#world.finish(job, costs.networkUs);
  }

  #release(place: number): void {
    this.#counts.down(place);
    this.#assignWaiting();
  }

  #assignWaiting(): void {
    while (this.#queue.total > 0 && this.#counts.least < this.#bound) this.#assign(this.#queue.shift(QUEUE));
  }

  #serverOf(place: number): number {
    return Math.floor(place / this.#placesPerServer);
  }
}

export const jbsq: PolicyKind = {
  name: 'jbsq',
  summary: 'a central queue, and at most n invocations at each core: JBSQ(n)',
  source:
    'Kogias, Prekas, Ghosn, Fietz, Bugnion: R2P2: Making RPCs First-class Datacenter Citizens, USENIX ATC 2019 (per=server); ' +
    'for each core: Ibanez et al.: The nanoPU, OSDI 2021',
  options: {
    n: {
      help: 'invocations at each core at most, the one that runs included',
      default: 2,
      min: 1,
      max: 1024,
      isWhole: true,
    },
    per: {
      help: 'each core has a queue of its own; or a server has one for all, of n for each of its cores',
      default: 'core',
      choices: ['core', 'server'],
    },
  },
  make: (world, options) => new JbsqPolicy(world, options),
};
