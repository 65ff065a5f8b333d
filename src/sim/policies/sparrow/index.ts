/**
 * Sparrow: fronts that know nothing of the cluster put reservations into the queues of workers drawn at random, d for each task. A worker with a
 * free core asks for the task of the reservation at the head of its queue (late binding), and holds the core while it asks. Tasks that reach a front
 * together are a batch, and share their reservations (batch sampling); what a batch needs no more is cancelled.
 *
 * What differs from the source: a batch of more reservations than there are workers puts several into one queue (the source's code makes fewer
 * reservations than that). Left out: placement constraints, shares of users and their priorities.
 */
import { assert } from '../../../base/assert.ts';
import type { Lane } from '../../engine/lane.ts';
import type { Random } from '../../engine/random.ts';
import { drawServer } from '../../faults/drawing.ts';
import type { OptionValues, Policy, PolicyKind } from '../../policy.ts';
import { refuseSeveral } from '../../servers/cores-wanted.ts';
import { serversOf } from '../../servers/disciplines.ts';
import { FRONTS_OPTION } from '../../servers/fronts.ts';
import { JobQueues } from '../../servers/job-queues.ts';
import { chargeEnd, type Servers } from '../../servers/servers.ts';
import type { World } from '../../world.ts';
import { at, type Batch, Reservations } from './reservations.ts';

const NONE = -1;
/** d × m that comes out above a whole number by less than this is that number: floats. */
const CLOSE = 1e-9;

class SparrowPolicy implements Policy {
  readonly #world: World;
  readonly #random: Random;
  readonly #probesPerTask: number;
  readonly #gatherUs: number;
  readonly #doesCancel: boolean;
  readonly #servers: Servers;
  readonly #reservations = new Reservations();
  /** By front: the batch that is being gathered. */
  readonly #open: (Batch | null)[];
  /** Of workers. All servers, in an order that each draw changes. */
  readonly #drawn: Int32Array;
  /** By worker: its reservations. */
  readonly #queues: JobQueues;
  readonly #freeCounts: Int32Array;
  readonly #askingCounts: Int32Array;
  readonly #gateway: Lane;
  readonly #network: Lane;
  readonly #kinds: { readonly [K in 'taken' | 'gathered' | 'probed' | 'asked' | 'answered' | 'cancelled']: number };
  readonly #counts = { waiting: 0, cancelled: 0, inVain: 0 };

