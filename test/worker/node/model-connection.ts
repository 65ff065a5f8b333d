/** A connection between worker and scheduler in a worker's model: all that is said on it has to be so. */
import assert from 'node:assert/strict';
import { NO_INDEX } from '../../../src/wire/cluster-frame.ts';
import type {
  Described,
  Lease,
  LeaseName,
  ProvisionedFigures,
  SchedulerPort,
  Word,
} from '../../../src/worker/node/ports.ts';
import type { WorkerNode } from '../../../src/worker/node/worker-node.ts';
import type { ModelAgent } from './model-agent.ts';
import { CORES, EXTRA, type ModelScheduler, seatOf } from './model-scheduler.ts';

export const nameOf = ({ epoch, core, sequence }: Lease): string => `${epoch}:${core}:${sequence}`;

type Say = () => void;

/** What of the model a connection looks at. */
export interface ModelWorld {
  readonly agent: ModelAgent;
  readonly node: WorkerNode;
  readonly isFull: boolean;
  readonly isOpen: readonly boolean[];
  readonly mayLackMemory: boolean;
  readonly fenced: Set<string>;
  readonly kept: Map<number, unknown>;
  isKept(seat: number): boolean;
}

/** A connection between worker and scheduler: what is said waits until it is heard. */
export class Connection implements SchedulerPort {
  readonly scheduler: ModelScheduler;
  readonly #model: ModelWorld;
  readonly toScheduler: Say[] = [];
  readonly toWorker: Say[] = [];
  /** Leases whose ends this connection has not been told of: announced, or begun since. */
  readonly open = new Set<string>();
  readonly #handles = new Set<number>();
  /** The next word of the announcement. */
  #word = 0;
  #isAnnounced = false;

  constructor(model: ModelWorld, scheduler: ModelScheduler) {
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
    const { node, agent, isOpen } = this.#model;
    const word = (firstCore - this.scheduler.firstCore) / 32;
    if (!this.#isAnnounced) assert.equal(word, this.#word++);
    const [first, count] = word === 0 ? [0, CORES] : [CORES, EXTRA];
    const bitsOf = (is: (seat: number) => boolean): number =>
      Array.from({ length: count }, (_, bit) => (is(first + bit) ? 1 << bit : 0)).reduce((bits, bit) => bits | bit, 0);
    assert.equal(
      withdrawn,
      bitsOf((seat) => node.cores.isWithdrawn || (seat >= CORES && isOpen[seat] !== true)),
    );
    const isBusy = (seat: number): boolean => agent.busy.includes(seat) || this.#model.isKept(seat);
    assert.equal(busy, bitsOf(isBusy), 'the announced cores are not the busy ones');
    assert.equal(last, !this.#isAnnounced && word === 1);
    if (last) this.#isAnnounced = true;
    this.toScheduler.push(() => {
      for (let bit = 0; bit < count; bit++) this.scheduler.isOpen[first + bit] = (withdrawn & (1 << bit)) === 0;
    });
    if (last) assert.equal(this.open.size, this.#model.agent.running.size, 'what runs was not announced');
    if (last) this.toScheduler.push(() => this.scheduler.hearLast());
  }

  held(lease: LeaseName, handle: number): void {
    const seat = seatOf(lease.core - this.scheduler.firstCore);
    if (this.#isAnnounced && this.#model.isKept(seat))
      return void this.toScheduler.push(() => this.scheduler.hearHeld(lease));
    const run = this.#model.agent.running.get(seat);
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
    assert.ok(this.#model.mayLackMemory, 'the scheduler asks for a request again that was answered');
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
    this.#model.kept.delete(seatOf(lease.core - this.scheduler.firstCore));
    assert.ok(this.open.delete(`${lease.core}:${lease.sequence}`), `${nameOf(lease)} ends twice, or was not known`);
    this.toScheduler.push(() => this.scheduler.hearEnd(lease));
  }
}
