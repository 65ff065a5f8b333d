/** One life of a scheduler: the shipped control and shards, and who is connected to them. It is to them what scheduler/server/cluster-server.ts is. */
import { assert } from '../../base/assert.ts';
import type { ClusterLimits } from '../../scheduler/server/cluster-scheduler.ts';
import { directionOf, GatewayLine } from '../../scheduler/server/gateway-line.ts';
import { WorkerLine } from '../../scheduler/server/worker-line.ts';
import type { ControlPort } from '../../scheduler/server/shard-ports.ts';
import type { Shard } from '../../scheduler/server/shard.ts';
import { SWEEP_MS } from '../../scheduler/server/collected.ts';
import { TICK_MS } from '../../scheduler/server/unreached.ts';
import { CloseReason, ClusterKind, Role } from '../../wire/cluster-frame.ts';
import { WorkerToScheduler } from '../../wire/cluster/directions.ts';
import { HelloFrame } from '../../wire/cluster/large-frames.ts';
import type { Random } from '../engine/random.ts';
import type { Accepted, LinkEnd, Net } from './net.ts';
import { openShards, type Shards } from './shards.ts';
import type { VirtualTime } from './time.ts';
import { exponentialOf } from './waits.ts';

export const SCHEDULER = 'scheduler';
/** What a turn of an event loop takes. */
const TURN_US = 5;
const TURN_WINDOW_US = 10_000;
const TURNS_MAX = 1500;

export interface SchedulerSetting {
  readonly limits: ClusterLimits;
  readonly shardCount: number;
  /** How long a bell or a message between shards takes, at the mean. */
  readonly bellUs: number;
}

interface Connection {
  readonly line: number;
  readonly control: ControlPort;
  readonly end: LinkEnd;
  readonly welcome: HelloFrame;
  left: () => void;
}

export class SchedulerHost {
  readonly parts: Shards;
  readonly #time: VirtualTime;
  readonly #random: Random;
  readonly #bellUs: number;
  readonly #connections = new Map<number, Connection>();
  readonly #stops: (() => void)[] = [];
  readonly #isTurning: boolean[] = [];
  #turnsSinceUs = 0;
  #turnCount = 0;
  #isDead = false;

