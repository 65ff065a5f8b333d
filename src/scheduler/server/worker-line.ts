/**
 * A worker's connection: it is placed when it greets, says what it runs, and has joined with the last word of that. From
 * then on its frames are the calls of its session.
 */
import { isSeat, seatsOfWord, seatWordCountOf } from '../../base/seats.ts';
import { CloseReason, ClusterKind } from '../../wire/cluster-frame.ts';
import type { HeldCoresFrame } from '../../wire/cluster/cores-frames.ts';
import type { SchedulerFromWorker } from '../../wire/cluster/directions.ts';
import { DropVersionFrame, type HelloFrame, NameVersionFrame } from '../../wire/cluster/large-frames.ts';
import { CountFrame, LeaseFrame } from '../../wire/cluster/small-frames.ts';
import type { FrameSender } from '../../cluster/link/link.ts';
import type { Announcement, Place, Running, WorkerPort, WorkerSession, WorkerView } from './ports.ts';
import type { Shard } from './shard.ts';
import { type NamedVersion, versionOf } from './version-names.ts';

type Worker = Pick<WorkerView, 'name' | 'host' | 'port' | 'life' | 'coreCount' | 'extraSeatCount'> &
  Pick<Announcement, 'memoryMb'>;

export class WorkerLine implements SchedulerFromWorker, WorkerPort {
  readonly #shard: Shard;
  readonly #line: number;
  readonly #link: FrameSender;
  readonly #worker: Worker;
  readonly #place: Place;
  readonly #joined: () => number;
  #session: WorkerSession | null = null;
  /** What it named and what it runs, until it has joined. */
  readonly #named = new Map<number, NamedVersion>();
  readonly #running: Running[] = [];
  /** A word for each 32 cores: those on which it has said what runs. */
  readonly #said: number[] = [];
  readonly #withdrawn: number[] = [];
  /** Indexes that the worker was told of here, so that it can be told to keep instances. */
  readonly #told = new Set<number>();
  readonly #probe = new LeaseFrame(ClusterKind.probe);
  readonly #version = new CountFrame(ClusterKind.version);
  readonly #provision = new CountFrame(ClusterKind.provision);
  readonly #nameVersion = new NameVersionFrame();
  readonly #dropVersion = new DropVersionFrame();

  /** `hello` is not kept. `joined` answers the time. */
  constructor(
    shard: Shard,
    link: FrameSender,
    { hello, place, joined, line }: { hello: HelloFrame; place: Place; joined: () => number; line: number },
  ) {
    const { name, host, port, life, coreCount, extraSeatCount, memoryMb } = hello;
    this.#shard = shard;
    this.#line = line;
    this.#link = link;
    this.#worker = { name, host, port, life, coreCount, extraSeatCount, memoryMb };
    this.#place = place;
    this.#joined = joined;
  }

  // ---- what it says

  nameVersion(frame: NameVersionFrame): void {
    const named = versionOf(frame);
    if (named === null) return this.#breach(frame.kind);
    if (this.#session === null) this.#named.set(frame.handle, named);
    else this.#link.send(this.#answerOf(frame.handle, this.#session.name(named)));
  }

  /** In its announcement what it runs; later the answer to a probe. */
  held(frame: LeaseFrame): void {
    if (this.#session !== null) this.#session.held(frame.core, frame.sequence);
    else this.#runs(frame, 0);
  }

  /** In its announcement only. */
  heldCores(frame: HeldCoresFrame): void {
    if (this.#session !== null) this.#breach(frame.kind);
    else this.#runs(frame, frame.mask);
  }

  announce({ kind, flag, first, second: busy, third: withdrawn }: CountFrame): void {
    const isLater = this.#session !== null;
    if (isLater && (flag === 1 || !this.#session!.withdraw(first, withdrawn))) return this.#breach(kind);
    if (isLater) return;
    const word = (first - this.#place.firstCore) / 32;
    const isOwn = Number.isInteger(word) && word >= 0 && word < seatWordCountOf(this.#worker);
    if (
      !isOwn ||
      ((busy | withdrawn) & ~seatsOfWord(this.#worker, word)) !== 0 ||
      (busy & ~(this.#said[word] ?? 0)) !== 0
    )
      return this.#breach(kind);
    this.#withdrawn[word] = withdrawn;
    if (flag === 1) this.#join();
  }

  /** One that is not known is late: its lease ended here when the worker was thought to be gone. */
  release({ core, sequence, warm }: LeaseFrame): void {
    this.#session?.release(core, sequence, warm === 1);
  }

  noMemory({ core, sequence }: LeaseFrame): void {
    this.#session?.noMemory(core, sequence);
  }

  fenced({ core, sequence }: LeaseFrame): void {
    this.#session?.fenced(core, sequence);
  }

  memoryAvailable(): void {
    this.#session?.memoryAvailable();
  }

  warmed({ version }: CountFrame): void {
    this.#session?.warmed(version);
  }

  evicted({ version }: CountFrame): void {
    this.#session?.evicted(version);
  }

  provisioned({ version, flag, second, third }: CountFrame): void {
    this.#session?.provisioned(version, { begun: second, ready: third, failed: flag === 1 });
  }

  // ---- what it is told

  probe(core: number, sequence: number): void {
    this.#probe.core = core;
    this.#probe.sequence = sequence;
    this.#probe.epoch = this.#shard.epoch;
    this.#link.send(this.#probe);
  }

  dropped(index: number, key: string): void {
    this.#told.delete(index);
    Object.assign(this.#dropVersion, { version: index, epoch: this.#shard.epoch, key });
    this.#link.send(this.#dropVersion);
  }

  provision(index: number, count: number, { key, functionKey, memoryMb, coreCount }: NamedVersion): void {
    if (!this.#told.has(index)) {
      this.#told.add(index);
      Object.assign(this.#nameVersion, { handle: index, key, functionKey, memoryMb, coreCount });
      this.#link.send(this.#nameVersion);
    }
    this.#provision.version = index;
    this.#provision.first = count;
    this.#link.send(this.#provision);
  }

  left(): void {
    this.#session?.leave();
  }

  #runs({ kind, handle, core: lead, sequence }: LeaseFrame, mask: number): void {
    const version = this.#named.get(handle);
    const core = lead - this.#place.firstCore;
    if (version === undefined || !isSeat(this.#worker, core)) return this.#breach(kind);
    const word = core >>> 5;
    const bits = mask === 0 ? 1 << (core & 31) : mask;
    const said = this.#said[word] ?? 0;
    if ((bits & (said | ~seatsOfWord(this.#worker, word))) !== 0) return this.#breach(kind);
    this.#said[word] = said | bits;
    this.#running.push({ core, mask, sequence, version });
  }

  #join(): void {
    const nowMs = this.#joined();
    const announcement = { ...this.#worker, running: this.#running, withdrawn: this.#withdrawn, nowMs };
    const session = this.#shard.joinWorker(this, announcement, this.#line);
    if (typeof session === 'string') return this.#link.close(CloseReason.nameTaken);
    this.#session = session;
    // After a restart all workers come at once, and this can wait.
    for (const [handle, version] of this.#named) this.#link.sendLater(this.#answerOf(handle, session.name(version)));
    this.#named.clear();
  }

  #answerOf(handle: number, index: number): CountFrame {
    this.#version.version = handle;
    this.#version.first = index;
    return this.#version;
  }

  #breach(kind: number): void {
    this.#link.close(CloseReason.breach, kind);
  }
}
