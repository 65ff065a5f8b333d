/**
 * A worker's machine among schedulers, gateways and an agent that do whatever such may do, in any order: lines break, what was
 * granted arrives late, twice, or under a scheduler that leads no more. The agent of the model is the judge of what runs.
 */
import assert from 'node:assert/strict';
import { coresOf } from '../../../src/base/core-mask.ts';
import type { Described, LeaseName } from '../../../src/worker/node/ports.ts';
import type { OwnVersion } from '../../../src/worker/node/own-versions.ts';
import { type GatewaySide, WorkerNode } from '../../../src/worker/node/worker-node.ts';
import { ModelAgent } from './model-agent.ts';
import { Connection, nameOf } from './model-connection.ts';
import { CORES, EXTRA, ModelScheduler, placeOf, SEATS } from './model-scheduler.ts';

const VERSION_COUNT = 5;
export const VERSIONS: readonly Described[] = Array.from({ length: VERSION_COUNT }, (_, index) => ({
  key: `v${index}`,
  functionKey: `f${index % 2}`,
  fn: {} as never,
  isolation: 'reuse',
  refusal: null,
}));

/** -1: there is none. */
function pick(seats: readonly number[], which: number): number {
  return seats[which % Math.max(1, seats.length)] ?? -1;
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
  /** By seat, as the agent says. */
  readonly isOpen: boolean[] = [];
  /** By seat: what is expected to come after what runs there, and by which gateway. */
  readonly #expected = new Map<number, GatewaySide>();
  /** By seat: whose next step it is kept for. */
  readonly kept = new Map<number, { gateway: GatewaySide; grant: Assigned; ticks: number }>();
  #welcomedMax = 0;

  constructor(versionCountMax: number) {
    this.node = new WorkerNode({ coreCount: CORES, extraSeatCount: EXTRA, versionCountMax }, this.agent, {
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
    // What is kept is over with it.
    this.kept.clear();
    this.#expected.clear();
    this.node.welcomed(this.connection, { epoch, firstCore, extraSeatCount: EXTRA, floor });
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
    const lease = scheduler.grant(local % SEATS, count);
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
    if (gateway === undefined) return;
    for (const [seat, side] of this.#expected) if (side === gateway) this.#expected.delete(seat);
    this.node.leaveGateway(gateway);
    this.#prune();
    for (const [seat, kept] of this.kept) assert.notEqual(kept.gateway, gateway, `${seat} is kept for nobody`);
  }

  /** What is let go while there is no scheduler is not heard of. */
  #prune(): void {
    for (const [seat, { grant }] of this.kept) if (!this.node.cores.holds(seat, grant.sequence)) this.kept.delete(seat);
  }

  isKept(seat: number): boolean {
    const { kept } = this;
    return [...kept].some(([lead, { grant }]) => coresOf(lead, grant.mask).includes(seat));
  }

  // ---- seats, and chains

  setOpen(which: number, isOpen: boolean): void {
    const seat = CORES + (which % EXTRA);
    const was = this.isOpen[seat] === true;
    this.isOpen[seat] = isOpen;
    const told = this.connection?.toScheduler.length ?? 0;
    this.node.setOpen(seat, isOpen);
    const isTold = (this.connection?.toScheduler.length ?? 0) > told;
    const isNews = this.connection !== null && was !== isOpen && !this.node.cores.isWithdrawn;
    assert.equal(isTold, isNews, 'the scheduler is told what it knows, or not told what is new');
  }

  /** What runs there is followed by another step, perhaps of a version that is to be readied. */
  expect(which: number, local: number, index: number): void {
    const gateway = this.gateways[which % Math.max(1, this.gateways.length)];
    const seat = pick([...this.agent.running.keys()], local);
    const run = this.agent.running.get(seat);
    // As a gateway line says it, when it begins.
    if (gateway === undefined || run?.lease.epoch !== this.node.epoch) return;
    const version = this.node.expect(gateway, seat, index);
    if (version !== null) this.readied.push(version);
    this.#expected.set(seat, gateway);
  }

  readonly readied: OwnVersion[] = [];

  unwant(): void {
    const version = this.readied.shift();
    if (version !== undefined) this.node.unwant(version);
  }

  /** The next step comes on what is kept for it, or on what is not. */
  follow(which: number, local: number, next: number, hasMemory: boolean): void {
    const seat = pick([...this.kept.keys()], local);
    const kept = this.kept.get(seat);
    const gateway = which > 2 ? kept?.gateway : this.gateways[which % Math.max(1, this.gateways.length)];
    if (gateway === undefined || kept === undefined) return;
    const { key } = VERSIONS[next % VERSION_COUNT]!;
    const index = this.connection?.scheduler.indexOf(key) ?? next;
    const version = VERSIONS.find((each) => each.key === key)!;
    this.node.setVersion(gateway, kept.grant.epoch, index, version);
    this.#said.get(gateway)!.set(index, `${kept.grant.epoch} ${key}`);
    const grant = { ...kept.grant, index, key };
    const taken = this.node.take(gateway, { ...grant, follows: true });
    if (gateway !== kept.gateway) return assert.equal(typeof taken, 'number', 'it was kept for another gateway');
    this.kept.delete(seat);
    if (typeof taken === 'number') return;
    assert.equal(taken.core, seat);
    assert.equal(this.agent.set.get(taken.version.number)?.key, key);
    this.agent.running.set(seat, { lease: grant, number: taken.version.number });
    if (hasMemory) return;
    // To the scheduler it is another request's, which has had its result.
    this.mayLackMemory = false;
    this.#end(seat, () => this.node.notTaken(seat, grant.sequence, 'no-memory'));
    this.mayLackMemory = true;
  }

  mayLackMemory = true;

  /** Nothing comes. */
  letGo(which: number, local: number): void {
    const seat = pick([...this.kept.keys()], local);
    const kept = this.kept.get(seat);
    const gateway = which > 2 ? kept?.gateway : this.gateways[which % Math.max(1, this.gateways.length)];
    if (gateway === undefined || kept === undefined) return;
    this.node.letGo(gateway, kept.grant);
    if (gateway === kept.gateway) this.kept.delete(seat);
  }

  tick(): void {
    this.node.tick();
    this.#prune();
    for (const each of this.kept.values()) assert.ok(++each.ticks < 2, 'a core is kept for too long');
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
    for (const mask of [lead | (1 << SEATS), lead | (1 << 31), lead << 1, lead | (lead >>> 1) | (lead << 1)]) {
      const isLed = (mask & -mask) === lead;
      if (isLed && mask >>> SEATS === 0) continue;
      this.setVersion(which, granted);
      assert.equal(typeof this.node.take(gateway, { ...grant, mask }), 'number', `${mask.toString(2)} is taken`);
    }
  }

  end(local: number, warm: boolean): void {
    const run = this.agent.running.get(local);
    if (run === undefined) return;
    if (warm) this.agent.warm.add(run.number);
    else this.agent.warm.delete(run.number);
    const gateway = this.#expected.get(local);
    this.#expected.delete(local);
    const mayKeep = gateway !== undefined && !this.node.cores.isWithdrawn && this.gateways.includes(gateway);
    if (mayKeep) this.kept.set(local, { gateway, grant: { ...run.lease, index: 0, key: '' }, ticks: 0 });
    const open = this.connection?.open.size ?? 0;
    this.#end(local, () => this.node.released(local, run.lease.sequence, warm));
    if (mayKeep)
      assert.equal(this.connection?.open.size ?? 0, open, 'the scheduler is told of the end of what is kept');
    assert.equal(this.node.answered(local, run.lease.sequence), mayKeep);
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
    const core = scheduler.firstCore + placeOf(local % SEATS);
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
      const isNeeded = left !== null && left.leaseCount + left.bindingCount + left.wantedCount + left.provisioned > 0;
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
    const isHeld = (seat: number): boolean => busy.includes(seat) || this.isKept(seat);
    const cores = Array.from({ length: CORES }, (_, core) => core);
    assert.equal(this.node.cores.busyCount, cores.filter(isHeld).length);
    for (let local = 0; local < SEATS; local++) {
      const isBusy = this.node.cores.versionOf(local) !== null;
      assert.equal(isBusy, isHeld(local), `core ${local}: machine and agent disagree`);
    }
    for (const seat of this.kept.keys()) assert.ok(!busy.includes(seat), `${seat} is kept and runs`);
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
      assert.equal(
        this.connection.open.size,
        this.agent.running.size + this.kept.size,
        'an end was not told, or told twice',
      );
  }

  /** All is well again, and what runs ends: then nobody holds a core, and each can be granted anew. */
  finish(): void {
    this.isFull = false;
    this.join(this.schedulers.length - 1);
    const { connection } = this;
    assert.ok(connection !== null, 'the latest scheduler is not followed');
    this.settle();
    for (let local = 0; local < SEATS; local++) this.end(local, local % 2 === 0);
    for (let tick = 0; tick < 2; tick++) this.tick();
    assert.equal(this.kept.size, 0, 'a core is kept for ever');
    this.settle();
    for (let local = 0; local < SEATS; local++) this.probe(local);
    this.settle();
    assert.equal(connection.scheduler.held.size, 0, 'a lease never ends');
    // Nobody has said that again.
    for (let tick = 0; tick < 30; tick++) this.node.tick();
    while (this.readied.length > 0) this.unwant();
    assert.equal(this.agent.wanted.size, 0, 'what is expected no more is readied');
    assert.equal(this.agent.provisioned.size, 0, 'what was provisioned by an earlier scheduler is kept');
    this.gatewayJoins();
    for (let extra = 0; extra < EXTRA; extra++) this.setOpen(extra, true);
    this.settle();
    for (let local = 0; local < SEATS; local++) {
      let tries = 0;
      const isTaken = (): boolean => {
        this.grant(this.schedulers.length - 1, local, local % CORES);
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
