/** The connection to the scheduler: what the machine says are frames, and frames are calls of the machine. */
import type { Duplex } from 'node:stream';
import type { Clock } from '../../base/clock.ts';
import { ClosingLog, type ClosingTexts } from '../../cluster/link/closing-log.ts';
import { Dialer } from '../../cluster/link/dialer.ts';
import type { Closing, FrameLink } from '../../cluster/link/link.ts';
import { DIALER_DELAYS, LINK_LIMITS } from '../../cluster/link/limits.ts';
import type { Log } from '../../telemetry/log.ts';
import { CloseReason, ClusterKind, Role } from '../../wire/cluster-frame.ts';
import { type GatewayFromScheduler, SchedulerToGateway } from '../../wire/cluster/directions.ts';
import type { GrantCoresFrame } from '../../wire/cluster/cores-frames.ts';
import {
  ConcurrencyFrame,
  DropVersionFrame,
  HelloFrame,
  NameVersionFrame,
  type WorkerFrame,
} from '../../wire/cluster/large-frames.ts';
import { CountFrame, GrantFrame, RequestFrame, type UnstartedWhy } from '../../wire/cluster/small-frames.ts';
import type { GatewayMachine } from './machine/gateway-machine.ts';
import type { Lease, SchedulerPort } from './machine/ports.ts';
import type { Self } from './setting.ts';

/** How a version is named to the scheduler. */
export interface VersionName {
  readonly key: string;
  readonly functionKey: string;
  readonly memoryMb: number;
  readonly coreCount: number;
  /** Has it cores only, and no extra seat? */
  readonly isDedicated: boolean;
  /** Reserved concurrency of its function; -1: none. */
  readonly concurrency: number;
}

export interface SchedulerLineDoors {
  /** HOST:PORT, for the log. */
  readonly address: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly connect: () => Duplex;
  readonly log: Log;
}

export interface SchedulerLineEvents {
  nameOf(version: number): VersionName;
  /** When the request was accepted, clock microseconds. */
  acceptedUs(number: number): number;
  /** Before the machine is told: where it is. */
  workerTold(worker: WorkerFrame): void;
  provisioned(version: number, frame: CountFrame): void;
}

const WAITED_MS_MAX = 2 ** 32 - 1;

const TEXTS: ClosingTexts = {
  ended: 'the connection to the scheduler has ended',
  unreached: 'the scheduler cannot be reached',
  again: 'the scheduler is reached again',
};

export class SchedulerLine implements SchedulerPort, GatewayFromScheduler {
  readonly #doors: SchedulerLineDoors;
  readonly #events: SchedulerLineEvents;
  readonly #dialer: Dialer;
  readonly #closingLog: ClosingLog;
  #machine: GatewayMachine | null = null;
  #link: FrameLink | null = null;
  /** The highest that was seen. */
  #epoch = 0;
  readonly #request = new RequestFrame(ClusterKind.request);
  readonly #cancel = new RequestFrame(ClusterKind.cancel);
  readonly #unstarted = new GrantFrame(ClusterKind.unstarted);
  readonly #nameVersion = new NameVersionFrame();
  readonly #dropVersion = new DropVersionFrame();
  readonly #concurrency = new ConcurrencyFrame();
  readonly #provision = new CountFrame(ClusterKind.provision);

