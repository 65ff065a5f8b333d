/**
 * A worker's machine among schedulers, gateways and an agent that do whatever such may do, in any order: lines break, what was
 * granted arrives late, twice, or under a scheduler that leads no more. The agent of the model is the judge of what runs.
 */
import assert from 'node:assert/strict';
import { NO_INDEX } from '../../../src/wire/cluster-frame.ts';
import { isAfter } from '../../../src/wire/cluster/sequence.ts';
import { coresOf } from '../../../src/base/core-mask.ts';
import type {
  Described,
  Lease,
  LeaseName,
  ProvisionedFigures,
  SchedulerPort,
  Word,
} from '../../../src/worker/node/ports.ts';
import { type GatewaySide, WorkerNode } from '../../../src/worker/node/worker-node.ts';
import { ModelAgent } from './model-agent.ts';

export const CORES = 3;
const VERSION_COUNT = 5;
export const VERSIONS: readonly Described[] = Array.from({ length: VERSION_COUNT }, (_, index) => ({
  key: `v${index}`,
  functionKey: `f${index % 2}`,
  fn: {} as never,
  isolation: 'reuse',
  refusal: null,
}));

const nameOf = ({ epoch, core, sequence }: Lease): string => `${epoch}:${core}:${sequence}`;

type Say = () => void;

/** One life of a scheduler. Once the worker has joined it grants, whether that follows it still or not. */
class ModelScheduler {
  readonly epoch: number;
  readonly firstCore: number;
  readonly sequences: number[];
  /** What it believes to be leased, by the global core of the lead. */
  readonly held = new Map<number, { sequence: number; mask: number }>();
  readonly indexes = new Map<string, number>();
  /** Cores that it may grant. */
  joined = false;
  resumes = true;
  #announced: LeaseName[] = [];

  constructor(epoch: number, firstCore: number, sequence: number) {
    this.epoch = epoch;
    this.firstCore = firstCore;
    this.sequences = Array.from({ length: CORES }, () => sequence);
  }

  /** Of several cores, if so many are idle: from this one on. */
  grant(local: number, count: number): LeaseName | null {
    const held = [...this.held].flatMap(([core, { mask }]) => coresOf(core - this.firstCore, mask));
    const idle = this.sequences.map((_, own) => own).filter((own) => own >= local && !held.includes(own));
    const cores = idle.slice(0, count);
    if (!this.joined || cores[0] !== local || cores.length < count) return null;
    let last = this.sequences[local]!;
    for (const own of cores) if (isAfter(this.sequences[own]!, last)) last = this.sequences[own]!;
    const sequence = (last + 1) & 0x0fffffff;
    for (const own of cores) this.sequences[own] = sequence;
    const mask = count === 1 ? 0 : cores.reduce((bits, own) => bits | (1 << own), 0);
    const core = this.firstCore + local;
    this.held.set(core, { sequence, mask });
    return { epoch: this.epoch, core, sequence, mask };
  }

  /** The worker greets: whatever it had is over until it says otherwise. */
  place(): number {
    this.joined = false;
    this.held.clear();
    this.#announced = [];
    let floor = this.sequences[0]!;
    for (const each of this.sequences) if (isAfter(each, floor)) floor = each;
    this.sequences.fill(floor);
    return floor;
  }

  indexOf(key: string): number {
    if (!this.indexes.has(key)) {
      const used = new Set(this.indexes.values());
      let index = 0;
      while (used.has(index)) index++;
      this.indexes.set(key, index);
    }
    return this.indexes.get(key)!;
  }

  hearHeld(lease: LeaseName): void {
    if (!this.joined) this.#announced.push(lease);
  }

  hearLast(): void {
    this.joined = true;
    for (const { core, sequence, mask } of this.#announced) {
      if (!this.resumes) continue;
      this.held.set(core, { sequence, mask });
      for (const own of coresOf(core - this.firstCore, mask)) this.sequences[own] = sequence;
    }
  }

