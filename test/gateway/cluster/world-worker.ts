/** A worker of a cluster in one process, which judges leases as a real one does. */
import assert from 'node:assert/strict';
import type { LeaseName } from '../../../src/gateway/cluster/machine/ports.ts';
import type { ClusterScheduler } from '../../../src/scheduler/server/cluster-scheduler.ts';
import type { WorkerSession } from '../../../src/scheduler/server/ports.ts';
import { isAfter } from '../../../src/wire/cluster/sequence.ts';
import { UnstartedWhy } from '../../../src/wire/cluster/small-frames.ts';
import { CORES, functionKeyOf, Line, maskOf, MEMORY_MB, memoryOf } from './parts.ts';

export interface Ask {
  readonly key: string;
  readonly ends: string[];
  /** Its client has gone while it was at a worker: it may have a result, or end without. */
  unwanted: boolean;
  runCount: number;
}

/** What of a gateway a worker speaks to. */
export interface GatewayEnd {
  closed(id: number, stopping: boolean): void;
  answered(id: number, answer: LeaseName & { request: number; why: number }, kept?: KeptRun | null): void;
}

/** Between a gateway and a worker. */
export interface Connection {
  readonly there: Line;
  readonly back: Line;
  readonly gateway: GatewayEnd;
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

export interface KeptRun extends Run {
  readonly worker: Worker;
  readonly own: number;
}

function sameLease(a: LeaseName, b: LeaseName): boolean {
  return a.epoch === b.epoch && a.core === b.core && a.sequence === b.sequence;
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
  /** Leases kept for the next step of a chain. */
  readonly #kept = new Map<number, Run>();
  readonly #fenced = new Set<string>();
  readonly #versions = new Map<number, { readonly epoch: number; readonly key: string }>();
  #pressedMb = 0;

  constructor(name: string) {
    this.name = name;
  }

  get runCount(): number {
    return this.#running.size;
  }

  join({ scheduler }: { readonly scheduler: ClusterScheduler }): void {
    if (this.session !== null || this.stopping) return;
    // Not busy in its announcement, so over.
    this.#kept.clear();
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
    this.#kept.clear();
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
    for (const own of this.#kept.keys()) this.letGo(own);
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
    for (const [own, run] of this.#kept) if (run.connection === connection) this.letGo(own);
    this.connections.delete(connection);
    connection.there.break();
    connection.back.break();
    connection.gateway.closed(connection.id, false);
  }

  setVersion(index: number, epoch: number, key: string): void {
    this.#versions.set(index, { epoch, key });
  }

  assign(run: Omit<Run, 'key' | 'sequence' | 'memoryMb'>, index: number, ask: Ask, follows: boolean): void {
    const { core, sequence, epoch } = run.lease;
    const own = core - this.#firstCore;
    if (follows) return this.#follow(run, own, index, ask);
    const named = this.#versions.get(index);
    const isMine = epoch === this.#epoch && own >= 0 && own < CORES && isAfter(sequence, this.#floor);
    const isTaken =
      this.#running.has(own) ||
      this.#kept.has(own) ||
      this.#fenced.has(`${core}:${sequence}`) ||
      named?.epoch !== epoch;
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

  #follow(run: Omit<Run, 'key' | 'sequence' | 'memoryMb'>, own: number, index: number, ask: Ask): void {
    const kept = this.#kept.get(own);
    const isIts = kept !== undefined && kept.connection === run.connection && sameLease(kept.lease, run.lease);
    if (!isIts) return this.#answer(run, this.stopping ? UnstartedWhy.stopping : UnstartedWhy.staleLease);
    const named = this.#versions.get(index);
    if (named?.epoch !== run.lease.epoch || this.stopping) {
      this.letGo(own);
      return this.#answer(run, UnstartedWhy.staleLease);
    }
    assert.equal(named.key, ask.key, 'the worker was told another version');
    this.#kept.delete(own);
    ask.runCount++;
    this.#running.set(own, { ...kept, ...run, key: ask.key });
  }

  /** `keeps`: its lease, if it may, for what its gateway says next. */
  end(own: number, keeps = false): void {
    const run = this.#running.get(own);
    if (run === undefined) return;
    this.#running.delete(own);
    this.#kept.set(own, run);
    const isKept =
      keeps &&
      !this.stopping &&
      run.mask === 0 &&
      this.connections.has(run.connection) &&
      run.lease.epoch === this.#epoch;
    if (!isKept) this.letGo(own);
    const { gateway, id, back } = run.connection;
    const answer = { request: run.request, ...run.lease, why: 0 };
    back.say(() => gateway.answered(id, answer, isKept ? { worker: this, own, ...run } : null));
  }

  /** Of a lease that is kept. */
  letGo(own: number): void {
    const run = this.#kept.get(own)!;
    this.#kept.delete(own);
    const { session } = this;
    if (session === null) return;
    const core = session.firstCore + own;
    this.toScheduler.say(() => assert.ok(session.release(core, run.sequence, true), 'a lease that is not known'));
    this.toScheduler.say(() => session.memoryAvailable());
  }

  /** Nothing follows on it, as its gateway says. */
  heardLetGo(own: number, lease: LeaseName): void {
    const kept = this.#kept.get(own);
    if (kept !== undefined && sameLease(kept.lease, lease)) this.letGo(own);
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
    const kept = this.#kept.get(core - session.firstCore);
    if (run?.sequence === sequence || kept?.sequence === sequence)
      return this.toScheduler.say(() => session.held(core, sequence));
    this.#fenced.add(`${core}:${sequence}`);
    this.toScheduler.say(() => void session.fenced(core, sequence));
  }
}
