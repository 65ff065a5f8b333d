/**
 * A worker as its scheduler and its gateways see it: the judge of leases. Pure: calls come in, actions go out through ports;
 * no I/O, no clock.
 *
 * - A core has one lease at most, from `take` until `released` or `notTaken`, whoever brings another one.
 * - A lease is taken if its epoch is the one that the worker acts for, the highest in which it was welcomed, and its sequence comes
 *   after all that the core had, was fenced at, or began with. So what two schedulers grant that both believe they lead
 *   never runs twice on one core, and what is late runs nowhere.
 * - The scheduler hears of the end of each lease once: by RELEASE, by NO_MEMORY, or by an announcement in which its core is not busy.
 * - A lease may be handed on from one step of a chain to the next, of the same gateway (kept-leases.ts): for the scheduler it is one lease, of the
 *   version that it was granted for.
 * - Versions have the worker's own numbers; an index stands for one in one epoch, as gateways (SET_VERSION) and the scheduler
 *   (VERSION, NAME_VERSION) say.
 */
import { assert } from '../../base/assert.ts';
import { NO_INDEX } from '../../wire/cluster-frame.ts';
import { UnstartedWhy } from '../../wire/cluster/small-frames.ts';
import { Cores, type Welcome } from './cores.ts';
import { KeptLeases } from './kept-leases.ts';
import { type OwnVersion, OwnVersions } from './own-versions.ts';
import type { AgentPort, Described, Lease, LeaseName, SchedulerPort, StorePort } from './ports.ts';
import { Provisions } from './provisions.ts';

export interface WorkerNodeLimits {
  readonly coreCount: number;
  /** Seats beside the cores' own; none unless said otherwise. */
  readonly extraSeatCount?: number;
  readonly versionCountMax: number;
}

interface Binding {
  readonly epoch: number;
  readonly version: OwnVersion;
}

/** What one gateway's connection has said that indexes stand for. */
export interface GatewaySide {
  readonly bindings: Map<number, Binding>;
}

/** What a gateway asks to be run. */
export interface Claim extends LeaseName {
  readonly index: number;
  /** It is the next step of a chain, and the lease was kept for it. */
  readonly follows?: boolean;
}

export interface Taken {
  /** Local; the lead of several. */
  readonly core: number;
  readonly version: OwnVersion;
}

export class WorkerNode {
  readonly cores: Cores;
  readonly versions: OwnVersions;
  readonly #agent: AgentPort;
  readonly #provisions: Provisions;
  readonly #gateways = new Set<GatewaySide>();
  readonly #kept = new KeptLeases<GatewaySide>();
  /** By lead, of a lease that was handed on: the version for which the scheduler granted it. */
  readonly #handedOn = new Map<number, OwnVersion>();
  #epoch = 0;
  #hasRange = false;
  #isStopping = false;
  #scheduler: SchedulerPort | null = null;
  /** By handle: what was named to the scheduler on this connection, and is not answered. */
  readonly #named = new Map<number, OwnVersion>();

