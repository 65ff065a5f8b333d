/**
 * Ray's scheduling in two levels: each server has a raylet with a queue. An invocation comes to a raylet, and runs there while its server is used
 * less than the threshold; else it is spilled to one of the best other servers, by what their raylets have reported; when none has a core
 * it waits where it came. Whoever is spilled asks the other raylet for a core. That one grants it, or rejects the request if its core is taken
 * by now, and never spills a second time; then the first raylet chooses anew. When a report says that cores are free, those who wait are
 * spilled there too, by each raylet for itself.
 *
 *   first raylet ── request ──▶ other raylet ── grant ──▶ first raylet ── payload ──▶ other server ── answer ──▶
 *
 * Gateways run on the servers, as Ray's drivers and proxies do: what runs where it came costs no message. A threshold of 1 is the paper's local
 * scheduler, which spills only when it is full. Left out: the paper's global scheduler as a process of its own, of which later versions have none; where data lies; a lease
 * that is used again for the next task of the same kind; the start of processes ahead.
 */
import { assert } from '../../../base/assert.ts';
import type { Lane } from '../../engine/lane.ts';
import type { Random } from '../../engine/random.ts';
import { isAvoided } from '../../faults/drawing.ts';
import { RESEND_US } from '../../faults/messages.ts';
import type { OptionValues, Policy, PolicyKind } from '../../policy.ts';
import { refuseSeveral } from '../../servers/cores-wanted.ts';
import { serversOf } from '../../servers/disciplines.ts';
import { JobQueues } from '../../servers/job-queues.ts';
import { chargeEnd, type Servers } from '../../servers/servers.ts';
import type { World } from '../../world.ts';
import { Views } from './views.ts';

const NONE = -1;

