/**
 * The scheduler's side of every connection: who greets is who its certificate says, and gets the line of its role. A node
 * that connects again, with the same life, supersedes its older connection.
 */
import { randomInt } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { Clock } from '../../base/clock.ts';
import { CloseReason, ClusterKind, reasonName, Role } from '../../wire/cluster-frame.ts';
import { type Direction, GatewayToScheduler, WorkerToScheduler } from '../../wire/cluster/directions.ts';
import { HelloFrame } from '../../wire/cluster/large-frames.ts';
import { type Closing, FrameLink, type LinkLimits } from '../../cluster/link/link.ts';
import type { Log } from '../../telemetry/log.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import type { ClusterScheduler } from './cluster-scheduler.ts';
import { SWEEP_MS } from './collected.ts';
import { GatewayLine } from './gateway-line.ts';
import { type ClusterView, viewOf } from './view.ts';
import { WorkerLine } from './worker-line.ts';

const LIFE_END = 2 ** 32 - 1;
/** There would be none after it. */
const EPOCH_LAST = 2 ** 32 - 1;

export interface ClusterServerSetting {
  /** Of this node. */
  readonly name: string;
  readonly limits: LinkLimits;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics?: Metrics;
}

/** Who is at the other end, as its certificate says. */
export interface AcceptedPeer {
  readonly name: string;
  readonly roles: readonly ('scheduler' | 'worker' | 'gateway')[];
}

interface Line {
  readonly link: FrameLink;
  readonly life: number;
  readonly role: 'worker' | 'gateway';
  /** Frames can be sent. */
  opened(): void;
  left(): void;
}

export class ClusterServer {
  readonly #scheduler: ClusterScheduler;
  readonly #setting: ClusterServerSetting;
  readonly #life = randomInt(1, LIFE_END);
  readonly #links = new Set<FrameLink>();
  /** By role and name. */
  readonly #lines = new Map<string, Line>();
  /** The life of each node that was told this epoch, by role and name. */
  readonly #welcomed = new Map<string, number>();
  readonly #stopSweeping: () => void;
  #sweptUs: number;
  #sweptGrantCount = 0;
  #grantsPerSecond = 0;

  constructor(scheduler: ClusterScheduler, setting: ClusterServerSetting) {
    this.#scheduler = scheduler;
    this.#setting = setting;
    this.#sweptUs = setting.clock.nowUs();
    // After what has come in this turn of the event loop, on all connections.
    scheduler.onCollected(() => void setImmediate(() => scheduler.turn()));
    this.#stopSweeping = setting.clock.every(SWEEP_MS, () => this.#sweep());
  }

