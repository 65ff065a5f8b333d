/** Workers and gateways around a cluster's scheduler. The workers are the judges: none runs two leases on one core. */
import assert from 'node:assert/strict';
import { coreCountOf, coresOf, isLedBy } from '../../src/base/core-mask.ts';
import { isAfter } from '../../src/wire/cluster/sequence.ts';
import { outcome } from '../../src/scheduler/machine/outcome.ts';
import type {
  GatewaySession,
  Granted,
  ProvisionedSum,
  Refusal,
  WorkerSession,
  WorkerView,
} from '../../src/scheduler/server/ports.ts';
import type { Shard } from '../../src/scheduler/server/shard.ts';
import type { NamedVersion } from '../../src/scheduler/server/version-names.ts';

export const CORES = 3;
export const MEMORY_MB = 1000;
export const NUMBERS = 16;
const VERSIONS: readonly NamedVersion[] = [128, 300, 900].map((memoryMb, index) => ({
  key: `v${index}`,
  functionKey: `f${index % 2}`,
  memoryMb,
  coreCount: index + 1,
}));

interface Run {
  /** As in a grant: what a worker runs is known by its lead. */
  readonly mask: number;
  readonly sequence: number;
  readonly version: number;
}

interface OpenGrant extends Run {
  readonly request: number;
  readonly core: number;
  readonly epoch: number;
}

/** Its own truth, whatever the scheduler thinks. */
export class Worker {
  readonly name: string;
  session: WorkerSession | null = null;
  epoch = 0;
  withdrawn = 0;
  readonly running = new Map<number, Run>();
  /** Leases of this epoch that it has refused for good. */
  readonly fenced = new Set<string>();
  /** What it is to keep, by index. */
  readonly kept = new Map<number, { count: number; version: NamedVersion }>();
  readonly #unanswered: [core: number, sequence: number][] = [];

  constructor(name: string) {
    this.name = name;
  }

  join({ epoch }: { readonly epoch: number }, shard: Shard): void {
    if (this.session !== null) return;
    const running = [...this.running].map(([core, { mask, sequence, version }]) => ({
      core,
      mask,
      sequence,
      version: VERSIONS[version]!,
    }));
    const session = shard.joinWorker(
      {
        probe: (core, sequence) => void this.#unanswered.push([core, sequence]),
        dropped: (index, key) => this.#dropped(index, key),
        provision: (index, count, version) => void this.kept.set(index, { count, version }),
      },
      {
        name: this.name,
        host: this.name,
        port: 1,
        life: 1,
        coreCount: CORES,
        memoryMb: MEMORY_MB,
        running,
        withdrawn: [this.withdrawn],
      },
    );
    if (typeof session === 'string') assert.fail(session);
    if (this.epoch !== epoch) this.fenced.clear();
    this.epoch = epoch;
    this.session = session;
  }

  leave(): void {
    this.session?.leave();
    this.lineBreaks();
  }

  lineBreaks(): void {
    this.session = null;
    this.kept.clear();
    this.#unanswered.length = 0;
  }

  /** False: it is not taken. */
  start({ core, mask, sequence, version, epoch }: OpenGrant): boolean {
    const own = core - this.session!.firstCore;
    if (epoch !== this.epoch || !isAfter(sequence, this.session!.floor)) return false;
    if (this.fenced.has(`${core}:${sequence}`)) return false;
    const cores = coresOf(own, mask);
    for (const [lead, run] of this.running)
      if (coresOf(lead, run.mask).some((each) => cores.includes(each))) return false;
    this.running.set(own, { mask, sequence, version });
    return true;
  }

  end(own: number, warm: boolean): void {
    const run = this.running.get(own);
    if (run === undefined) return;
    this.running.delete(own);
    if (this.session === null) return;
    const core = this.session.firstCore + own;
    assert.ok(this.session.release(core, run.sequence, warm));
    assert.ok(!this.session.release(core, run.sequence, warm), 'it was released twice');
  }

  withdraw(bits: number): void {
    // One after the other: who waits may be granted one that is the next to go, if the worker is not kept any more without the first.
    this.withdrawn &= bits;
    if (this.session !== null) assert.ok(this.session.withdraw(this.session.firstCore, bits));
    this.withdrawn = bits;
  }

  answerProbes(): void {
    for (const [core, sequence] of this.#unanswered.splice(0)) {
      if (this.running.get(core - this.session!.firstCore)?.sequence === sequence) {
        this.session!.held(core, sequence);
        continue;
      }
      this.fenced.add(`${core}:${sequence}`);
      this.session!.fenced(core, sequence);
    }
  }

  reportKept(): void {
    for (const [index, { count }] of this.kept)
      this.session?.provisioned(index, { begun: count, ready: count, failed: false });
  }

  #dropped(index: number, key: string): void {
    this.kept.delete(index);
    for (const { version } of this.running.values())
      assert.notEqual(VERSIONS[version]!.key, key, `${key} was dropped, and runs`);
  }
}

export class Gateway {
  readonly name: string;
  session: GatewaySession | null = null;
  indexes: number[] = [];
  /** The version of each request that waits, and whether it was asked again. */
  readonly waiting = new Map<number, { readonly version: number; readonly again: boolean }>();
  grants: OpenGrant[] = [];
  readonly workers = new Map<string, WorkerView>();
  readonly sums = new Map<number, ProvisionedSum>();
  readonly #isWithdrawn: (core: number) => boolean;
  #next = 0;
  /** At which it is. */
  #shard = 0;

