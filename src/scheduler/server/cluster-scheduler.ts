/**
 * The scheduler of a cluster: the machine, and who has joined it. Gateways ask and workers release, each over a line of
 * its own that may break at any moment; what frames carry is calls and ports here.
 *
 * What a gateway was granted and does not start is found by asking the worker (`probe`): one that does not run the lease
 * refuses it from then on, and so the core may be granted to somebody else.
 */
import { assert } from '../../base/assert.ts';
import { Grant } from '../machine/actions.ts';
import type { SchedulerLimits } from '../machine/limits.ts';
import { beginAnew, forgetWorker } from '../machine/membership.ts';
import { outcome, type Outcome, Scheduler } from '../machine/scheduler.ts';
import { noIndexes, type Requester, Requests } from './requests.ts';
import { LineNames, type NamedVersion, VersionNames } from './version-names.ts';

/** The cores of a worker. */
export interface Place {
  readonly firstCore: number;
  /** It takes no lease but those after this sequence (`isAfter`). */
  readonly floor: number;
}

/** What the scheduler tells a worker. Nothing is answered before a call returns. */
export interface WorkerPort {
  /** Do you run this lease? If not, refuse it from now on. */
  probe(core: number, sequence: number): void;
}

/** What the scheduler tells a gateway. Nothing is answered before a call returns. */
export interface GatewayPort {
  /** `warm`: the worker is believed to have an instance at rest. */
  granted(request: number, lease: { readonly core: number; readonly sequence: number }, warm: boolean): void;
  refused(request: number, why: Outcome): void;
  cancelled(request: number): void;
  /** Cores from `firstCore` on are this worker's. */
  workerJoined(worker: WorkerView): void;
  /** What runs there has no result any more. */
  workerLeft(worker: WorkerView): void;
}

export interface Announcement {
  readonly name: string;
  /** Where gateways reach it. */
  readonly host: string;
  readonly port: number;
  /** Of the worker's process, to tell it from the one before. */
  readonly life: number;
  readonly coreCount: number;
  readonly memoryMb: number;
  /** What runs there from before. */
  readonly running: readonly { readonly core: number; readonly sequence: number; readonly version: NamedVersion }[];
}

export interface WorkerView {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly life: number;
  readonly firstCore: number;
  readonly coreCount: number;
}

interface Member extends WorkerView {
  readonly index: number;
  host: string;
  port: number;
  life: number;
  readonly memoryMb: number;
  readonly versions: LineNames;
  line: WorkerPort | null;
}

interface Gateway extends Requester {
  readonly port: GatewayPort;
  readonly versions: LineNames;
}

export interface Unheld {
  readonly core: number;
  readonly sequence: number;
  readonly version: number;
}

/**
 * Why a gateway has not started what it was granted. `unsent`: the worker was told nothing of it. `refused`: the worker does not
 * take the lease. Of these, all but `cancelled` is granted again.
 */
export type Unstarted = 'unsent' | 'refused' | 'no-memory' | 'cancelled';

/** A worker's line. What names no core or lease of its own changes nothing and answers false. */
export interface WorkerSession extends Place {
  release(core: number, sequence: number, warm: boolean): boolean;
  noMemory(core: number, sequence: number): boolean;
  /** The answer to `probe`: it does not run this lease, and never will. */
  fenced(core: number, sequence: number): boolean;
  memoryAvailable(): void;
  warmed(version: number): void;
  evicted(version: number): void;
  /** -1: there are too many. Its own names, as with a gateway. */
  name(version: NamedVersion): number;
  leave(): void;
}

/** A gateway's line. */
export interface GatewaySession {
  /** -1: there are too many versions. */
  name(version: NamedVersion): number;
  /** Where the index stands for another key by now, nothing changes. */
  unname(index: number, key: string): void;
  /** Reserved concurrency of a function that has a version here; -1: none of its own. */
  setConcurrency(functionKey: string, max: number): void;
  /** False: the number is in use, or the version has no name. */
  request(number: number, version: number): boolean;
  cancel(number: number): void;
  /** It was granted this, and has not started it. */
  unstarted(number: number, lease: Unheld, why: Unstarted): void;
  leave(): void;
}

