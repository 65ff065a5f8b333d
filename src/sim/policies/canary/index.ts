/**
 * An asynchronous control plane, as Canary has it: who places work decides for itself and never waits for the controller, which only moves partitions now
 * and then. Canary's partitions are data, and work follows them to the workers; invocations have no such data, so here a partition is a set
 * of servers. Each front has one, and runs what comes to it there: on a free core, or from its own queue as soon as one is free. Every period the
 * fronts report how much runs and waits with them, and the controller tells them which of them gives a server to whom. A front gives one that has
 * free cores before another; what runs there ends there, and the core is then the other front's.
 *
 * Left out: what makes Canary more than that (partitions of data, dependences between tasks, moving back after a failure). How the controller
 * balances is ours: servers in proportion to what runs and waits. That moves cost nothing but messages favours it.
 */
import { assert } from '../../../base/assert.ts';
import type { Lane } from '../../engine/lane.ts';
import type { Random } from '../../engine/random.ts';
import type { OptionValues, Policy, PolicyKind } from '../../policy.ts';
import { refuseSeveral } from '../../servers/cores-wanted.ts';
import { serversOf } from '../../servers/disciplines.ts';
import { FRONTS_OPTION } from '../../servers/fronts.ts';
import { JobQueues } from '../../servers/job-queues.ts';
import { chargeEnd, type Servers } from '../../servers/servers.ts';
import type { World } from '../../world.ts';
import { movesFor, targetsFor } from './partitions.ts';

const NONE = -1;

