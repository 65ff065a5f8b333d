/** A gateway's connection: its frames are the calls of its session, and what its session tells it are frames. */
import { CloseReason, ClusterKind } from '../../wire/cluster-frame.ts';
import type { SchedulerFromGateway } from '../../wire/cluster/directions.ts';
import {
  type ConcurrencyFrame,
  type DropVersionFrame,
  type NameVersionFrame,
  WorkerFrame,
} from '../../wire/cluster/large-frames.ts';
import { CountFrame, GrantFrame, RefusedWhy, RequestFrame, UnstartedWhy } from '../../wire/cluster/small-frames.ts';
import type { FrameLink } from '../../cluster/link/link.ts';
import { outcome, type Outcome } from '../machine/scheduler.ts';
import { versionOf } from './version-names.ts';
import type { ClusterScheduler, GatewayPort, GatewaySession, Unstarted, WorkerView } from './cluster-scheduler.ts';

const REFUSED: Readonly<Record<Outcome, RefusedWhy | 0>> = {
  [outcome.granted]: 0,
  [outcome.queued]: 0,
  [outcome.refusedConcurrency]: RefusedWhy.concurrency,
  [outcome.refusedQueueFull]: RefusedWhy.queueFull,
  [outcome.refusedMemory]: RefusedWhy.memory,
};

const UNSTARTED: Readonly<Record<UnstartedWhy, Unstarted>> = {
  [UnstartedWhy.noMemory]: 'no-memory',
  [UnstartedWhy.staleLease]: 'refused',
  [UnstartedWhy.stopping]: 'refused',
  [UnstartedWhy.unreachable]: 'unsent',
  [UnstartedWhy.cancelled]: 'cancelled',
};

export class GatewayLine implements SchedulerFromGateway, GatewayPort {
  readonly #link: FrameLink;
  readonly #session: GatewaySession;
  readonly #grant = new GrantFrame(ClusterKind.grant);
  readonly #refused = new RequestFrame(ClusterKind.refused);
  readonly #cancelled = new RequestFrame(ClusterKind.cancelled);
  readonly #version = new CountFrame(ClusterKind.version);
  readonly #gone = new CountFrame(ClusterKind.gone);
  readonly #worker = new WorkerFrame();

  /** The link is open: it is told of the workers at once. */
  constructor(scheduler: ClusterScheduler, link: FrameLink) {
    this.#link = link;
    this.#session = scheduler.joinGateway(this);
  }

  // ---- what it says

  request(frame: RequestFrame): void {
    if (!this.#session.request(frame.request, frame.version)) this.#breach(frame.kind);
  }

  cancel(frame: RequestFrame): void {
    this.#session.cancel(frame.request);
  }

  unstarted(frame: GrantFrame): void {
    this.#session.unstarted(frame.request, frame, UNSTARTED[frame.why as UnstartedWhy]);
  }

  nameVersion(frame: NameVersionFrame): void {
    const named = versionOf(frame);
    if (named === null) return this.#breach(frame.kind);
    this.#version.version = frame.handle;
    this.#version.first = this.#session.name(named);
    this.#link.send(this.#version);
  }

  dropVersion({ version, key }: DropVersionFrame): void {
    this.#session.unname(version, key);
  }

  concurrency({ functionKey, max }: ConcurrencyFrame): void {
    this.#session.setConcurrency(functionKey, max);
  }

  /** Not over frames yet. */
  provision(frame: CountFrame): void {
    this.#breach(frame.kind);
  }

  // ---- what it is told

  granted(request: number, { core, sequence }: { core: number; sequence: number }, warm: boolean): void {
    const grant = this.#grant;
    grant.request = request;
    grant.core = core;
    grant.sequence = sequence;
    grant.warm = warm ? 1 : 0;
    this.#link.send(grant);
  }

  refused(request: number, why: Outcome): void {
    this.#refused.request = request;
    this.#refused.why = REFUSED[why];
    this.#link.send(this.#refused);
  }

  cancelled(request: number): void {
    this.#cancelled.request = request;
    this.#link.send(this.#cancelled);
  }

  workerJoined({ name, host, port, life, firstCore, coreCount }: WorkerView): void {
    Object.assign(this.#worker, { name, host, port, life, firstCore, coreCount });
    this.#link.send(this.#worker);
  }

  workerLeft({ firstCore, coreCount }: WorkerView): void {
    this.#gone.first = firstCore;
    this.#gone.second = coreCount;
    this.#link.send(this.#gone);
  }

  left(): void {
    this.#session.leave();
  }

  #breach(kind: number): void {
    this.#link.close(CloseReason.breach, kind);
  }
}
