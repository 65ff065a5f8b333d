/**
 * The shipped control and shards in one thread: what is asked of the control is a call, and what it tells shards, or they each other, waits until
 * the test delivers it, in any order but that of each channel.
 */
import assert from 'node:assert/strict';
import { checkInvariants } from '../../src/scheduler/machine/invariants.ts';
import { makeMemory } from '../../src/scheduler/machine/memory.ts';
import { Scheduler } from '../../src/scheduler/machine/scheduler.ts';
import { type ClusterLimits, checkRequests, machineLimits } from '../../src/scheduler/server/cluster-scheduler.ts';
import { Control } from '../../src/scheduler/server/control.ts';
import type { PeerPort } from '../../src/scheduler/server/mail.ts';
import { Shard } from '../../src/scheduler/server/shard.ts';
import type { ControlPort, ShardPort } from '../../src/scheduler/server/shard-ports.ts';
import { type ClusterView, viewOfCluster } from '../../src/scheduler/server/view.ts';

/** Calls that wait to be delivered, oldest first. */
type Channel = (() => void)[];

export class ShardedScheduler {
  readonly control: Control;
  readonly shards: readonly Shard[];
  /** From the control to each shard, and from each shard to each other. */
  readonly #told: readonly Channel[];
  readonly #mail: readonly (readonly Channel[])[];

  constructor(limits: ClusterLimits, shardCount: number) {
    const { epoch, queueMax, keptSweeps = 0, startSweeps = 0, requestCountMax: requestsEach } = limits;
    const memory = makeMemory(limits, shardCount + 1);
    const own = machineLimits(limits, shardCount);
    const joins = new Int32Array(memory.registered.length);
    const machine = new Scheduler(own, { memory, shard: shardCount });
    this.control = new Control(machine, { epoch, keptSweeps, requestsEach, shardCount, joins });
    const numbers = Array.from({ length: shardCount }, (_, shard) => shard);
    this.#told = numbers.map(() => []);
    this.#mail = numbers.map(() => numbers.map(() => []));
    this.shards = numbers.map((shard) => {
      const peers: PeerPort[] = numbers.map(
        (to) => this.#posted(this.#mail[shard]![to]!, () => this.shards[to]!) as PeerPort,
      );
      const begun = { generation: 0, joins, joinsSeen: new Int32Array(joins.length), heldRequests: [] };
      const made = new Shard({
        machine: new Scheduler(own, { memory, shard }),
        control: withoutEnded(this.control),
        epoch,
        requestsEach,
        queueMax,
        startSweeps,
        peers,
        begun,
      });
      made.onBehind(() => drain(this.#told[shard]!));
      return made;
    });
    this.control.attach(numbers.map((shard) => this.#posted(this.#told[shard]!, () => this.shards[shard]!)));
  }

  get epoch(): number {
    return this.control.epoch;
  }

  /** False: nothing is on its way. */
  deliver(nth: number): boolean {
    const channels = [...this.#told, ...this.#mail.flat()].filter(({ length }) => length > 0);
    if (channels.length === 0) return false;
    channels[nth % channels.length]!.shift()!();
    return true;
  }

  turn(at: number): void {
    this.shards[at % this.shards.length]!.turn();
  }

  sweep(at: number): void {
    if (at % 2 === 0) this.control.sweep();
    else this.shards[at % this.shards.length]!.sweep();
  }

  tick(): void {
    this.control.tick();
  }

  /** Until nothing moves any more. */
  quiet(): void {
    for (let round = 0; round < 1000; round++) {
      for (const shard of this.shards) shard.turn();
      const moved = this.deliver(0);
      if (!moved && !this.shards.some(({ machine }) => machine.bells.isRung)) return;
    }
    assert.fail('something goes round between the shards');
  }

  /** Once it is quiet. */
  checkInvariants(): void {
    const machines = this.shards.map(({ machine }) => machine);
    checkInvariants([...machines, this.control.machine]);
    checkRequests(this.control, this.shards);
    this.control.members.checkInvariants();
  }

  view(): ClusterView {
    return viewOfCluster(
      this.control,
      this.shards.map((shard) => shard.report()),
    );
  }

  versionCount(): number {
    return this.control.names.count;
  }

  /** Whoever is called through it is called later. */
  #posted(channel: Channel, target: () => Shard): ShardPort {
    const post =
      (name: keyof ShardPort) =>
      (...args: readonly unknown[]): void => {
        const sent = structuredClone(args);
        channel.push(() => {
          const shard = target();
          (shard[name] as (...all: unknown[]) => void).apply(shard, [...sent]);
        });
      };
    return new Proxy({} as ShardPort, { get: (_, name) => post(name as keyof ShardPort) });
  }
}

/** As a shard in a thread of its own sees it. */
function withoutEnded(control: Control): ControlPort {
  return new Proxy(control, {
    get: (target, name) => {
      if (name === 'ended') return () => {};
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (...args: unknown[]) => Reflect.apply(value, target, args) : value;
    },
  });
}

function drain(channel: Channel): void {
  while (channel.length > 0) channel.shift()!();
}