  constructor(name: string, isWithdrawn: (core: number) => boolean) {
    this.name = name;
    this.#isWithdrawn = isWithdrawn;
  }

  join({ epoch }: { readonly epoch: number }, shard: Shard): void {
    if (this.session !== null) return;
    this.#shard = shard.machine.shard;
    this.session = shard.joinGateway(
      {
        granted: (request, lease, shard) => this.#granted(request, lease, { shard, epoch }),
        refused: (request, why) => this.#refused(request, why),
        cancelled: (request) => void this.#settle(request),
        workerJoined: (worker) => void this.workers.set(worker.name, worker),
        workerLeft: ({ name }) => assert.ok(this.workers.delete(name), 'a worker left that had not joined'),
        provisioned: (index, sum) => void this.sums.set(index, sum),
      },
      this.name,
    );
    this.indexes = VERSIONS.map((version) => this.session!.name(version));
    this.#askAgain();
  }

  /** It is gone for good, and all that it waited for. */
  leave(): void {
    this.session?.leave();
    this.waiting.clear();
    this.grants = [];
    this.lineBreaks();
  }

  lineBreaks(): void {
    this.session = null;
    this.indexes = [];
    this.workers.clear();
    this.sums.clear();
  }

  request(version: number): void {
    if (this.session === null || this.indexes[version]! < 0) return;
    const number = this.#freeNumber();
    if (number < 0) return;
    this.waiting.set(number, { version, again: false });
    assert.ok(this.session.request(number, this.indexes[version]!), 'a number that is free is not taken');
  }

  requestTwice(): void {
    if (this.session === null) return;
    for (const [number, { version }] of this.waiting) {
      if (this.indexes[version] !== -1) assert.ok(!this.session.request(number, this.indexes[version]!));
    }
  }

  /** Brings its oldest grant to the worker, if that is there. */
  start(workers: readonly Worker[]): void {
    const grant = this.grants.shift();
    if (grant === undefined) return;
    const view = [...this.workers.values()].find(
      ({ firstCore, coreCount }) => grant.core >= firstCore && grant.core < firstCore + coreCount,
    );
    const worker = workers.find(({ name, session }) => name === view?.name && session !== null);
    if (worker?.start(grant) === true) return;
    this.waiting.set(grant.request, { version: grant.version, again: true });
    if (this.session === null) return;
    const lease = { ...grant, version: this.indexes[grant.version]! };
    this.session.unstarted(grant.request, lease, worker === undefined ? 'unsent' : 'refused');
  }

  /** It says that it cannot reach the worker of its oldest grant, whether that is so or not. */
  giveBack(): void {
    const grant = this.grants.shift();
    if (grant === undefined) return;
    this.waiting.set(grant.request, { version: grant.version, again: true });
    this.session?.unstarted(grant.request, { ...grant, version: this.indexes[grant.version]! }, 'unsent');
  }

  name_(version: number): void {
    if (this.session !== null && this.indexes[version] === -1)
      this.indexes[version] = this.session.name(VERSIONS[version]!);
  }

  /** Only what it has no use for: what it waits for would be refused. */
  unname(version: number): void {
    const uses = [...this.waiting.values(), ...this.grants];
    if (uses.some((use) => use.version === version)) return;
    const index = this.indexes[version];
    if (this.session === null || index === undefined || index < 0) return;
    this.indexes[version] = -1;
    this.session.unname(index, VERSIONS[version]!.key);
  }

  provision(version: number, count: number): void {
    const index = this.indexes[version];
    if (this.session !== null && index !== undefined && index >= 0) assert.ok(this.session.provision(index, count));
  }

  #freeNumber(): number {
    for (let tries = 0; tries < NUMBERS; tries++) {
      const number = this.#next++ % NUMBERS;
      if (!this.waiting.has(number) && this.grants.every(({ request }) => request !== number)) return number;
    }
    return -1;
  }

  /** After a line broke: for all that it has not started. */
  #askAgain(): void {
    for (const { request, version } of this.grants.splice(0)) this.waiting.set(request, { version, again: true });
    for (const [number, { version }] of this.waiting) {
      this.waiting.set(number, { version, again: true });
      const asking = { again: true, waitedMs: number * 10 };
      assert.ok(this.session!.request(number, this.indexes[version]!, asking));
    }
  }

  #settle(request: number): { version: number; again: boolean } {
    const waits = this.waiting.get(request);
    assert.ok(waits !== undefined, `request ${request} is answered and does not wait`);
    this.waiting.delete(request);
    return waits;
  }

  #granted(
    request: number,
    { core, sequence, mask }: Granted,
    { shard, epoch }: { shard: number; epoch: number },
  ): void {
    const { version } = this.#settle(request);
    assert.equal(coreCountOf(mask), VERSIONS[version]!.coreCount);
    assert.ok(isLedBy(core, mask));
    for (const each of coresOf(core, mask)) assert.ok(!this.#isWithdrawn(each), 'a withdrawn core is granted');
    const isKnown = ({ firstCore, coreCount }: WorkerView): boolean =>
      core >= firstCore && core < firstCore + coreCount;
    assert.ok([...this.workers.values()].some(isKnown), 'a core of a worker is granted that it was not told of');
    assert.ok(shard === this.#shard || shard === -1);
    this.grants.push({ request, core, mask, sequence, version, epoch });
  }

  #refused(request: number, why: Refusal): void {
    const { again } = this.#settle(request);
    assert.notEqual(why, 'version');
    const isTooMuch = why === outcome.refusedMemory || why === outcome.refusedCores;
    assert.ok(!again || isTooMuch, 'what was accepted is refused');
  }
}
