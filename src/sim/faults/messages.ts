/**
 * Messages between hosts while something is wrong with the network. What is sent over a connection arrives, and in its order; what is lost is sent again
 * by the senders' kernels (TCP), so it is late, and all that comes after it on the connection waits behind it.
 *
 * A message is looked at as it arrives. A *connection* here is one way between a server and all others: what goes to it, or what comes from it; one
 * more is for whatever goes to the scheduler from elsewhere.
 */
import type { Random } from '../engine/random.ts';
import type { Foresight } from '../engine/calendar.ts';
import type { Engine, Handler } from '../engine/engine.ts';

/** Between whom a message travels: which server it is for, or from, by the two numbers of its event; -1: none. And whether the scheduler is its other end. */
export interface Way {
  readonly to?: (a: number, b: number) => number;
  readonly from?: (a: number, b: number) => number;
  readonly withScheduler?: boolean;
}

interface Held {
  readonly handler: Handler;
  readonly a: number;
  readonly b: number;
}

interface Line {
  readonly server: number;
  readonly withScheduler: boolean;
  dueUs: number;
  readonly held: Held[];
}

/** As Linux has it: the least time until what was not acknowledged is sent again; it doubles each time. */
export const RESEND_US = 200_000;

const NONE = -1;
const WAYS = 3;

export interface MessagesSetup {
  readonly engine: Engine;
  readonly serverCount: number;
  readonly random: Random;
  /** When the server is reached again; not after now: it is reached. */
  readonly apartUntilUs: (server: number) => number;
  readonly schedulerUntilUs: () => number;
}

export class Messages {
  heldCount = 0;
  readonly #setup: MessagesSetup;
  /** By connection: those that are held up, in the order in which they came. */
  readonly #lines = new Map<number, Line>();
  readonly #released: number;
  /** By server, and for what concerns none: which part is lost, and until it is sent again. */
  readonly #lostShares: Float64Array;
  readonly #resendUs: Float64Array;

  constructor(setup: MessagesSetup) {
    this.#setup = setup;
    this.#released = setup.engine.kind((line) => this.#release(line));
    this.#lostShares = new Float64Array(setup.serverCount + 1);
    this.#resendUs = new Float64Array(setup.serverCount + 1);
  }

  /** The kind of the events that are arrivals of such messages. */
  kind(handler: Handler, { to, from, withScheduler = false }: Way, foresight?: Foresight): number {
    const direction = to !== undefined ? 0 : from !== undefined ? 1 : 2;
    const serverOf = to ?? from ?? (() => NONE);
    return this.#setup.engine.kind((a, b) => {
      const server = serverOf(a, b);
      const line = (server + 1) * WAYS + direction;
      if (!this.#holds(line, { server, withScheduler }, { handler, a, b })) handler(a, b);
    }, foresight);
  }

  /** Of the server's frames this part is lost from now on; -1: of those that concern none. */
  lose(server: number, share: number, resendUs: number): void {
    const at = server === NONE ? this.#setup.serverCount : server;
    this.#lostShares[at] = share;
    this.#resendUs[at] = resendUs;
  }

  /** How much later the next frame of the server arrives because it is lost first. */
  drawDelayUs(server: number): number {
    const at = server === NONE ? this.#setup.serverCount : server;
    const share = this.#lostShares[at]!;
    return share > 0 && this.#setup.random.unit() < share ? this.#resendUs[at]! : 0;
  }

  /** The server's connections end: whoever takes what was held up sees that they have. */
  breakOff(server: number): void {
    this.breakOffFrom(server);
    this.#breakOff(server, 0);
  }

  /** Only what comes from it: there is another at the other end. */
  breakOffFrom(server: number): void {
    this.#breakOff(server, 1);
  }

  /** When what is sent now gets through: the sender tries again and again, each time after twice as long. */
  throughUs(server: number, withScheduler: boolean): number {
    const { engine, apartUntilUs, schedulerUntilUs } = this.#setup;
    const { nowUs } = engine;
    const schedulerUs = withScheduler ? schedulerUntilUs() : 0;
    const untilUs = Math.max(server === NONE ? 0 : apartUntilUs(server), schedulerUs);
    if (untilUs <= nowUs) return nowUs;
    let waitUs = RESEND_US;
    while (nowUs + waitUs < untilUs) waitUs = waitUs * 2 + RESEND_US;
    return nowUs + waitUs;
  }

  #holds(line: number, way: Pick<Line, 'server' | 'withScheduler'>, message: Held): boolean {
    const before = this.#lines.get(line);
    if (before !== undefined) {
      this.heldCount++;
      before.held.push(message);
      return true;
    }
    const { engine } = this.#setup;
    const dueUs = this.throughUs(way.server, way.withScheduler) + this.drawDelayUs(way.server);
    if (dueUs <= engine.nowUs) return false;
    this.heldCount++;
    this.#lines.set(line, { ...way, dueUs, held: [message] });
    engine.at(dueUs, this.#released, line);
    return true;
  }

  #breakOff(server: number, direction: number): void {
    const line = (server + 1) * WAYS + direction;
    const held = this.#lines.get(line)?.held ?? [];
    this.#lines.delete(line);
    for (const { handler, a, b } of held) handler(a, b);
  }

  #release(at: number): void {
    const line = this.#lines.get(at);
    const { engine } = this.#setup;
    if (line === undefined || line.dueUs !== engine.nowUs) return;
    const dueUs = this.throughUs(line.server, line.withScheduler);
    if (dueUs > engine.nowUs) {
      line.dueUs = dueUs;
      engine.at(dueUs, this.#released, at);
      return;
    }
    this.#lines.delete(at);
    for (const { handler, a, b } of line.held) handler(a, b);
  }
}
