/** A gateway's connection: its frames are the calls of its session, and what its session tells it are frames. */
import { CloseReason, ClusterKind } from '../../wire/cluster-frame.ts';
import { GrantCoresFrame } from '../../wire/cluster/cores-frames.ts';
import { type Direction, GatewayToScheduler, type SchedulerFromGateway } from '../../wire/cluster/directions.ts';
import {
  type ConcurrencyFrame,
  type DropVersionFrame,
  type NameVersionFrame,
  WorkerFrame,
} from '../../wire/cluster/large-frames.ts';
import { CountFrame, GrantFrame, RefusedWhy, RequestFrame, UnstartedWhy } from '../../wire/cluster/small-frames.ts';
import type { FrameSender } from '../../cluster/link/link.ts';
import { outcome } from '../machine/scheduler.ts';
import type {
  Asking,
  GatewayPort,
  GatewaySession,
  Granted,
  ProvisionedSum,
  Refusal,
  Unstarted,
  WorkerView,
} from './ports.ts';
import type { Shard } from './shard.ts';
import { versionOf } from './version-names.ts';

const REFUSED: Readonly<Record<Refusal, RefusedWhy | 0>> = {
  [outcome.granted]: 0,
  [outcome.queued]: 0,
  [outcome.refusedConcurrency]: RefusedWhy.concurrency,
  [outcome.refusedQueueFull]: RefusedWhy.queueFull,
  [outcome.refusedMemory]: RefusedWhy.memory,
  [outcome.refusedCores]: RefusedWhy.cores,
  version: RefusedWhy.version,
  stopping: RefusedWhy.stopping,
};
const FRESH: Asking = { again: false, waitedMs: 0 };

const UNSTARTED: Readonly<Record<UnstartedWhy, Unstarted>> = {
  [UnstartedWhy.noMemory]: 'no-memory',
  [UnstartedWhy.staleLease]: 'refused',
  [UnstartedWhy.stopping]: 'refused',
  [UnstartedWhy.unreachable]: 'unsent',
  [UnstartedWhy.cancelled]: 'cancelled',
};

export class GatewayLine implements SchedulerFromGateway, GatewayPort {
  readonly #link: FrameSender;
  readonly #session: GatewaySession;
  readonly #grant = new GrantFrame(ClusterKind.grant);
  readonly #grantCores = new GrantCoresFrame();
  readonly #refused = new RequestFrame(ClusterKind.refused);
  readonly #cancelled = new RequestFrame(ClusterKind.cancelled);
  readonly #version = new CountFrame(ClusterKind.version);
  readonly #gone = new CountFrame(ClusterKind.gone);
  readonly #provisioned = new CountFrame(ClusterKind.provisioned);
  readonly #worker = new WorkerFrame();

  /** The link is open: it is told of the workers at once. */
  constructor(
    shard: Shard,
    link: FrameSender,
    { name, nowMs, line }: { readonly name: string; readonly nowMs: number; readonly line: number },
  ) {
    this.#link = link;
    this.#session = shard.joinGateway(this, name, nowMs, line);
  }

  // ---- what it says

  request(frame: RequestFrame): void {
    const isFresh = frame.again === 0;
    const asking = isFresh ? FRESH : { again: true, waitedMs: frame.waitedMs };
    if (!this.#session.request(frame.request, frame.version, asking)) this.#breach(frame.kind);
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

  provision({ kind, version, first }: CountFrame): void {
    if (!this.#session.provision(version, first)) this.#breach(kind);
  }

  // ---- what it is told

  granted(request: number, { core, sequence, warm, mask }: Granted, shard: number): void {
    const grant = mask === 0 ? this.#grant : this.#grantCores;
    this.#grantCores.mask = mask;
    grant.request = request;
    grant.core = core;
    grant.sequence = sequence;
    grant.warm = warm;
    grant.shard = shard;
    this.#link.send(grant);
  }

  refused(request: number, why: Refusal): void {
    this.#refused.request = request;
    this.#refused.why = REFUSED[why];
    this.#link.send(this.#refused);
  }

  cancelled(request: number): void {
    this.#cancelled.request = request;
    this.#link.send(this.#cancelled);
  }

  workerJoined(worker: WorkerView): void {
    const { name, host, port, life, firstCore, coreCount, extraSeatCount } = worker;
    Object.assign(this.#worker, { name, host, port, life, firstCore, coreCount, extraSeatCount });
    this.#link.send(this.#worker);
  }

  workerLeft({ firstCore, coreCount }: WorkerView): void {
    this.#gone.first = firstCore;
    this.#gone.second = coreCount;
    this.#link.send(this.#gone);
  }

  provisioned(version: number, { wanted, begun, ready, failed }: ProvisionedSum): void {
    Object.assign(this.#provisioned, { version, flag: failed ? 1 : 0, first: wanted, second: begun, third: ready });
    this.#link.send(this.#provisioned);
  }

  left(): void {
    this.#session.leave();
  }

  #breach(kind: number): void {
    this.#link.close(CloseReason.breach, kind);
  }
}

/** What a gateway says to its session, which there is once its connection is open: nothing is read before. */
export function directionOf(session: () => SchedulerFromGateway): Direction {
  return new GatewayToScheduler({
    request: (frame) => session().request(frame),
    cancel: (frame) => session().cancel(frame),
    unstarted: (frame) => session().unstarted(frame),
    nameVersion: (frame) => session().nameVersion(frame),
    dropVersion: (frame) => session().dropVersion(frame),
    concurrency: (frame) => session().concurrency(frame),
    provision: (frame) => session().provision(frame),
  });
}
