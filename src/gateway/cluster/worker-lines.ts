/** The connections to the workers, one each: made when the scheduler tells of one, and again whenever they end. */
import type { Duplex } from 'node:stream';
import type { Clock } from '../../base/clock.ts';
import { encodeKnowledge, type KnowledgeBody } from '../../cluster/knowledge-body.ts';
import { type Address, addressText } from '../../cluster/node/connect.ts';
import { ClosingLog, type ClosingTexts } from '../../cluster/link/closing-log.ts';
import { Dialer } from '../../cluster/link/dialer.ts';
import type { Closing, FrameLink } from '../../cluster/link/link.ts';
import { DIALER_DELAYS, LINK_LIMITS } from '../../cluster/link/limits.ts';
import type { Log } from '../../telemetry/log.ts';
import { CloseReason, ClusterKind, Role } from '../../wire/cluster-frame.ts';
import { type AssignFrame, KnowledgeFrame, type ResultFrame, SetVersionFrame } from '../../wire/cluster/body-frames.ts';
import { type Direction, WorkerToGateway } from '../../wire/cluster/directions.ts';
import { HelloFrame, type WorkerFrame } from '../../wire/cluster/large-frames.ts';
import { LeaseFrame } from '../../wire/cluster/small-frames.ts';
import type { Self } from './setting.ts';

export interface WorkerLineDoors {
  readonly clock: Clock;
  readonly random: () => number;
  readonly connect: (name: string, address: Address) => Duplex;
  readonly log: Log;
}

export interface WorkerLineEvents {
  /** The highest epoch that was seen here. */
  epoch(): number;
  opened(worker: number): void;
  /** `stopping`: what it has not answered did not run. */
  closed(worker: number, stopping: boolean): void;
  result(worker: number, frame: ResultFrame): void;
}

interface Place extends Address {
  readonly name: string;
  readonly life: number;
}

interface Line {
  readonly place: Place;
  readonly dialer: Dialer;
  readonly log: ClosingLog;
  link: FrameLink | null;
  /** By function: since when what is said of it is as it was told on this connection. */
  readonly told: Map<string, number>;
}

const TEXTS: ClosingTexts = {
  ended: 'the connection to a worker has ended',
  unreached: 'a worker that the scheduler tells of cannot be reached',
  again: 'a worker is reached again',
};

export class WorkerLines {
  readonly #self: Self;
  readonly #doors: WorkerLineDoors;
  readonly #events: WorkerLineEvents;
  /** What the scheduler said last of each, by name. */
  readonly #places = new Map<string, Place>();
  readonly #lines: (Line | null)[] = [];
  readonly #setVersion = new SetVersionFrame();
  readonly #knowledge = new KnowledgeFrame();
  readonly #letGo = new LeaseFrame(ClusterKind.letGo);

  constructor(self: Self, doors: WorkerLineDoors, events: WorkerLineEvents) {
    this.#self = self;
    this.#doors = doors;
    this.#events = events;
  }

  told({ name, host, port, life }: WorkerFrame): void {
    this.#places.set(name, { name, host, port, life });
  }