  constructor(limits: WorkerNodeLimits, agent: AgentPort, store: StorePort) {
    this.cores = new Cores(limits.coreCount, limits.extraSeatCount ?? 0);
    this.versions = new OwnVersions(limits.versionCountMax);
    this.#agent = agent;
    this.#provisions = new Provisions({
      find: (key) => this.versions.find(key),
      add: (described) => this.#addVersion(described),
      keep: (version, count) => {
        if (version.described.refusal === null) agent.provision(version.number, count);
        if (count === 0) this.#settle(version);
      },
      ask: (key) => store.describe(key),
      figuresOf: ({ number, provisioned }) => {
        const { allocated, available, failed } = agent.provisionedState(number);
        return { wanted: provisioned, begun: allocated, ready: available, failed: failed !== null };
      },
      tell: (index, figures) => this.#scheduler?.provisioned(index, figures),
    });
  }

  /** For which it acts; 0: none yet. */
  get epoch(): number {
    return this.#epoch;
  }

  /** The range that it had; NO_INDEX: none. */
  get firstCore(): number {
    return this.#hasRange ? this.cores.firstCore : NO_INDEX;
  }

  get isJoined(): boolean {
    return this.#scheduler !== null;
  }

  // ---- the scheduler

  /** Else its epoch is over: some later one has welcomed this worker. */
  mayFollow(epoch: number): boolean {
    return epoch >= this.#epoch && epoch > 0;
  }

  /** The connection is open: from now on it is what the worker follows. It hears what there is. */
  welcomed(scheduler: SchedulerPort, welcome: Welcome): void {
    const { epoch } = welcome;
    assert(this.mayFollow(epoch), `epoch ${epoch} is over`);
    // What is kept ends with the announcement in which it is not busy; what was handed on is announced as what it is now.
    this.#scheduler = null;
    this.#letGo(this.#kept.clear());
    this.#handedOn.clear();
    this.cores.welcomed(welcome, epoch > this.#epoch);
    if (epoch > this.#epoch) this.#forgetBindings(epoch);
    this.#epoch = epoch;
    this.#hasRange = true;
    this.#scheduler = scheduler;
    this.#named.clear();
    // What was said while the line was broken is not known: indexes are learnt anew.
    for (const each of this.versions.all()) each.index = NO_INDEX;
    this.#provisions.welcomed();
    this.#announce(scheduler);
  }

  /** Its connection has ended. */
  left(scheduler: SchedulerPort): void {
    if (this.#scheduler === scheduler) this.#scheduler = null;
  }

  /** False: the core is none of this worker's. */
  probe(lease: Lease): boolean {
    const local = this.cores.localOf(lease.core);
    if (local < 0) return false;
    if (this.cores.holds(local, lease.sequence)) {
      this.#scheduler?.held({ ...lease, mask: 0 }, 0);
      return true;
    }
    if (lease.epoch === this.#epoch) this.cores.fence(local, lease.sequence);
    this.#scheduler?.fenced(lease);
    return true;
  }

  /** The answer to a name of the announcement. False: nothing was named so. */
  indexed(handle: number, index: number): boolean {
    const version = this.#named.get(handle);
    if (version === undefined) return false;
    this.#named.delete(handle);
    // It may have gone meanwhile, and its number be another's.
    if (index === NO_INDEX || this.versions.at(handle) !== version) return true;
    version.index = index;
    if (version.warm) this.#scheduler?.warmed(index);
    return true;
  }

  /** The scheduler's index stands for this key no more. */
  dropVersion(epoch: number, index: number, key: string): void {
    if (epoch !== this.#epoch) return;
    this.#provisions.dropped(index, key);
    const version = this.versions.find(key);
    if (version === null) return;
    for (const { bindings } of this.#gateways) {
      if (bindings.get(index)?.version === version) this.#unbind(bindings, index);
    }
    if (version.index === index) version.index = NO_INDEX;
    version.dropped = version.bindingCount === 0;
    this.#settle(version);
  }

  /** What the scheduler calls it: before it is provisioned. */
  nameVersion(index: number, key: string): void {
    this.#provisions.name(index, key);
  }

  /** False: the index was not named. */
  provision(index: number, count: number): boolean {
    return this.#provisions.provision(index, count);
  }

  // ---- the store

  described(key: string, answer: Described | null | 'away'): void {
    this.#provisions.described(key, answer);
  }

  /** About once a second. */
  tick(): void {
    this.#provisions.tick();
    this.#letGo(this.#kept.tick());
  }

  // ---- gateways

  joinGateway(): GatewaySide {
    const gateway = { bindings: new Map<number, Binding>() };
    this.#gateways.add(gateway);
    return gateway;
  }

  /** What it has asked for runs on. */
  leaveGateway(gateway: GatewaySide): void {
    this.#gateways.delete(gateway);
    this.#letGo(this.#kept.leave(gateway));
    for (const index of gateway.bindings.keys()) this.#unbind(gateway.bindings, index);
  }

  /** From now on the index stands for this, on this gateway's connection. There is nothing to say of an epoch that is over. */
  setVersion(gateway: GatewaySide, epoch: number, index: number, described: Described): void {
    if (epoch < this.#epoch) return;
    const version = this.versions.find(described.key) ?? this.#addVersion(described);
    // There is no number for it: what the index stood for before it stands for no more.
    if (version === null) return gateway.bindings.has(index) ? this.#unbind(gateway.bindings, index) : undefined;
    version.bindingCount++;
    version.dropped = false;
    if (gateway.bindings.has(index)) this.#unbind(gateway.bindings, index);
    gateway.bindings.set(index, { epoch, version });
  }

  /** Begins the lease, or says why not (`UnstartedWhy`). */
  take(gateway: GatewaySide, claim: Claim): Taken | UnstartedWhy {
    const { epoch, core, sequence, mask, index } = claim;
    if (this.#isStopping) return UnstartedWhy.stopping;
    const local = this.cores.localOf(core);
    if (epoch !== this.#epoch || local < 0 || !this.#hasRange) return UnstartedWhy.staleLease;
    if (claim.follows === true) return this.#takeKept(gateway, claim, local);
    if (!this.cores.mayBegin(local, sequence, mask)) return UnstartedWhy.staleLease;
    const version = this.#bound(gateway, index);
    if (version === null) return UnstartedWhy.staleLease;
    this.cores.begin(local, { epoch, sequence, mask }, version);
    return this.#began(local, version, index);
  }

  #takeKept(gateway: GatewaySide, { sequence, index }: Claim, local: number): Taken | UnstartedWhy {
    if (!this.#kept.take(local, sequence, gateway)) return UnstartedWhy.staleLease;
    const version = this.#bound(gateway, index);
    if (version === null) {
      this.#letGo([local]);
      return UnstartedWhy.staleLease;
    }
    const before = this.cores.hand(local, version);
    if (!this.#handedOn.has(local)) this.#handedOn.set(local, before);
    before.leaseCount--;
    const taken = this.#began(local, version, index);
    this.#settle(before);
    return taken;
  }

  /** What the index stands for on this connection, in this epoch. */
  #bound({ bindings }: GatewaySide, index: number): OwnVersion | null {
    const binding = bindings.get(index);
    return binding?.epoch === this.#epoch ? binding.version : null;
  }

  #began(local: number, version: OwnVersion, index: number): Taken {
    version.index = index;
    version.leaseCount++;
    this.versions.use(version);
    return { core: local, version };
  }

  // ---- chains; cores are local

  /** What was taken runs, and is followed by what this index stands for: null where that is not known, or nothing to run. */
  expect(gateway: GatewaySide, local: number, index: number): OwnVersion | null {
    if (this.#gateways.has(gateway)) this.#kept.expect(local, gateway);
    const version = this.#bound(gateway, index);
    if (version === null || version.described.refusal !== null) return null;
    this.#agent.want(version.number, ++version.wantedCount);
    return version;
  }

  /** It is followed by that no more, or that has begun. */
  unwant(version: OwnVersion): void {
    this.#agent.want(version.number, --version.wantedCount);
    this.#settle(version);
  }

  /** An invocation has its result. True: its lease is kept for what comes next. */
  answered(local: number, sequence: number): boolean {
    return this.#kept.answered(local, sequence);
  }

  /** Nothing comes next on a lease that is kept. */
  letGo(gateway: GatewaySide, { epoch, core, sequence }: Lease): void {
    const local = this.cores.localOf(core);
    if (epoch === this.#epoch && this.#kept.take(local, sequence, gateway)) this.#letGo([local]);
  }

  #letGo(leads: readonly number[]): void {
    for (const local of leads) this.#end(local, this.cores.sequenceOf(local));
  }

  // ---- the agent; cores are local

  /** The lease is over, and every process of it gone. */
  released(local: number, sequence: number, warm: boolean): void {
    const version = this.cores.versionOf(local)!;
    assert(this.cores.holds(local, sequence), `core ${local} does not hold the lease ${sequence}`);
    version.warm = warm;
    // The scheduler knows of no lease of its.
    if (warm && this.#handedOn.has(local) && version.index !== NO_INDEX) this.#scheduler?.warmed(version.index);
    const mayKeep = !this.#isStopping && !this.cores.isWithdrawn;
    if (!mayKeep || !this.#kept.ended(local, sequence)) this.#end(local, sequence);
  }

  #end(local: number, sequence: number): void {
    const lease = this.cores.nameOf(local);
    const version = this.cores.end(local, sequence);
    // To the scheduler it is the lease of the version that it granted.
    const granted = this.#handedOn.get(local) ?? version;
    this.#handedOn.delete(local);
    version.leaseCount--;
    this.#scheduler?.release(lease, granted.warm);
    this.#settle(version);
  }

  /** The agent has refused what was taken, for want of memory or because it stops. */
  notTaken(local: number, sequence: number, why: 'no-memory' | 'stopping'): void {
    this.#kept.answered(local, sequence);
    // The request has no lease in the scheduler's eyes, and so does not come back to it with this one.
    if (this.#handedOn.has(local)) return this.#end(local, sequence);
    const lease = this.cores.nameOf(local);
    const version = this.cores.end(local, sequence);
    version.leaseCount--;
    if (why === 'no-memory') this.#scheduler?.noMemory(lease);
    this.#settle(version);
  }

  warmed(number: number): void {
    const version = this.versions.at(number);
    if (version === null) return;
    version.warm = true;
    if (version.index !== NO_INDEX) this.#scheduler?.warmed(version.index);
  }

  evicted(number: number): void {
    const version = this.versions.at(number);
    if (version === null) return;
    version.warm = false;
    if (version.index !== NO_INDEX) this.#scheduler?.evicted(version.index);
    this.#settle(version);
  }

  memoryAvailable(): void {
    this.#scheduler?.memoryAvailable();
  }

  /** An extra seat has a use from now on, or none: what is on its way is taken still. */
  setOpen(local: number, isOpen: boolean): void {
    const word = this.cores.setOpen(local, isOpen);
    if (word >= 0) this.#scheduler?.announce({ ...this.cores.word(word), last: false });
  }

  // ---- the operator

  /** All cores: what runs goes on, what is on its way is taken still, no more is granted. */
  withdraw(): void {
    this.cores.isWithdrawn = true;
    this.#letGo(this.#kept.clear());
    if (this.#scheduler === null) return;
    for (let word = 0; word < this.cores.wordCount; word++)
      this.#scheduler.announce({ ...this.cores.word(word), last: false });
  }

  /** Takes no lease any more. */
  stop(): void {
    this.#isStopping = true;
    this.#letGo(this.#kept.clear());
  }

  /** For tests: everything that must hold between two events. */
  checkInvariants(): void {
    this.versions.checkInvariants();
    const leases = new Map<OwnVersion, number>();
    const bindings = new Map<OwnVersion, number>();
    const count = (counts: Map<OwnVersion, number>, version: OwnVersion): void =>
      void counts.set(version, (counts.get(version) ?? 0) + 1);
    for (let word = 0; word < this.cores.wordCount; word++)
      for (const local of this.cores.leadsOf(word)) count(leases, this.cores.versionOf(local)!);
    for (const gateway of this.#gateways) for (const { version } of gateway.bindings.values()) count(bindings, version);
    const known = new Set(this.versions.all());
    for (const version of [...leases.keys(), ...bindings.keys()])
      assert(known.has(version), `the version ${version.described.key} is in use and has gone`);
    for (const version of known) {
      const { key } = version.described;
      assert(version.leaseCount === (leases.get(version) ?? 0), `the leases of ${key} are counted wrong`);
      assert(version.bindingCount === (bindings.get(version) ?? 0), `the bindings of ${key} are counted wrong`);
      assert(!this.#mayGo(version), `nothing needs ${key}, and it is there`);
    }
  }

  #announce(scheduler: SchedulerPort): void {
    for (const each of this.versions.all()) {
      if (each.leaseCount === 0 && !each.warm) continue;
      this.#named.set(each.number, each);
      scheduler.nameVersion(each.number, each.described);
    }
    for (let word = 0; word < this.cores.wordCount; word++) {
      for (const local of this.cores.leadsOf(word))
        scheduler.held(this.cores.nameOf(local), this.cores.versionOf(local)!.number);
      scheduler.announce(this.cores.word(word));
    }
  }

  // ---- versions

  #addVersion(described: Described): OwnVersion | null {
    if (this.versions.isFull) {
      const least = this.versions.leastNeeded();
      if (least === null) return null;
      for (const { bindings } of this.#gateways)
        for (const [index, { version }] of bindings) if (version === least) bindings.delete(index);
      least.bindingCount = 0;
      this.#remove(least);
    }
    const version = this.versions.add(described);
    if (described.refusal === null) this.#agent.setVersion(version.number, described);
    return version;
  }

  /** What stands in bindings of epochs before this one. */
  #forgetBindings(epoch: number): void {
    for (const { bindings } of this.#gateways)
      for (const [index, binding] of bindings) if (binding.epoch < epoch) this.#unbind(bindings, index);
    for (const each of this.versions.all()) each.dropped = false;
  }

  #unbind(bindings: Map<number, Binding>, index: number): void {
    const { version } = bindings.get(index)!;
    bindings.delete(index);
    version.bindingCount--;
    this.#settle(version);
  }

  #mayGo({ leaseCount, provisioned, wantedCount, dropped, bindingCount, warm }: OwnVersion): boolean {
    return leaseCount + provisioned + wantedCount === 0 && (dropped || (bindingCount === 0 && !warm));
  }

  /** Perhaps nothing needs it any more. */
  #settle(version: OwnVersion): void {
    if (this.#mayGo(version) && this.versions.at(version.number) === version) this.#remove(version);
  }

  #remove(version: OwnVersion): void {
    this.versions.remove(version);
    if (version.warm && version.index !== NO_INDEX) this.#scheduler?.evicted(version.index);
    if (version.described.refusal === null) this.#agent.dropVersion(version.number);
  }
}
