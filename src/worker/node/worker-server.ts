/**
 * The worker's connections: one to the scheduler, which it dials again for ever, and one from each gateway. Each ends alone.
 */
import { randomInt } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { ClosingLog, type ClosingTexts } from '../../cluster/link/closing-log.ts';
import { Dialer } from '../../cluster/link/dialer.ts';
import { DIALER_DELAYS, LINK_LIMITS } from '../../cluster/link/limits.ts';
import { type Closing, FrameLink, type LinkSetting } from '../../cluster/link/link.ts';
import type { Log } from '../../telemetry/log.ts';
import { CloseReason, ClusterKind, reasonName, Role } from '../../wire/cluster-frame.ts';
import { type Direction, GatewayToWorker, SchedulerToWorker } from '../../wire/cluster/directions.ts';
import { HelloFrame } from '../../wire/cluster/large-frames.ts';
import { type GatewayDoors, GatewayLine } from './gateway-line.ts';
import type { SchedulerPort } from './ports.ts';
import { SchedulerFrames, SchedulerLine } from './scheduler-line.ts';
import type { Welcome } from './cores.ts';

const LIFE_END = 2 ** 32 - 1;
const DRAIN_POLL_MS = 10;

export interface WorkerServerSetting {
  /** HOST:PORT, for the log. */
  readonly scheduler: string;
  readonly name: string;
  readonly memoryMb: number;
  /** Where gateways reach it, as it is known before each attempt. */
  readonly advertised: () => { readonly host: string; readonly port: number };
  /** The worker has been welcomed, and has said what it has. */
  readonly joined: () => void;
  /** It has no connection to the scheduler, and dials again soon. */
  readonly waits: () => void;
}

export interface WorkerServerDoors extends GatewayDoors {
  readonly log: Log;
  /** A connection to the scheduler that may be on its way still. */
  readonly connect: () => Duplex;
}

/** Who is at the other end, as its certificate says. */
export interface GatewayPeer {
  readonly name: string;
  readonly roles: readonly string[];
}

interface GatewayEnd {
  readonly link: FrameLink;
  readonly life: number;
  readonly line: GatewayLine;
}

const TEXTS: ClosingTexts = {
  ended: 'the connection to the scheduler has ended',
  unreached: 'waits for the scheduler',
  again: 'the scheduler is reached again',
};

export class WorkerServer {
  readonly #setting: WorkerServerSetting;
  readonly #doors: WorkerServerDoors;
  readonly #dialer: Dialer;
  readonly #life = randomInt(1, LIFE_END);
  readonly #links = new Set<FrameLink>();
  /** By name. */
  readonly #gateways = new Map<string, GatewayEnd>();
  #scheduler: SchedulerPort | null = null;
  #welcome: Welcome | null = null;
  readonly #closingLog: ClosingLog;
  #isClosing = false;

