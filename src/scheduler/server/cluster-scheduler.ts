/**
 * The scheduler of a cluster: the machine, and who has joined it. Gateways ask and workers release, each over a line of
 * its own that may break at any moment; what frames carry is calls and ports here. Its shell calls `turn` and `sweep`.
 *
 * What a gateway was granted and does not start is found by asking the worker (`probe`): one that does not run the lease
 * refuses it from then on, and so the core may be granted to somebody else.
 */
import { assert } from '../../base/assert.ts';
import { Grant } from '../machine/actions.ts';
import type { SchedulerLimits } from '../machine/limits.ts';
import { Scheduler } from '../machine/scheduler.ts';
import { type Gateway, Intake } from './intake.ts';
import { Members, type Member } from './members.ts';
import type {
  Announcement,
  Asking,
  GatewayPort,
  GatewaySession,
  Place,
  Unheld,
  Unstarted,
  WorkerPort,
  WorkerSession,
} from './ports.ts';
import { Provisions } from './provisions.ts';
import { noIndexes, Requests } from './requests.ts';
import { Unheard } from './unheard.ts';
import { LineNames, VersionNames } from './version-names.ts';

export interface ClusterLimits extends SchedulerLimits {
  /** Sweeps for which a version is kept whose gateways have gone; 0 unless said otherwise. */
  readonly keptSweeps?: number;
  /** Sweeps in which workers are believed to be on their way still; 0 unless said otherwise. */
  readonly startSweeps?: number;
}

const FRESH: Asking = { again: false, waitedMs: 0 };
const AGAIN: Asking = { again: true, waitedMs: 0 };
/** A table of each gateway has a place for each of its numbers. */
const NUMBER_END = 1 << 22;
/** There is one yet. */
const SHARD = 0;

export class ClusterScheduler {
  readonly machine: Scheduler;
  /** Which life of the scheduler this is, for all who join. It only grows. */
  epoch: number;
  // The parts are there to be read, by views; only the scheduler changes them.
  readonly names: VersionNames;
  readonly members: Members;
  readonly provisions: Provisions;
  readonly requests: Requests<Gateway>;
  readonly gateways: Set<Gateway> = new Set();
  readonly intake: Intake;
  /** Requests whose grants were not started, and that are asked again when their leases are over. */
  readonly #returned = new Set<number>();
  readonly #unheard: Unheard;
  readonly #grant = new Grant();
  /** Grants that were told. */
  grantCount = 0;
  #isStopping = false;

  constructor(limits: ClusterLimits) {
    const { queueMax, keptSweeps = 0, startSweeps = 0 } = limits;
    // Its bound of the queue is the intake's own.
    this.machine = new Scheduler({ ...limits, queueMax: limits.requestCountMax });
    this.epoch = limits.epoch;
    this.names = new VersionNames(this.machine, {
      keptSweeps,
      dropped: (index, key) => this.#dropped(index, key),
    });
    this.members = new Members(this.machine);
    this.provisions = new Provisions(keptSweeps);
    this.requests = new Requests(limits.requestCountMax);
    const { machine, requests, names } = this;
    this.intake = new Intake({ machine, requests, names, queueMax, startSweeps });
    this.#unheard = new Unheard(this.machine.cores.coreCountMax);
  }

  /** The listener has `turn` called, once what has come is read. */
  onCollected(listener: () => void): void {
    this.intake.onCollected(listener);
  }

  /** For tests: everything that must hold between two events. */
  checkInvariants(): void {
    const { machine } = this;
    machine.checkInvariants();
    assert(machine.actions.count === 0, 'a grant was not carried out');
    const inUse = machine.leasedCount + machine.queue.length + this.intake.collectedCount;
    assert(this.requests.inUse === inUse, `${this.requests.inUse} requests are in use, ${inUse} wait or hold a core`);
    for (const { versions } of this.gateways)
      for (const index of versions.indexes())
        assert(this.names.isNamed(index), `version ${index} is named, and dropped`);
    for (let version = 0; version < machine.limits.versionCountMax; version++) {
      const isNeeded =
        this.names.isNamed(version) || machine.versions.running(version) > 0 || this.names.isKept(version);
      assert(machine.versions.isSet(version) === isNeeded, `version ${version} is set: ${!isNeeded}`);
    }
    this.members.checkInvariants();
  }