  view(): ClusterView & { readonly grantsPerSecond: number } {
    return { ...viewOf(this.#scheduler), grantsPerSecond: this.#grantsPerSecond };
  }

  accept(duplex: Duplex, peer: AcceptedPeer): void {
    const { limits, clock } = this.#setting;
    const welcome = this.#welcome();
    let line: Line | null = null;
    const link: FrameLink = new FrameLink(
      duplex,
      { hello: welcome, dialled: null, limits, clock },
      {
        greeted: (hello) => {
          const found = this.#greet(link, hello, { peer, welcome });
          if (typeof found === 'number') return found;
          line = found.line;
          return found.direction;
        },
        opened: () => line?.opened(),
        closed: (closing) => this.#closed(link, line, { peer, closing }),
      },
    );
    this.#links.add(link);
  }

  /** Who waits is told to ask the next scheduler. */
  close(): void {
    this.#stopSweeping();
    this.#scheduler.stop();
    for (const link of this.#links) link.close(CloseReason.stopping);
  }

  #sweep(): void {
    const nowUs = this.#setting.clock.nowUs();
    const { grantCount } = this.#scheduler;
    this.#grantsPerSecond = Math.round(
      ((grantCount - this.#sweptGrantCount) * 1e6) / Math.max(nowUs - this.#sweptUs, 1),
    );
    this.#sweptUs = nowUs;
    this.#sweptGrantCount = grantCount;
    this.#scheduler.sweep();
  }

  #welcome(): HelloFrame {
    const { epoch } = this.#scheduler;
    return Object.assign(new HelloFrame(ClusterKind.welcome), {
      role: Role.scheduler,
      name: this.#setting.name,
      life: this.#life,
      epoch,
    });
  }

  #greet(
    link: FrameLink,
    hello: HelloFrame,
    { peer, welcome }: { peer: AcceptedPeer; welcome: HelloFrame },
  ): { line: Line; direction: Direction } | CloseReason {
    const role = hello.role === Role.worker ? 'worker' : 'gateway';
    if (hello.name !== peer.name || !peer.roles.includes(role)) return CloseReason.notAllowed;
    const key = `${role} ${hello.name}`;
    if (hello.epoch === EPOCH_LAST) return CloseReason.breach;
    if (this.#isForeign(key, hello)) return this.#renew(hello);
    const older = this.#lines.get(key);
    if (older !== undefined && older.life !== hello.life) return CloseReason.nameTaken;
    if (older !== undefined) this.#supersede(key, older);
    const made = role === 'worker' ? this.#workerLine(link, hello, welcome) : this.#gatewayLine(link, hello);
    if (typeof made === 'number') return made;
    this.#lines.set(key, made.line);
    this.#welcomed.set(key, hello.life);
    return made;
  }

  /** It has followed another scheduler, of a later epoch or of this one: two that began within a second have the same. */
  #isForeign(key: string, { epoch, life }: HelloFrame): boolean {
    const own = this.#scheduler.epoch;
    return epoch > own || (epoch === own && this.#welcomed.get(key) !== life);
  }

  /**
   * Some node has followed a later scheduler than this one, or this machine's clock went back. Leases of that epoch may run:
   * all come back to a later one still, and say what they have.
   */
  #renew({ name, epoch }: HelloFrame): CloseReason {
    this.#setting.log.warn(
      { node: name, epoch, own: this.#scheduler.epoch },
      'a node has seen an epoch of another scheduler',
    );
    this.#scheduler.epoch = epoch + 1;
    this.#welcomed.clear();
    for (const link of this.#links) link.close(CloseReason.staleEpoch);
    return CloseReason.staleEpoch;
  }

  #gatewayLine(link: FrameLink, { name, life }: HelloFrame): { line: Line; direction: Direction } {
    let session: GatewayLine | null = null;
    const line: Line = {
      link,
      life,
      role: 'gateway',
      opened: () => {
        session = new GatewayLine(this.#scheduler, link, { name, nowMs: this.#setting.clock.wallMs() });
      },
      left: () => session?.left(),
    };
    // Nothing is read before the link is open.
    const direction = new GatewayToScheduler({
      request: (frame) => session!.request(frame),
      cancel: (frame) => session!.cancel(frame),
      unstarted: (frame) => session!.unstarted(frame),
      nameVersion: (frame) => session!.nameVersion(frame),
      dropVersion: (frame) => session!.dropVersion(frame),
      concurrency: (frame) => session!.concurrency(frame),
      provision: (frame) => session!.provision(frame),
    });
    return { line, direction };
  }

  #workerLine(
    link: FrameLink,
    hello: HelloFrame,
    welcome: HelloFrame,
  ): { line: Line; direction: Direction } | CloseReason {
    const { log, clock } = this.#setting;
    const place = hello.coreCount < 1 ? 'a worker has one core at least' : this.#scheduler.place(hello);
    if (typeof place === 'string') {
      log.warn({ worker: hello.name }, place);
      return CloseReason.full;
    }
    welcome.firstCore = place.firstCore;
    welcome.coreCount = hello.coreCount;
    welcome.floor = place.floor;
    const { name, coreCount } = hello;
    const joined = (): number => {
      log.info({ worker: name, cores: coreCount }, 'a worker has joined');
      return clock.wallMs();
    };
    const line = new WorkerLine(this.#scheduler, link, { hello, place, joined });
    return {
      line: { link, life: hello.life, role: 'worker', opened: () => {}, left: () => line.left() },
      direction: new WorkerToScheduler(line),
    };
  }

  #supersede(key: string, older: Line): void {
    this.#lines.delete(key);
    older.left();
    older.link.close(CloseReason.superseded);
  }

  #closed(link: FrameLink, line: Line | null, { peer, closing }: { peer: AcceptedPeer; closing: Closing }): void {
    this.#links.delete(link);
    const reason = reasonName(closing.reason);
    this.#setting.metrics?.counter('perch_cluster_connections_closed_total', reason).add();
    this.#setting.log.info(
      { node: peer.name, reason, byPeer: closing.byPeer, about: closing.about },
      'a node has left',
    );
    if (line === null) return;
    const key = `${line.role} ${peer.name}`;
    if (this.#lines.get(key) !== line) return;
    this.#lines.delete(key);
    line.left();
  }
}
