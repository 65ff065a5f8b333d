/**
 * What the disciplines have in common that take a core from a job before its phase ends: processor sharing, foreground–background, stacks. Nobody of
 * them knows beforehand when a phase will end, as whoever comes changes that. So each *place*, a server or a core of one, has one event that counts,
 * for the first thing that will happen there if nobody comes; when it is there, the discipline looks at what has become of it, and asks for the next.
 */
import { Residents } from './residents.ts';
import type { Servers, ServersSetup } from './servers.ts';

export abstract class PreemptiveServers implements Servers {
  protected readonly setup: ServersSetup;
  protected readonly residents: Residents;
  readonly #placesPerServer: number;
  /** By place: when the event that counts comes; Infinity: there is none. An event at another time counts for nothing. */
  readonly #eventUs: Float64Array;
  readonly #events: number;
  #waitingCount = 0;

  /** `placesPerServer`: 1, or one for each core. */
  constructor(setup: ServersSetup, placesPerServer: number) {
    this.setup = setup;
    this.residents = new Residents(setup, (server, job) => this.run(server, job));
    this.#placesPerServer = placesPerServer;
    this.#eventUs = new Float64Array(setup.serverCount * placesPerServer).fill(Infinity);
    this.#events = setup.world.engine.kind((place) => this.#reach(place));
  }

  get waitingCount(): number {
    return this.#waitingCount;
  }

  count(server: number): number {
    return this.residents.count(server);
  }

  hasBegun(job: number): boolean {
    return this.residents.hasBegun(job);
  }

  begin(server: number, job: number): void {
    this.residents.enter(server, job);
    this.reset(job);
    this.admit(server, job);
  }

  resume(server: number, job: number): void {
    this.residents.enterAgain(server, job);
    this.admit(server, job);
  }

  slow(server: number, factor: number): void {
    this.settle(server);
    this.residents.slow(server, factor);
    this.await(server);
  }

  clear(server: number, lost: (job: number) => void): void {
    this.empty(server);
    const first = server * this.#placesPerServer;
    this.#eventUs.fill(Infinity, first, first + this.#placesPerServer);
    this.residents.clear(server, lost);
  }

  abstract take(server: number, job: number): void;
  abstract waiting(server: number): number;
  abstract idle(server: number): number;
  abstract spare(server: number): number;

  /** A job has come that has had nothing yet. */
  protected reset(_job: number): void {}

  /** It has come, or come back. Where all share the cores it begins at once. */
  protected admit(server: number, job: number): void {
    const { world } = this.setup;
    this.residents.charge(server, job);
    world.started(job);
    if (world.jobs.isAsleep(job)) this.residents.sleep(job);
    else this.run(server, job);
  }

  /** It is awake, and wants a core of the server: as it comes, or when it wakes. */
  protected abstract run(server: number, job: number): void;

  /** The event of the place is there. */
  protected abstract happen(place: number): void;

  /** Brings what all have had on the server up to now: its speed is about to change. */
  protected abstract settle(server: number): void;

  /** Asks for what is to happen next on the server. */
  protected abstract await(server: number): void;

  /** Forgets all that it knows of who is awake there. */
  protected abstract empty(server: number): void;

  /** So many more share no core, and wait for one; or fewer. */
  protected countWaiting(change: number): void {
    this.#waitingCount += change;
  }

  /** An event at the place, then or before. */
  protected awaitAt(place: number, eventUs: number): void {
    // The one under way comes first: it will look again.
    if (eventUs >= this.#eventUs[place]!) return;
    this.#eventUs[place] = eventUs;
    this.setup.world.engine.at(eventUs, this.#events, place);
  }

  #reach(place: number): void {
    if (this.#eventUs[place] !== this.setup.world.nowUs) return;
    this.#eventUs[place] = Infinity;
    this.happen(place);
  }
}
