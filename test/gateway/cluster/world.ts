/**
 * A cluster in one process: the real scheduler, the machines of two gateways, and two workers that judge leases as real ones do.
 * What anybody says travels over lines that are queues: the test says which one delivers next, and which one breaks.
 */
import assert from 'node:assert/strict';
import { GatewayMachine } from '../../../src/gateway/cluster/machine/gateway-machine.ts';
import type { LeaseName } from '../../../src/gateway/cluster/machine/ports.ts';
import { State } from '../../../src/gateway/cluster/machine/request-table.ts';
import { ClusterScheduler } from '../../../src/scheduler/server/cluster-scheduler.ts';
import type { GatewaySession } from '../../../src/scheduler/server/ports.ts';
import { functionKeyOf, Line, MACHINE_LIMITS, maskOf, MEMORY_OF, memoryOf, REFUSED, UNSTARTED } from './parts.ts';
import { type Ask, type Connection, type KeptRun, Worker } from './world-worker.ts';

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
  /** By request: the scheduler's line on which its lease was granted. */
  readonly #lines: number[] = [];
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
        dial: (id) => void this.dialled.set(id, this.machine.workerOf(id)!.name),
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
          const follows = this.machine.tookOver(request);
          if (!follows) this.#lines[request] = this.machine.line;
          connection.there.say(() => worker.assign(run, index, ask, follows));
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
    const number = this.#accept(version);
    if (number >= 0) this.machine.begin(number);
  }

  /** Below 0: there is no place for it. */
  #accept(version: number): number {
    const number = this.machine.accept(version);
    if (typeof number !== 'number') return -1;
    const ask: Ask = { key: this.#keys[version]!, ends: [], unwanted: false, runCount: 0 };
    this.asks.push(ask);
    assert.equal(this.#pending[number], null, 'a number is given twice');
    this.#pending[number] = ask;
    return number;
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

  answered(id: number, answer: LeaseName & { request: number; why: number }, kept: KeptRun | null = null): void {
    const ask = this.#pending[answer.request] ?? null;
    const line = this.#lines[answer.request]!;
    const isIts = this.machine.answered(id, answer);
    if (isIts) ask!.ends.push('result');
    if (kept !== null && !(isIts && this.#follows(id, kept, line)))
      kept.connection.there.say(() => kept.worker.heardLetGo(kept.own, kept.lease));
  }

  /** Another step comes there, of the same version or one that asks for less. */
  #follows(id: number, { lease, memoryMb, request, key }: KeptRun, line: number): boolean {
    const version = request % 2 === 0 ? Number(key[0]) : 0;
    if (memoryOf(this.#keys[version]!) > memoryMb) return false;
    const number = this.#accept(version);
    if (number < 0) return false;
    if (this.machine.beginOn(number, id, { ...lease, mask: 0, line })) {
      this.#lines[number] = line;
      return true;
    }
    this.machine.comesAgain(number);
    this.machine.begin(number);
    return false;
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
