/**
 * The scheduler's side of every connection: who greets is who its certificate says, and gets the line of its role. A node
 * that connects again, with the same life, supersedes its older connection.
 */
import { randomInt } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { Clock } from '../../base/clock.ts';
import { CloseReason, ClusterKind, reasonName, Role } from '../../wire/cluster-frame.ts';
import { type Direction, WorkerToScheduler } from '../../wire/cluster/directions.ts';
import { HelloFrame } from '../../wire/cluster/large-frames.ts';
import { type Closing, FrameLink, type LinkLimits } from '../../cluster/link/link.ts';
import type { Log } from '../../telemetry/log.ts';
import { directionOf, GatewayLine } from './gateway-line.ts';
import type { ControlPort, LineRole } from './shard-ports.ts';
import type { Shard } from './shard.ts';
import { WorkerLine } from './worker-line.ts';

const LIFE_END = 2 ** 32 - 1;

/** Another for each process: all its shards say the same one. */
export function newLife(): number {
  return randomInt(1, LIFE_END);
}

export interface ClusterServerSetting {
  /** Of this node. */
  readonly name: string;
  readonly life: number;
  readonly limits: LinkLimits;
  readonly clock: Clock;
  readonly log: Log;
}

/** Who is at the other end, as its certificate says. */
export interface AcceptedPeer {
  readonly name: string;
  readonly roles: readonly ('scheduler' | 'worker' | 'gateway')[];
}

/** A node that has greeted. */
interface Line {
  /** Frames can be sent. */
  opened(): void;
  left(): void;
}

/** A connection. */
interface Connection {
  readonly line: number;
  readonly link: FrameLink;
  readonly peer: AcceptedPeer;
  readonly welcome: HelloFrame;
}

export class ClusterServer {
  readonly #shard: Shard;
  readonly #control: Pick<ControlPort, 'greet' | 'closed'>;
  readonly #setting: ClusterServerSetting;
  readonly #connections = new Map<number, Connection>();
  /** Workers that have no place, and why. */
  readonly #turnedAway = new Map<string, string>();
  /** Those that have greeted. */
  readonly #lines = new Map<number, Line>();

  constructor(shard: Shard, control: Pick<ControlPort, 'greet' | 'closed'>, setting: ClusterServerSetting) {
    this.#shard = shard;
    this.#control = control;
    this.#setting = setting;
    // After what has come in this turn of the event loop, on all connections.
    shard.onTurn(() => void setImmediate(() => shard.turn()));
    shard.onTime(() => Math.floor(setting.clock.nowUs() / 1000));
    shard.onClose(
      (line, reason) => this.#close(line, reason),
      (epoch) => this.#renew(epoch),
    );
  }

  accept(duplex: Duplex, peer: AcceptedPeer): void {
    const { limits, clock, name, life } = this.#setting;
    const line = this.#shard.newLine();
    const welcome = new HelloFrame(ClusterKind.welcome);
    Object.assign(welcome, { role: Role.scheduler, name, life, epoch: this.#shard.epoch });
    const link: FrameLink = new FrameLink(
      duplex,
      { hello: welcome, dialled: null, limits, clock },
      {
        greeted: (hello) => this.#greet(connection, hello),
        opened: () => this.#lines.get(line)?.opened(),
        closed: (closing) => this.#closed(connection, closing),
      },
    );
    const connection = { line, link, peer, welcome };
    this.#connections.set(line, connection);
  }

  /** Who waits is told to ask the next scheduler. */
  close(): void {
    this.#shard.stop();
    for (const { link } of this.#connections.values()) link.close(CloseReason.stopping);
  }

  #greet(connection: Connection, hello: HelloFrame): Direction | CloseReason {
    const { peer, line, welcome } = connection;
    const role: LineRole = hello.role === Role.worker ? 'worker' : 'gateway';
    if (hello.name !== peer.name || !peer.roles.includes(role)) return CloseReason.notAllowed;
    const { name, life, epoch, version } = hello;
    // One of version 1 knows no extra seats, and may be granted one.
    if (role === 'gateway' && version < 2) return CloseReason.version;
    const greeted = this.#control.greet(line, { role, name, life, epoch });
    if (typeof greeted === 'number') return greeted;
    welcome.epoch = greeted.epoch;
    const made = role === 'worker' ? this.#workerLine(connection, hello) : this.#gatewayLine(connection, hello);
    if (typeof made === 'number') return made;
    this.#lines.set(line, made.line);
    return made.direction;
  }

  /** All come back, and say what they have. */
  #renew(epoch: number): void {
    for (const { link, welcome } of this.#connections.values())
      if (welcome.epoch < epoch) link.close(CloseReason.staleEpoch);
  }

  #gatewayLine({ line: number, link }: Connection, { name }: HelloFrame): { line: Line; direction: Direction } {
    let session: GatewayLine | null = null;
    const line: Line = {
      opened: () => {
        session = new GatewayLine(this.#shard, link, { name, nowMs: this.#setting.clock.wallMs(), line: number });
      },
      left: () => session?.left(),
    };
    return { line, direction: directionOf(() => session!) };
  }

  #workerLine(
    { line: number, link, welcome }: Connection,
    hello: HelloFrame,
  ): { line: Line; direction: Direction } | CloseReason {
    const { log, clock } = this.#setting;
    const { name, coreCount, extraSeatCount, memoryMb } = hello;
    const size = { name, coreCount, extraSeatCount, memoryMb };
    const place = coreCount < 1 ? 'a worker has one core at least' : this.#shard.place(size);
    if (typeof place === 'string') {
      // It asks again and again.
      if (this.#turnedAway.get(name) !== place) log.warn({ worker: name }, place);
      this.#turnedAway.set(name, place);
      return CloseReason.full;
    }
    this.#turnedAway.delete(name);
    welcome.firstCore = place.firstCore;
    welcome.coreCount = coreCount;
    welcome.extraSeatCount = extraSeatCount;
    welcome.floor = place.floor;
    const joined = (): number => {
      log.info({ worker: name, cores: coreCount }, 'a worker has joined');
      return clock.wallMs();
    };
    const line = new WorkerLine(this.#shard, link, { hello, place, joined, line: number });
    return { line: { opened: () => {}, left: () => line.left() }, direction: new WorkerToScheduler(line) };
  }

  /** Its node has another line. */
  #close(line: number, reason: CloseReason): void {
    const connection = this.#connections.get(line);
    if (connection === undefined) return;
    this.#left(line);
    connection.link.close(reason);
  }

  #closed({ line, peer }: Connection, closing: Closing): void {
    this.#connections.delete(line);
    const reason = reasonName(closing.reason);
    this.#setting.log.info(
      { node: peer.name, reason, byPeer: closing.byPeer, about: closing.about },
      'a node has left',
    );
    this.#left(line);
    this.#control.closed(line, reason);
  }

  #left(line: number): void {
    const left = this.#lines.get(line);
    this.#lines.delete(line);
    left?.left();
  }
}
