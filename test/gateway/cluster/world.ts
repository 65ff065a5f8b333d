/**
 * A cluster in one process: the real scheduler, the machines of two gateways, and two workers that judge leases as real ones do.
 * What anybody says travels over lines that are queues: the test says which one delivers next, and which one breaks.
 */
import assert from 'node:assert/strict';
import { GatewayMachine } from '../../../src/gateway/cluster/machine/gateway-machine.ts';
import type { LeaseName } from '../../../src/gateway/cluster/machine/ports.ts';
import { State } from '../../../src/gateway/cluster/machine/request-table.ts';
import { ClusterScheduler } from '../../../src/scheduler/server/cluster-scheduler.ts';
import type { GatewaySession, WorkerSession } from '../../../src/scheduler/server/ports.ts';
import { isAfter } from '../../../src/wire/cluster/sequence.ts';
import { UnstartedWhy } from '../../../src/wire/cluster/small-frames.ts';
import {
  CORES,
  functionKeyOf,
  Line,
  MACHINE_LIMITS,
  maskOf,
  MEMORY_MB,
  MEMORY_OF,
  memoryOf,
  REFUSED,
  UNSTARTED,
} from './parts.ts';

export interface Ask {
  readonly key: string;
  readonly ends: string[];
  /** Its client has gone while it was at a worker: it may have a result, or end without. */
  unwanted: boolean;
  runCount: number;
}

/** Between a gateway and a worker. */
interface Connection {
  readonly there: Line;
  readonly back: Line;
  readonly gateway: Gateway;
  readonly id: number;
}

interface Run {
  readonly lease: LeaseName;
  readonly mask: number;
  readonly request: number;
  readonly memoryMb: number;
  readonly key: string;
  readonly connection: Connection;
  /** As the scheduler of now names it. */
  sequence: number;
}

export class Worker {
  readonly name: string;
  life = 1;
  session: WorkerSession | null = null;
  toScheduler: Line = new Line();
  fromScheduler: Line = new Line();
  stopping = false;
  readonly connections = new Set<Connection>();
  #epoch = 0;
  #floor = 0;
  #firstCore = -1;
  readonly #running = new Map<number, Run>();
  readonly #fenced = new Set<string>();
  readonly #versions = new Map<number, { readonly epoch: number; readonly key: string }>();
  #pressedMb = 0;

  constructor(name: string) {
    this.name = name;
  }

  get runCount(): number {
    return this.#running.size;
  }

