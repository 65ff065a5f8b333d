/** What a gateway's machine says to the scheduler, as frames, and the other way round: as gateway/cluster/scheduler-line.ts does it. */
import { assert } from '../../base/assert.ts';
import type { GatewayMachine } from '../../gateway/cluster/machine/gateway-machine.ts';
import type { Lease, SchedulerPort } from '../../gateway/cluster/machine/ports.ts';
import { coresOf, hasOwnSeat } from '../../store/settings.ts';
import { ClusterKind } from '../../wire/cluster-frame.ts';
import type { GatewayFromScheduler } from '../../wire/cluster/directions.ts';
import {
  ConcurrencyFrame,
  DropVersionFrame,
  NameVersionFrame,
  type WorkerFrame,
} from '../../wire/cluster/large-frames.ts';
import { CountFrame, GrantFrame, RequestFrame, type UnstartedWhy } from '../../wire/cluster/small-frames.ts';
import type { Functions } from './functions.ts';
import type { LinkEnd } from './net.ts';
import type { VirtualTime } from './time.ts';

export interface GatewayFramesDoors {
  readonly time: VirtualTime;
  readonly functions: Functions;
  readonly keyOf: (version: number) => string;
  readonly limitOf: (functionKey: string) => number;
  readonly epoch: () => number;
}

const WAITED_MS = 5;

export class GatewayFrames implements SchedulerPort {
  /** Null: it is not connected. */
  end: LinkEnd | null = null;
  readonly #doors: GatewayFramesDoors;
  readonly #request = new RequestFrame(ClusterKind.request);
  readonly #cancel = new RequestFrame(ClusterKind.cancel);
  readonly #unstarted = new GrantFrame(ClusterKind.unstarted);
  readonly #nameVersion = new NameVersionFrame();
  readonly #dropVersion = new DropVersionFrame();
  readonly #concurrency = new ConcurrencyFrame();
  readonly #provision = new CountFrame(ClusterKind.provision);

  constructor(doors: GatewayFramesDoors) {
    this.#doors = doors;
  }

  nameVersion(version: number): void {
    const { functions, keyOf, limitOf } = this.#doors;
    const key = keyOf(version);
    const { functionKey, fn } = functions.described(key)!;
    const { config } = fn;
    const asks = { memoryMb: config.memoryMb, coreCount: coresOf(config), dedicated: hasOwnSeat(config) ? 1 : 0 };
    this.end?.send(Object.assign(this.#nameVersion, { handle: version, key, functionKey, ...asks }));
    this.concurrency(functionKey, limitOf(functionKey));
  }

  dropVersion(index: number, key: string): void {
    this.end?.send(Object.assign(this.#dropVersion, { version: index, epoch: this.#doors.epoch(), key }));
  }

  concurrency(functionKey: string, max: number): void {
    this.end?.send(Object.assign(this.#concurrency, { functionKey, max }));
  }

  request(number: number, index: number, again: boolean): void {
    const asking = { again: again ? 1 : 0, waitedMs: again ? WAITED_MS : 0 };
    this.end?.send(Object.assign(this.#request, { request: number, version: index, ...asking }));
  }

  cancel(number: number): void {
    this.end?.send(Object.assign(this.#cancel, { request: number }));
  }

  unstarted(number: number, why: UnstartedWhy, index: number, { core, sequence }: Lease): void {
    this.end?.send(Object.assign(this.#unstarted, { request: number, why, version: index, core, sequence }));
  }

  provision(index: number, count: number): void {
    this.end?.send(Object.assign(this.#provision, { version: index, first: count }));
  }

  /** What the scheduler says is a call of the machine; what cannot be is somebody's fault here. */
  heardBy(machine: GatewayMachine, told: (worker: WorkerFrame) => void): GatewayFromScheduler {
    const heard = (isRight: boolean, what: string): void =>
      assert(isRight, `a gateway is told what cannot be: ${what}`);
    return {
      grant: (frame) => heard(machine.granted(frame.request, frame, 0), `the grant of request ${frame.request}`),
      grantCores: (frame) =>
        heard(machine.granted(frame.request, frame, frame.mask), `the grant of request ${frame.request}`),
      refused: ({ request, why }) => heard(machine.refused(request, why), `the refusal of request ${request}`),
      cancelled: ({ request }) => heard(machine.cancelled(request), `the end of request ${request}`),
      version: ({ version, first }) => heard(machine.named(version, first), `a name of version ${version}`),
      worker: (frame) => {
        told(frame);
        heard(machine.workerTold(frame), `the worker ${frame.name}`);
      },
      gone: ({ first }) => machine.workerGone(first),
      provisioned: () => {},
    };
  }
}
