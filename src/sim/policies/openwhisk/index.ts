/**
 * Apache OpenWhisk with its ShardingContainerPoolBalancer: a function has a home server, where it is warm, and goes on by its step where that is
 * full. How full a server is, is counted in memory: each controller has an equal share of each server's, gives it away by its own books, and
 * has it back when the answer arrives. Where no server has room, one is drawn at random, and the invocation waits there.
 *
 * Left out: several invocations at once in one container (OpenWhisk's default is one), the servers set aside for functions that bring a container of their
 * own, the health of servers, and containers that are booted ahead. What stays warm is bounded by the server's memory, as with every policy
 * here; OpenWhisk keeps it within `memory`.
 */
import type { Lane } from '../../engine/lane.ts';
import type { Random } from '../../engine/random.ts';
import { drawServer } from '../../faults/drawing.ts';
import type { OptionValues, Policy, PolicyKind } from '../../policy.ts';
import { SHARING_OPTIONS, serversFor } from '../../servers/disciplines.ts';
import { chargeEnd, type Servers } from '../../servers/servers.ts';
import type { World } from '../../world.ts';
import { Balancer, hashOf, stepsFor } from './balancer.ts';
import { Invokers } from './invokers.ts';

class OpenWhiskPolicy implements Policy {
  readonly #world: World;
  readonly #random: Random;
  readonly #servers: Servers;
  readonly #balancers: readonly Balancer[];
  readonly #hashes: readonly number[];
  readonly #invokers: Invokers;
  readonly #hopsUs: number;
  readonly #hops: number;
  readonly #gateway: Lane;
  readonly #bus: Lane;
  readonly #kinds: { readonly [K in 'taken' | 'reached' | 'acked']: number };

  constructor(world: World, options: OptionValues) {
    const { engine, cluster, costs, workload } = world;
    const controllerCount = options['fronts'] as number;
    const steps = stepsFor(cluster.serverCount);
    this.#world = world;
    this.#random = world.random('policy');
    this.#servers = serversFor(options, world, (job, server) => this.#end(job, server));
    const memoryMb = memoryFor(world, options['memory'] as number);
    this.#invokers = new Invokers(world, this.#servers, memoryMb);
    this.#balancers = Array.from(
      { length: controllerCount },
      () => new Balancer(cluster.serverCount, memoryMb / controllerCount, steps),
    );
    this.#hashes = workload.functions.map((_, functionIndex) => hashOf(functionIndex));
    this.#hops = options['hops'] as number;
    this.#hopsUs = this.#hops * costs.networkUs;
    this.#gateway = engine.lane();
    this.#bus = engine.lane();
    this.#kinds = {
      taken: engine.kind((job, controller) => this.#assign(job, controller)),
      reached: world.message((job, server) => this.#invokers.reach(server, job), { to: (_job, server) => server }),
      acked: world.message((place, functionIndex) => this.#acknowledge(place, functionIndex), {
        from: (place) => Math.floor(place / controllerCount),
      }),
    };
  }

  get waitingCount(): number {
    return this.#invokers.waitingCount + this.#servers.waitingCount;
  }

  arrive(job: number): void {
    chargeEnd(this.#world, job);
    const { nowUs, costs } = this.#world;
    this.#gateway.push(nowUs + costs.gatewayUs, this.#kinds.taken, job, this.#random.below(this.#balancers.length));
  }

  counters(): Record<string, number> {
    return { 'found all servers full': this.#balancers.reduce((sum, { overloadCount }) => sum + overloadCount, 0) };
  }

  check(): void {
    this.#invokers.check();
  }

  crash(server: number): void {
    this.#invokers.fail(server);
  }

  gone(server: number): void {
    for (const balancer of this.#balancers) balancer.takeOut(server);
    this.#invokers.fail(server);
  }

  back(server: number): void {
    for (const balancer of this.#balancers) balancer.putBack(server);
  }

  slow(server: number, factor: number): void {
    this.#servers.slow(server, factor);
  }

  pending(): readonly string[] {
    return this.#invokers.pending();
  }

  #assign(job: number, controller: number): void {
    const { jobs, nowUs, counters } = this.#world;
    const functionIndex = jobs.functionOf(job);
    const draw = (): number => drawServer(this.#world, this.#random);
    const server = this.#balancers[controller]!.take(this.#hashes[functionIndex]!, this.#memoryOf(functionIndex), draw);
    jobs.setMark(job, controller);
    counters.messages += this.#hops;
    this.#bus.push(nowUs + this.#hopsUs, this.#kinds.reached, job, server);
  }

  #end(job: number, server: number): void {
    const { jobs, nowUs, counters } = this.#world;
    const functionIndex = jobs.functionOf(job);
    const place = server * this.#balancers.length + jobs.mark(job);
    counters.messages += this.#hops;
    this.#bus.push(nowUs + this.#hopsUs, this.#kinds.acked, place, functionIndex);
    this.#world.finish(job, this.#hopsUs);
    this.#invokers.end(server, functionIndex);
  }

  /** At the controller. `place`: which server's share of which controller. */
  #acknowledge(place: number, functionIndex: number): void {
    const controllerCount = this.#balancers.length;
    const server = Math.floor(place / controllerCount);
    this.#balancers[place % controllerCount]!.give(server, this.#memoryOf(functionIndex));
  }

  #memoryOf(functionIndex: number): number {
    return this.#world.workload.functions[functionIndex]!.memoryMb;
  }
}

/** `perCoreMb` 0: all that a server has. */
function memoryFor({ cluster }: World, perCoreMb: number): number {
  return perCoreMb === 0 ? cluster.memoryMb : Math.min(cluster.memoryMb, perCoreMb * cluster.coreCount);
}

export const openwhisk: PolicyKind = {
  name: 'openwhisk',
  summary: 'a function has a home server by its hash, and goes on by its step where that is full (Apache OpenWhisk)',
  source:
    'Apache OpenWhisk, core/controller/…/loadBalancer/ShardingContainerPoolBalancer.scala; early binding by locality (E/LOC/PS) in: Kaffes, Yadwadkar, Kozyrakis: Hermod, SoCC 2022',
  options: {
    fronts: {
      help: 'controllers, each with an equal share of each server',
      default: 2,
      min: 1,
      max: 256,
      isWhole: true,
    },
    memory: {
      help: "MB of each core that functions may run in (OpenWhisk's user-memory); 0: all of the server",
      default: 256,
      min: 0,
      max: 1 << 20,
    },
    hops: {
      help: 'hosts that a message goes by; 2: a bus lies between, as in OpenWhisk',
      default: 1,
      min: 1,
      max: 2,
      isWhole: true,
    },
    ...SHARING_OPTIONS,
  },
  make: (world, options) => new OpenWhiskPolicy(world, options),
};