export class ClusterScheduler {
  readonly machine: Scheduler;
  /** Which life of the scheduler this is, for all who join. It only grows. */
  epoch: number;
  readonly #names: VersionNames;
  readonly #requests: Requests<Gateway>;
  readonly #members = new Map<string, Member>();
  readonly #byIndex: Member[] = [];
  readonly #gateways = new Set<Gateway>();
  /** Requests whose grants were not started, and that are asked again when their leases are over. */
  readonly #returned = new Set<number>();
  readonly #grant = new Grant();

  constructor(limits: SchedulerLimits) {
    this.machine = new Scheduler(limits);
    this.epoch = limits.epoch;
    this.#names = new VersionNames(this.machine);
    this.#requests = new Requests(limits.requestCountMax);
  }

  /** For tests: everything that must hold between two events. */
  checkInvariants(): void {
    const { machine } = this;
    machine.checkInvariants();
    assert(machine.actions.count === 0, 'a grant was not carried out');
    const inUse = machine.leasedCount + machine.queue.length;
    assert(this.#requests.inUse === inUse, `${this.#requests.inUse} requests are in use, ${inUse} wait or hold a core`);
    const lines = [...this.#gateways, ...this.#byIndex];
    const named = new Set(lines.flatMap(({ versions }) => [...versions.indexes()]));
    for (let version = 0; version < machine.limits.versionCountMax; version++) {
      const isNeeded = named.has(version) || machine.versions.running(version) > 0;
      assert(machine.versions.isSet(version) === isNeeded, `version ${version} is set: ${!isNeeded}`);
    }
  }

  /** Where its cores are, or were when it was here before: absent until it joins. A text says why it may not have any. */
  place({ name, coreCount, memoryMb }: Pick<Announcement, 'name' | 'coreCount' | 'memoryMb'>): Place | string {
    const known = this.#members.get(name);
    if (known?.line) return `a worker named ${name} has joined already`;
    const member = known ?? this.#addMember(name, coreCount, memoryMb);
    if (typeof member === 'string') return member;
    if (member.coreCount !== coreCount || member.memoryMb !== memoryMb)
      return `the worker ${name} had ${member.coreCount} cores and ${member.memoryMb} MB: give it another name`;
    return { firstCore: member.firstCore, floor: beginAnew(this.machine, member.index, member.coreCount) };
  }

  /** A text says why it may not. */
  joinWorker(line: WorkerPort, announcement: Announcement): WorkerSession | string {
    const place = this.place(announcement);
    if (typeof place === 'string') return place;
    const member = this.#members.get(announcement.name)!;
    member.line = line;
    member.host = announcement.host;
    member.port = announcement.port;
    member.life = announcement.life;
    for (const { core, sequence, version } of announcement.running) this.#resume(member, core, sequence, version);
    for (const gateway of this.#gateways) gateway.port.workerJoined(member);
    this.#giveBackCores(member);
    this.#settle();
    return this.#workerSession(member, place.floor);
  }

  joinGateway(port: GatewayPort): GatewaySession {
    const gateway: Gateway = { port, indexes: noIndexes(), versions: new LineNames(this.#names) };
    this.#gateways.add(gateway);
    for (const member of this.#byIndex) if (member.line !== null) port.workerJoined(member);
    return this.#gatewaySession(gateway);
  }

  #addMember(name: string, coreCount: number, memoryMb: number): Member | string {
    const { machine } = this;
    const { workerCountMax, coreCountMax } = machine.limits;
    const roomAt = this.#byIndex.reduce((end, each) => end + Math.ceil(each.coreCount / 32) * 32, 0);
    if (machine.workerCount >= workerCountMax || roomAt + Math.ceil(coreCount / 32) * 32 > coreCountMax)
      return `the cluster is full: ${machine.workerCount} workers, ${machine.registeredCount} cores`;
    const index = machine.addWorker(coreCount, memoryMb, true);
    const firstCore = machine.firstCore(index);
    const versions = new LineNames(this.#names);
    const member = { name, host: '', port: 0, life: 0, coreCount, memoryMb, index, firstCore, versions, line: null };
    this.#members.set(name, member);
    this.#byIndex[index] = member;
    return member;
  }

  #workerSession(member: Member, floor: number): WorkerSession {
    const { machine } = this;
    const owns = (core: number): boolean =>
      member.line !== null && core >= member.firstCore && core < member.firstCore + member.coreCount;
    return {
      firstCore: member.firstCore,
      floor,
      release: (core, sequence, warm) => {
        const known = owns(core) && this.#release(core, sequence, warm);
        this.#settle();
        return known;
      },
      noMemory: (core, sequence) => {
        const known = owns(core) && this.#noMemory(core, sequence);
        this.#settle();
        return known;
      },
      fenced: (core, sequence) => {
        const known = owns(core) && this.#release(core, sequence, false);
        this.#settle();
        return known;
      },
      memoryAvailable: () => {
        if (member.line !== null) machine.memoryAvailable(member.index);
        this.#settle();
      },
      warmed: (version) => {
        if (member.line !== null) machine.warmed(member.index, version);
        this.#settle();
      },
      evicted: (version) => {
        if (member.line !== null) machine.evicted(member.index, version);
      },
      name: (version) => member.versions.name(version),
      leave: () => this.#workerLeaves(member),
    };
  }

  #gatewaySession(gateway: Gateway): GatewaySession {
    const { machine } = this;
    return {
      name: (version) => gateway.versions.name(version),
      unname: (index, key) => {
        if (this.#names.keyOf(index) === key) gateway.versions.unname(index);
      },
      setConcurrency: (functionKey, max) => {
        const index = this.#names.functionIndex(functionKey);
        if (index >= 0) machine.setConcurrency(index, max);
        this.#settle();
      },
      request: (number, version) => this.#request(gateway, number, version),
      cancel: (number) => this.#cancel(gateway, number),
      unstarted: (number, lease, why) => {
        this.#unstarted(gateway, number, lease, why);
        this.#settle();
      },
      leave: () => this.#gatewayLeaves(gateway),
    };
  }

  #request(gateway: Gateway, number: number, version: number): boolean {
    if (!gateway.versions.has(version) || this.#requests.find(gateway, number) >= 0) return false;
    this.#ask(gateway, number, version);
    this.#settle();
    return true;
  }

  #ask(gateway: Gateway, number: number, version: number): void {
    const index = this.#requests.add(gateway, number);
    if (index < 0) return gateway.port.refused(number, outcome.refusedQueueFull);
    const answer = this.machine.request(index, version);
    if (answer === outcome.granted || answer === outcome.queued) return;
    this.#requests.remove(index);
    gateway.port.refused(number, answer);
  }

  #cancel(gateway: Gateway, number: number): void {
    const index = this.#requests.find(gateway, number);
    // Else it is granted, and the grant is on its way.
    if (index < 0 || !this.machine.cancel(index)) return;
    this.#requests.remove(index);
    gateway.port.cancelled(number);
    this.#settle();
  }

  /** The grants that follow are not carried out yet. */
  #release(core: number, sequence: number, warm: boolean): boolean {
    const { machine } = this;
    const request = machine.leases.request(core);
    const version = machine.leases.version(core);
    if (!machine.release(core, sequence, warm)) return false;
    const gateway = this.#returned.delete(request) ? this.#requests.requester(request) : null;
    const number = this.#requests.number(request);
    this.#requests.remove(request);
    if (gateway !== null) this.#ask(gateway, number, version);
    this.#names.ended(version);
    return true;
  }

  #unstarted(gateway: Gateway, number: number, { core, sequence, version }: Unheld, why: Unstarted): void {
    const { leases } = this.machine;
    if (!this.#isHeldFor(gateway, number, { core, sequence })) {
      // Its worker was away meanwhile, and the lease has ended with that.
      const asks = why !== 'cancelled' && this.#requests.find(gateway, number) < 0 && gateway.versions.has(version);
      if (asks) this.#ask(gateway, number, version);
      return;
    }
    if (why === 'no-memory') return void this.#noMemory(core, sequence);
    if (why !== 'cancelled') this.#returned.add(leases.request(core));
    if (why === 'refused') this.#probe(core, sequence);
    else this.#release(core, sequence, false);
  }

  #isHeldFor(gateway: Gateway, number: number, { core, sequence }: { core: number; sequence: number }): boolean {
    const { leases } = this.machine;
    if (!leases.holds(core, sequence)) return false;
    const index = leases.request(core);
    return this.#requests.requester(index) === gateway && this.#requests.number(index) === number;
  }