  constructor({ limits, shardCount, bellUs }: SchedulerSetting, time: VirtualTime, random: Random) {
    this.#time = time;
    this.#random = random;
    this.#bellUs = bellUs;
    this.parts = openShards(limits, shardCount, { later: (what) => this.#later(this.#bellDelayUs, what) });
    for (const [at, shard] of this.parts.shards.entries()) this.#host(shard, at);
    this.#stops.push(
      time.every(SWEEP_MS, () => this.#sweep(), SCHEDULER),
      time.every(TICK_MS, () => this.parts.control.tick(), SCHEDULER),
    );
  }

  listen(net: Net): void {
    net.listen(SCHEDULER, (end, hello) => this.#accept(end, hello));
  }

  get epoch(): number {
    return this.parts.control.epoch;
  }

  /** Nothing is on its way between shards, and none has to turn: what holds of all of them together can be looked at. */
  get isQuiet(): boolean {
    return this.parts.isQuiet && (this.parts.shards.length === 1 || !this.#isTurning.includes(true));
  }

  /** After each step: bells that ring are heard. */
  hearBells(): void {
    if (this.parts.shards.length === 1) return;
    for (const [at, shard] of this.parts.shards.entries())
      if (shard.machine.bells.isRung) this.#askTurn(shard, at, this.#bellDelayUs);
  }

  /** Its ends of the connections that it has. */
  ends(): readonly LinkEnd[] {
    return [...this.#connections.values()].map(({ end }) => end);
  }

  die(): void {
    this.#isDead = true;
    for (const stop of this.#stops) stop();
    this.parts.stop();
  }

  get #bellDelayUs(): number {
    return exponentialOf(this.#random) * this.#bellUs;
  }

  #later(delayUs: number, what: () => void): void {
    const unlessDead = (): void => {
      if (!this.#isDead) what();
    };
    this.#time.later(delayUs, unlessDead, SCHEDULER);
  }

  #host(shard: Shard, at: number): void {
    shard.onTurn(() => this.#askTurn(shard, at, TURN_US));
    shard.onTime(() => Math.floor(this.#time.nowUs() / 1000));
    shard.onClose(
      (line, reason) => this.#close(line, reason),
      (epoch) => this.#renew(epoch),
    );
  }

  #askTurn(shard: Shard, at: number, delayUs: number): void {
    if (this.#isTurning[at] === true) return;
    this.#isTurning[at] = true;
    this.#later(delayUs, () => {
      this.#isTurning[at] = false;
      this.#countTurn();
      shard.turn();
    });
  }

  /** What there is to do is done in some turns; a thread that never sleeps takes all the time of its core. */
  #countTurn(): void {
    const windowUs = this.#time.nowUs() - this.#turnsSinceUs;
    if (windowUs > TURN_WINDOW_US) {
      this.#turnsSinceUs = this.#time.nowUs();
      this.#turnCount = 0;
    }
    this.#turnCount++;
    assert(
      this.#turnCount <= TURNS_MAX,
      `shards have turned ${TURNS_MAX} times within ${TURN_WINDOW_US} µs, and never sleep`,
    );
  }

  #sweep(): void {
    this.parts.control.sweep();
    for (const shard of this.parts.shards) shard.sweep();
  }

  #accept(end: LinkEnd, hello: HelloFrame): Accepted | CloseReason {
    const { shards, ports } = this.parts;
    const at = this.#random.below(shards.length);
    const shard = shards[at]!;
    const control = ports[at]!;
    const line = shard.newLine();
    const { name, life, epoch } = hello;
    const greeted = control.greet(line, { role: hello.role === Role.worker ? 'worker' : 'gateway', name, life, epoch });
    if (typeof greeted === 'number') return greeted;
    const welcome = new HelloFrame(ClusterKind.welcome);
    Object.assign(welcome, { role: Role.scheduler, name: SCHEDULER, life: 1, epoch: greeted.epoch });
    const connection: Connection = { line, control, end, welcome, left: () => {} };
    const made =
      hello.role === Role.worker
        ? this.#workerLine(shard, connection, hello)
        : this.#gatewayLine(shard, connection, hello);
    if (typeof made === 'number') {
      control.closed(line, '');
      return made;
    }
    this.#connections.set(line, connection);
    return { welcome, ...made, closed: () => this.#closed(connection) };
  }

  #gatewayLine(shard: Shard, connection: Connection, { name }: HelloFrame): Pick<Accepted, 'direction' | 'opened'> {
    let session: GatewayLine | null = null;
    connection.left = () => session?.left();
    const nowMs = this.#time.wallMs();
    const opened = (): void => {
      session = new GatewayLine(shard, connection.end, { name, nowMs, line: connection.line });
    };
    return { direction: directionOf(() => session!), opened };
  }

  #workerLine(
    shard: Shard,
    connection: Connection,
    hello: HelloFrame,
  ): Pick<Accepted, 'direction' | 'opened'> | CloseReason {
    const { name, coreCount, extraSeatCount, memoryMb } = hello;
    const place = shard.place({ name, coreCount, extraSeatCount, memoryMb });
    if (typeof place === 'string') return CloseReason.full;
    const { firstCore, floor } = place;
    Object.assign(connection.welcome, { firstCore, coreCount, extraSeatCount, floor });
    const joined = (): number => this.#time.wallMs();
    const line = new WorkerLine(shard, connection.end, { hello, place, joined, line: connection.line });
    connection.left = () => line.left();
    return { direction: new WorkerToScheduler(line), opened: () => {} };
  }

  /** All come back, and say what they have. */
  #renew(epoch: number): void {
    for (const { end, welcome } of Array.from(this.#connections.values()))
      if (welcome.epoch < epoch) end.close(CloseReason.staleEpoch);
  }

  /** Its node has another line. */
  #close(line: number, reason: CloseReason): void {
    const connection = this.#connections.get(line);
    if (connection === undefined) return;
    this.#left(connection);
    connection.end.close(reason);
  }

  #closed(connection: Connection): void {
    if (this.#isDead) return;
    this.#connections.delete(connection.line);
    this.#left(connection);
    connection.control.closed(connection.line, '');
  }

  #left(connection: Connection): void {
    const { left } = connection;
    connection.left = () => {};
    left();
  }
}
