/** Each gateway goes through all servers in a circle, from a place of its own, and looks at none. */
import type { Lane } from '../../engine/lane.ts';
import type { Random } from '../../engine/random.ts';
import type { OptionValues, Policy, PolicyKind } from '../../policy.ts';
import { SHARING_OPTIONS, serversFor } from '../../servers/disciplines.ts';
import { FRONTS_OPTION } from '../../servers/fronts.ts';
import { chargeEnd, type Servers } from '../../servers/servers.ts';
import type { World } from '../../world.ts';

class RoundRobinPolicy implements Policy {
  readonly #world: World;
  readonly #random: Random;
  readonly #servers: Servers;
  /** By front. */
  readonly #next: Int32Array;
  readonly #toWorker: Lane;
  readonly #reached: number;

  constructor(world: World, options: OptionValues) {
    this.#world = world;
    this.#random = world.random('policy');
    this.#servers = serversFor(options, world, (job) => world.finish(job, world.costs.networkUs));
    this.#next = Int32Array.from({ length: options['fronts'] as number }, () =>
      this.#random.below(world.cluster.serverCount),
    );
    this.#toWorker = world.engine.lane();
    this.#reached = world.engine.kind((job, server) => this.#servers.begin(server, job));
  }

  get waitingCount(): number {
    return this.#servers.waitingCount;
  }

  arrive(job: number): void {
    chargeEnd(this.#world, job);
    const { costs, cluster, counters, nowUs } = this.#world;
    const front = this.#random.below(this.#next.length);
    const server = this.#next[front]!;
    this.#next[front] = (server + 1) % cluster.serverCount;
    counters.messages += 2;
    this.#toWorker.push(nowUs + costs.gatewayUs + costs.networkUs, this.#reached, job, server);
  }

  slow(server: number, factor: number): void {
    this.#servers.slow(server, factor);
  }
}

export const roundRobin: PolicyKind = {
  name: 'round-robin',
  summary: 'each gateway sends to one server after the other, unseen',
  source:
    'Ephremides, Varaiya, Walrand: A Simple Dynamic Routing Problem, IEEE Transactions on Automatic Control 25(4), 1980',
  options: { fronts: FRONTS_OPTION, ...SHARING_OPTIONS },
  make: (world, options) => new RoundRobinPolicy(world, options),
};
