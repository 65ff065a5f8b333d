/**
 * One scheduler for all servers, which counts what it has assigned to each and takes away what has ended. Of an end it hears at once, or with
 * the server's next report; either way the network's time later. So what it knows never misses what is on its way there.
 */
import type { Lane } from '../../engine/lane.ts';
import type { Random } from '../../engine/random.ts';
import type { Policy } from '../../policy.ts';
import { LeastCounts } from '../../servers/least-counts.ts';
import { chargeEnd, type Servers, type ServersSetup } from '../../servers/servers.ts';
import type { World } from '../../world.ts';

export interface CentralSetup {
  /** Time between two reports of a server; 0: each end is reported when it happens. */
  readonly reportUs: number;
  /** The server for the next invocation. */
  readonly choose: (counts: LeastCounts, random: Random) => number;
  readonly servers: (ended: ServersSetup['ended']) => Servers;
}

export class CentralPolicy implements Policy {
  readonly #world: World;
  readonly #setup: CentralSetup;
  readonly #random: Random;
  readonly #servers: Servers;
  readonly #counts: LeastCounts;
  /** By server: ends that it has not reported. */
  readonly #unreported: Int32Array;
  readonly #toScheduler: Lane;
  readonly #toWorker: Lane;
  readonly #fromWorker: Lane;
  readonly #requested: number;
  readonly #reached: number;
  readonly #reports: number;
  readonly #reported: number;

  constructor(world: World, setup: CentralSetup) {
    const { engine, cluster } = world;
    this.#world = world;
    this.#setup = setup;
    this.#random = world.random('policy');
    this.#servers = setup.servers((job, server) => this.#end(job, server));
    this.#counts = new LeastCounts(cluster.serverCount);
    this.#unreported = new Int32Array(cluster.serverCount);
    this.#toScheduler = engine.lane();
    this.#toWorker = engine.lane();
    this.#fromWorker = engine.lane();
    this.#requested = world.message((job) => this.#assign(job), { withScheduler: true });
    this.#reached = world.message((job, server) => this.#servers.begin(server, job), { to: (_job, server) => server });
    this.#reports = engine.kind((server) => this.#report(server));
    this.#reported = world.message((server, count) => this.#hear(server, count), {
      from: (server) => server,
      withScheduler: true,
    });
    if (setup.reportUs === 0) return;
    for (let server = 0; server < cluster.serverCount; server++) {
      engine.at(this.#random.unit() * setup.reportUs, this.#reports, server);
    }
  }

  get waitingCount(): number {
    return this.#servers.waitingCount;
  }

  arrive(job: number): void {
    chargeEnd(this.#world, job);
    const { costs, nowUs } = this.#world;
    this.#toScheduler.push(nowUs + costs.gatewayUs + costs.networkUs, this.#requested, job, 0);
  }

  gone(server: number): void {
    this.#counts.takeOut(server);
  }

  back(server: number): void {
    this.#counts.putBack(server);
  }

  slow(server: number, factor: number): void {
    this.#servers.slow(server, factor);
  }

  #assign(job: number): void {
    const { costs, nowUs, counters } = this.#world;
    const server = this.#setup.choose(this.#counts, this.#random);
    this.#counts.up(server);
    // Request, grant, payload, answer.
    counters.messages += 4;
    // To the gateway, which has the payload, and from there to the worker.
    this.#toWorker.push(nowUs + costs.decisionUs + 2 * costs.networkUs, this.#reached, job, server);
  }

  #end(job: number, server: number): void {
    this.#world.finish(job, this.#world.costs.networkUs);
    this.#unreported[server]!++;
    if (this.#setup.reportUs === 0) this.#send(server);
  }

  #report(server: number): void {
    this.#send(server);
    this.#world.engine.after(this.#setup.reportUs, this.#reports, server);
  }

  #send(server: number): void {
    const { costs, nowUs, counters } = this.#world;
    counters.messages++;
    this.#fromWorker.push(nowUs + costs.networkUs, this.#reported, server, this.#unreported[server]!);
    this.#unreported[server] = 0;
  }

  #hear(server: number, endCount: number): void {
    for (let i = 0; i < endCount; i++) this.#counts.down(server);
  }
}