  constructor(world: World, options: OptionValues) {
    const { engine, cluster } = world;
    this.#world = world;
    this.#random = world.random('policy');
    this.#probesPerTask = options['d'] as number;
    this.#gatherUs = options['gather'] as number;
    this.#doesCancel = options['cancel'] === 'yes';
    refuseSeveral(world, 'Sparrow');
    this.#servers = serversOf('fcfs', world, (job, server) => this.#end(job, server));
    this.#open = Array.from({ length: options['fronts'] as number }, () => null);
    this.#drawn = Int32Array.from({ length: cluster.serverCount }, (_, server) => server);
    this.#queues = new JobQueues(cluster.serverCount);
    this.#freeCounts = new Int32Array(cluster.serverCount).fill(cluster.coreCount);
    this.#askingCounts = new Int32Array(cluster.serverCount);
    this.#gateway = engine.lane();
    this.#network = engine.lane();
    const serverOf = (reservation: number): number => this.#reservations.server(reservation);
    this.#kinds = {
      taken: engine.kind((job, front) => this.#gather(job, front)),
      gathered: engine.kind((front) => this.#probe(front)),
      probed: world.message((reservation) => this.#reserve(reservation), { to: serverOf }),
      asked: world.message((reservation) => this.#answer(reservation), { from: serverOf }),
      answered: world.message((reservation, job) => this.#launch(reservation, job), { to: serverOf }),
      cancelled: world.message((reservation) => this.#drop(reservation), { to: serverOf }),
    };
  }

  get waitingCount(): number {
    return this.#counts.waiting;
  }

  arrive(job: number): void {
    chargeEnd(this.#world, job);
    const { nowUs, costs } = this.#world;
    this.#counts.waiting++;
    this.#gateway.push(nowUs + costs.gatewayUs, this.#kinds.taken, job, this.#random.below(this.#open.length));
  }

  counters(): Record<string, number> {
    return { 'reservations cancelled': this.#counts.cancelled, 'reservations in vain': this.#counts.inVain };
  }

  check(): void {
    const { serverCount, coreCount } = this.#world.cluster;
    for (let server = 0; server < serverCount; server++) {
      const free = this.#freeCounts[server]!;
      const held = this.#askingCounts[server]! + this.#servers.count(server);
      assert(free >= 0 && free + held === coreCount, `server ${server}: ${free} free cores and ${held} held`);
    }
  }

  /** Reservations in its queue are made anew elsewhere. */
  gone(server: number): void {
    while (this.#queues.length(server) > 0) {
      const reservation = this.#queues.shift(server);
      this.#reservations.name(reservation);
      this.#abandon(reservation);
    }
  }

  slow(server: number, factor: number): void {
    this.#servers.slow(server, factor);
  }

  pending(): readonly string[] {
    return this.#counts.waiting === 0 ? [] : [`${this.#counts.waiting} tasks wait for a worker to ask for them`];
  }

  /** At the front. What arrives in the same moment is gathered even where it does not wait. */
  #gather(job: number, front: number): void {
    const open = this.#open[front];
    if (open !== null && open !== undefined) {
      open.tasks.push(job);
      return;
    }
    this.#open[front] = { tasks: [job], next: 0, reservations: [] };
    this.#world.engine.after(this.#gatherUs, this.#kinds.gathered, front);
  }

  #probe(front: number): void {
    const batch = this.#open[front]!;
    this.#open[front] = null;
    const probeCount = Math.ceil(this.#probesPerTask * batch.tasks.length - CLOSE);
    for (let i = 0; i < probeCount; i++) {
      const reservation = this.#reservations.add(batch, this.#draw(i % this.#drawn.length));
      batch.reservations.push(reservation);
      this.#send(this.#kinds.probed, reservation);
    }
  }

  /** No server twice before all have been drawn: Fisher and Yates' shuffle, as far as it is needed. */
  #draw(index: number): number {
    const drawn = this.#drawn;
    const from = index + this.#random.below(drawn.length - index);
    const server = drawn[from]!;
    drawn[from] = drawn[index]!;
    drawn[index] = server;
    return server;
  }

  /** At the worker. */
  #reserve(reservation: number): void {
    const server = this.#reservations.server(reservation);
    const { faults } = this.#world;
    if (faults?.isGone(server) === true) return this.#abandon(reservation);
    if (this.#freeCounts[server]! > 0 && faults?.isDown(server) !== true) {
      this.#freeCounts[server]!--;
      this.#ask(reservation);
    } else {
      this.#reservations.move(reservation, at.queued);
      this.#queues.push(server, reservation);
    }
    this.#reservations.unname(reservation);
  }

  /** Its worker is gone, and a message names it. At the front, another takes its place, if a task still wants one. */
  #abandon(reservation: number): void {
    const batch = this.#reservations.batch(reservation);
    const isOpen = this.#reservations.isOpen(reservation, batch);
    if (isOpen) this.#reservations.settle(reservation);
    this.#reservations.move(reservation, at.over);
    this.#reservations.unname(reservation);
    if (isOpen) this.#probeAgain(batch);
  }

  #probeAgain(batch: Batch): void {
    if (batch.next === batch.tasks.length) return;
    const other = this.#reservations.add(batch, drawServer(this.#world, this.#random));
    batch.reservations.push(other);
    this.#send(this.#kinds.probed, other);
  }

  #ask(reservation: number): void {
    this.#askingCounts[this.#reservations.server(reservation)]!++;
    this.#reservations.move(reservation, at.asking);
    this.#send(this.#kinds.asked, reservation);
  }

  /** At the front. */
  #answer(reservation: number): void {
    const batch = this.#reservations.batch(reservation);
    this.#reservations.settle(reservation);
    const isGone = this.#world.faults?.isGone(this.#reservations.server(reservation)) === true;
    if (isGone) this.#probeAgain(batch);
    const job = !isGone && batch.next < batch.tasks.length ? batch.tasks[batch.next++]! : NONE;
    this.#send(this.#kinds.answered, reservation, job);
    this.#reservations.unname(reservation);
    if (job !== NONE && batch.next === batch.tasks.length && this.#doesCancel) this.#cancel(batch);
  }

  #cancel(batch: Batch): void {
    for (const reservation of batch.reservations) {
      if (!this.#reservations.isOpen(reservation, batch)) continue;
      this.#reservations.settle(reservation);
      this.#send(this.#kinds.cancelled, reservation);
    }
  }

  /** At the worker. */
  #launch(reservation: number, job: number): void {
    const server = this.#reservations.server(reservation);
    this.#askingCounts[server]!--;
    this.#reservations.move(reservation, at.over);
    this.#reservations.unname(reservation);
    if (job === NONE) {
      this.#counts.inVain++;
      this.#goOn(server);
      return;
    }
    this.#counts.waiting--;
    this.#servers.begin(server, job);
  }

  /** At the worker. It may be too late: the worker has asked. */
  #drop(reservation: number): void {
    if (this.#reservations.place(reservation) === at.queued) {
      this.#queues.remove(this.#reservations.server(reservation), reservation);
      this.#reservations.move(reservation, at.over);
      this.#counts.cancelled++;
    }
    this.#reservations.unname(reservation);
  }

  #end(job: number, server: number): void {
    this.#world.counters.messages++;
    this.#world.finish(job, this.#world.costs.networkUs);
    this.#goOn(server);
  }

  /** A core of the worker is free: for the next reservation. */
  #goOn(server: number): void {
    const isDown = this.#world.faults?.isServing(server) === false;
    if (this.#queues.length(server) > 0 && !isDown) this.#ask(this.#queues.shift(server));
    else this.#freeCounts[server]!++;
  }

  #send(kind: number, reservation: number, job = NONE): void {
    const { nowUs, costs, counters } = this.#world;
    counters.messages++;
    this.#reservations.name(reservation);
    this.#network.push(nowUs + costs.networkUs, kind, reservation, job);
  }
}

export const sparrow: PolicyKind = {
  name: 'sparrow',
  summary: 'fronts put reservations into the queues of d workers for each task; a worker with a free core asks for it',
  source: 'Ousterhout, Wendell, Zaharia, Stoica: Sparrow: Distributed, Low Latency Scheduling, SOSP 2013',
  options: {
    d: { help: 'reservations for each task; 1.3: of ten tasks thirteen', default: 2, min: 1, max: 100_000 },
    fronts: FRONTS_OPTION,
    gather: {
      help: 'µs that a front gathers tasks for a batch; 0: those of the same moment',
      default: 0,
      min: 0,
      max: 1e6,
    },
    cancel: {
      help: 'whether reservations that are needed no more are taken back',
      default: 'yes',
      choices: ['yes', 'no'],
    },
  },
  make: (world, options) => new SparrowPolicy(world, options),
};