  hearEnd({ core, sequence }: Lease): void {
    if (this.held.get(core)?.sequence === sequence) this.held.delete(core);
  }
}

/** A connection between worker and scheduler: what is said waits until it is heard. */
class Connection implements SchedulerPort {
  readonly scheduler: ModelScheduler;
  readonly #model: Model;
  readonly toScheduler: Say[] = [];
  readonly toWorker: Say[] = [];
  /** Leases whose ends this connection has not been told of: announced, or begun since. */
  readonly open = new Set<string>();
  readonly #handles = new Set<number>();
  #isAnnounced = false;

  constructor(model: Model, scheduler: ModelScheduler) {
    this.#model = model;
    this.scheduler = scheduler;
  }

  nameVersion(handle: number, { key }: Described): void {
    assert.ok(!this.#isAnnounced, 'a name after the announcement');
    assert.ok(!this.#handles.has(handle), 'a handle is given twice');
    this.#handles.add(handle);
    this.toScheduler.push(() => {
      const index = this.#model.isFull ? NO_INDEX : this.scheduler.indexOf(key);
      this.toWorker.push(() => assert.ok(this.#model.node.indexed(handle, index)));
    });
  }

  announce({ firstCore, busy, withdrawn, last }: Word): void {
    assert.equal(firstCore, this.scheduler.firstCore);
    assert.equal(withdrawn, this.#model.node.cores.isWithdrawn ? 2 ** CORES - 1 : 0);
    const cores = this.#model.agent.busy.reduce((bits, local) => bits | (1 << local), 0);
    assert.equal(busy, cores, 'the announced cores are not the busy ones');
    assert.equal(last, !this.#isAnnounced);
    this.#isAnnounced = true;
    if (last) assert.equal(this.open.size, this.#model.agent.running.size, 'what runs was not announced');
    if (last) this.toScheduler.push(() => this.scheduler.hearLast());
  }

  held(lease: LeaseName, handle: number): void {
    const run = this.#model.agent.running.get(lease.core - this.scheduler.firstCore);
    assert.ok(run !== undefined && run.lease.sequence === lease.sequence, `${nameOf(lease)} is held and does not run`);
    if (!this.#isAnnounced) {
      assert.ok(this.#handles.has(handle), 'held by a version that has no name');
      assert.equal(run.number, handle);
      assert.equal(run.lease.mask, lease.mask);
      this.open.add(`${lease.core}:${lease.sequence}`);
    }
    this.toScheduler.push(() => this.scheduler.hearHeld(lease));
  }

  fenced(lease: Lease): void {
    for (const run of this.#model.agent.running.values()) assert.notEqual(nameOf(run.lease), nameOf(lease));
    this.#model.fenced.add(nameOf(lease));
    this.toScheduler.push(() => this.scheduler.hearEnd(lease));
  }

  release(lease: Lease, _warm: boolean): void {
    this.#end(lease);
  }

  noMemory(lease: Lease): void {
    this.#end(lease);
  }

  memoryAvailable(): void {}

  warmed(index: number): void {
    const named = [...this.#model.node.versions.all()].filter((each) => each.index === index);
    assert.ok(
      named.some((each) => each.warm),
      'what is told as warm is not',
    );
  }

  evicted(index: number): void {
    assert.ok(index !== NO_INDEX);
  }

  provisioned(index: number, { wanted }: ProvisionedFigures): void {
    assert.ok(index !== NO_INDEX && wanted > 0);
  }

  #end(lease: Lease): void {
    assert.ok(this.open.delete(`${lease.core}:${lease.sequence}`), `${nameOf(lease)} ends twice, or was not known`);
    this.toScheduler.push(() => this.scheduler.hearEnd(lease));
  }
}

interface Assigned extends LeaseName {
  readonly index: number;
  readonly key: string;
}

export class Model {
  readonly agent = new ModelAgent();
  readonly node: WorkerNode;
  readonly fenced = new Set<string>();
  readonly taken = new Set<string>();
  /** The one that led last, and whoever leads now. */
  schedulers: ModelScheduler[] = [new ModelScheduler(10, 0, 0)];
  connection: Connection | null = null;
  readonly gateways: GatewaySide[] = [];
  /** What each gateway has said last of an index, on its connection; it forgets that where a lease is refused. */
  readonly #said = new Map<GatewaySide, Map<number, string>>();
  /** Granted by somebody; any of them may arrive, and again. */
  readonly grants: Assigned[] = [];
  /** Of the store, and not answered. */
  readonly asked: string[] = [];
  isFull = false;
  #welcomedMax = 0;

  constructor(versionCountMax: number) {
    this.node = new WorkerNode({ coreCount: CORES, versionCountMax }, this.agent, {
      describe: (key) => void this.asked.push(key),
    });
  }

  // ---- what may happen

  join(which: number): void {
    const scheduler = this.schedulers[which % this.schedulers.length]!;
    this.leave();
    const mayFollow = this.node.mayFollow(scheduler.epoch);
    assert.equal(mayFollow, scheduler.epoch >= this.#welcomedMax);
    if (!mayFollow) return;
    this.#welcomedMax = scheduler.epoch;
    const floor = scheduler.place();
    this.connection = new Connection(this, scheduler);
    const { epoch, firstCore } = scheduler;
    this.node.welcomed(this.connection, { epoch, firstCore, extraSeatCount: 0, floor });
  }

  leave(): void {
    if (this.connection !== null) this.node.left(this.connection);
    this.connection = null;
  }

  /** One more that believes it leads; the sequences of its cores begin anywhere. */
  succeed(firstCore: number, sequence: number): void {
    const epoch = Math.max(...this.schedulers.map((each) => each.epoch)) + 1;
    const last = this.schedulers.at(-1)!;
    this.schedulers = [last, new ModelScheduler(epoch, firstCore, sequence)];
  }

  /** It has no room for what a worker says that it runs, until it has. */
  forgets(which: number): void {
    const scheduler = this.schedulers[which % this.schedulers.length]!;
    scheduler.resumes = !scheduler.resumes;
  }

  hear(): void {
    this.connection?.toScheduler.shift()?.();
  }

  tell(): void {
    this.connection?.toWorker.shift()?.();
  }

  settle(): void {
    const { connection } = this;
    while (connection !== null && connection.toScheduler.length + connection.toWorker.length > 0) {
      this.hear();
      this.tell();
    }
  }

  grant(which: number, local: number, version: number, count = 1): void {
    const scheduler = this.schedulers[which % this.schedulers.length]!;
    const lease = scheduler.grant(local % CORES, count);
    if (lease === null) return;
    const { key } = VERSIONS[version % VERSION_COUNT]!;
    this.grants.push({ ...lease, index: scheduler.indexOf(key), key });
  }

  gatewayJoins(): void {
    if (this.gateways.length === 3) return;
    const gateway = this.node.joinGateway();
    this.gateways.push(gateway);
    this.#said.set(gateway, new Map());
  }

  gatewayLeaves(which: number): void {
    const [gateway] = this.gateways.splice(which % Math.max(1, this.gateways.length), 1);
    if (gateway !== undefined) this.node.leaveGateway(gateway);
  }

  setVersion(which: number, granted: number): void {
    const gateway = this.gateways[which % Math.max(1, this.gateways.length)];
    const grant = this.#grantAt(granted);
    if (gateway === undefined || grant === undefined) return;
    const version = VERSIONS.find(({ key }) => key === grant.key)!;
    this.node.setVersion(gateway, grant.epoch, grant.index, version);
    // What it says of an epoch that is over is not heard.
    if (grant.epoch >= this.#welcomedMax) this.#said.get(gateway)!.set(grant.index, `${grant.epoch} ${grant.key}`);
  }

  /** As a gateway does it, which says what an index stands for before it uses it. True: it runs, or the agent had no memory. */
  assign(which: number, granted: number, hasMemory: boolean): boolean {
    const gateway = this.gateways[which % Math.max(1, this.gateways.length)];
    const grant = this.#grantAt(granted);
    if (gateway === undefined || grant === undefined) return false;
    const said = this.#said.get(gateway)!;
    const before = said.get(grant.index);
    const isSaid = before === `${grant.epoch} ${grant.key}`;
    if (before !== undefined && !before.startsWith(`${grant.epoch} `))
      assert.equal(
        typeof this.node.take(gateway, grant),
        'number',
        'what an index stood for in another epoch is taken',
      );
    if (!isSaid) this.setVersion(which, granted);
    const taken = this.node.take(gateway, grant);
    if (typeof taken === 'number') said.delete(grant.index);
    if (typeof taken === 'number') return false;
    const name = nameOf(grant);
    assert.equal(grant.epoch, this.#welcomedMax, `${name} is taken in epoch ${this.#welcomedMax}`);
    for (const core of coresOf(taken.core, grant.mask))
      assert.ok(!this.agent.busy.includes(core), `core ${core} has two in the foreground`);
    assert.ok(!this.taken.has(name), `${name} is taken twice`);
    assert.ok(!this.fenced.has(name), `${name} is taken and was fenced`);
    assert.equal(this.agent.set.get(taken.version.number)?.key, grant.key, 'another version runs than was granted');
    this.taken.add(name);
    this.agent.running.set(taken.core, { lease: grant, number: taken.version.number });
    this.connection?.open.add(`${grant.core}:${grant.sequence}`);
    if (!hasMemory) this.#end(taken.core, () => this.node.notTaken(taken.core, grant.sequence, 'no-memory'));
    return true;
  }

  /** A mask that names a core which is not there, or a lower one than the lead. */
  claimBeyond(which: number, granted: number): void {
    const gateway = this.gateways[which % Math.max(1, this.gateways.length)];
    const grant = this.#grantAt(granted);
    if (gateway === undefined || grant === undefined) return;
    const lead = 1 << (grant.core & 31);
    for (const mask of [lead | (1 << CORES), lead | (1 << 31), lead << 1, lead | (lead >>> 1) | (lead << 1)]) {
      const isLed = (mask & -mask) === lead;
      if (isLed && mask >>> CORES === 0) continue;
      this.setVersion(which, granted);
      assert.equal(typeof this.node.take(gateway, { ...grant, mask }), 'number', `${mask.toString(2)} is taken`);
    }
  }

  end(local: number, warm: boolean): void {
    const run = this.agent.running.get(local);
    if (run === undefined) return;
    if (warm) this.agent.warm.add(run.number);
    else this.agent.warm.delete(run.number);
    this.#end(local, () => this.node.released(local, run.lease.sequence, warm));
  }

  evict(which: number): void {
    const warm = [...this.agent.warm];
    const number = warm[which % Math.max(1, warm.length)];
    if (number === undefined) return;
    this.agent.warm.delete(number);
    this.node.evicted(number);
  }

  probe(local: number): void {
    const { connection } = this;
    if (connection === null || !connection.scheduler.joined) return;
    const { scheduler, toWorker } = connection;
    const core = scheduler.firstCore + (local % CORES);
    const held = scheduler.held.get(core);
    if (held === undefined) return;
    const { sequence } = held;
    toWorker.push(() => assert.ok(this.node.probe({ epoch: scheduler.epoch, core, sequence })));
  }

  drop(which: number): void {
    const { connection } = this;
    if (connection === null) return;
    const { scheduler, toWorker } = connection;
    const names = [...scheduler.indexes];
    const [key, index] = names[which % Math.max(1, names.length)] ?? [];
    if (key === undefined || index === undefined) return;
    scheduler.indexes.delete(key);
    toWorker.push(() => {
      this.node.dropVersion(scheduler.epoch, index, key);
      const left = this.node.versions.find(key);
      const isNeeded = left !== null && left.leaseCount + left.bindingCount > 0;
      assert.ok(left === null || isNeeded, `${key} is dropped, nothing needs it, and it is there`);
    });
  }

  provision(which: number, count: number): void {
    const { connection } = this;
    if (connection === null || !connection.scheduler.joined) return;
    const { scheduler, toWorker } = connection;
    const { key } = VERSIONS[which % VERSION_COUNT]!;
    const index = scheduler.indexOf(key);
    toWorker.push(() => {
      this.node.nameVersion(index, key);
      assert.ok(this.node.provision(index, count));
    });
  }

  /** The store answers, or is away. */
  describe(answer: number): void {
    const key = this.asked.shift();
    if (key === undefined) return;
    const version = VERSIONS.find((each) => each.key === key)!;
    this.node.described(key, answer % 3 === 0 ? 'away' : answer % 3 === 1 ? null : version);
  }

  /** Mostly one of the last three; any of them from 60 on. */
  #grantAt(at: number): Assigned | undefined {
    const { length } = this.grants;
    return at < 60 ? this.grants[length - 1 - (at % Math.min(3, length))] : this.grants[at % length];
  }

  #end(local: number, tell: () => void): void {
    this.agent.running.delete(local);
    tell();
  }

  check(): void {
    this.node.checkInvariants();
    const { busy } = this.agent;
    assert.equal(new Set(busy).size, busy.length, 'a core has two in the foreground');
    assert.equal(this.node.cores.busyCount, busy.length);
    for (let local = 0; local < CORES; local++) {
      const isBusy = this.node.cores.versionOf(local) !== null;
      assert.equal(isBusy, busy.includes(local), `core ${local}: machine and agent disagree`);
    }
    for (const each of this.node.versions.all()) {
      assert.equal(this.agent.set.get(each.number), each.described);
      assert.equal(each.warm, this.agent.warm.has(each.number), `${each.described.key} is warm, or is not`);
    }
    for (const { number, provisioned } of this.node.versions.all())
      assert.equal(provisioned, this.agent.provisioned.get(number) ?? 0, 'not what is provisioned is kept');
    assert.equal(this.agent.set.size, this.node.versions.count);
    for (const { bindings } of this.gateways)
      for (const { epoch } of bindings.values()) assert.ok(epoch >= this.node.epoch, 'a binding of before is kept');
    if (this.connection !== null)
      assert.equal(this.connection.open.size, this.agent.running.size, 'an end was not told, or told twice');
  }

  /** All is well again, and what runs ends: then nobody holds a core, and each can be granted anew. */
  finish(): void {
    this.isFull = false;
    this.join(this.schedulers.length - 1);
    const { connection } = this;
    assert.ok(connection !== null, 'the latest scheduler is not followed');
    this.settle();
    for (let local = 0; local < CORES; local++) this.end(local, local % 2 === 0);
    this.settle();
    for (let local = 0; local < CORES; local++) this.probe(local);
    this.settle();
    assert.equal(connection.scheduler.held.size, 0, 'a lease never ends');
    // Nobody has said that again.
    for (let tick = 0; tick < 30; tick++) this.node.tick();
    assert.equal(this.agent.provisioned.size, 0, 'what was provisioned by an earlier scheduler is kept');
    this.gatewayJoins();
    for (let local = 0; local < CORES; local++) {
      let tries = 0;
      const isTaken = (): boolean => {
        this.grant(this.schedulers.length - 1, local, local);
        return this.assign(0, 0, true);
      };
      // Where a scheduler that could not take over what ran can do so now, what it grants begins with what was fenced.
      while (!isTaken()) {
        this.probe(local);
        this.settle();
        assert.ok(++tries < 2000, `core ${local} is refused for ever`);
      }
    }
    this.check();
  }
}
