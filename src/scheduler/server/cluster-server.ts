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
import type { ClusterScheduler } from './cluster-scheduler.ts';
import { GatewayLine } from './gateway-line.ts';
import { WorkerLine } from './worker-line.ts';

const LIFE_END = 2 ** 32 - 1;

export interface ClusterServerSetting {
  /** Of this node. */
  readonly name: string;
  readonly limits: LinkLimits;
  readonly clock: Clock;
  readonly log: Log;
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

  constructor(scheduler: ClusterScheduler, setting: ClusterServerSetting) {
    this.#scheduler = scheduler;
    this.#setting = setting;
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

  close(): void {
    for (const link of this.#links) link.close(CloseReason.stopping);
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
    if (hello.epoch > this.#scheduler.epoch) return this.#renew(hello);
    const key = `${role} ${hello.name}`;
    const older = this.#lines.get(key);
    if (older !== undefined && older.life !== hello.life) return CloseReason.nameTaken;
    if (older !== undefined) this.#supersede(key, older);
    const made = role === 'worker' ? this.#workerLine(link, hello, welcome) : this.#gatewayLine(link, hello.life);
    if (typeof made !== 'number') this.#lines.set(key, made.line);
    return made;
  }

  /**
   * Some node has followed a later scheduler than this one, or this machine's clock went back. Leases of that epoch may run:
   * all come back to a later one still, and say what they have.
   */
  #renew({ name, epoch }: HelloFrame): CloseReason {
    this.#setting.log.warn({ node: name, epoch, own: this.#scheduler.epoch }, 'a node has seen a later epoch');
    this.#scheduler.epoch = epoch + 1;
    for (const link of this.#links) link.close(CloseReason.staleEpoch);
    return CloseReason.staleEpoch;
  }

  #gatewayLine(link: FrameLink, life: number): { line: Line; direction: Direction } {
    let session: GatewayLine | null = null;
    const line: Line = {
      link,
      life,
      role: 'gateway',
      opened: () => {
        session = new GatewayLine(this.#scheduler, link);
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
    const { log } = this.#setting;
    const place = hello.coreCount < 1 ? 'a worker has one core at least' : this.#scheduler.place(hello);
    if (typeof place === 'string') {
      log.warn({ worker: hello.name }, place);
      return CloseReason.full;
    }
    welcome.firstCore = place.firstCore;
    welcome.coreCount = hello.coreCount;
    welcome.floor = place.floor;
    const { name, coreCount } = hello;
    const joined = (): void => log.info({ worker: name, cores: coreCount }, 'a worker has joined');
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
