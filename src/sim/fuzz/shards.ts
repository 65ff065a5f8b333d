/**
 * The shipped control and its shards, over one memory. With one shard they call each other, as they do in one thread; with several, each is as
 * a thread of its own: what is asked of the control is a call, all else is a message that takes its time, in the order of its channel; and a
 * bell that rings is heard a while later.
 */
import { checkInvariants } from '../../scheduler/machine/invariants.ts';
import { makeMemory } from '../../scheduler/machine/memory.ts';
import { Scheduler } from '../../scheduler/machine/scheduler.ts';
import {
  type ClusterLimits,
  ClusterScheduler,
  checkRequests,
  machineLimits,
} from '../../scheduler/server/cluster-scheduler.ts';
import { Control } from '../../scheduler/server/control.ts';
import type { PeerPort } from '../../scheduler/server/mail.ts';
import { Shard } from '../../scheduler/server/shard.ts';
import type { ControlPort, ShardPort } from '../../scheduler/server/shard-ports.ts';

export interface Shards {
  readonly control: Control;
  readonly shards: readonly Shard[];
  /** The control, as each shard sees it. */
  readonly ports: readonly ControlPort[];
  /** Nothing is on its way between them. */
  readonly isQuiet: boolean;
  /** For when it is quiet. */
  check(): void;
  stop(): void;
}

export interface ShardDoors {
  /** A message arrives, or a bell is heard, so long after; none once they are stopped. */
  readonly later: (what: () => void) => void;
}

export function openShards(limits: ClusterLimits, shardCount: number, doors: ShardDoors): Shards {
  return shardCount === 1 ? new OneShard(limits) : new SeveralShards(limits, shardCount, doors);
}

class OneShard implements Shards {
  readonly control: Control;
  readonly shards: readonly Shard[];
  readonly ports: readonly ControlPort[];
  readonly isQuiet = true;
  readonly #scheduler: ClusterScheduler;

  constructor(limits: ClusterLimits) {
    this.#scheduler = new ClusterScheduler(limits);
    this.control = this.#scheduler.control;
    this.shards = [this.#scheduler.shard];
    this.ports = [this.control];
  }

  check(): void {
    this.#scheduler.checkInvariants();
  }

  stop(): void {}
}

/** Calls that have not arrived, oldest first. */
class Channel {
  readonly #calls: (() => void)[] = [];
  readonly #later: (what: () => void) => void;

  constructor(later: (what: () => void) => void) {
    this.#later = later;
  }

  get length(): number {
    return this.#calls.length;
  }

  /** What comes when is open, their order is not: each message takes the oldest. */
  say(what: () => void): void {
    this.#calls.push(what);
    this.#later(() => this.#calls.shift()?.());
  }

  /** All of it, now. */
  drain(): void {
    while (this.#calls.length > 0) this.#calls.shift()!();
  }
}

/** What a shard asks, and so waits for; the rest it tells. */
const ASKED: ReadonlySet<string> = new Set<keyof ControlPort>([
  'greet',
  'place',
  'joinWorker',
  'joinGateway',
  'name',
  'keep',
  'withdraw',
  'unreachable',
]);

class SeveralShards implements Shards {
  readonly control: Control;
  readonly shards: readonly Shard[];
  readonly ports: readonly ControlPort[];
  readonly #channels: Channel[] = [];
  #isStopped = false;

  constructor(limits: ClusterLimits, shardCount: number, doors: ShardDoors) {
    const { epoch, queueMax, keptSweeps = 0, startSweeps = 0, requestCountMax: requestsEach } = limits;
    const memory = makeMemory(limits, shardCount + 1);
    const own = machineLimits(limits, shardCount);
    const joins = new Int32Array(memory.registered.length);
    const machine = new Scheduler(own, { memory, shard: shardCount });
    const numbers = Array.from({ length: shardCount }, (_, shard) => shard);
    const later = (what: () => void): void =>
      doors.later(() => {
        if (!this.#isStopped) what();
      });
    const channel = (): Channel => {
      const made = new Channel(later);
      this.#channels.push(made);
      return made;
    };
    this.control = new Control(machine, { epoch, keptSweeps, requestsEach, shardCount, joins });
    const told = numbers.map(channel);
    this.ports = numbers.map(() => toControl(this.control, channel()));
    this.shards = numbers.map((shard) => {
      const peers = numbers.map((to) => posted<PeerPort>(channel(), () => this.shards[to]!));
      const begun = { generation: 0, joins, joinsSeen: new Int32Array(joins.length), heldRequests: [] };
      const control = this.ports[shard]!;
      const setting = { control, epoch, requestsEach, queueMax, startSweeps, peers, begun };
      const made = new Shard({ ...setting, machine: new Scheduler(own, { memory, shard }) });
      made.onBehind(() => told[shard]!.drain());
      return made;
    });
    this.control.attach(numbers.map((shard) => posted<ShardPort>(told[shard]!, () => this.shards[shard]!)));
  }

  get isQuiet(): boolean {
    const isRung = this.shards.some(({ machine }) => machine.bells.isRung);
    return !isRung && this.#channels.every(({ length }) => length === 0);
  }

  check(): void {
    checkInvariants([...this.shards.map(({ machine }) => machine), this.control.machine]);
    checkRequests(this.control, this.shards);
    this.control.members.checkInvariants();
  }

  stop(): void {
    this.#isStopped = true;
  }
}

type Call = (...args: unknown[]) => unknown;

/** Whoever is called through it is called later. */
function posted<Port extends object>(channel: Channel, target: () => Shard): Port {
  const post =
    (name: keyof Shard): Call =>
    (...args) => {
      const sent = structuredClone(args);
      channel.say(() => {
        const shard = target();
        (shard[name] as unknown as Call).apply(shard, sent);
      });
    };
  return new Proxy({} as Port, { get: (_, name) => post(name as keyof Shard) });
}

/** As a shard in a thread of its own sees it (scheduler/server/threads/control-client.ts): what was told before is known when it asks. */
function toControl(control: Control, channel: Channel): ControlPort {
  return new Proxy(control, {
    get: (target, name) => {
      if (name === 'ended') return () => {};
      const value = Reflect.get(target, name, target) as Call;
      return (...args: unknown[]) => {
        const sent = structuredClone(args);
        if (!ASKED.has(String(name))) return channel.say(() => void value.apply(target, sent));
        channel.drain();
        return structuredClone(value.apply(target, sent));
      };
    },
  });
}
