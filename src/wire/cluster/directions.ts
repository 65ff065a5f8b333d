/**
 * Who may say what to whom: for each pair of roles the frames that come, and the one method of the receiver that each is
 * handed to. What a direction has no frame for is out of role.
 */
import { ClusterKind, KIND_END, Role } from '../cluster-frame.ts';
import { AssignFrame, KnowledgeFrame, ResultFrame, SetVersionFrame } from './body-frames.ts';
import { GrantCoresFrame, HeldCoresFrame } from './cores-frames.ts';
import { ConcurrencyFrame, DropVersionFrame, NameVersionFrame, WorkerFrame } from './large-frames.ts';
import { CountFrame, GrantFrame, LeaseFrame, RequestFrame } from './small-frames.ts';
import type { Span } from './span.ts';

const KIND = ClusterKind;

/** A register that the decoder fills. */
export interface InFrame {
  /** False: the frame cannot be. */
  read(span: Span, at: number): boolean;
}

export interface Direction {
  /** By kind; empty where the kind does not come this way. */
  readonly frames: readonly (InFrame | undefined)[];
  /** Hands on what the register of this kind holds. */
  deliver(kind: number): void;
}

/** The frames given here are registers: they hold something else after the call. */
export interface SchedulerFromGateway {
  request(frame: RequestFrame): void;
  cancel(frame: RequestFrame): void;
  unstarted(frame: GrantFrame): void;
  nameVersion(frame: NameVersionFrame): void;
  dropVersion(frame: DropVersionFrame): void;
  concurrency(frame: ConcurrencyFrame): void;
  provision(frame: CountFrame): void;
}

export interface GatewayFromScheduler {
  grant(frame: GrantFrame): void;
  grantCores(frame: GrantCoresFrame): void;
  refused(frame: RequestFrame): void;
  cancelled(frame: RequestFrame): void;
  version(frame: CountFrame): void;
  worker(frame: WorkerFrame): void;
  gone(frame: CountFrame): void;
  provisioned(frame: CountFrame): void;
}

export interface SchedulerFromWorker {
  release(frame: LeaseFrame): void;
  noMemory(frame: LeaseFrame): void;
  held(frame: LeaseFrame): void;
  heldCores(frame: HeldCoresFrame): void;
  fenced(frame: LeaseFrame): void;
  memoryAvailable(): void;
  warmed(frame: CountFrame): void;
  evicted(frame: CountFrame): void;
  announce(frame: CountFrame): void;
  provisioned(frame: CountFrame): void;
  nameVersion(frame: NameVersionFrame): void;
}

export interface WorkerFromScheduler {
  probe(frame: LeaseFrame): void;
  version(frame: CountFrame): void;
  /** The scheduler's own word for a version: its handle is the index. Before the first PROVISION of it. */
  nameVersion(frame: NameVersionFrame): void;
  dropVersion(frame: DropVersionFrame): void;
  provision(frame: CountFrame): void;
}

export interface WorkerFromGateway {
  assign(frame: AssignFrame): void;
  setVersion(frame: SetVersionFrame): void;
  letGo(frame: LeaseFrame): void;
  knowledge(frame: KnowledgeFrame): void;
}

export interface GatewayFromWorker {
  result(frame: ResultFrame): void;
}

export class GatewayToScheduler implements Direction {
  readonly frames: readonly (InFrame | undefined)[];
  readonly #to: SchedulerFromGateway;
  readonly #request = new RequestFrame(KIND.request);
  readonly #unstarted = new GrantFrame(KIND.unstarted);
  readonly #nameVersion = new NameVersionFrame();
  readonly #dropVersion = new DropVersionFrame();
  readonly #concurrency = new ConcurrencyFrame();
  readonly #provision = new CountFrame(KIND.provision);