  constructor(setting: WorkerServerSetting, doors: WorkerServerDoors) {
    this.#setting = setting;
    this.#doors = doors;
    this.#closingLog = new ClosingLog(doors, TEXTS, { scheduler: setting.scheduler });
    this.#dialer = new Dialer(
      DIALER_DELAYS,
      { clock: doors.clock, random: Math.random, connect: doors.connect },
      {
        setting: () => this.#dialSetting(),
        greeted: (peer, link) => this.#welcomedBy(peer, link),
        opened: (link) => {
          this.#closingLog.opened();
          this.#joined(link);
        },
        closed: (closing, retryMs) => this.#schedulerClosed(closing, retryMs),
      },
    );
  }

  get gatewayCount(): number {
    return this.#gateways.size;
  }

  start(): void {
    this.#dialer.start();
  }

  /** A connection to this worker's port that wants frames. */
  accept(duplex: Duplex, peer: GatewayPeer): void {
    const { clock } = this.#doors;
    const welcome = this.#helloOf(ClusterKind.welcome);
    let end: GatewayEnd | null = null;
    const link: FrameLink = new FrameLink(
      duplex,
      { hello: welcome, dialled: null, limits: LINK_LIMITS, clock },
      {
        greeted: (hello) => {
          const found = this.#greetGateway(link, hello, peer);
          if (typeof found === 'number') return found;
          end = found.end;
          welcome.epoch = this.#doors.node.epoch;
          return found.direction;
        },
        opened: () => {},
        closed: (closing) => this.#gatewayClosed(link, end, { peer, closing }),
      },
    );
    this.#links.add(link);
    if (this.#isClosing) link.close(CloseReason.stopping);
  }

  /** What was said on it before is sent first, if it can be within `graceMs`. Nothing is taken any more. */
  async close(graceMs: number): Promise<void> {
    const { clock, node } = this.#doors;
    node.stop();
    const untilUs = clock.nowUs() + graceMs * 1000;
    await new Promise<void>((resolve) => {
      const stopWaiting = clock.every(DRAIN_POLL_MS, () => {
        const isSent = [...this.#links].every((link) => link.backlogBytes === 0);
        if (!isSent && clock.nowUs() < untilUs) return;
        stopWaiting();
        resolve();
      });
    });
    this.#isClosing = true;
    this.#dialer.stop();
    for (const link of this.#links) link.close(CloseReason.stopping);
  }

  #helloOf(kind: HelloFrame['kind']): HelloFrame {
    const { node } = this.#doors;
    const hello = new HelloFrame(kind);
    hello.role = Role.worker;
    hello.name = this.#setting.name;
    hello.life = this.#life;
    hello.epoch = node.epoch;
    return hello;
  }

  // ---- the scheduler

  #dialSetting(): LinkSetting {
    const { node, clock } = this.#doors;
    const { host, port } = this.#setting.advertised();
    const hello = this.#helloOf(ClusterKind.hello);
    hello.firstCore = node.firstCore;
    hello.coreCount = node.cores.count;
    hello.extraSeatCount = node.cores.extraSeatCount;
    hello.memoryMb = this.#setting.memoryMb;
    hello.host = host;
    hello.port = port;
    return { hello, dialled: Role.scheduler, limits: LINK_LIMITS, clock };
  }

  /** The frame is a register. */
  #welcomedBy(welcome: HelloFrame, link: FrameLink): Direction | CloseReason {
    const { version, epoch, firstCore, coreCount, extraSeatCount, floor } = welcome;
    const { node, log } = this.#doors;
    if (!node.mayFollow(epoch)) {
      log.warn({ epoch, own: node.epoch }, 'the scheduler has an epoch that is over');
      return CloseReason.staleEpoch;
    }
    const isKnown = version === 1 || extraSeatCount === node.cores.extraSeatCount;
    if (firstCore < 0 || coreCount !== node.cores.count || !isKnown) return CloseReason.breach;
    this.#welcome = { epoch, firstCore, extraSeatCount, floor };
    return new SchedulerToWorker(new SchedulerLine(node, link));
  }

  #joined(link: FrameLink): void {
    const port = new SchedulerFrames(link);
    this.#scheduler = port;
    this.#doors.node.welcomed(port, this.#welcome!);
    this.#doors.log.info({ ...this.#welcome }, 'joined the scheduler');
    this.#setting.joined();
  }

  #schedulerClosed(closing: Closing, retryMs: number): void {
    const had = this.#scheduler !== null;
    if (this.#scheduler !== null) this.#doors.node.left(this.#scheduler);
    this.#scheduler = null;
    if (retryMs < 0) return;
    this.#closingLog.add(closing, had);
    this.#setting.waits();
  }

  // ---- gateways

  #greetGateway(
    link: FrameLink,
    hello: HelloFrame,
    peer: GatewayPeer,
  ): { end: GatewayEnd; direction: Direction } | CloseReason {
    if (hello.name !== peer.name || !peer.roles.includes('gateway')) return CloseReason.notAllowed;
    const older = this.#gateways.get(hello.name);
    if (older !== undefined && older.life !== hello.life) return CloseReason.nameTaken;
    if (older !== undefined) {
      this.#gateways.delete(hello.name);
      older.line.left();
      older.link.close(CloseReason.superseded);
    }
    const line = new GatewayLine(this.#doors, link);
    const end = { link, life: hello.life, line };
    this.#gateways.set(hello.name, end);
    return { end, direction: new GatewayToWorker(line) };
  }

  #gatewayClosed(
    link: FrameLink,
    end: GatewayEnd | null,
    { peer, closing }: { peer: GatewayPeer; closing: Closing },
  ): void {
    const { reason, byPeer, about } = closing;
    this.#links.delete(link);
    this.#doors.log.info({ gateway: peer.name, reason: reasonName(reason), byPeer, about }, 'a gateway has left');
    if (end === null || this.#gateways.get(peer.name) !== end) return;
    this.#gateways.delete(peer.name);
    end.line.left();
  }
}
