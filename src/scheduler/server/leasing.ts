/**
 * Requests of a shard, and what becomes of their leases. Nothing here tells of grants: whoever calls settles afterwards.
 *
 * A request has a number of the shard at which it was asked, so whoever ends a lease knows whose it was. Where it was another shard's, that one
 * is told so, many at a time: a number is free again, or what the gateway could not start is asked for again.
 */
import type { Scheduler } from '../machine/scheduler.ts';
import type { Gateway, Intake } from './intake.ts';
import type { Mail } from './mail.ts';
import type { Asking, Unheld, Unstarted } from './ports.ts';
import type { Requests } from './requests.ts';
import type { ControlPort } from './shard-ports.ts';

interface Parts {
  readonly machine: Scheduler;
  readonly control: Pick<ControlPort, 'ended' | 'probe' | 'unreachable'>;
  readonly requests: Requests<Gateway>;
  readonly intake: Intake;
  readonly mail: Mail;
}

const AGAIN: Asking = { again: true, waitedMs: 0 };
/** A table of each gateway has a place for each of its numbers. */
const NUMBER_END = 1 << 22;

export class Leasing {
  readonly machine: Scheduler;
  readonly requests: Requests<Gateway>;
  readonly intake: Intake;
  readonly #control: Parts['control'];
  readonly #mail: Mail;
  readonly #isShared: boolean;
  /** Requests whose grants were not started, and that are asked again when their leases are over. */
  readonly #returned = new Set<number>();
  #isStopping = false;

  constructor({ machine, control, requests, intake, mail }: Parts) {
    this.machine = machine;
    this.requests = requests;
    this.intake = intake;
    this.#control = control;
    this.#mail = mail;
    this.#isShared = machine.isShared;
  }

  // ---- requests