class CanaryPolicy implements Policy {
  readonly #world: World;
  readonly #random: Random;
  readonly #servers: Servers;
  readonly #frontCount: number;
  readonly #periodUs: number;
  readonly #isByFunction: boolean;
  /** By server: the front that has it, NONE while it is handed over, and to which it was given last. */
  readonly #owners: Int32Array;
  readonly #heirs: Int32Array;
  /** By server: cores that are free, as its front knows. */
  readonly #freeCounts: Int32Array;
  /** By front: its servers, those of them that have a free core, who waits, how many run, and to whom it still has to give a server. */
  readonly #owned: JobQueues;
  readonly #idle: JobQueues;
  readonly #waiting: JobQueues;
  readonly #runningCounts: number[];
  readonly #owed: number[][];
  /** The controller's: how many servers each front has once its orders are carried out, and what each reported. */
  readonly #ordered: number[];
  #demands: readonly number[] = [];
  readonly #gateway: Lane;
  readonly #network: Lane;
  readonly #kinds: {
    readonly [K in 'taken' | 'reached' | 'answered' | 'freed' | 'due' | 'reported' | 'told' | 'received']: number;
  };
  #moveCount = 0;

  constructor(world: World, options: OptionValues) {
    const { engine, cluster } = world;
    const { serverCount, coreCount } = cluster;
    this.#world = world;
    this.#random = world.random('policy');
    refuseSeveral(world, 'Canary');
    this.#servers = serversOf('fcfs', world, (job, server) => this.#end(job, server));
    this.#frontCount = Math.min(options['fronts'] as number, serverCount);
    this.#periodUs = (options['period'] as number) * 1e3;
    this.#isByFunction = options['spread'] === 'function';
    this.#owners = new Int32Array(serverCount);
    this.#heirs = new Int32Array(serverCount);
    this.#freeCounts = new Int32Array(serverCount).fill(coreCount);
    this.#owned = new JobQueues(this.#frontCount);
    this.#idle = new JobQueues(this.#frontCount);
    this.#waiting = new JobQueues(this.#frontCount);
    this.#runningCounts = Array.from({ length: this.#frontCount }, () => 0);
    this.#owed = Array.from({ length: this.#frontCount }, () => []);
    this.#ordered = Array.from({ length: this.#frontCount }, () => 0);
    this.#gateway = engine.lane();
    this.#network = engine.lane();
    this.#kinds = {
      taken: engine.kind((job, front) => this.#take(job, front)),
      reached: world.message((job, server) => this.#servers.begin(server, job), { to: (_job, server) => server }),
      answered: world.message((server, front) => this.#hear(server, front), { from: (server) => server }),
      freed: world.message((server, front) => this.#free(server, front), {}),
      due: engine.kind(() => this.#report()),
      reported: world.message(() => this.#balance(), { withScheduler: true }),
      told: world.message((from, to) => this.#give(from, to), { withScheduler: true }),
      received: world.message((server, front) => this.#receive(server, front), {}),
    };
    for (let server = 0; server < serverCount; server++) {
      const front = server % this.#frontCount;
      this.#heirs[server] = front;
      this.#ordered[front]!++;
      this.#receive(server, front);
    }
    if (this.#periodUs > 0 && this.#frontCount > 1) engine.after(this.#periodUs, this.#kinds.due);
  }

  get waitingCount(): number {
    return this.#waiting.total;
  }

  arrive(job: number): void {
    chargeEnd(this.#world, job);
    const { nowUs, costs, jobs } = this.#world;
    const front = this.#isByFunction ? jobs.functionOf(job) % this.#frontCount : this.#random.below(this.#frontCount);
    this.#gateway.push(nowUs + costs.gatewayUs, this.#kinds.taken, job, front);
  }

  counters(): Record<string, number> {
    return { 'servers moved': this.#moveCount };
  }

  check(): void {
    for (const [server, owner] of this.#owners.entries()) {
      const free = this.#freeCounts[server]!;
      const isListed = owner !== NONE && this.#idle.has(owner, server);
      assert(
        free >= 0 && free + this.#servers.count(server) <= this.#world.cluster.coreCount,
        `server ${server}: ${free}`,
      );
      assert(
        isListed === (owner !== NONE && this.#isIdle(server)),
        `server ${server}, ${free} free cores, and front ${owner}`,
      );
    }
    for (let front = 0; front < this.#frontCount; front++) {
      const isKept = this.#waiting.length(front) > 0 && this.#idle.length(front) > 0;
      assert(!isKept, `somebody waits at front ${front}, which has a free core`);
    }
  }

  gone(server: number): void {
    const front = this.#owners[server]!;
    if (front !== NONE && this.#idle.has(front, server)) this.#idle.remove(front, server);
  }

  back(server: number): void {
    const front = this.#owners[server]!;
    if (front === NONE || this.#freeCounts[server] === 0) return;
    this.#idle.push(front, server);
    this.#startWaiting(front);
  }

  slow(server: number, factor: number): void {
    this.#servers.slow(server, factor);
  }

  pending(): readonly string[] {
    return this.#waiting.total === 0 ? [] : [`${this.#waiting.total} invocations wait for a core of their front`];
  }

  /** Whether its front may send somebody there. */
  #isIdle(server: number): boolean {
    return this.#freeCounts[server]! > 0 && this.#world.faults?.isGone(server) !== true;
  }

  /** At the front. */
  #take(job: number, front: number): void {
    this.#waiting.push(front, job);
    this.#startWaiting(front);
  }

  #startWaiting(front: number): void {
    const { jobs, costs, counters, nowUs } = this.#world;
    while (this.#waiting.length(front) > 0 && this.#idle.length(front) > 0) {
      const job = this.#waiting.shift(front);
      const server = this.#idle.first(front);
      if (--this.#freeCounts[server]! === 0) this.#idle.remove(front, server);
      this.#runningCounts[front]!++;
      jobs.setMark(job, front);
      counters.messages++;
      this.#network.push(nowUs + costs.networkUs, this.#kinds.reached, job, server);
    }
  }

  /** At the worker. Its answer goes to the front that sent it. */
  #end(job: number, server: number): void {
    const { jobs, costs, nowUs, counters } = this.#world;
    const front = jobs.mark(job);
    counters.messages++;
    this.#network.push(nowUs + costs.networkUs, this.#kinds.answered, server, front);
    this.#world.finish(job, costs.networkUs);
  }

  /** At the front that sent it. */
  #hear(server: number, front: number): void {
    this.#runningCounts[front]!--;
    this.#free(server, front);
  }

  /** At a front: a core of the server is free. If it was given away meanwhile, its heir is told. */
  #free(server: number, front: number): void {
    const { costs, nowUs, counters } = this.#world;
    if (this.#owners[server] !== front) {
      counters.messages++;
      this.#network.push(nowUs + costs.networkUs, this.#kinds.freed, server, this.#heirs[server]!);
      return;
    }
    this.#freeCounts[server]!++;
    if (this.#isIdle(server) && !this.#idle.has(front, server)) this.#idle.push(front, server);
    this.#startWaiting(front);
  }

  /** All fronts, at the same time. */
  #report(): void {
    const { engine, nowUs, costs, counters } = this.#world;
    this.#demands = this.#runningCounts.map((running, front) => running + this.#waiting.length(front));
    counters.messages += this.#frontCount;
    this.#network.push(nowUs + costs.networkUs, this.#kinds.reported, 0, 0);
    engine.after(this.#periodUs, this.#kinds.due);
  }

  /** At the controller. */
  #balance(): void {
    const { nowUs, costs, counters, cluster } = this.#world;
    const targets = targetsFor(this.#demands, cluster.serverCount);
    for (const { from, to } of movesFor(this.#ordered, targets)) {
      this.#ordered[from]!--;
      this.#ordered[to]!++;
      counters.messages++;
      this.#network.push(nowUs + costs.networkUs, this.#kinds.told, from, to);
    }
  }

  /** At a front. It may be waiting itself for the server that it should give. */
  #give(from: number, to: number): void {
    const { nowUs, costs, counters } = this.#world;
    const server = this.#idle.length(from) > 0 ? this.#idle.first(from) : this.#owned.first(from);
    if (server === NONE) {
      this.#owed[from]!.push(to);
      return;
    }
    this.#moveCount++;
    this.#owned.remove(from, server);
    if (this.#idle.has(from, server)) this.#idle.remove(from, server);
    this.#owners[server] = NONE;
    this.#heirs[server] = to;
    counters.messages++;
    this.#network.push(nowUs + costs.networkUs, this.#kinds.received, server, to);
  }

  /** At the front that it is given to. */
  #receive(server: number, front: number): void {
    this.#owners[server] = front;
    this.#owned.push(front, server);
    if (this.#isIdle(server)) this.#idle.push(front, server);
    const to = this.#owed[front]!.shift();
    if (to === undefined) this.#startWaiting(front);
    else this.#give(front, to);
  }
}

export const canary: PolicyKind = {
  name: 'canary',
  summary: 'each front has servers of its own and decides alone; a controller moves servers between them now and then',
  source:
    'Qu, Mashayekhi, Shah, Levis: Decoupling the Control Plane from Program Control Flow for Flexibility and Performance in Cloud Computing, EuroSys 2018 (Canary)',
  options: {
    fronts: FRONTS_OPTION,
    period: { help: 'ms between reports to the controller; 0: servers never move', default: 100, min: 0, max: 1e9 },
    spread: {
      help: 'to which front an invocation comes: one at random, or always the same for its function',
      default: 'random',
      choices: ['random', 'function'],
    },
  },
  make: (world, options) => new CanaryPolicy(world, options),
};
