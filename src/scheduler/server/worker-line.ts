/**
 * A worker's connection: it is placed when it greets, says what it runs, and has joined with the last word of that. From
 * then on its frames are the calls of its session.
 */
import { CloseReason, ClusterKind } from '../../wire/cluster-frame.ts';
import type { SchedulerFromWorker } from '../../wire/cluster/directions.ts';
import type { HelloFrame, NameVersionFrame } from '../../wire/cluster/large-frames.ts';
import { CountFrame, LeaseFrame } from '../../wire/cluster/small-frames.ts';
import type { FrameLink } from '../../cluster/link/link.ts';
import type { Announcement, ClusterScheduler, Place, WorkerPort, WorkerSession } from './cluster-scheduler.ts';
import { type NamedVersion, versionOf } from './version-names.ts';

type Worker = Pick<Announcement, 'name' | 'host' | 'port' | 'life' | 'coreCount' | 'memoryMb'>;

export class WorkerLine implements SchedulerFromWorker, WorkerPort {
  readonly #scheduler: ClusterScheduler;
  readonly #link: FrameLink;
  readonly #worker: Worker;
  readonly #place: Place;
  readonly #joined: () => void;
  #session: WorkerSession | null = null;
  /** What it named and what it runs, until it has joined. */
  readonly #named = new Map<number, NamedVersion>();
  readonly #running: Announcement['running'][number][] = [];
  readonly #probe = new LeaseFrame(ClusterKind.probe);
  readonly #version = new CountFrame(ClusterKind.version);

  /** `hello` is not kept. */
  constructor(
    scheduler: ClusterScheduler,
    link: FrameLink,
    { hello, place, joined }: { hello: HelloFrame; place: Place; joined: () => void },
  ) {
    const { name, host, port, life, coreCount, memoryMb } = hello;
    this.#scheduler = scheduler;
    this.#link = link;
    this.#worker = { name, host, port, life, coreCount, memoryMb };
    this.#place = place;
    this.#joined = joined;
  }

  // ---- what it says

  nameVersion(frame: NameVersionFrame): void {
    const named = versionOf(frame);
    if (named === null) return this.#breach(frame.kind);
    if (this.#session === null) this.#named.set(frame.handle, named);
    else this.#answerName(frame.handle, this.#session.name(named));
  }

  /** In its announcement; later it is the answer to a probe, and nothing changes. */
  held(frame: LeaseFrame): void {
    if (this.#session !== null) return;
    const version = this.#named.get(frame.handle);
    const core = frame.core - this.#place.firstCore;
    const isTwice = this.#running.some((each) => each.core === core);
    if (version === undefined || core < 0 || core >= this.#worker.coreCount || isTwice) return this.#breach(frame.kind);
    this.#running.push({ core, sequence: frame.sequence, version });
  }

  announce(frame: CountFrame): void {
    if (this.#session !== null) return this.#breach(frame.kind);
    if (frame.flag === 0) return;
    const session = this.#scheduler.joinWorker(this, { ...this.#worker, running: this.#running });
    if (typeof session === 'string') return this.#link.close(CloseReason.nameTaken);
    this.#session = session;
    for (const [handle, version] of this.#named) this.#answerName(handle, session.name(version));
    this.#named.clear();
    this.#joined();
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

  /** Nobody asks for it yet. */
  provisioned(frame: CountFrame): void {
    this.#breach(frame.kind);
  }

  // ---- what it is told

  probe(core: number, sequence: number): void {
    this.#probe.core = core;
    this.#probe.sequence = sequence;
    this.#probe.epoch = this.#scheduler.epoch;
    this.#link.send(this.#probe);
  }

  left(): void {
    this.#session?.leave();
  }

  #answerName(handle: number, index: number): void {
    this.#version.version = handle;
    this.#version.first = index;
    this.#link.send(this.#version);
  }

  #breach(kind: number): void {
    this.#link.close(CloseReason.breach, kind);
  }
}
