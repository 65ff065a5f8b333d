/**
 * Each server queues what it was sent, at random; a core that is idle asks servers drawn at random for work, one after the other. A server that has
 * more than its cores can do gives one away: an invocation that has not begun, else one that has, which costs what a migration costs.
 *
 * A core asks `tries` servers in a row, and begins anew after the time `retry`. One that becomes idle because its invocation sleeps begins
 * at the next end on its server, or with the next look of another.
 */
import type { Lane } from '../../engine/lane.ts';
import type { Random } from '../../engine/random.ts';
import { drawServer, isAvoided } from '../../faults/drawing.ts';
import type { OptionValues, Policy, PolicyKind } from '../../policy.ts';
import { CoresWanted } from '../../servers/cores-wanted.ts';
import { SHARING_OPTIONS, serversFor } from '../../servers/disciplines.ts';
import { chargeEnd, type Servers } from '../../servers/servers.ts';
import type { World } from '../../world.ts';

/** In an event beside a server: which try it is. */
const TRIES_MAX = 256;

class WorkStealingPolicy implements Policy {
  readonly #world: World;
  readonly #random: Random;
  readonly #servers: Servers;
  readonly #cores: CoresWanted;
  readonly #tries: number;
  readonly #retryUs: number;
  /** By server: idle cores that look for work, or will again. */
  readonly #thieves: Int32Array;
  #stealCount = 0;
  #vainCount = 0;
  readonly #toWorker: Lane;
  readonly #hops: Lane;
  readonly #pauses: Lane;
  readonly #reached: number;
  readonly #looks: number;
  readonly #asked: number;
  readonly #stolen: number;

  constructor(world: World, options: OptionValues) {
    const { engine, cluster } = world;
    this.#world = world;
    this.#random = world.random('policy');
    this.#servers = serversFor(options, world, (job, server) => this.#end(job, server));
    this.#cores = new CoresWanted(world);
    this.#tries = options['tries'] as number;
    this.#retryUs = (options['retry'] as number) * 1e3;
    this.#thieves = new Int32Array(cluster.serverCount);
    this.#toWorker = engine.lane();
    this.#hops = engine.lane();
    this.#pauses = engine.lane();
    this.#reached = world.message((job, server) => this.#servers.begin(server, job), { to: (_job, server) => server });
    this.#looks = engine.kind((thief, tried) => this.#look(thief, tried));
    this.#asked = world.message(
      (thief, victim) => this.#hear(thief, Math.floor(victim / TRIES_MAX), victim % TRIES_MAX),
      { to: (_thief, victim) => Math.floor(victim / TRIES_MAX) },
    );
    this.#stolen = world.message((job, thief) => this.#receive(job, thief), { to: (_job, thief) => thief });
    if (cluster.serverCount > 1) this.#begin();
  }

  get waitingCount(): number {
    return this.#servers.waitingCount;
  }

  arrive(job: number): void {
    chargeEnd(this.#world, job);
    const { costs, counters, nowUs } = this.#world;
    counters.messages += 2;
    const server = drawServer(this.#world, this.#random);
    this.#toWorker.push(nowUs + costs.gatewayUs + costs.networkUs, this.#reached, job, server);
  }

  counters(): Readonly<Record<string, number>> {
    return { steals: this.#stealCount, 'asked in vain': this.#vainCount };
  }

  back(server: number): void {
    if (this.#world.cluster.serverCount > 1 && this.#retryUs > 0) this.#beginAt(server);
  }

  slow(server: number, factor: number): void {
    this.#servers.slow(server, factor);
  }

  /** At the start all cores are idle; they do not look at the same moment. */
  #begin(): void {
    const { cluster, engine } = this.#world;
    if (this.#retryUs === 0) return;
    for (let server = 0; server < cluster.serverCount; server++) {
      this.#thieves[server] = cluster.coreCount;
      for (let i = 0; i < cluster.coreCount; i++)
        engine.at(this.#random.unit() * this.#retryUs, this.#looks, server, 0);
    }
  }

  #beginAt(server: number): void {
    const { engine } = this.#world;
    for (; this.#thieves[server]! < this.#idle(server); this.#thieves[server]!++)
      engine.after(this.#random.unit() * this.#retryUs, this.#looks, server, 0);
  }

  #end(job: number, server: number): void {
    const coreCount = this.#cores.of(job);
    this.#world.finish(job, this.#world.costs.networkUs);
    if (this.#world.cluster.serverCount === 1) return;
    for (let core = 0; core < coreCount && this.#thieves[server]! < this.#idle(server); core++) {
      this.#thieves[server]!++;
      this.#look(server, 0);
    }
  }

  /** Cores that nobody waits for there. */
  #idle(server: number): number {
    return this.#servers.idle(server) - this.#servers.waiting(server);
  }

  #look(thief: number, tried: number): void {
    const { costs, cluster, counters, nowUs } = this.#world;
    if (this.#thieves[thief]! > this.#idle(thief)) {
      this.#thieves[thief]!--;
      return;
    }
    if (tried === this.#tries) return this.#pause(thief);
    let victim: number;
    do {
      const drawn = this.#random.below(cluster.serverCount - 1);
      victim = drawn < thief ? drawn : drawn + 1;
    } while (isAvoided(this.#world, victim, 2));
    counters.messages++;
    this.#hops.push(nowUs + costs.networkUs, this.#asked, thief, victim * TRIES_MAX + tried);
  }

  #pause(thief: number): void {
    if (this.#retryUs === 0) this.#thieves[thief]!--;
    else this.#pauses.push(this.#world.nowUs + this.#retryUs, this.#looks, thief, 0);
  }

  #hear(thief: number, victim: number, tried: number): void {
    const { costs, counters, nowUs } = this.#world;
    const job = this.#servers.waiting(victim) > 0 ? this.#servers.spare(victim) : -1;
    counters.messages++;
    if (job < 0) {
      this.#vainCount++;
      this.#hops.push(nowUs + costs.networkUs, this.#looks, thief, tried + 1);
      return;
    }
    this.#servers.take(victim, job);
    if (this.#servers.hasBegun(job)) counters.migrations++;
    else this.#stealCount++;
    this.#hops.push(nowUs + costs.networkUs, this.#stolen, job, thief);
  }

  #receive(job: number, thief: number): void {
    this.#thieves[thief]!--;
    this.#servers.resume(thief, job);
  }
}

export const workStealing: PolicyKind = {
  name: 'work-stealing',
  summary: 'servers drawn at random; idle cores take work from others, and migrate what has begun',
  source:
    'Blumofe, Leiserson: Scheduling Multithreaded Computations by Work Stealing, Journal of the ACM 46(5), 1999; ' +
    'Prekas, Kogias, Bugnion: ZygOS, SOSP 2017',
  options: {
    tries: { help: 'servers that an idle core asks in a row', default: 2, min: 1, max: TRIES_MAX - 2, isWhole: true },
    retry: { help: 'time until it asks again, ms; 0: not before its next end', default: 10, min: 0, max: 1e6 },
    ...SHARING_OPTIONS,
    discipline: { ...SHARING_OPTIONS['discipline']!, default: 'fcfs' },
  },
  make: (world, options) => new WorkStealingPolicy(world, options),
};
