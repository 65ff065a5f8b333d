/** Invocations go to servers without a look at any: the gateway chooses by itself, and what it chose stays. */
import type { Lane } from '../../engine/lane.ts';
import type { OptionValues, Policy } from '../../policy.ts';
import { serversFor } from '../../servers/disciplines.ts';
import { chargeEnd, type Servers } from '../../servers/servers.ts';
import type { World } from '../../world.ts';

export class UnseenPolicy implements Policy {
  readonly #world: World;
  readonly #servers: Servers;
  readonly #choose: () => number;
  readonly #toWorker: Lane;
  readonly #reached: number;

  /** `choose`: the server that the next one goes to. */
  constructor(world: World, options: OptionValues, choose: () => number) {
    this.#world = world;
    this.#servers = serversFor(options, world, (job) => world.finish(job, world.costs.networkUs));
    this.#choose = choose;
    this.#toWorker = world.engine.lane();
    this.#reached = world.message((job, server) => this.#servers.begin(server, job), { to: (_job, server) => server });
  }

  get waitingCount(): number {
    return this.#servers.waitingCount;
  }

  arrive(job: number): void {
    chargeEnd(this.#world, job);
    const { costs, counters, nowUs } = this.#world;
    counters.messages += 2;
    this.#toWorker.push(nowUs + costs.gatewayUs + costs.networkUs, this.#reached, job, this.#choose());
  }

  slow(server: number, factor: number): void {
    this.#servers.slow(server, factor);
  }
}