  join({ scheduler }: World): void {
    if (this.session !== null || this.stopping) return;
    this.toScheduler = new Line();
    this.fromScheduler = new Line();
    const line = this.fromScheduler;
    const running = [...this.#running].map(([core, { sequence, key, memoryMb }]) => ({
      core,
      mask: 0,
      sequence,
      version: { key, functionKey: functionKeyOf(key), memoryMb, coreCount: 1 },
    }));
    const session = scheduler.joinWorker(
      {
        probe: (core, sequence) => line.say(() => this.#probed(core, sequence)),
        dropped: (index, key) =>
          line.say(() => {
            if (this.#versions.get(index)?.key === key) this.#versions.delete(index);
          }),
        provision: () => {},
      },
      {
        name: this.name,
        host: this.name,
        port: 1,
        life: this.life,
        coreCount: CORES,
        memoryMb: MEMORY_MB,
        running,
      },
    );
    if (typeof session === 'string') assert.fail(session);
    if (this.#epoch !== scheduler.epoch) this.#fenced.clear();
    this.#epoch = scheduler.epoch;
    this.#floor = session.floor;
    this.#firstCore = session.firstCore;
    this.session = session;
  }

  /** The line to the scheduler breaks. `isNoticed`: the scheduler lives, and hears of it. */
  leave(isNoticed: boolean): void {
    if (isNoticed) this.session?.leave();
    this.session = null;
    this.toScheduler.break();
    this.fromScheduler.break();
  }

  die(): void {
    for (const connection of this.connections) this.cut(connection);
    this.leave(true);
    this.#running.clear();
    this.#versions.clear();
    this.#fenced.clear();
    this.#pressedMb = 0;
    this.#epoch = 0;
    this.stopping = false;
    this.life++;
  }

  /** Takes no more; once nothing runs it says goodbye, and another process takes its name. */
  stop(): void {
    this.stopping = true;
    const { session } = this;
    this.toScheduler.say(() => assert.ok(session?.withdraw(session.firstCore, 2 ** CORES - 1) ?? true));
  }

  goIfStopped(): void {
    if (!this.stopping || this.#running.size > 0) return;
    for (const { back, there, gateway, id } of this.connections) {
      there.break();
      back.say(() => gateway.closed(id, true));
    }
    this.connections.clear();
    this.die();
  }

  cut(connection: Connection): void {
    this.connections.delete(connection);
    connection.there.break();
    connection.back.break();
    connection.gateway.closed(connection.id, false);
  }

  setVersion(index: number, epoch: number, key: string): void {
    this.#versions.set(index, { epoch, key });
  }

  assign(run: Omit<Run, 'key' | 'sequence' | 'memoryMb'>, index: number, ask: Ask): void {
    const { core, sequence, epoch } = run.lease;
    const own = core - this.#firstCore;
    const named = this.#versions.get(index);
    const isMine = epoch === this.#epoch && own >= 0 && own < CORES && isAfter(sequence, this.#floor);
    const isTaken = this.#running.has(own) || this.#fenced.has(`${core}:${sequence}`) || named?.epoch !== epoch;
    if (!isMine || isTaken) return this.#answer(run, UnstartedWhy.staleLease);
    if (this.stopping) return this.#answer(run, UnstartedWhy.stopping);
    assert.equal(named.key, ask.key, 'the worker was told another version');
    assert.equal(run.mask, maskOf(ask.key, core), 'the cores are not those that were granted');
    const memoryMb = memoryOf(ask.key);
    let usedMb = this.#pressedMb;
    for (const each of this.#running.values()) usedMb += each.memoryMb;
    if (usedMb + memoryMb > MEMORY_MB) {
      const { session } = this;
      this.toScheduler.say(() => void session?.noMemory(core, sequence));
      return this.#answer(run, UnstartedWhy.noMemory);
    }
    ask.runCount++;
    this.#running.set(own, { ...run, sequence, key: ask.key, memoryMb });
  }

  end(own: number): void {
    const run = this.#running.get(own);
    if (run === undefined) return;
    this.#running.delete(own);
    const { session } = this;
    if (session !== null) {
      const core = session.firstCore + own;
      this.toScheduler.say(() => assert.ok(session.release(core, run.sequence, true), 'a lease that is not known'));
      this.toScheduler.say(() => session.memoryAvailable());
    }
    this.#answer(run, 0);
  }

  /** Memory that something else takes, or gives back. */
  press(mb: number): void {
    this.#pressedMb = mb;
    const { session } = this;
    this.toScheduler.say(() => session?.memoryAvailable());
  }

  #answer({ connection, request, lease }: Pick<Run, 'connection' | 'request' | 'lease'>, why: number): void {
    const { gateway, id, back } = connection;
    back.say(() => gateway.answered(id, { request, ...lease, why }));
  }

  #probed(core: number, sequence: number): void {
    const { session } = this;
    if (session === null) return;
    const run = this.#running.get(core - session.firstCore);
    if (run?.sequence === sequence) return this.toScheduler.say(() => session.held(core, sequence));
    this.#fenced.add(`${core}:${sequence}`);
    this.toScheduler.say(() => void session.fenced(core, sequence));
  }
}

export class Gateway {
  readonly name: string;
  readonly machine: GatewayMachine;
  session: GatewaySession | null = null;
  toScheduler: Line = new Line();
  fromScheduler: Line = new Line();
  readonly connections = new Map<number, Connection>();
  /** Workers to which it wants a connection. */
  readonly dialled = new Map<number, string>();
  readonly asks: Ask[] = [];
  readonly #pending: (Ask | null)[] = new Array<Ask | null>(MACHINE_LIMITS.requestCountMax).fill(null);
  readonly #keys: string[] = MEMORY_OF.map((_, version) => `${version}r0`);
  #revision = 0;
  readonly #limit = [-1, -1];

  constructor(name: string, world: () => World) {
    this.name = name;
    const said = (what: (session: GatewaySession) => void): void => {
      const { session } = this;
      this.toScheduler.say(() => what(session!));
    };
    this.machine = new GatewayMachine(MACHINE_LIMITS, {
      scheduler: {
        nameVersion: (version) => this.#name(version),
        dropVersion: (index, key) => said((session) => session.unname(index, key)),
        concurrency: (functionKey, max) => said((session) => session.setConcurrency(functionKey, max)),
        request: (number, index, again) =>
          said((session) =>
            assert.ok(session.request(number, index, { again, waitedMs: 0 }), `request ${number} is a breach`),
          ),
        cancel: (number) => said((session) => session.cancel(number)),
        unstarted: (number, why, version, { core, sequence }) =>
          said((session) => session.unstarted(number, { core, sequence, version }, UNSTARTED[why])),
        provision: () => assert.fail('nothing is provisioned here'),
      },
      workers: {
        dial: (id) => void this.dialled.set(id, this.machine.nameOf(id)),
        hangUp: (id) => this.#hangUp(world(), id),
        setVersion: (id, version, index, epoch) => {
          const worker = world().worker(this.dialled.get(id)!);
          const key = this.#keys[version]!;
          this.connections.get(id)!.there.say(() => worker.setVersion(index, epoch, key));
        },
        assign: (id, request, index, { epoch, core, sequence, mask }) => {
          const worker = world().worker(this.dialled.get(id)!);
          const connection = this.connections.get(id)!;
          const ask = this.#pending[request]!;
          const run = { lease: { epoch, core, sequence }, mask, request, connection };
          connection.there.say(() => worker.assign(run, index, ask));
        },
      },
      events: {
        refused: (number, why) => void this.#pending[number]!.ends.push(why),
        lost: (number) => void this.#pending[number]!.ends.push('lost'),
        freed: (number) => (this.#pending[number] = null),
        returned: () => {},
      },
    });
    for (const [version, key] of this.#keys.entries()) this.machine.addVersion(version, key);
  }

  join({ scheduler }: World): void {
    if (this.session !== null) return;
    this.toScheduler = new Line();
    this.fromScheduler = new Line();
    const line = this.fromScheduler;
    const { machine } = this;
    const { epoch } = scheduler;
    const heard = (what: () => boolean | void, name: string): void =>
      line.say(() => assert.notEqual(what(), false, `${name} is a breach`));
    heard(() => machine.schedulerOpened(epoch), 'welcome');
    this.session = scheduler.joinGateway(
      {
        granted: (request, { core, sequence }, shard) =>
          heard(() => {
            // An answer to nobody has no version.
            const key = this.#pending[request]?.key ?? '';
            return machine.granted(request, { core, sequence, shard }, maskOf(key, core));
          }, `the grant of ${request}`),
        refused: (request, why) => heard(() => machine.refused(request, REFUSED[why]), `the refusal of ${request}`),
        cancelled: (request) => heard(() => machine.cancelled(request), `the end of ${request}`),
        workerJoined: ({ name, life, firstCore, coreCount }) =>
          heard(() => machine.workerTold({ name, life, firstCore, coreCount }), 'a worker'),
        workerLeft: ({ firstCore }) => heard(() => machine.workerGone(firstCore), 'gone'),
        provisioned: () => {},
      },
      this.name,
    );
  }

  leave(isNoticed: boolean): void {
    if (isNoticed) this.session?.leave();
    this.session = null;
    this.toScheduler.break();
    this.fromScheduler.break();
    this.machine.schedulerClosed();
  }

  invoke(version: number): void {
    const number = this.machine.accept(version);
    if (typeof number !== 'number') return;
    const ask: Ask = { key: this.#keys[version]!, ends: [], unwanted: false, runCount: 0 };
    this.asks.push(ask);
    assert.equal(this.#pending[number], null, 'a number is given twice');
    this.#pending[number] = ask;
    this.machine.begin(number);
  }

  withdraw(nth: number): void {
    const open = [...this.#pending.entries()].filter(([, ask]) => ask !== null && ask.ends.length === 0);
    const [number, ask] = open[nth % Math.max(1, open.length)] ?? [];
    if (number === undefined) return;
    if (this.machine.withdraw(number)) ask!.ends.push('withdrawn');
    else ask!.unwanted = true;
  }

  /** Another revision, where nothing of the one before is in use. */
  deploy(version: number): void {
    const inUse = [...this.#pending].some((ask) => ask !== null && ask.key === this.#keys[version]);
    if (inUse) return;
    this.machine.removeVersion(version);
    this.#keys[version] = `${version}r${this.name}${++this.#revision}`;
    this.machine.addVersion(version, this.#keys[version]);
  }

  limit(functionNumber: number, max: number): void {
    this.#limit[functionNumber] = max;
    this.machine.setConcurrency(`f${functionNumber}`, max);
  }

  connect(world: World, id: number): void {
    const name = this.dialled.get(id);
    if (name === undefined || this.connections.has(id)) return;
    const connection: Connection = { there: new Line(), back: new Line(), gateway: this, id };
    this.connections.set(id, connection);
    world.worker(name).connections.add(connection);
    this.machine.workerOpened(id);
  }

  /** It ended, whoever ended it. */
  closed(id: number, stopping: boolean): void {
    this.connections.delete(id);
    this.machine.workerClosed(id, stopping);
  }

  answered(id: number, answer: LeaseName & { request: number; why: number }): void {
    const ask = this.#pending[answer.request] ?? null;
    if (this.machine.answered(id, answer)) ask!.ends.push('result');
  }

  /** Nothing waits, and every number is free. */
  get isEmpty(): boolean {
    return this.#pending.every((ask) => ask === null) && this.machine.count(State.free) === this.#pending.length;
  }

  #name(version: number): void {
    const { session, fromScheduler } = this;
    const key = this.#keys[version]!;
    const named = { key, functionKey: functionKeyOf(key), memoryMb: memoryOf(key), coreCount: 1 };
    this.toScheduler.say(() => {
      const index = session!.name(named);
      fromScheduler.say(() => assert.ok(this.machine.named(version, index), 'a name is a breach'));
    });
    const functionNumber = version % 2;
    this.toScheduler.say(() => session!.setConcurrency(`f${functionNumber}`, this.#limit[functionNumber]!));
  }

  #hangUp(world: World, id: number): void {
    const connection = this.connections.get(id);
    const name = this.dialled.get(id)!;
    this.dialled.delete(id);
    this.connections.delete(id);
    if (connection === undefined) return;
    connection.there.break();
    connection.back.break();
    world.worker(name).connections.delete(connection);
  }
}

/** A turn that asks for another one, and so on. */
const TURNS_MAX = 10;

export class World {
  scheduler: ClusterScheduler;
  readonly workers: readonly Worker[] = [new Worker('a'), new Worker('b')];
  readonly gateways: readonly Gateway[] = ['g', 'h'].map((name) => new Gateway(name, () => this));
  #turns = 0;

  constructor() {
    this.scheduler = this.#makeScheduler(1);
  }

  worker(name: string): Worker {
    return this.workers.find((worker) => worker.name === name)!;
  }

  /** The scheduler dies, and another one takes its place. */
  restart(): void {
    for (const each of [...this.workers, ...this.gateways]) each.leave(false);
    this.scheduler = this.#makeScheduler(this.scheduler.epoch + 1);
  }

  deliver(nth: number): boolean {
    const lines = this.#lines();
    for (let at = 0; at < lines.length; at++) if (lines[(nth + at) % lines.length]!.deliver()) return true;
    return false;
  }

  sweep(): void {
    this.scheduler.sweep();
  }

  tick(): void {
    this.scheduler.tick();
  }

  check(): void {
    for (let round = 0; this.#turns > 0; round++) {
      assert.ok(round < TURNS_MAX, 'turns follow turns for ever');
      this.#turns = 0;
      this.scheduler.turn();
    }
    this.scheduler.checkInvariants();
    for (const gateway of this.gateways) {
      gateway.machine.checkInvariants();
      for (const { ends, runCount } of gateway.asks) {
        assert.ok(ends.length <= 1, `an invocation has the results ${ends.join(', ')}`);
        assert.ok(runCount <= 1, 'an invocation ran twice');
        if (ends[0] === 'result') assert.equal(runCount, 1, 'an invocation has a result, and did not run');
        else if (ends[0] !== undefined && ends[0] !== 'lost')
          assert.equal(runCount, 0, `an invocation is ${ends[0]}, and ran`);
      }
    }
  }

  #lines(): Line[] {
    const connections = this.gateways.flatMap(({ connections: each }) => [...each.values()]);
    return [
      ...[...this.workers, ...this.gateways].flatMap((each) => [each.toScheduler, each.fromScheduler]),
      ...connections.flatMap(({ there, back }) => [there, back]),
    ];
  }

  #makeScheduler(epoch: number): ClusterScheduler {
    const scheduler: ClusterScheduler = new ClusterScheduler({
      epoch,
      coreCountMax: 64,
      workerCountMax: 2,
      functionCountMax: 4,
      versionCountMax: 5,
      requestCountMax: 40,
      queueMax: 6,
      overtakeMax: 2,
      warmHintMax: 3,
      keptSweeps: 2,
      startSweeps: 2,
    });
    scheduler.onCollected(() => void this.#turns++);
    return scheduler;
  }
}
