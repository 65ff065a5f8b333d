/**
 * Servers that may fail, around those of any discipline. What was on one that fails, and whatever comes to it afterwards, is *stranded*: nobody knows
 * yet. When its silence is noticed each of them ends for the policy as any job does, so that its books are right, and for the world it is lost.
 */
import type { Servers, ServersSetup } from '../servers/servers.ts';
import type { Faults } from './faults.ts';

export class FailingServers implements Servers {
  readonly #inner: Servers;
  readonly #setup: ServersSetup;
  readonly #faults: Faults;
  /** By server of the policy; with `coresApart` that is a core. */
  readonly #stranded = new Map<number, Set<number>>();
  readonly #perServer: number;

  constructor(inner: Servers, setup: ServersSetup, faults: Faults) {
    this.#inner = inner;
    this.#setup = setup;
    this.#faults = faults;
    this.#perServer = setup.serverCount / setup.world.cluster.serverCount;
    faults.watch(this);
  }

  get waitingCount(): number {
    return this.#inner.waitingCount;
  }

  /** The cluster's server. */
  hostOf(server: number): number {
    return Math.floor(server / this.#perServer);
  }

  begin(server: number, job: number): void {
    if (this.#isUp(server)) this.#inner.begin(server, job);
    else this.#strand(server, job);
  }

  resume(server: number, job: number): void {
    if (this.#isUp(server)) this.#inner.resume(server, job);
    else this.#strand(server, job);
  }

  take(server: number, job: number): void {
    if (this.#stranded.get(server)?.delete(job) !== true) this.#inner.take(server, job);
  }

  count(server: number): number {
    return this.#inner.count(server) + (this.#stranded.get(server)?.size ?? 0);
  }

  waiting(server: number): number {
    return this.#inner.waiting(server);
  }

  /** One that is not up has none to give. */
  idle(server: number): number {
    return this.#isUp(server) ? this.#inner.idle(server) : 0;
  }

  spare(server: number): number {
    return this.#inner.spare(server);
  }

  hasBegun(job: number): boolean {
    return this.#inner.hasBegun(job);
  }

  slow(host: number, factor: number): void {
    for (const server of this.#of(host)) this.#inner.slow(server, factor);
  }

  clear(server: number, lost: (job: number) => void): void {
    for (const job of this.#stranded.get(server) ?? []) lost(job);
    this.#stranded.delete(server);
    this.#inner.clear(server, lost);
  }

  /** Everything that is on the host is stranded. */
  crash(host: number): void {
    for (const server of this.#of(host)) this.#inner.clear(server, (job) => this.#strand(server, job));
  }

  /** Its silence was noticed: whoever is stranded there is lost. */
  settle(host: number): void {
    for (const server of this.#of(host)) {
      const stranded = this.#stranded.get(server) ?? [];
      // Whoever hears of an end may send others there.
      this.#stranded.delete(server);
      for (const job of stranded) {
        this.#faults.isLost.add(job);
        this.#setup.ended(job, server);
      }
    }
  }

  #isUp(server: number): boolean {
    return this.#faults.isServing(this.hostOf(server));
  }

  #strand(server: number, job: number): void {
    const stranded = this.#stranded.get(server);
    if (stranded === undefined) this.#stranded.set(server, new Set([job]));
    else stranded.add(job);
    this.#faults.stranded(this.hostOf(server));
  }

  #of(host: number): readonly number[] {
    return Array.from({ length: this.#perServer }, (_, core) => host * this.#perServer + core);
  }
}