  request(gateway: Gateway, number: number, version: number, asking: Asking): boolean {
    if (number >= NUMBER_END || this.#isInUse(gateway, number)) return false;
    if (!gateway.versions.has(version) || this.#isStopping) {
      if (!gateway.versions.wasGiven(version)) return false;
      gateway.port.refused(number, this.#isStopping ? 'stopping' : 'version');
      return true;
    }
    this.intake.ask(gateway, number, version, asking);
    return true;
  }

  #isInUse(gateway: Gateway, number: number): boolean {
    const index = this.requests.find(gateway, number);
    return index >= 0 && (this.requests.waits(index) || (this.#returned.size > 0 && this.#returned.has(index)));
  }

  cancel(gateway: Gateway, number: number): void {
    const index = this.requests.find(gateway, number);
    if (index < 0) return;
    // It is to be asked again when its lease is over: that it is not, any more.
    if (this.#returned.delete(index)) this.requests.disown(index);
    else if (this.intake.takeBack(index)) this.requests.remove(index);
    // Else it is granted, and the grant is on its way.
    else return;
    gateway.port.cancelled(number);
  }

  /** The grants that follow are not carried out yet. */
  release(core: number, sequence: number, warm: boolean): boolean {
    const { machine } = this;
    // What is read of a lease that another shard grants this moment is not of this one.
    if (this.#isShared && !machine.leases.holds(core, sequence)) return false;
    const request = machine.leases.request(core);
    const version = machine.leases.version(core);
    if (!machine.release(core, sequence, warm)) return false;
    if (this.requests.isOwn(request)) this.over(request, version);
    else if (!this.#mail.ended(request, warm ? core : -1)) this.#control.ended(version);
    return true;
  }

  /** The lease of one of this shard's requests has ended. */
  over(request: number, version: number): void {
    const { requests } = this;
    const isReturned = this.#returned.size > 0 && this.#returned.delete(request);
    const gateway = isReturned ? requests.requester(request) : null;
    const number = requests.number(request);
    requests.remove(request);
    if (gateway !== null) this.#askAgain(gateway, number, version);
    this.#control.ended(version);
  }

  #askAgain(gateway: Gateway, number: number, version: number): void {
    if (this.#isStopping) gateway.port.refused(number, 'stopping');
    else if (!gateway.versions.has(version)) gateway.port.refused(number, 'version');
    else this.intake.ask(gateway, number, version, AGAIN);
  }

  unstarted(gateway: Gateway, number: number, { core, sequence, version }: Unheld, why: Unstarted): void {
    if (number >= NUMBER_END) return;
    const { leases } = this.machine;
    if (!this.#isHeldFor(gateway, number, { core, sequence })) {
      // Of a later lease, which is on its way to the gateway, that one is going to say what becomes of it.
      if (why === 'cancelled' || !this.requests.isLastLease(gateway, number, { core, sequence })) return;
      const index = this.requests.find(gateway, number);
      // Its worker was away meanwhile, and the lease has ended with that. Else it waits.
      if (index < 0) this.#askAgain(gateway, number, version);
      // It has ended at another shard, which has not said so yet.
      else if (this.#isShared && !this.requests.waits(index)) this.#returned.add(index);
      return;
    }
    if (why === 'no-memory') return void this.noMemory(core, sequence);
    if (why !== 'cancelled') this.#returned.add(leases.request(core));
    // Before its core is free again.
    if (why === 'unsent') this.#control.unreachable(core);
    if (why === 'refused') this.#askWorker(core, sequence);
    else this.release(core, sequence, false);
  }

  #isHeldFor(gateway: Gateway, number: number, { core, sequence }: { core: number; sequence: number }): boolean {
    const { machine, requests } = this;
    const isCore = core >= 0 && core < machine.cores.coreCountMax;
    if (!isCore || !machine.leases.holds(core, sequence)) return false;
    const index = machine.leases.request(core);
    return requests.isOwn(index) && requests.requester(index) === gateway && requests.number(index) === number;
  }

  /** Its request waits again, where it has waited before. */
  noMemory(core: number, sequence: number): boolean {
    const { machine, requests } = this;
    if (!machine.leases.holds(core, sequence)) return false;
    const index = machine.leases.request(core);
    // What runs from before is in its memory already.
    if (!requests.isOwn(index)) return this.#mail.noMemory(index, machine.workerOf(core), { core, sequence });
    const version = machine.leases.version(core);
    if (!machine.noMemory(core, sequence)) return false;
    this.#returned.delete(index);
    if (requests.requester(index) !== null) requests.queued(index);
    else if (machine.cancel(index)) {
      requests.remove(index);
      this.#control.ended(version);
    }
    return true;
  }

  /** Wherever it is connected. */
  #askWorker(core: number, sequence: number): void {
    if (this.machine.leases.holds(core, sequence)) this.#control.probe(core, sequence);
  }

  // ---- who goes

  /** What it waited for, nobody waits for; what it was granted may run or not. */
  gatewayLeft(gateway: Gateway): void {
    const { machine, requests } = this;
    for (const index of gateway.indexes) {
      if (index < 0 || !requests.waits(index)) continue;
      // The core that another one of its requests would have had may have been granted to this one just now.
      if (this.intake.takeBack(index)) requests.remove(index);
      else requests.disown(index);
    }
    for (const core of this.#ownLeases()) {
      const request = machine.leases.request(core);
      if (requests.requester(request) !== gateway) continue;
      this.#disown(request);
      this.#askWorker(core, machine.leases.sequence(core));
    }
    // Their leases have ended elsewhere, and that is on its way.
    for (const index of gateway.indexes) if (index >= 0) this.#disown(index);
  }

  /** Whoever waits is told to ask the next scheduler, and so is who asks from now on. */
  stop(gateways: Iterable<Gateway>): void {
    this.#isStopping = true;
    for (const { indexes } of gateways) {
      for (const index of indexes) {
        if (index >= 0 && this.intake.takeBack(index)) this.intake.refuse(index, 'stopping');
      }
    }
  }

  #disown(request: number): void {
    this.requests.disown(request);
    this.#returned.delete(request);
  }

  /** Cores that are leased for requests of this shard. */
  *#ownLeases(): Generator<number> {
    const { leases, cores } = this.machine;
    for (let core = 0, { end } = cores; core < end; core++) if (this.requests.isOwn(leases.request(core))) yield core;
  }

  runningCounts(): Map<Gateway, number> {
    const counts = new Map<Gateway, number>();
    for (const core of this.#ownLeases()) {
      const gateway = this.requests.requester(this.machine.leases.request(core));
      if (gateway !== null) counts.set(gateway, (counts.get(gateway) ?? 0) + 1);
    }
    return counts;
  }

  waitingCount({ indexes }: Gateway): number {
    let count = 0;
    for (const index of indexes) if (index >= 0 && this.requests.waits(index)) count++;
    return count;
  }
}
