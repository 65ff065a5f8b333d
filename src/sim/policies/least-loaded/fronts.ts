/**
 * Several gateways, each with a view of its own of how many invocations every server has; each sends to one that has the least in its view.
 *
 *   own       what it has sent there itself and has had no answer for: as proxies do it
 *   reports   what the server said last, to all of them, and what it has itself sent there since. What was still on its way to the
 *             server when that made its report is counted with it, what others have sent is not: many may choose the same
 */
import type { Lane } from '../../engine/lane.ts';
import type { Random } from '../../engine/random.ts';
import type { OptionValues, Policy } from '../../policy.ts';
import { serversFor } from '../../servers/disciplines.ts';
import { LeastCounts } from '../../servers/least-counts.ts';
import { chargeEnd, type Servers } from '../../servers/servers.ts';
import type { World } from '../../world.ts';

export class FrontsPolicy implements Policy {
  readonly #world: World;
  readonly #random: Random;
  readonly #servers: Servers;
  readonly #frontCount: number;
  /** Infinity: no reports, each front knows what it did itself. */
  readonly #reportUs: number;
  readonly #views: readonly LeastCounts[];
  /** By front and server: sent so lately that a report that comes now cannot know of them. */
  readonly #underWay: Int32Array;
  readonly #toWorker: Lane;
  readonly #fromWorker: Lane;
  readonly #settling: Lane;
  readonly #reached: number;
  readonly #answered: number;
  readonly #settled: number;
  readonly #reports: number;
  readonly #reported: number;

  constructor(world: World, options: OptionValues) {
    const { engine, cluster, costs } = world;
    this.#world = world;
    this.#random = world.random('policy');
    this.#frontCount = options['fronts'] as number;
    this.#reportUs = options['view'] === 'reports' ? (options['report'] as number) * 1e3 : Infinity;
    this.#views = Array.from({ length: this.#frontCount }, () => new LeastCounts(cluster.serverCount));
    this.#underWay = new Int32Array(this.#frontCount * cluster.serverCount);
    this.#servers = serversFor(options, world, (job, server) => this.#end(job, server));
    this.#toWorker = engine.lane();
    this.#fromWorker = engine.lane();
    this.#settling = engine.lane();
    this.#reached = world.message((job, server) => this.#servers.begin(server, job), { to: (_job, server) => server });
    this.#answered = world.message((front, server) => this.#views[front]!.down(server), {
      from: (_front, server) => server,
    });
    this.#settled = engine.kind((place) => this.#underWay[place]!--);
    this.#reports = engine.kind((server) => this.#report(server));
    this.#reported = world.message((server, count) => this.#hear(server, count), { from: (server) => server });
    if (this.#reportUs === Infinity) return;
    for (let server = 0; server < cluster.serverCount; server++) {
      engine.at(costs.networkUs + this.#random.unit() * this.#reportUs, this.#reports, server);
    }
  }

  get waitingCount(): number {
    return this.#servers.waitingCount;
  }

  arrive(job: number): void {
    chargeEnd(this.#world, job);
    const { costs, cluster, counters, jobs, nowUs } = this.#world;
    const front = this.#random.below(this.#frontCount);
    const view = this.#views[front]!;
    const server = view.draw(this.#random);
    view.up(server);
    jobs.setMark(job, front);
    counters.messages += 2;
    const sentUs = nowUs + costs.gatewayUs;
    this.#toWorker.push(sentUs + costs.networkUs, this.#reached, job, server);
    if (this.#reportUs === Infinity) return;
    const place = front * cluster.serverCount + server;
    this.#underWay[place]!++;
    this.#settling.push(sentUs + 2 * costs.networkUs, this.#settled, place, 0);
  }

  gone(server: number): void {
    for (const view of this.#views) view.takeOut(server);
  }

  back(server: number): void {
    for (const view of this.#views) view.putBack(server);
  }

  slow(server: number, factor: number): void {
    this.#servers.slow(server, factor);
  }

  #end(job: number, server: number): void {
    const { costs, jobs, nowUs } = this.#world;
    if (this.#reportUs === Infinity) {
      this.#fromWorker.push(nowUs + costs.networkUs, this.#answered, jobs.mark(job), server);
    }
    this.#world.finish(job, costs.networkUs);
  }

  #report(server: number): void {
    const { costs, counters, engine, faults } = this.#world;
    engine.after(this.#reportUs, this.#reports, server);
    if (faults?.isServing(server) === false) return;
    counters.messages += this.#frontCount;
    this.#fromWorker.push(engine.nowUs + costs.networkUs, this.#reported, server, this.#servers.count(server));
  }

  #hear(server: number, count: number): void {
    const { serverCount } = this.#world.cluster;
    for (let front = 0; front < this.#frontCount; front++) {
      this.#views[front]!.set(server, count + this.#underWay[front * serverCount + server]!);
    }
  }
}
