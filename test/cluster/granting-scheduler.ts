/**
 * A scheduler of the test, for what the real one does on few occasions: it grants what it is told to grant, under the name that it
 * is told, and keeps what it hears. One worker, one gateway.
 */
import { until } from './dialling-node.ts';
import assert from 'node:assert/strict';
import type { TLSSocket } from 'node:tls';
import { realClock } from '../../src/base/clock.ts';
import type { Peer } from '../../src/cluster/identity/tls.ts';
import { LINK_LIMITS } from '../../src/cluster/link/limits.ts';
import { FrameLink } from '../../src/cluster/link/link.ts';
import { type Listener, openListener } from '../../src/cluster/node/listener.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { CloseReason, ClusterKind, type CloseReason as Reason, Role } from '../../src/wire/cluster-frame.ts';
import { GrantCoresFrame } from '../../src/wire/cluster/cores-frames.ts';
import { type Direction, GatewayToScheduler, WorkerToScheduler } from '../../src/wire/cluster/directions.ts';
import { HelloFrame, WorkerFrame } from '../../src/wire/cluster/large-frames.ts';
import { CountFrame, GrantFrame, LeaseFrame, RequestFrame } from '../../src/wire/cluster/small-frames.ts';
import type { TestCluster } from './identity/cluster.ts';

const NAMES = new Map<number, string>(Object.entries(ClusterKind).map(([name, kind]) => [kind, name]));

/** What frames say, by the names of their fields. */
export type Heard = Readonly<Record<string, unknown>> & { readonly kind: string };

export class GrantingScheduler {
  epoch = 1;
  /** Where the worker's range begins. */
  firstCore = 0;
  readonly heard: Heard[] = [];
  #listener!: Listener;
  #worker: FrameLink | null = null;
  #gateway: FrameLink | null = null;
  readonly #view = new WorkerFrame();

  static async open(cluster: TestCluster): Promise<GrantingScheduler> {
    const scheduler = new GrantingScheduler();
    scheduler.#listener = await openListener({
      identity: await cluster.identity('s', ['scheduler']),
      roles: ['worker', 'gateway'],
      revoked: () => new Set(),
      host: '127.0.0.1',
      port: 0,
      clock: realClock,
      log: createLog('silent'),
      frames: (socket, peer) => scheduler.#accept(socket, peer),
    });
    return scheduler;
  }

  get port(): number {
    return this.#listener.port;
  }

  /** The oldest frame of this kind that was not taken yet. */
  async hear(kind: keyof typeof ClusterKind): Promise<Heard> {
    await until(() => this.heard.some((frame) => frame.kind === kind));
    const at = this.heard.findIndex((frame) => frame.kind === kind);
    assert.ok(at >= 0, `no ${kind} came, but ${this.heard.map((frame) => frame.kind).join(', ')}`);
    return this.heard.splice(at, 1)[0]!;
  }

  /** Of several cores where there is a mask. */
  grant(request: number, core: number, sequence: number, mask = 0): void {
    const frame = mask === 0 ? new GrantFrame(ClusterKind.grant) : new GrantCoresFrame();
    this.#gateway!.send(Object.assign(frame, { request, core, sequence }, mask === 0 ? {} : { mask }));
  }

  refuse(request: number, why: number): void {
    this.#gateway!.send(Object.assign(new RequestFrame(ClusterKind.refused), { request, why }));
  }

  probe(core: number, sequence: number, epoch: number): void {
    this.#worker!.send(Object.assign(new LeaseFrame(ClusterKind.probe), { core, sequence, epoch }));
  }

  /** The next one, with another range for its worker: all come back to it. */
  succeed(firstCore: number): void {
    this.epoch++;
    this.firstCore = firstCore;
    this.heard.length = 0;
    for (const link of [this.#worker, this.#gateway]) link?.close(CloseReason.stopping);
  }

  async close(): Promise<void> {
    const closed = this.#listener.close();
    for (const link of [this.#worker, this.#gateway]) link?.close(CloseReason.stopping);
    await closed;
  }

  #accept(socket: TLSSocket, { roles }: Peer): void {
    const isWorker = roles.includes('worker');
    const welcome = Object.assign(new HelloFrame(ClusterKind.welcome), { role: Role.scheduler, name: 's', life: 1 });
    const link: FrameLink = new FrameLink(
      socket,
      { hello: welcome, dialled: null, limits: LINK_LIMITS, clock: realClock },
      {
        greeted: (hello): Direction | Reason => {
          welcome.epoch = this.epoch;
          if (!isWorker) return new GatewayToScheduler(this.#ears(link));
          const { name, host, port, life, coreCount } = hello;
          Object.assign(welcome, { firstCore: this.firstCore, coreCount });
          Object.assign(this.#view, { name, host, port, life, coreCount, firstCore: this.firstCore });
          return new WorkerToScheduler(this.#ears(link));
        },
        opened: () => {
          if (isWorker) this.#worker = link;
          else this.#gateway = link;
          this.#tellWorker();
        },
        closed: () => {
          if (this.#worker === link) this.#worker = null;
          if (this.#gateway === link) this.#gateway = null;
        },
      },
    );
  }

  #tellWorker(): void {
    if (this.#worker !== null) this.#gateway?.send(this.#view);
  }

  /** Names are answered: the index is the handle. All else is kept alone. */
  #ears(link: FrameLink): never {
    const hear = (frame: { kind?: number; handle?: number } = {}): void => {
      this.heard.push({ ...frame, kind: NAMES.get(frame.kind!) ?? '' });
      if (frame.kind !== ClusterKind.nameVersion) return;
      const { handle } = frame;
      link.send(Object.assign(new CountFrame(ClusterKind.version), { version: handle, first: handle }));
    };
    return new Proxy({}, { get: () => hear }) as never;
  }
}