  #noMemory(core: number, sequence: number): boolean {
    const index = this.machine.leases.request(core);
    const known = this.machine.noMemory(core, sequence);
    if (known) this.#requests.waits(index);
    return known;
  }

  #probe(core: number, sequence: number): void {
    if (!this.machine.leases.holds(core, sequence)) return;
    this.#byIndex[this.machine.workerOf(core)]?.line?.probe(core, sequence);
  }

  /** Its cores are absent: whatever was leased there has ended for us. */
  #workerLeaves(member: Member): void {
    if (member.line === null) return;
    const { machine } = this;
    member.line = null;
    for (let core = member.firstCore; core < member.firstCore + member.coreCount; core++) machine.withdraw(core);
    for (let core = member.firstCore; core < member.firstCore + member.coreCount; core++)
      if (machine.leases.isLeased(core)) this.#release(core, machine.leases.sequence(core), false);
    forgetWorker(machine, member.index);
    member.versions.clear();
    for (const gateway of this.#gateways) gateway.port.workerLeft(member);
    this.#settle();
  }

  /** What it waited for, nobody waits for; what it was granted may run or not. */
  #gatewayLeaves(gateway: Gateway): void {
    if (!this.#gateways.delete(gateway)) return;
    const { machine } = this;
    for (const index of gateway.indexes) {
      if (index < 0) continue;
      // The core that another one of its requests would have had may have been granted to this one just now.
      if (machine.cancel(index)) this.#requests.remove(index);
      else this.#requests.disown(index);
    }
    gateway.versions.clear();
    for (const member of this.#byIndex) {
      if (member.line === null) continue;
      for (let core = member.firstCore; core < member.firstCore + member.coreCount; core++) {
        const request = machine.leases.request(core);
        if (request < 0 || this.#requests.requester(request) !== gateway) continue;
        this.#requests.disown(request);
        this.#probe(core, machine.leases.sequence(core));
      }
    }
    this.#settle();
  }

  /** A lease of the scheduler before this one, or from before the line broke. */
  #resume(member: Member, core: number, sequence: number, version: NamedVersion): void {
    const index = this.#names.name(version);
    if (index < 0) return;
    const request = this.#requests.addNobodys();
    const resumed = request >= 0 && this.machine.resume(member.firstCore + core, request, index, sequence);
    if (request >= 0 && !resumed) this.#requests.remove(request);
    this.#names.unname(index);
  }

  #giveBackCores(member: Member): void {
    for (let core = member.firstCore; core < member.firstCore + member.coreCount; core++) this.machine.giveBack(core);
  }

  /** Every event is followed by the grants that it caused. */
  #settle(): void {
    const { machine } = this;
    const grant = this.#grant;
    while (machine.takeGrant(grant)) {
      const gateway = this.#requests.requester(grant.request);
      this.#requests.granted(grant.request);
      if (gateway !== null) gateway.port.granted(this.#requests.number(grant.request), grant, grant.warm === 1);
      else this.#release(grant.core, grant.sequence, false);
    }
  }
}
