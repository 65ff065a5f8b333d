/** Each invocation goes to a server drawn at random, without a look at any. */
import type { Lane } from '../../engine/lane.ts';
import type { Random } from '../../engine/random.ts';
import type { OptionValues, Policy, PolicyKind } from '../../policy.ts';
import { SHARING_OPTIONS, serversFor } from '../../servers/disciplines.ts';
import { chargeEnd, type Servers } from '../../servers/servers.ts';
import type { World } from '../../world.ts';

class RandomPolicy implements Policy {
  readonly #world: World;
  readonly #random: Random;
  readonly #servers: Servers;
  readonly #toWorker: Lane;
  readonly #reached: number;

  constructor(world: World, options: OptionValues) {
    this.#world = world;
    this.#random = world.random('policy');
    this.#servers = serversFor(options, world, (job) => world.finish(job, world.costs.networkUs));
    this.#toWorker = world.engine.lane();
    this.#reached = world.engine.kind((job, server) => this.#servers.begin(server, job));
  }

  get waitingCount(): number {
    return this.#servers.waitingCount;
  }

  arrive(job: number): void {
    chargeEnd(this.#world, job);
    const { costs, cluster, counters, nowUs } = this.#world;
    counters.messages += 2;
    const server = this.#random.below(cluster.serverCount);
    this.#toWorker.push(nowUs + costs.gatewayUs + costs.networkUs, this.#reached, job, server);
  }

  slow(server: number, factor: number): void {
    this.#servers.slow(server, factor);
  }
}

export const random: PolicyKind = {
  name: 'random',
  summary: 'a server drawn at random, unseen',
  source:
    'Eager, Lazowska, Zahorjan: Adaptive Load Sharing in Homogeneous Distributed Systems, IEEE TSE 1986 ("random")',
  options: SHARING_OPTIONS,
  make: (world, options) => new RandomPolicy(world, options),
};