  constructor(to: SchedulerFromGateway) {
    this.#to = to;
    this.frames = byKind([
      [KIND.request, this.#request],
      [KIND.cancel, this.#request],
      [KIND.unstarted, this.#unstarted],
      [KIND.nameVersion, this.#nameVersion],
      [KIND.dropVersion, this.#dropVersion],
      [KIND.concurrency, this.#concurrency],
      [KIND.provision, this.#provision],
    ]);
  }

  deliver(kind: number): void {
    switch (kind) {
      case KIND.request:
        return this.#to.request(this.#request);
      case KIND.cancel:
        return this.#to.cancel(this.#request);
      case KIND.unstarted:
        return this.#to.unstarted(this.#unstarted);
      case KIND.nameVersion:
        return this.#to.nameVersion(this.#nameVersion);
      case KIND.dropVersion:
        return this.#to.dropVersion(this.#dropVersion);
      case KIND.concurrency:
        return this.#to.concurrency(this.#concurrency);
      case KIND.provision:
        return this.#to.provision(this.#provision);
    }
  }
}

export class SchedulerToGateway implements Direction {
  readonly frames: readonly (InFrame | undefined)[];
  readonly #to: GatewayFromScheduler;
  readonly #grant = new GrantFrame(KIND.grant);
  readonly #grantCores = new GrantCoresFrame();
  readonly #request = new RequestFrame(KIND.refused);
  readonly #count = new CountFrame(KIND.version);
  readonly #worker = new WorkerFrame();

  constructor(to: GatewayFromScheduler) {
    this.#to = to;
    this.frames = byKind([
      [KIND.grant, this.#grant],
      [KIND.grantCores, this.#grantCores],
      [KIND.refused, this.#request],
      [KIND.cancelled, this.#request],
      [KIND.version, this.#count],
      [KIND.worker, this.#worker],
      [KIND.gone, this.#count],
      [KIND.provisioned, this.#count],
    ]);
  }

  deliver(kind: number): void {
    switch (kind) {
      case KIND.grant:
        return this.#to.grant(this.#grant);
      case KIND.grantCores:
        return this.#to.grantCores(this.#grantCores);
      case KIND.refused:
        return this.#to.refused(this.#request);
      case KIND.cancelled:
        return this.#to.cancelled(this.#request);
      case KIND.version:
        return this.#to.version(this.#count);
      case KIND.worker:
        return this.#to.worker(this.#worker);
      case KIND.gone:
        return this.#to.gone(this.#count);
      case KIND.provisioned:
        return this.#to.provisioned(this.#count);
    }
  }
}

export class WorkerToScheduler implements Direction {
  readonly frames: readonly (InFrame | undefined)[];
  readonly #to: SchedulerFromWorker;
  readonly #lease = new LeaseFrame(KIND.release);
  readonly #heldCores = new HeldCoresFrame();
  readonly #count = new CountFrame(KIND.announce);
  readonly #nameVersion = new NameVersionFrame();

  constructor(to: SchedulerFromWorker) {
    this.#to = to;
    this.frames = byKind([
      [KIND.release, this.#lease],
      [KIND.noMemory, this.#lease],
      [KIND.held, this.#lease],
      [KIND.heldCores, this.#heldCores],
      [KIND.fenced, this.#lease],
      [KIND.memoryAvailable, this.#count],
      [KIND.warmed, this.#count],
      [KIND.evicted, this.#count],
      [KIND.announce, this.#count],
      [KIND.provisioned, this.#count],
      [KIND.nameVersion, this.#nameVersion],
    ]);
  }

  deliver(kind: number): void {
    switch (kind) {
      case KIND.release:
        return this.#to.release(this.#lease);
      case KIND.noMemory:
        return this.#to.noMemory(this.#lease);
      case KIND.held:
        return this.#to.held(this.#lease);
      case KIND.heldCores:
        return this.#to.heldCores(this.#heldCores);
      case KIND.fenced:
        return this.#to.fenced(this.#lease);
      case KIND.memoryAvailable:
        return this.#to.memoryAvailable();
      case KIND.warmed:
        return this.#to.warmed(this.#count);
      case KIND.evicted:
        return this.#to.evicted(this.#count);
      case KIND.announce:
        return this.#to.announce(this.#count);
      case KIND.provisioned:
        return this.#to.provisioned(this.#count);
      case KIND.nameVersion:
        return this.#to.nameVersion(this.#nameVersion);
    }
  }
}

export class SchedulerToWorker implements Direction {
  readonly frames: readonly (InFrame | undefined)[];
  readonly #to: WorkerFromScheduler;
  readonly #probe = new LeaseFrame(KIND.probe);
  readonly #count = new CountFrame(KIND.version);
  readonly #nameVersion = new NameVersionFrame();
  readonly #dropVersion = new DropVersionFrame();

  constructor(to: WorkerFromScheduler) {
    this.#to = to;
    this.frames = byKind([
      [KIND.probe, this.#probe],
      [KIND.version, this.#count],
      [KIND.nameVersion, this.#nameVersion],
      [KIND.dropVersion, this.#dropVersion],
      [KIND.provision, this.#count],
    ]);
  }

  deliver(kind: number): void {
    switch (kind) {
      case KIND.probe:
        return this.#to.probe(this.#probe);
      case KIND.version:
        return this.#to.version(this.#count);
      case KIND.nameVersion:
        return this.#to.nameVersion(this.#nameVersion);
      case KIND.dropVersion:
        return this.#to.dropVersion(this.#dropVersion);
      case KIND.provision:
        return this.#to.provision(this.#count);
    }
  }
}

export class GatewayToWorker implements Direction {
  readonly frames: readonly (InFrame | undefined)[];
  readonly #to: WorkerFromGateway;
  readonly #assign = new AssignFrame();
  readonly #setVersion = new SetVersionFrame();
  readonly #letGo = new LeaseFrame(KIND.letGo);
  readonly #knowledge = new KnowledgeFrame();

  constructor(to: WorkerFromGateway) {
    this.#to = to;
    this.frames = byKind([
      [KIND.assign, this.#assign],
      [KIND.setVersion, this.#setVersion],
      [KIND.letGo, this.#letGo],
      [KIND.knowledge, this.#knowledge],
    ]);
  }

  deliver(kind: number): void {
    switch (kind) {
      case KIND.assign:
        return this.#to.assign(this.#assign);
      case KIND.setVersion:
        return this.#to.setVersion(this.#setVersion);
      case KIND.letGo:
        return this.#to.letGo(this.#letGo);
      case KIND.knowledge:
        return this.#to.knowledge(this.#knowledge);
    }
  }
}

export class WorkerToGateway implements Direction {
  readonly frames: readonly (InFrame | undefined)[];
  readonly #to: GatewayFromWorker;
  readonly #result = new ResultFrame();

  constructor(to: GatewayFromWorker) {
    this.#to = to;
    this.frames = byKind([[KIND.result, this.#result]]);
  }

  deliver(_kind: number): void {
    this.#to.result(this.#result);
  }
}

/** Do nodes of these roles speak with each other, the first having dialled? */
export function mayDial(from: number, to: number): boolean {
  if (to === Role.scheduler) return from === Role.gateway || from === Role.worker;
  return to === Role.worker && from === Role.gateway;
}

/** Filled from the start, so that the array stays a fast one. */
function byKind(entries: readonly (readonly [number, InFrame])[]): readonly (InFrame | undefined)[] {
  const frames = new Array<InFrame | undefined>(KIND_END).fill(undefined);
  for (const [kind, frame] of entries) frames[kind] = frame;
  return frames;
}