class RayPolicy implements Policy {
  readonly #world: World;
  readonly #random: Random;
  readonly #servers: Servers;
  readonly #views: Views;
  readonly #frontCount: number;
  readonly #periodUs: number;
  /** By server. Where in the period it reports. */
  readonly #phasesUs: Float64Array;
  readonly #freeCounts: Int32Array;
  readonly #leasedCounts: Int32Array;
  readonly #reportedCounts: Int32Array;
  readonly #willReport: Uint8Array;
  /** By front. */
  readonly #queues: JobQueues;
  /** Fronts where somebody waits. */
  readonly #waitingFronts = new Set<number>();
  readonly #gateway: Lane;
  readonly #network: Lane;
  readonly #reports: Lane;
  readonly #kinds: {
    readonly [K in 'taken' | 'requested' | 'granted' | 'rejected' | 'reached' | 'due' | 'reported']: number;
  };
  readonly #counts = { spilled: 0, rejected: 0 };

  constructor(world: World, options: OptionValues) {
    const { engine, cluster } = world;
    const { serverCount, coreCount } = cluster;
    const fronts = options['fronts'] as number;
    this.#world = world;
    this.#random = world.random('policy');
    refuseSeveral(world, 'Ray');
    this.#servers = serversOf('fcfs', world, (job, server) => this.#end(job, server));
    this.#frontCount = fronts === 0 ? serverCount : Math.min(fronts, serverCount);
    const [threshold, topShare] = [options['threshold'] as number, options['top'] as number];
    this.#views = new Views(
      { frontCount: this.#frontCount, serverCount, coreCount, threshold, topShare },
      this.#random,
    );
    this.#periodUs = (options['period'] as number) * 1e3;
    this.#phasesUs = Float64Array.from({ length: serverCount }, () => this.#random.unit() * this.#periodUs);
    this.#freeCounts = new Int32Array(serverCount).fill(coreCount);
    this.#leasedCounts = new Int32Array(serverCount);
    this.#reportedCounts = new Int32Array(serverCount).fill(coreCount);
    this.#willReport = new Uint8Array(serverCount);
    this.#queues = new JobQueues(this.#frontCount);
    this.#gateway = engine.lane();
    this.#network = engine.lane();
    this.#reports = engine.lane();
    this.#kinds = {
      taken: engine.kind((job, front) => this.#schedule(job, front)),
      requested: world.message((job, server) => this.#request(job, server), { to: (_job, server) => server }),
      granted: world.message((job, server) => this.#launch(job, server), { from: (_job, server) => server }),
      rejected: world.message((job, server) => this.#retry(job, server), { from: (_job, server) => server }),
      reached: world.message((job, server) => this.#begin(job, server), { to: (_job, server) => server }),
      due: engine.kind((server) => this.#report(server)),
      reported: world.message((server, freeCount) => this.#hear(server, freeCount), { from: (server) => server }),
    };
  }

  get waitingCount(): number {
    return this.#queues.total;
  }

  arrive(job: number): void {
    chargeEnd(this.#world, job);
    const { nowUs, costs } = this.#world;
    this.#gateway.push(nowUs + costs.gatewayUs, this.#kinds.taken, job, this.#drawFront());
  }

  counters(): Record<string, number> {
    return { spilled: this.#counts.spilled, 'spills rejected': this.#counts.rejected };
  }

  check(): void {
    const { serverCount, coreCount } = this.#world.cluster;
    for (let server = 0; server < serverCount; server++) {
      const held = this.#servers.count(server) + this.#leasedCounts[server]!;
      const free = this.#freeCounts[server]!;
      assert(free >= 0 && free + held === coreCount, `server ${server}: ${free} free cores and ${held} held`);
    }
    for (let front = 0; front < this.#frontCount; front++) {
      const isKept = this.#queues.length(front) > 0 && this.#freeCounts[this.#hostOf(front)]! > 0;
      assert(!isKept, `somebody waits at front ${front}, whose own server has a free core`);
    }
  }

  /** Its gateway dies with it, and who waits there. */
  crash(server: number): void {
    const front = this.#frontOn(server);
    while (front !== NONE && this.#queues.length(front) > 0) this.#world.faults?.strand(server, this.#takeFirst(front));
  }

  gone(server: number): void {
    this.crash(server);
    this.#hear(server, 0);
  }

  back(server: number): void {
    this.#reportedCounts[server] = 0;
    this.#plan(server);
  }

  slow(server: number, factor: number): void {
    this.#servers.slow(server, factor);
  }

  pending(): readonly string[] {
    return this.#queues.total === 0 ? [] : [`${this.#queues.total} invocations wait at the raylet that they came to`];
  }

  /** A client that knows one to be gone goes to the next. */
  #drawFront(): number {
    let front = this.#random.below(this.#frontCount);
    for (let tried = 1; tried < this.#frontCount && isAvoided(this.#world, this.#hostOf(front)); tried++)
      front = (front + 1) % this.#frontCount;
    return front;
  }

  /** At the raylet that it came to. */
  #schedule(job: number, front: number): void {
    const { jobs, faults } = this.#world;
    const host = this.#hostOf(front);
    jobs.setMark(job, front);
    if (faults?.isServing(host) === false) return faults.strand(host, job);
    const server = this.#views.choose(front, host, this.#freeCounts[host]!);
    if (server === host) this.#runHere(job, host);
    else if (server === NONE) this.#wait(job, front);
    else this.#spill(job, front, server);
  }

  #runHere(job: number, host: number): void {
    this.#hold(host);
    this.#begin(job, host);
  }

  #wait(job: number, front: number): void {
    this.#queues.push(front, job);
    this.#waitingFronts.add(front);
  }

  #spill(job: number, front: number, server: number): void {
    this.#counts.spilled++;
    this.#views.send(front, server);
    this.#send(this.#kinds.requested, job, server);
  }

  /** At the other raylet: the core is kept for it from now on, or it is sent back. */
  #request(job: number, server: number): void {
    const { faults, engine } = this.#world;
    if (faults?.isServing(server) === false) {
      // No answer: it is sent again, until the other is there or known to be gone.
      if (!faults.isGone(server)) engine.after(RESEND_US, this.#kinds.requested, job, server);
      else this.#schedule(job, this.#world.jobs.mark(job));
      return;
    }
    const isFree = this.#freeCounts[server]! > 0;
    if (isFree) this.#hold(server);
    this.#send(isFree ? this.#kinds.granted : this.#kinds.rejected, job, server);
  }

  /** The other raylet has kept a core for it. Where the first is dead by now, nobody sends it, and the core is free. */
  #launch(job: number, server: number): void {
    const { faults, jobs } = this.#world;
    const host = this.#hostOf(jobs.mark(job));
    if (faults?.isServing(host) !== false) return this.#send(this.#kinds.reached, job, server);
    this.#leasedCounts[server]!--;
    this.#free(server);
    faults.strand(host, job);
  }

  #retry(job: number, server: number): void {
    const front = this.#world.jobs.mark(job);
    this.#counts.rejected++;
    this.#views.rejected(front, server);
    this.#schedule(job, front);
  }

  /** A core of the server is its own. */
  #begin(job: number, server: number): void {
    this.#leasedCounts[server]!--;
    this.#servers.begin(server, job);
  }

  #end(job: number, server: number): void {
    const { jobs, costs, counters } = this.#world;
    const isHere = this.#hostOf(jobs.mark(job)) === server;
    if (!isHere) counters.messages++;
    this.#world.finish(job, isHere ? 0 : costs.networkUs);
    this.#free(server);
  }

  /** A core of the server. */
  #free(server: number): void {
    this.#freeCounts[server]!++;
    const front = this.#frontOn(server);
    if (front !== NONE && this.#queues.length(front) > 0) this.#runHere(this.#takeFirst(front), server);
    this.#plan(server);
  }

  #takeFirst(front: number): number {
    const job = this.#queues.shift(front);
    if (this.#queues.length(front) === 0) this.#waitingFronts.delete(front);
    return job;
  }

  #hold(server: number): void {
    this.#freeCounts[server]!--;
    this.#leasedCounts[server]!++;
    this.#plan(server);
  }

  /** Something has changed, which the next report says. */
  #plan(server: number): void {
    if (this.#willReport[server] === 1) return;
    this.#willReport[server] = 1;
    const { engine, nowUs } = this.#world;
    const periodUs = this.#periodUs;
    if (periodUs === 0) return engine.at(nowUs, this.#kinds.due, server);
    const phaseUs = this.#phasesUs[server]!;
    const dueUs = (Math.floor((nowUs - phaseUs) / periodUs) + 1) * periodUs + phaseUs;
    engine.at(Math.max(nowUs, dueUs), this.#kinds.due, server);
  }

  #report(server: number): void {
    const { nowUs, costs, counters } = this.#world;
    const freeCount = this.#freeCounts[server]!;
    this.#willReport[server] = 0;
    if (this.#world.faults?.isServing(server) === false) return;
    if (freeCount === this.#reportedCounts[server]) return;
    this.#reportedCounts[server] = freeCount;
    // To the store that all share, and from there to each raylet that has a gateway.
    counters.messages += 1 + this.#frontCount;
    this.#reports.push(nowUs + 2 * costs.networkUs, this.#kinds.reported, server, freeCount);
  }

  /** At all fronts. Whoever waits has found no other core: the server's are the only ones that may be new. */
  #hear(server: number, reported: number): void {
    const freeCount = this.#world.faults?.isGone(server) === true ? 0 : reported;
    this.#views.report(server, freeCount);
    if (freeCount === 0) return;
    for (const front of this.#waitingFronts) {
      if (this.#hostOf(front) === server) continue;
      while (this.#queues.length(front) > 0 && this.#views.freeCount(front, server) > 0) {
        this.#spill(this.#takeFirst(front), front, server);
      }
    }
  }

  /** Fronts lie evenly among the servers. */
  #hostOf(front: number): number {
    return Math.ceil((front * this.#world.cluster.serverCount) / this.#frontCount);
  }

  #frontOn(server: number): number {
    const front = Math.floor((server * this.#frontCount) / this.#world.cluster.serverCount);
    return this.#hostOf(front) === server ? front : NONE;
  }

  #send(kind: number, job: number, server: number): void {
    const { nowUs, costs, counters } = this.#world;
    counters.messages++;
    this.#network.push(nowUs + costs.networkUs, kind, job, server);
  }
}

export const ray: PolicyKind = {
  name: 'ray',
  summary: 'runs an invocation where it came while that server is used little, else spills it to another by reports',
  source:
    'Moritz, Nishihara, Wang et al.: Ray: A Distributed Framework for Emerging AI Applications, OSDI 2018; hybrid policy and spilling: ray-project/ray, src/ray/raylet/scheduling/policy/hybrid_scheduling_policy.cc',
  options: {
    threshold: {
      help: "share of a server's cores in use from which on others are preferred (scheduler_spread_threshold)",
      default: 0.5,
      min: 0,
      max: 1,
    },
    top: {
      help: 'of this share of the servers, the best, one is drawn (scheduler_top_k_fraction)',
      default: 0.2,
      min: 0,
      max: 1,
    },
    period: {
      help: 'ms between reports of a server (raylet_report_resources_period_milliseconds); 0: at each change',
      default: 100,
      min: 0,
      max: 1e6,
    },
    fronts: { help: 'servers that have a gateway; 0: all', default: 0, min: 0, max: 100_000, isWhole: true },
  },
  make: (world, options) => new RayPolicy(world, options),
};