  /** Where its cores are, or were when it was here before: absent until it joins. A text says why it may not have any. */
  place(worker: Pick<Announcement, 'name' | 'coreCount' | 'memoryMb'>): Place | string {
    const member = this.members.place(worker);
    if (typeof member !== 'string') this.intake.workerPlaced();
    return member;
  }

  /** A text says why it may not. */
  joinWorker(line: WorkerPort, announcement: Announcement): WorkerSession | string {
    const placed = this.place(announcement);
    if (typeof placed === 'string') return placed;
    const member = this.members.join(line, announcement);
    for (const { core, sequence, version } of announcement.running) {
      const index = this.names.keep(version);
      const request = index < 0 ? -1 : this.requests.addNobodys();
      const isLeased = request >= 0 && this.members.resume(member, { core, sequence, request, version: index });
      if (isLeased) this.#unheard.heard(member.firstCore + core, member.floor);
      else if (request >= 0) this.requests.remove(request);
      if (!isLeased) this.members.keepBack(member, { core, sequence });
    }
    for (const gateway of this.gateways) gateway.port.workerJoined(member);
    this.members.open(member);
    this.provisions.hostChanged(member);
    this.#settle();
    return this.#workerSession(member);
  }

  joinGateway(port: GatewayPort, name = '', nowMs = 0): GatewaySession {
    const versions = new LineNames(this.names);
    const gateway: Gateway = { name, sinceMs: nowMs, port, indexes: noIndexes(), versions };
    this.gateways.add(gateway);
    this.provisions.gatewayJoined(name);
    for (const member of this.members.joined()) port.workerJoined(member);
    return this.#gatewaySession(gateway);
  }

  /** The end of a turn in which something was collected. */
  turn(): void {
    this.intake.turn();
    this.#settle();
  }