  constructor(self: Self, doors: SchedulerLineDoors, events: SchedulerLineEvents) {
    this.#doors = doors;
    this.#events = events;
    const { clock, random, connect } = doors;
    this.#closingLog = new ClosingLog(doors, TEXTS, { scheduler: doors.address });
    const direction = new SchedulerToGateway(this);
    this.#dialer = new Dialer(
      DIALER_DELAYS,
      { clock, random, connect },
      {
        setting: () => ({ hello: this.#hello(self), dialled: Role.scheduler, limits: LINK_LIMITS, clock }),
        greeted: (peer) => {
          if (peer.epoch < this.#epoch) return CloseReason.staleEpoch;
          this.#epoch = peer.epoch;
          return direction;
        },
        opened: (link) => {
          this.#closingLog.opened();
          this.#opened(link);
        },
        // It may end within a call of the machine, which is not to be called again before that has returned.
        closed: (closing) => queueMicrotask(() => this.#closed(closing)),
      },
    );
  }

  get epoch(): number {
    return this.#epoch;
  }

  start(machine: GatewayMachine): void {
    this.#machine = machine;
    this.#dialer.start();
  }

  stop(): void {
    this.#dialer.stop();
  }

  // ---- what is said

  nameVersion(version: number): void {
    const { key, functionKey, memoryMb, coreCount, isDedicated, concurrency } = this.#events.nameOf(version);
    const frame = this.#nameVersion;
    frame.handle = version;
    frame.memoryMb = memoryMb;
    frame.coreCount = coreCount;
    frame.dedicated = isDedicated && this.#link!.version > 1 ? 1 : 0;
    frame.key = key;
    frame.functionKey = functionKey;
    this.#link!.send(frame);
    this.concurrency(functionKey, concurrency);
  }

  dropVersion(index: number, key: string): void {
    const frame = this.#dropVersion;
    frame.version = index;
    frame.epoch = this.#epoch;
    frame.key = key;
    this.#link?.send(frame);
  }

  concurrency(functionKey: string, max: number): void {
    this.#concurrency.functionKey = functionKey;
    this.#concurrency.max = max;
    this.#link!.send(this.#concurrency);
  }

  request(number: number, index: number, again: boolean): void {
    const frame = this.#request;
    frame.request = number;
    frame.version = index;
    frame.again = again ? 1 : 0;
    frame.waitedMs = again ? this.#waitedMs(number) : 0;
    this.#link!.send(frame);
  }

  cancel(number: number): void {
    this.#cancel.request = number;
    this.#link!.send(this.#cancel);
  }

  unstarted(number: number, why: UnstartedWhy, index: number, lease: Lease): void {
    const frame = this.#unstarted;
    frame.request = number;
    frame.why = why;
    frame.version = index;
    frame.core = lease.core;
    frame.sequence = lease.sequence;
    this.#link!.send(frame);
  }

  provision(index: number, count: number): void {
    this.#provision.version = index;
    this.#provision.first = count;
    this.#link!.send(this.#provision);
  }

  // ---- what is heard

  grant(frame: GrantFrame): void {
    if (!this.#machine!.granted(frame.request, frame, 0)) this.#breach(frame.kind);
  }

  grantCores(frame: GrantCoresFrame): void {
    if (!this.#machine!.granted(frame.request, frame, frame.mask)) this.#breach(frame.kind);
  }

  refused({ kind, request, why }: RequestFrame): void {
    if (!this.#machine!.refused(request, why)) this.#breach(kind);
  }

  cancelled({ kind, request }: RequestFrame): void {
    if (!this.#machine!.cancelled(request)) this.#breach(kind);
  }

  version({ kind, version, first }: CountFrame): void {
    if (!this.#machine!.named(version, first)) this.#breach(kind);
  }

  worker(frame: WorkerFrame): void {
    this.#events.workerTold(frame);
    if (!this.#machine!.workerTold(frame)) this.#breach(frame.kind);
  }

  gone({ first }: CountFrame): void {
    this.#machine!.workerGone(first);
  }

  provisioned(frame: CountFrame): void {
    const version = this.#machine!.versionOf(frame.version);
    if (version >= 0) this.#events.provisioned(version, frame);
  }

  #hello({ name, life }: Self): HelloFrame {
    return Object.assign(new HelloFrame(ClusterKind.hello), { role: Role.gateway, name, life, epoch: this.#epoch });
  }

  #opened(link: FrameLink): void {
    this.#link = link;
    this.#doors.log.info({ epoch: this.#epoch }, 'the scheduler has been reached');
    this.#machine!.schedulerOpened(this.#epoch);
  }

  #closed(closing: Closing): void {
    const wasOpen = this.#link !== null;
    this.#link = null;
    this.#closingLog.add(closing, wasOpen);
    this.#machine!.schedulerClosed();
  }

  #breach(kind: number): void {
    this.#doors.log.error({ kind }, 'the scheduler said what cannot be');
    this.#link?.close(CloseReason.breach, kind);
  }

  #waitedMs(number: number): number {
    const waitedUs = this.#doors.clock.nowUs() - this.#events.acceptedUs(number);
    return Math.min(WAITED_MS_MAX, Math.max(0, Math.round(waitedUs / 1000)));
  }
}
