/**
 * The load of a whole cluster from one process: a gateway's connection and those of workers with up to 1,024 cores. Whatever is granted is released at
 * once, in the same turn. In the closed loop a fixed number of requests is on its way; in the open one each has its moment.
 */
import { realClock } from '../../../src/base/clock.ts';
import { LINK_LIMITS } from '../../../src/cluster/link/limits.ts';
import { FrameLink } from '../../../src/cluster/link/link.ts';
import { ClusterKind, CloseReason, reasonName, Role } from '../../../src/wire/cluster-frame.ts';
import { type Direction, SchedulerToGateway, SchedulerToWorker } from '../../../src/wire/cluster/directions.ts';
import { HelloFrame, NameVersionFrame } from '../../../src/wire/cluster/large-frames.ts';
import { CountFrame, LeaseFrame, RequestFrame } from '../../../src/wire/cluster/small-frames.ts';
import type { Schedule } from './open-schedule.ts';
import { type SchedulerProcess, WORKER_CORES, workerNames } from './processes.ts';

const KEY = 'ab'.repeat(16);
const MEMORY_MB = 128;
const NOTHING = (): void => {};
const WORKER_CORES_LOG2 = Math.log2(WORKER_CORES);

const NAMES = { [Role.worker]: 'worker', [Role.gateway]: 'gateway' } as const;

function dial(
  scheduler: SchedulerProcess,
  said: Partial<HelloFrame> & { readonly role: keyof typeof NAMES },
  direction: (welcome: HelloFrame) => Direction,
): Promise<FrameLink> {
  const name = said.name ?? NAMES[said.role];
  return new Promise((resolve, reject) => {
    const hello = Object.assign(new HelloFrame(ClusterKind.hello), { name, life: 1, ...said });
    const link: FrameLink = new FrameLink(
      scheduler.connect(name, NAMES[said.role]),
      { hello, dialled: Role.scheduler, limits: LINK_LIMITS, clock: realClock },
      {
        greeted: direction,
        opened: () => resolve(link),
        closed: ({ reason }) => reject(new Error(`the scheduler closed: ${reasonName(reason)}`)),
      },
    );
  });
}

/** Nothing runs there, and nothing is looked at that it is told. */
export async function dialWorker(scheduler: SchedulerProcess, name: string, coreCount: number): Promise<FrameLink> {
  const told = { probe: NOTHING, version: NOTHING, nameVersion: NOTHING, dropVersion: NOTHING, provision: NOTHING };
  const memoryMb = coreCount * MEMORY_MB;
  const asWorker = { role: Role.worker, name, coreCount, memoryMb, host: '127.0.0.1', port: 1 };
  let firstCore = 0;
  const link = await dial(scheduler, asWorker, (welcome) => {
    ({ firstCore } = welcome);
    return new SchedulerToWorker(told);
  });
  link.send(Object.assign(new CountFrame(ClusterKind.announce), { flag: 1, first: firstCore }));
  return link;
}

export class ClusterLoad {
  readonly #gateway: FrameLink;
  readonly #workers: readonly FrameLink[];
  readonly #coreCount: number;
  readonly #request = new RequestFrame(ClusterKind.request);
  #stopped = false;
  #onGrant: (request: number) => void = NOTHING;

  private constructor(gateway: FrameLink, workers: readonly FrameLink[], coreCount: number) {
    this.#gateway = gateway;
    this.#workers = workers;
    this.#coreCount = coreCount;
  }

  static async open(scheduler: SchedulerProcess, coreCount: number): Promise<ClusterLoad> {
    const workers: FrameLink[] = [];
    // One after the other, so that their cores are in this order.
    for (const name of workerNames(coreCount))
      workers.push(await dialWorker(scheduler, name, Math.min(coreCount, WORKER_CORES)));
    const release = Object.assign(new LeaseFrame(ClusterKind.release), { warm: 1, epoch: scheduler.epoch });
    let load: ClusterLoad | null = null;
    let named = (_index: number): void => {};
    const direction = new SchedulerToGateway({
      grant: ({ request, core, sequence }) => {
        release.core = core;
        release.sequence = sequence;
        workers[core >>> WORKER_CORES_LOG2]!.send(release);
        load!.#onGrant(request);
      },
      grantCores: NOTHING,
      // Where requests are read faster than releases, the queue may be full for a moment.
      refused: ({ request }) => load!.#ask(request),
      cancelled: NOTHING,
      version: ({ first }) => named(first),
      worker: NOTHING,
      gone: NOTHING,
      provisioned: NOTHING,
    });
    const gatewayLink = await dial(scheduler, { role: Role.gateway }, () => direction);
    load = new ClusterLoad(gatewayLink, workers, coreCount);
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

  /**
   * Each request at its moment, whatever became of those before it. As many as there are cores are on their way at once, so that none
   * is refused and asked again; what is due beyond that waits here, and is late.
   */
  openLoop(schedule: Schedule): Promise<void> {
    const waiting: number[] = [];
    let first = 0;
    let onWay = 0;
    const ask = (request: number): void => {
      onWay++;
      this.#ask(request);
    };
    this.#onGrant = (request) => {
      onWay--;
      schedule.answered(request);
      if (first < waiting.length) ask(waiting[first++]!);
    };
    return schedule.run((request) => {
      if (onWay < this.#coreCount) ask(request);
      else waiting.push(request);
    });
  }

  close(): void {
    this.#stopped = true;
    this.#gateway.close(CloseReason.stopping);
    for (const worker of this.#workers) worker.close(CloseReason.stopping);
  }

  #ask(request: number): void {
    this.#request.request = request;
    this.#gateway.send(this.#request);
  }
}
