/** The connection to the scheduler: its frames are calls of the machine, and what that tells the scheduler are frames. */
import type { FrameSender } from '../../cluster/link/link.ts';
import { coresOf, hasOwnSeat } from '../../store/settings.ts';
import { CloseReason, ClusterKind } from '../../wire/cluster-frame.ts';
import type { WorkerFromScheduler } from '../../wire/cluster/directions.ts';
import { HeldCoresFrame } from '../../wire/cluster/cores-frames.ts';
import { type DropVersionFrame, NameVersionFrame } from '../../wire/cluster/large-frames.ts';
import { CountFrame, LeaseFrame } from '../../wire/cluster/small-frames.ts';
import type { Described, Lease, LeaseName, ProvisionedFigures, SchedulerPort, Word } from './ports.ts';
import type { WorkerNode } from './worker-node.ts';

export class SchedulerLine implements WorkerFromScheduler {
  readonly #node: WorkerNode;
  readonly #link: FrameSender;

  constructor(node: WorkerNode, link: FrameSender) {
    this.#node = node;
    this.#link = link;
  }

  probe(frame: LeaseFrame): void {
    const { epoch, core, sequence } = frame;
    if (!this.#node.probe({ epoch, core, sequence })) this.#breach(frame.kind);
  }

  version(frame: CountFrame): void {
    if (!this.#node.indexed(frame.version, frame.first)) this.#breach(frame.kind);
  }

  nameVersion({ handle, key }: NameVersionFrame): void {
    this.#node.nameVersion(handle, key);
  }

  dropVersion({ epoch, version, key }: DropVersionFrame): void {
    this.#node.dropVersion(epoch, version, key);
  }

  provision(frame: CountFrame): void {
    if (!this.#node.provision(frame.version, frame.first)) this.#breach(frame.kind);
  }

  #breach(kind: number): void {
    this.#link.close(CloseReason.breach, kind);
  }
}

/** What the scheduler is told; the registers are this connection's own. */
export class SchedulerFrames implements SchedulerPort {
  readonly #link: FrameSender;
  readonly #lease = new LeaseFrame(ClusterKind.release);
  readonly #heldCores = new HeldCoresFrame();
  readonly #count = new CountFrame(ClusterKind.announce);
  readonly #name = new NameVersionFrame();

  constructor(link: FrameSender) {
    this.#link = link;
  }

  nameVersion(handle: number, { key, functionKey, fn }: Described): void {
    const { config } = fn;
    const dedicated = this.#link.version > 1 && hasOwnSeat(config) ? 1 : 0;
    const asks = { memoryMb: config.memoryMb, coreCount: coresOf(config), dedicated };
    this.#link.send(Object.assign(this.#name, { handle, key, functionKey, ...asks }));
  }

  announce({ firstCore, busy, withdrawn, last }: Word): void {
    this.#counts(ClusterKind.announce, { flag: last ? 1 : 0, version: 0, words: [firstCore, busy, withdrawn] });
  }

  held(lease: LeaseName, handle: number): void {
    if (lease.mask === 0) {
      this.#lease.handle = handle;
      return this.#leaseOf(ClusterKind.held, lease);
    }
    const { epoch, core, sequence, mask } = lease;
    Object.assign(this.#heldCores, { handle, epoch, core, sequence, mask });
    this.#link.send(this.#heldCores);
  }

  fenced(lease: Lease): void {
    this.#leaseOf(ClusterKind.fenced, lease);
  }

  release(lease: Lease, warm: boolean): void {
    this.#lease.warm = warm ? 1 : 0;
    this.#leaseOf(ClusterKind.release, lease);
  }

  noMemory(lease: Lease): void {
    this.#leaseOf(ClusterKind.noMemory, lease);
  }

  memoryAvailable(): void {
    this.#counts(ClusterKind.memoryAvailable, { flag: 0, version: 0, words: [0, 0, 0] });
  }

  warmed(index: number): void {
    this.#counts(ClusterKind.warmed, { flag: 0, version: index, words: [0, 0, 0] });
  }

  evicted(index: number): void {
    this.#counts(ClusterKind.evicted, { flag: 0, version: index, words: [0, 0, 0] });
  }

  provisioned(index: number, { wanted, begun, ready, failed }: ProvisionedFigures): void {
    this.#counts(ClusterKind.provisioned, { flag: failed ? 1 : 0, version: index, words: [wanted, begun, ready] });
  }

  #leaseOf(kind: LeaseFrame['kind'], { epoch, core, sequence }: Lease): void {
    const frame = this.#lease;
    frame.kind = kind;
    frame.epoch = epoch;
    frame.core = core;
    frame.sequence = sequence;
    this.#link.send(frame);
  }

  #counts(
    kind: CountFrame['kind'],
    { flag, version, words }: { flag: number; version: number; words: readonly [number, number, number] },
  ): void {
    const frame = this.#count;
    frame.kind = kind;
    frame.flag = flag;
    frame.version = version;
    [frame.first, frame.second, frame.third] = words;
    this.#link.send(frame);
  }
}
