/**
 * Gateways and workers that come, go, lose what they were told and come back, in any order. The workers are the judges:
 * none may be made to run two leases on one core, and whatever was asked for ends.
 */
import fc from 'fast-check';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isAfter } from '../../src/scheduler/machine/membership.ts';
import {
  ClusterScheduler,
  type GatewaySession,
  type WorkerSession,
  type WorkerView,
} from '../../src/scheduler/server/cluster-scheduler.ts';
import type { NamedVersion } from '../../src/scheduler/server/version-names.ts';

const CORES = 3;
const MEMORY_MB = 1000;
const VERSIONS: readonly NamedVersion[] = [128, 300, 900].map((memoryMb, index) => ({
  key: `v${index}`,
  functionKey: `f${index % 2}`,
  memoryMb,
}));

interface Run {
  readonly sequence: number;
  readonly version: number;
}

/** Its own truth, whatever the scheduler thinks. */
class Worker {
  readonly name: string;
  session: WorkerSession | null = null;
  readonly running = new Map<number, Run>();
  /** Leases that it has refused for good. */
  readonly fenced = new Set<string>();

  constructor(name: string) {
    this.name = name;
  }

  join(scheduler: ClusterScheduler): void {
    if (this.session !== null) return;
    const session = scheduler.joinWorker(
      { probe: (core, sequence) => this.#probed(core, sequence) },
      {
        name: this.name,
        host: this.name,
        port: 1,
        life: 1,
        coreCount: CORES,
        memoryMb: MEMORY_MB,
        running: [...this.running].map(([core, run]) => ({
          core,
          sequence: run.sequence,
          version: VERSIONS[run.version]!,
        })),
      },
    );
    if (typeof session === 'string') assert.fail(session);
    this.session = session;
  }

  leave(): void {
    this.session?.leave();
    this.session = null;
    this.#unanswered.length = 0;
  }

  /** False: it is not taken. */
  start(core: number, sequence: number, version: number): boolean {
    const own = core - this.session!.firstCore;
    if (!isAfter(sequence, this.session!.floor)) return false;
    if (this.running.has(own) || this.fenced.has(`${core}:${sequence}`)) return false;
    this.running.set(own, { sequence, version });
    return true;
  }

  end(own: number, warm: boolean): void {
    const run = this.running.get(own);
    if (run === undefined) return;
    this.running.delete(own);
    if (this.session !== null) assert.ok(this.session.release(this.session.firstCore + own, run.sequence, warm));
  }

  readonly #unanswered: [core: number, sequence: number][] = [];

  #probed(core: number, sequence: number): void {
    this.#unanswered.push([core, sequence]);
  }

  answerProbes(): void {
    for (const [core, sequence] of this.#unanswered.splice(0)) {
      if (this.running.get(core - this.session!.firstCore)?.sequence === sequence) continue;
      this.fenced.add(`${core}:${sequence}`);
      this.session!.fenced(core, sequence);
    }
  }
}

class Gateway {
  session: GatewaySession | null = null;
  indexes: number[] = [];
  readonly waiting = new Map<number, number>();
  readonly grants: { request: number; core: number; sequence: number; version: number }[] = [];
  readonly workers = new Map<string, WorkerView>();
  #next = 0;

  join(scheduler: ClusterScheduler): void {
    if (this.session !== null) return;
    const settle = (request: number): number => {
      const version = this.waiting.get(request);
      assert.ok(version !== undefined, `request ${request} is answered and does not wait`);
      this.waiting.delete(request);
      return version;
    };
    this.session = scheduler.joinGateway({
      granted: (request, { core, sequence }) =>
        void this.grants.push({ request, core, sequence, version: settle(request) }),
      refused: settle,
      cancelled: settle,
      workerJoined: (worker) => void this.workers.set(worker.name, worker),
      workerLeft: (worker) => assert.ok(this.workers.delete(worker.name), 'a worker left that had not joined'),
    });
    this.indexes = VERSIONS.map((version) => this.session!.name(version));
  }

  leave(): void {
    this.session?.leave();
    this.session = null;
    this.waiting.clear();
    this.grants.length = 0;
    this.workers.clear();
  }

  request(version: number): void {
    if (this.session === null) return;
    const number = this.#next++ % 64;
    if (this.waiting.has(number)) return assert.ok(!this.session.request(number, this.indexes[version]!));
    this.waiting.set(number, version);
    // Its number is not free while its last grant is held.
    if (!this.session.request(number, this.indexes[version]!)) this.waiting.delete(number);
  }