  /** Once a second, by the shell's clock. */
  sweep(): void {
    this.intake.sweep();
    this.names.sweep();
    this.provisions.sweep(this.members.all(), {
      most: (index, count) => this.machine.provision(index, count),
      sum: (index, sum) => {
        for (const { versions, port } of this.gateways) if (versions.has(index)) port.provisioned(index, sum);
      },
    });
    for (const { line, firstCore, coreCount } of this.members.joined()) {
      this.#unheard.sweep(this.machine.leases, [firstCore, firstCore + coreCount], (core, sequence) =>
        line!.probe(core, sequence),
      );
    }
    this.#settle();
  }

  /** Whoever waits is told to ask the next scheduler, and so is who asks from now on. */
  stop(): void {
    this.#isStopping = true;
    for (const gateway of this.gateways) {
      for (const index of gateway.indexes) {
        if (index >= 0 && this.intake.takeBack(index)) this.intake.refuse(index, 'stopping');
      }
    }
    this.#settle();
  }

  #workerSession(member: Member): WorkerSession {
    const { machine, members } = this;
    const isJoined = (): boolean => member.line !== null;
    return {
      firstCore: member.firstCore,
      floor: member.floor,
      release: (core, sequence, warm) => this.#ended(member, core, sequence, warm),
      noMemory: (core, sequence) => {
        const known = members.owns(member, core) && !member.earlier.has(core) && this.#noMemory(core, sequence);
        this.#settle();
        return known;
      },
      fenced: (core, sequence) => this.#ended(member, core, sequence, false),
      held: (core, sequence) => {
        if (members.owns(member, core) && machine.leases.holds(core, sequence)) this.#unheard.heard(core, sequence);
      },
      memoryAvailable: () => {
        if (isJoined()) machine.memoryAvailable(member.index);
        this.#settle();
      },
      withdraw: (firstCore, bits) => {
        const known = isJoined() && members.withdraw(member, firstCore, bits);
        if (known) this.provisions.hostChanged(member);
        this.#settle();
        return known;
      },
      warmed: (version) => {
        if (isJoined()) machine.warmed(member.index, version);
        this.#settle();
      },
      evicted: (version) => {
        if (isJoined()) machine.evicted(member.index, version);
      },
      provisioned: (version, own) => {
        if (isJoined()) this.provisions.report(member, version, own);
      },
      name: (version) => this.names.keep(version),
      leave: () => this.#workerLeaves(member),
    };
  }

  #gatewaySession(gateway: Gateway): GatewaySession {
    const { machine, names, provisions } = this;
    return {
      name: (version) => {
        const index = gateway.versions.name(version);
        provisions.named(index);
        return index;
      },
      unname: (index, key) => {
        if (names.versionAt(index)?.key === key) gateway.versions.unname(index);
      },
      setConcurrency: (functionKey, max) => {
        const index = names.functionIndex(functionKey);
        if (index >= 0) machine.setConcurrency(index, max);
        this.#settle();
      },
      provision: (version, count) => {
        if (gateway.versions.has(version))
          provisions.set(version, names.versionAt(version)!, { count, owner: gateway.name });
        return gateway.versions.wasGiven(version);
      },
      request: (number, version, asking = FRESH) => this.#request(gateway, number, version, asking),
      cancel: (number) => this.#cancel(gateway, number),
      unstarted: (number, lease, why) => {
        this.#unstarted(gateway, number, lease, why);
        this.#settle();
      },
      leave: () => this.#gatewayLeaves(gateway),
    };
  }

  // ---- requests

  #request(gateway: Gateway, number: number, version: number, asking: Asking): boolean {
    if (number >= NUMBER_END || this.#isInUse(gateway, number)) return false;
    if (!gateway.versions.has(version) || this.#isStopping) {
      if (!gateway.versions.wasGiven(version)) return false;
      gateway.port.refused(number, this.#isStopping ? 'stopping' : 'version');
      return true;
    }
    this.intake.ask(gateway, number, version, asking);
    this.#settle();
    return true;
  }

  #isInUse(gateway: Gateway, number: number): boolean {
    const index = this.requests.find(gateway, number);
    return index >= 0 && (this.requests.waits(index) || (this.#returned.size > 0 && this.#returned.has(index)));
  }

  #cancel(gateway: Gateway, number: number): void {
    const index = this.requests.find(gateway, number);
    if (index < 0) return;
    // It is to be asked again when its lease is over: that it is not, any more.
    if (this.#returned.delete(index)) this.requests.disown(index);
    else if (this.intake.takeBack(index)) this.requests.remove(index);
    // Else it is granted, and the grant is on its way.
    else return;
    gateway.port.cancelled(number);
    this.#settle();
  }

  // ---- leases

  /** As the worker names it. */
  #ended(member: Member, core: number, sequence: number, warm: boolean): boolean {
    if (!this.members.owns(member, core)) return false;
    const isEarlier = member.earlier.size > 0 && member.earlier.has(core);
    const known = isEarlier ? this.#endEarlier(member, core, sequence, warm) : this.#release(core, sequence, warm);
    this.#settle();
    return known;
  }

  #endEarlier(member: Member, core: number, sequence: number, warm: boolean): boolean {
    if (member.earlier.get(core) !== sequence) return false;
    const { leases } = this.machine;
    member.earlier.delete(core);
    if (leases.isLeased(core)) return this.#release(core, leases.sequence(core), warm);
    this.members.letGo(member, core);
    return true;
  }

  /** The grants that follow are not carried out yet. */
  #release(core: number, sequence: number, warm: boolean): boolean {
    const { machine, requests } = this;
    const request = machine.leases.request(core);
    const version = machine.leases.version(core);
    if (!machine.release(core, sequence, warm)) return false;
    const isReturned = this.#returned.size > 0 && this.#returned.delete(request);
    const gateway = isReturned ? requests.requester(request) : null;
    const number = requests.number(request);
    requests.remove(request);
    if (gateway !== null) this.#askAgain(gateway, number, version);
    this.names.ended(version);
    return true;
  }

  #askAgain(gateway: Gateway, number: number, version: number): void {
    if (this.#isStopping) gateway.port.refused(number, 'stopping');
    else if (!gateway.versions.has(version)) gateway.port.refused(number, 'version');
    else this.intake.ask(gateway, number, version, AGAIN);
  }

  #unstarted(gateway: Gateway, number: number, { core, sequence, version }: Unheld, why: Unstarted): void {
    if (number >= NUMBER_END) return;
    const { leases } = this.machine;
    if (!this.#isHeldFor(gateway, number, { core, sequence })) {
      // Its worker was away meanwhile, and the lease has ended with that. Or it has another one by now, or waits.
      if (why !== 'cancelled' && this.requests.find(gateway, number) < 0) this.#askAgain(gateway, number, version);
      return;
    }
    if (why === 'no-memory') return void this.#noMemory(core, sequence);
    if (why !== 'cancelled') this.#returned.add(leases.request(core));
    if (why === 'refused') this.#probe(core, sequence);
    else this.#release(core, sequence, false);
  }

  #isHeldFor(gateway: Gateway, number: number, { core, sequence }: { core: number; sequence: number }): boolean {
    const { machine, requests } = this;
    const isCore = core >= 0 && core < machine.cores.coreCountMax;
    if (!isCore || !machine.leases.holds(core, sequence)) return false;
    const index = machine.leases.request(core);
    return requests.requester(index) === gateway && requests.number(index) === number;
  }

  #noMemory(core: number, sequence: number): boolean {
    const { machine, requests } = this;
    const index = machine.leases.request(core);
    const version = machine.leases.version(core);
    if (!machine.noMemory(core, sequence)) return false;
    this.#returned.delete(index);
    if (requests.requester(index) !== null) requests.queued(index);
    else if (machine.cancel(index)) {
      requests.remove(index);
      this.names.ended(version);
    }
    return true;
  }

  #probe(core: number, sequence: number): void {
    if (!this.machine.leases.holds(core, sequence)) return;
    this.members.at(this.machine.workerOf(core))?.line?.probe(core, sequence);
  }

  /** Every event is followed by the grants that it caused. */
  #settle(): void {
    const { machine, requests } = this;
    const grant = this.#grant;
    while (machine.takeGrant(grant)) {
      const { request } = grant;
      const gateway = requests.requester(request);
      requests.granted(request);
      if (gateway === null) {
        this.#release(grant.core, grant.sequence, false);
        continue;
      }
      this.grantCount++;
      gateway.port.granted(requests.number(request), grant, requests.wasQueued(request) ? SHARD : -1);
    }
  }

  // ---- who goes

  /** Its cores are absent: whatever was leased there has ended for us. */
  #workerLeaves(member: Member): void {
    if (member.line === null) return;
    const { leases } = this.machine;
    this.members.leave(member);
    // What was granted there just now is told, and comes back, as any grant of a worker that is gone.
    this.#settle();
    for (let core = member.firstCore; core < member.firstCore + member.coreCount; core++)
      if (leases.isLeased(core)) this.#release(core, leases.sequence(core), false);
    this.members.forget(member);
    this.provisions.hostChanged(member);
    for (const gateway of this.gateways) gateway.port.workerLeft(member);
    this.#settle();
  }

  /** What it waited for, nobody waits for; what it was granted may run or not. */
  #gatewayLeaves(gateway: Gateway): void {
    if (!this.gateways.delete(gateway)) return;
    const { machine, requests } = this;
    for (const index of gateway.indexes) {
      if (index < 0 || !requests.waits(index)) continue;
      // The core that another one of its requests would have had may have been granted to this one just now.
      if (this.intake.takeBack(index)) requests.remove(index);
      else requests.disown(index);
    }
    this.provisions.gatewayLeft(gateway.name);
    for (const { firstCore, coreCount } of this.members.joined()) {
      for (let core = firstCore; core < firstCore + coreCount; core++) {
        const request = machine.leases.request(core);
        if (request < 0 || requests.requester(request) !== gateway) continue;
        requests.disown(request);
        this.#returned.delete(request);
        this.#probe(core, machine.leases.sequence(core));
      }
    }
    gateway.versions.leave();
    this.#settle();
  }

  #dropped(index: number, key: string): void {
    this.provisions.dropped(index);
    for (const { line } of this.members.joined()) line!.dropped(index, key);
  }
}