  dial(worker: number, name: string): void {
    const place = this.#places.get(name)!;
    const dialer = this.#dialer(worker, place);
    const log = new ClosingLog(this.#doors, TEXTS, { worker: name, address: addressText(place) });
    this.#lines[worker] = { place, dialer, log, link: null, told: new Map() };
    dialer.start();
  }

  hangUp(worker: number): void {
    const line = this.#lines[worker] ?? null;
    this.#lines[worker] = null;
    if (line === null) return;
    const { name, life } = line.place;
    if (this.#places.get(name)?.life === life) this.#places.delete(name);
    line.dialer.stop();
  }

  /** It says nothing of what it was sent: what it has not answered is lost, and it is dialled again. */
  breakOff(worker: number): void {
    this.#doors.log.warn({ worker: this.nameOf(worker) }, 'a worker has not answered an invocation in its time');
    this.#lines[worker]?.link?.close(CloseReason.silent);
  }

  stop(): void {
    for (const worker of this.#lines.keys()) this.hangUp(worker);
  }

  nameOf(worker: number): string {
    return this.#lines[worker]?.place.name ?? '';
  }

  /** Where it is; null where it is not known any more. */
  placeOf(worker: number): Address | null {
    const line = this.#lines[worker] ?? null;
    return line === null ? null : this.#placeNow(line.place);
  }

  /** HOST:PORT; '' where there is no such worker any more. */
  addressOf(worker: number): string {
    const place = this.placeOf(worker);
    return place === null ? '' : addressText(place);
  }

  assign(worker: number, frame: AssignFrame): void {
    this.#lines[worker]!.link!.sendBody(frame);
  }

  /** What is said of a function, to a worker that runs it. Every version of it is followed by that. */
  tellKnowledge(worker: number, said: KnowledgeBody): void {
    const line = this.#lines[worker];
    if (this.versionOf(worker) < 2) return;
    line!.told.set(said.functionName, said.atMs);
    line!.link!.sendBody(Object.assign(this.#knowledge, { payload: encodeKnowledge(said) }));
  }

  /** The same, to all that were told otherwise. */
  changeKnowledge(said: KnowledgeBody): void {
    for (const [worker, line] of this.#lines.entries()) {
      const toldMs = line?.told.get(said.functionName);
      if (toldMs !== undefined && toldMs !== said.atMs && line!.link !== null) this.tellKnowledge(worker, said);
    }
  }

  /** Of the protocol, on its connection. */
  versionOf(worker: number): number {
    return this.#lines[worker]?.link?.version ?? 1;
  }

  /** Nothing comes on the lease that it keeps. */
  letGo(worker: number, { epoch, core, sequence }: Pick<LeaseFrame, 'epoch' | 'core' | 'sequence'>): void {
    this.#lines[worker]?.link?.send(Object.assign(this.#letGo, { epoch, core, sequence }));
  }

  setVersion(worker: number, version: Pick<SetVersionFrame, 'version' | 'epoch' | 'key' | 'payload'>): void {
    const frame = Object.assign(this.#setVersion, version);
    this.#lines[worker]!.link!.sendBody(frame);
  }

  #dialer(worker: number, place: Place): Dialer {
    const { clock, random, connect } = this.#doors;
    const direction = new WorkerToGateway({ result: (frame) => this.#events.result(worker, frame) });
    const dialer: Dialer = new Dialer(
      DIALER_DELAYS,
      { clock, random, connect: () => connect(place.name, this.#placeNow(place)) },
      {
        setting: () => ({ hello: this.#hello(), dialled: Role.worker, limits: LINK_LIMITS, clock }),
        greeted: (peer) => this.#greeted(place, peer, direction),
        opened: (link) => this.#opened(worker, dialer, link),
        // As with the scheduler's: not within a call of the machine.
        closed: (closing) => queueMicrotask(() => this.#closed(worker, dialer, closing)),
      },
    );
    return dialer;
  }

  /** A worker whose address has become another one is told of again, and is the same by its life. */
  #placeNow(place: Place): Place {
    const told = this.#places.get(place.name);
    return told?.life === place.life ? told : place;
  }

  /** Another life is another worker: the scheduler will tell of it. */
  #greeted(place: Place, peer: HelloFrame, direction: Direction): Direction | CloseReason {
    if (peer.name !== place.name) return CloseReason.notAllowed;
    return peer.life === place.life ? direction : CloseReason.superseded;
  }

  #opened(worker: number, dialer: Dialer, link: FrameLink): void {
    const line = this.#lines[worker];
    if (line?.dialer !== dialer) return;
    line.link = link;
    line.told.clear();
    line.log.opened();
    this.#events.opened(worker);
  }

  #closed(worker: number, dialer: Dialer, closing: Closing): void {
    const line = this.#lines[worker];
    if (line?.dialer !== dialer) return;
    const wasOpen = line.link !== null;
    line.link = null;
    line.log.add(closing, wasOpen);
    this.#events.closed(worker, wasOpen && closing.byPeer && closing.reason === CloseReason.stopping);
  }

  #hello(): HelloFrame {
    const { name, life } = this.#self;
    const epoch = this.#events.epoch();
    return Object.assign(new HelloFrame(ClusterKind.hello), { role: Role.gateway, name, life, epoch });
  }
}