  /** Brings its oldest grant to the worker, if that is there. */
  start(workers: readonly Worker[]): void {
    const grant = this.grants.shift();
    if (grant === undefined) return;
    const view = [...this.workers.values()].find(
      ({ firstCore, coreCount }) => grant.core >= firstCore && grant.core < firstCore + coreCount,
    );
    const worker = workers.find(({ name, session }) => name === view?.name && session !== null);
    if (worker?.start(grant.core, grant.sequence, grant.version) === true) return;
    // Its number may be another request's by now.
    if (this.waiting.has(grant.request)) return;
    this.waiting.set(grant.request, grant.version);
    const lease = { ...grant, version: this.indexes[grant.version]! };
    this.session!.unstarted(grant.request, lease, worker === undefined ? 'unsent' : 'refused');
  }
}

class Cluster {
  readonly scheduler = new ClusterScheduler({
    epoch: 1,
    coreCountMax: 64,
    workerCountMax: 2,
    functionCountMax: 2,
    versionCountMax: 3,
    requestCountMax: 24,
    queueMax: 8,
    overtakeMax: 2,
    warmHintMax: 3,
  });
  readonly workers = [new Worker('a'), new Worker('b')];
  readonly gateways = [new Gateway(), new Gateway()];

  apply([kind, a, b]: readonly [number, number, number]): void {
    const worker = this.workers[a % 2]!;
    const gateway = this.gateways[a % 2]!;
    if (kind <= 5) gateway.request(b % 3);
    else if (kind <= 10) gateway.start(this.workers);
    else if (kind <= 14) worker.end(b % CORES, b % 2 === 0);
    else if (kind === 15) {
      const waits = [...gateway.waiting.keys()];
      gateway.session?.cancel(waits[b % Math.max(waits.length, 1)] ?? b % 64);
    } else if (kind === 16) worker.leave();
    else if (kind <= 18) worker.join(this.scheduler);
    else if (kind === 19) gateway.leave();
    else if (kind <= 21) gateway.join(this.scheduler);
    else if (kind === 22) worker.session?.warmed(b % 3);
    else if (kind === 23) gateway.session?.setConcurrency(`f${b % 2}`, (b % 4) - 1);
    else worker.answerProbes();
  }

  /** All is well again, and what runs ends: then nobody waits and nothing is held. */
  finish(): void {
    for (const each of [...this.workers, ...this.gateways]) each.join(this.scheduler);
    for (const gateway of this.gateways) for (const name of ['f0', 'f1']) gateway.session!.setConcurrency(name, -1);
    for (let round = 0; round < 100; round++) {
      for (const gateway of this.gateways) while (gateway.grants.length > 0) gateway.start(this.workers);
      for (const worker of this.workers) {
        worker.answerProbes();
        worker.session!.memoryAvailable();
        for (let own = 0; own < CORES; own++) worker.end(own, true);
      }
    }
    assert.deepEqual(
      this.gateways.map(({ waiting }) => waiting.size),
      [0, 0],
    );
    assert.equal(this.scheduler.machine.leasedCount, 0);
    assert.equal(this.scheduler.machine.idleCount, 2 * CORES);
    for (const gateway of this.gateways) gateway.leave();
    this.scheduler.checkInvariants();
  }
}

const events = fc.array(fc.tuple(fc.nat(26), fc.nat(9), fc.nat(99)), { maxLength: 200, size: 'max' });

test('whoever comes and goes, no core runs two leases, and all that was asked for ends', () => {
  fc.assert(
    fc.property(events, (steps) => {
      const cluster = new Cluster();
      for (const step of steps) {
        cluster.apply(step);
        cluster.scheduler.checkInvariants();
      }
      cluster.finish();
    }),
    { numRuns: 400 },
  );
});

test('a worker that comes back with more cores than it had is told to take another name', () => {
  const cluster = new Cluster();
  const port = { probe: () => {} };
  const running: [] = [];
  const announcement = { name: 'a', host: '', port: 1, life: 1, coreCount: 2, memoryMb: 100, running };
  const session = cluster.scheduler.joinWorker(port, announcement) as WorkerSession;
  const refused = (more: object): string => {
    const answer = cluster.scheduler.joinWorker(port, { ...announcement, ...more });
    return typeof answer === 'string' ? answer : '';
  };
  assert.match(refused({}), /has joined already/);
  session.leave();
  assert.match(refused({ coreCount: 3 }), /another name/);
  assert.ok(typeof cluster.scheduler.joinWorker(port, announcement) !== 'string');
});

test('what is no lease of the worker changes nothing', () => {
  const cluster = new Cluster();
  const [first, second] = cluster.workers;
  const [gateway] = cluster.gateways;
  for (const each of [first!, second!, gateway!]) each.join(cluster.scheduler);
  gateway!.request(0);
  const { core, sequence } = gateway!.grants[0]!;
  const other = core < second!.session!.firstCore ? second! : first!;
  assert.equal(other.session!.release(core, sequence, true), false);
  assert.equal(other.session!.noMemory(core, sequence), false);
  assert.equal(cluster.scheduler.machine.leasedCount, 1);
});
