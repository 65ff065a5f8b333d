/**
 * The load of a whole cluster from one process: a gateway's connection and a worker's, both over mutual TLS as any node's.
 * Whatever is granted is released at once, in the same turn; a fixed number of requests is on its way at any time.
 */
import { connect } from 'node:tls';
import { realClock } from '../../src/base/clock.ts';
import type { Identity } from '../../src/cluster/identity/join-file.ts';
import { clientOptions } from '../../src/cluster/identity/tls.ts';
import { LINK_LIMITS } from '../../src/cluster/link/limits.ts';
import { FrameLink } from '../../src/cluster/link/link.ts';
import { ClusterKind, reasonName, Role } from '../../src/wire/cluster-frame.ts';
import { type Direction, SchedulerToGateway, SchedulerToWorker } from '../../src/wire/cluster/directions.ts';
import { HelloFrame, NameVersionFrame } from '../../src/wire/cluster/large-frames.ts';
import { CountFrame, LeaseFrame, RequestFrame } from '../../src/wire/cluster/small-frames.ts';

const KEY = 'ab'.repeat(16);
const MEMORY_MB = 128;
const NOTHING = (): void => {};

export interface LoadNodes {
  readonly gateway: Identity;
  readonly worker: Identity;
  readonly port: number;
  readonly epoch: number;
  readonly coreCount: number;
}

function dial(identity: Identity, port: number, said: Partial<HelloFrame>, direction: Direction): Promise<FrameLink> {
  return new Promise((resolve, reject) => {
    const hello = Object.assign(new HelloFrame(ClusterKind.hello), { name: identity.name, life: 1, ...said });
    const link: FrameLink = new FrameLink(
      connect({ ...clientOptions(identity), host: '127.0.0.1', port }),
      { hello, dialled: Role.scheduler, limits: LINK_LIMITS, clock: realClock },
      {
        greeted: () => direction,
        opened: () => resolve(link),
        closed: ({ reason }) => reject(new Error(`the scheduler closed: ${reasonName(reason)}`)),
      },
    );
  });
}

export class ClusterLoad {
  readonly #gateway: FrameLink;
  readonly #worker: FrameLink;
  readonly #request = new RequestFrame(ClusterKind.request);
  #stopped = false;
  #onGrant: (request: number) => void = NOTHING;

  private constructor(gateway: FrameLink, worker: FrameLink) {
    this.#gateway = gateway;
    this.#worker = worker;
  }

  static async open({ gateway, worker, port, epoch, coreCount }: LoadNodes): Promise<ClusterLoad> {
    const told = { probe: NOTHING, version: NOTHING, nameVersion: NOTHING, dropVersion: NOTHING, provision: NOTHING };
    const memoryMb = coreCount * MEMORY_MB;
    const asWorker = { role: Role.worker, coreCount, memoryMb, host: '127.0.0.1', port: 1 };
    const workerLink = await dial(worker, port, asWorker, new SchedulerToWorker(told));
    workerLink.send(Object.assign(new CountFrame(ClusterKind.announce), { flag: 1 }));
    const release = Object.assign(new LeaseFrame(ClusterKind.release), { warm: 1, epoch });
    let load: ClusterLoad | null = null;
    let named = (_index: number): void => {};
    const direction = new SchedulerToGateway({
      grant: ({ request, core, sequence }) => {
        release.core = core;
        release.sequence = sequence;
        workerLink.send(release);
        load!.#onGrant(request);
      },
      // Where requests are read faster than releases, the queue may be full for a moment.
      refused: ({ request }) => load!.#ask(request),
      cancelled: NOTHING,
      version: ({ first }) => named(first),
      worker: NOTHING,
      gone: NOTHING,
      provisioned: NOTHING,
    });
    const gatewayLink = await dial(gateway, port, { role: Role.gateway }, direction);
    load = new ClusterLoad(gatewayLink, workerLink);
    const version = { handle: 1, memoryMb: MEMORY_MB, key: KEY, functionKey: KEY };
    load.#request.version = await new Promise<number>((resolve) => {
      named = resolve;
      gatewayLink.send(Object.assign(new NameVersionFrame(), version));
    });
    return load;
  }

  /** Invocations a second, each a request, a grant and a release, with so many on their way. */
  closedLoop(inFlight: number, seconds: number): Promise<number> {
    return new Promise((resolve) => {
      let count = 0;
      const startMs = performance.now();
      this.#onGrant = (request) => {
        count++;
        if (!this.#stopped) this.#ask(request);
      };
      for (let request = 0; request < inFlight; request++) this.#ask(request);
      setTimeout(() => resolve((count * 1000) / (performance.now() - startMs)), seconds * 1000);
    });
  }

  close(): void {
    this.#stopped = true;
    this.#gateway.close(32);
    this.#worker.close(32);
  }

  #ask(request: number): void {
    this.#request.request = request;
    this.#gateway.send(this.#request);
  }
}
