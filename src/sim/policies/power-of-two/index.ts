/**
 * The gateway asks d servers, drawn at random, how many invocations they have, and sends to the one with the fewest. To what a server
 * answers it adds what it has itself on the way there that cannot have been in the answer; it knows nothing of the other gateways.
 */
import type { Lane } from '../../engine/lane.ts';
import type { Random } from '../../engine/random.ts';
import { isAvoided } from '../../faults/drawing.ts';
import { RESEND_US } from '../../faults/messages.ts';
import type { OptionValues, Policy, PolicyKind } from '../../policy.ts';
import { intColumn } from '../../servers/columns.ts';
import { SHARING_OPTIONS, serversFor } from '../../servers/disciplines.ts';
import { FRONTS_OPTION } from '../../servers/fronts.ts';
import { chargeEnd, type Servers } from '../../servers/servers.ts';
import type { World } from '../../world.ts';

const NONE = -1;
/** In the place of a count: no answer. */
const SILENT = -1;

class PowerOfTwoPolicy implements Policy {
  readonly #world: World;
  readonly #random: Random;
  readonly #servers: Servers;
  readonly #frontCount: number;
  readonly #choiceCount: number;
  /** By job, so many for each: the servers that were asked, and what they answered. */
  #asked = new Int32Array(0);
  #counts = new Int32Array(0);
  /** By front and server: sent so lately that an answer that comes now cannot know of them. */
  readonly #underWay: Int32Array;
  readonly #toWorker: Lane;
  readonly #hops: Lane;
  readonly #settling: Lane;
  readonly #probed: number;
  readonly #answered: number;
  readonly #reached: number;
  readonly #settled: number;

  constructor(world: World, options: OptionValues) {
    const { engine, cluster } = world;
    this.#world = world;
    this.#random = world.random('policy');
    this.#servers = serversFor(options, world, (job) => world.finish(job, world.costs.networkUs));
    this.#frontCount = options['fronts'] as number;
    this.#choiceCount = Math.min(options['d'] as number, cluster.serverCount);
    this.#underWay = new Int32Array(this.#frontCount * cluster.serverCount);
    this.#toWorker = engine.lane();
    this.#hops = engine.lane();
    this.#settling = engine.lane();
    this.#probed = world.message((job) => this.#answer(job), {});
    this.#answered = world.message((job) => this.#choose(job), {});
    this.#reached = world.message((job, server) => this.#servers.begin(server, job), { to: (_job, server) => server });
    this.#settled = engine.kind((place) => this.#underWay[place]!--);
  }

  get waitingCount(): number {
    return this.#servers.waitingCount;
  }

  arrive(job: number): void {
    chargeEnd(this.#world, job);
    const { costs, counters, jobs, nowUs } = this.#world;
    const last = (job + 1) * this.#choiceCount - 1;
    this.#asked = intColumn(this.#asked, last);
    this.#counts = intColumn(this.#counts, last);
    jobs.setMark(job, this.#random.below(this.#frontCount));
    this.#draw(job * this.#choiceCount);
    // Probes, their answers, the invocation, its answer.
    counters.messages += 2 * this.#choiceCount + 2;
    this.#toWorker.push(nowUs + costs.gatewayUs + costs.networkUs, this.#probed, job, 0);
  }

  slow(server: number, factor: number): void {
    this.#servers.slow(server, factor);
  }

  /** Servers that are all different. */
  #draw(first: number): void {
    const { serverCount } = this.#world.cluster;
    for (let at = first; at < first + this.#choiceCount; at++) {
      let server: number;
      do server = this.#random.below(serverCount);
      while (this.#isDrawn(server, first, at) || isAvoided(this.#world, server, this.#choiceCount));
      this.#asked[at] = server;
    }
  }

  #isDrawn(server: number, first: number, end: number): boolean {
    for (let at = first; at < end; at++) if (this.#asked[at] === server) return true;
    return false;
  }

  #answer(job: number): void {
    const { costs, nowUs, faults } = this.#world;
    const first = job * this.#choiceCount;
    for (let at = first; at < first + this.#choiceCount; at++) {
      const server = this.#asked[at]!;
      this.#counts[at] = faults?.isHeard(server) === false ? SILENT : this.#servers.count(server);
    }
    this.#hops.push(nowUs + costs.networkUs, this.#answered, job, 0);
  }

  #choose(job: number): void {
    const { costs, cluster, jobs, nowUs } = this.#world;
    const places = jobs.mark(job) * cluster.serverCount;
    const first = job * this.#choiceCount;
    let least = Infinity;
    let server = NONE;
    for (let at = first; at < first + this.#choiceCount; at++) {
      if (this.#counts[at] === SILENT) continue;
      const count = this.#counts[at]! + this.#underWay[places + this.#asked[at]!]!;
      if (count >= least) continue;
      least = count;
      server = this.#asked[at]!;
    }
    if (server === NONE) return this.#askAgain(job);
    this.#hops.push(nowUs + costs.networkUs, this.#reached, job, server);
    if (costs.networkUs === 0) return;
    this.#underWay[places + server]!++;
    this.#settling.push(nowUs + 2 * costs.networkUs, this.#settled, places + server, 0);
  }

  /** None of them has answered. */
  #askAgain(job: number): void {
    const { counters, engine } = this.#world;
    counters.messages += this.#choiceCount;
    this.#draw(job * this.#choiceCount);
    engine.after(RESEND_US, this.#probed, job);
  }
}

export const powerOfTwo: PolicyKind = {
  name: 'power-of-two',
  summary: 'of d servers drawn at random, and asked, the one with the fewest invocations',
  source:
    'Mitzenmacher: The Power of Two Choices in Randomized Load Balancing, IEEE TPDS 12(10), 2001; ' +
    'Vvedenskaya, Dobrushin, Karpelevich, Problems of Information Transmission 32(1), 1996',
  options: {
    d: { help: 'servers that are asked', default: 2, min: 1, max: 64, isWhole: true },
    fronts: FRONTS_OPTION,
    ...SHARING_OPTIONS,
  },
  make: (world, options) => new PowerOfTwoPolicy(world, options),
};
