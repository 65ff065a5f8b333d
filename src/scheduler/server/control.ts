/**
 * What belongs to no shard: members and their places, names of versions and functions, what is provisioned, who is connected, the epoch.
 * It is told what happens one call at a time, and waits for nobody.
 *
 * It alone changes the machine's words for what is rare: workers come and go, cores are withdrawn and given back, versions begin and end. With several
 * shards it does so over a machine of its own, as one shard more, at which nobody ever waits: so what docs/decisions/008-wait-release-steal.md
 * says of shards holds for it, and docs/decisions/011-shards-as-threads.md says the rest.
 */
import { assert } from '../../base/assert.ts';
import { CloseReason } from '../../wire/cluster-frame.ts';
import { passOver } from '../machine/membership.ts';
import type { Scheduler } from '../machine/scheduler.ts';
import { Lines } from './lines.ts';
import { coresOfMember, type Member, Members } from './members.ts';
import type { Announcement, Place, ProvisionedSum, WorkerSize, WorkerView } from './ports.ts';
import { Provisions } from './provisions.ts';
import {
  type ControlPort,
  type Greeting,
  type Joined,
  type NameCounts,
  type ShardPort,
  shardOfLine,
} from './shard-ports.ts';
import { Unreached } from './unreached.ts';
import { type NamedVersion, type Turns, VersionNames } from './version-names.ts';

/** Nobody wakes who waits here. */
const PAUSE = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
const PAUSE_MS = 1;
const EMPTY_TRIES = 20;

export interface ControlSetting {
  /** Of this scheduler; it only grows. */
  readonly epoch: number;
  /** Sweeps for which a version is kept whose gateways have gone. */
  readonly keptSweeps: number;
  /** Requests of each shard; the one after the last shard's is nobody's. */
  readonly requestsEach: number;
  readonly shardCount: number;
  /** For each worker how often it has joined, by its first word of cores; for shards that are told of it later than its cores are open. */
  readonly joins?: Int32Array;
  /** A node has followed another scheduler. */
  readonly onRenewed?: (greeting: Greeting, epoch: number) => void;
}

/** A gateway that has joined. */
interface GatewayMember {
  readonly name: string;
  readonly sinceMs: number;
}

export class Control implements ControlPort {
  readonly machine: Scheduler;
  // The parts are there to be read, by views; only the control changes them.
  readonly names: VersionNames;
  readonly members: Members;
  readonly provisions: Provisions;
  readonly unreached: Unreached = new Unreached();
  /** By line. */
  readonly gateways: Map<number, GatewayMember> = new Map();
  /** Connections that have ended, by reason. */
  readonly closedCounts: Map<string, number> = new Map();
  readonly #setting: ControlSetting;
  readonly #lines: Lines;
  readonly #turns: { asked: number; answered: number };
  /** The last turn that each shard has answered. */
  readonly #answered: number[];
  #shards: readonly ShardPort[] = [];
  #workerEvent = 0;
  /** Leases ended here whose requests are of a shard: told at the end of the call. */
  readonly #ended: number[][];

  constructor(machine: Scheduler, setting: ControlSetting) {
    const { epoch, keptSweeps, shardCount } = setting;
    this.machine = machine;
    this.#setting = setting;
    this.#turns = { asked: 0, answered: 0 };
    this.#answered = new Array<number>(shardCount).fill(0);
    this.#ended = Array.from({ length: shardCount }, () => []);
    const turns: Turns | null = machine.isShared ? this.#turns : null;
    this.names = new VersionNames(machine, { keptSweeps, turns, dropped: (index, key) => this.#dropped(index, key) });
    this.members = new Members(machine);
    this.provisions = new Provisions(keptSweeps);
    this.#lines = new Lines(epoch, {
      superseded: (line) => this.#superseded(line),
      renewed: (greeting, renewed) => this.#renewed(greeting, renewed),
    });
  }

  get epoch(): number {
    return this.#lines.epoch;
  }

  /** The request of leases that nobody here waits for. */
  get nobody(): number {
    return this.#setting.requestsEach * this.#setting.shardCount;
  }

  /** Before anything else. */
  attach(shards: readonly ShardPort[]): void {
    this.#shards = shards;
  }

  /** Once a second, by the shell's clock. */
  sweep(): void {
    this.names.sweep();
    this.members.sweep();
    this.provisions.sweep(this.members.all(), {
      most: (index, count) => this.machine.provision(index, count),
      share: (line, index, count, version) => this.#shardOf(line).provision(line, index, count, version),
      sum: (index, sum) => {
        for (const shard of this.#shards) shard.provisioned(index, sum);
      },
    });
    if (this.machine.isShared) {
      for (const member of this.members.all())
        if (member.line === null && !this.members.isOut(member)) this.#empty(member);
      this.#askTurn();
    }
    this.#settle();
  }

  /** Ten times a second, by the shell's clock. */
  tick(): void {
    this.unreached.tick((worker) => {
      passOver(this.machine, worker, false);
      this.#settle();
    });
  }

  // ---- asked

  greet(line: number, greeting: Greeting): { readonly epoch: number } | CloseReason {
    return this.#lines.greet(line, greeting);
  }

  place(worker: WorkerSize): Place | string {
    const known = this.members.named(worker.name);
    if (known !== undefined && known.line === null) this.#empty(known);
    const member = this.members.place(worker);
    if (typeof member === 'string') return member;
    for (const shard of this.#shards) shard.workerPlaced();
    this.#settle();
    return { firstCore: member.firstCore, floor: member.floor };
  }

  joinWorker(line: number, announcement: Announcement): Joined | string {
    if (this.#lines.isSuperseded(line)) return `the worker ${announcement.name} has connected again`;
    const placed = this.place(announcement);
    if (typeof placed === 'string') return placed;
    const member = this.members.join(line, announcement);
    if (this.unreached.forget(member.index)) passOver(this.machine, member.index, false);
    const counted: number[] = [];
    for (const { core, mask, version } of announcement.running) {
      const index = this.names.keep(version);
      const lease = { core, mask, request: this.nobody, version: index };
      if (index >= 0 && this.members.resume(member, lease)) counted.push(core);
      else this.members.keepBack(member, lease);
    }
    const event = ++this.#workerEvent;
    if (this.#setting.joins !== undefined) Atomics.add(this.#setting.joins, member.firstCore >>> 5, 1);
    for (const shard of this.#shards) shard.workerJoined(event, viewOfWorker(member));
    this.members.open(member);
    this.provisions.hostChanged(member);
    this.#settle();
    return { index: member.index, firstCore: member.firstCore, floor: member.floor, counted };
  }

  joinGateway(
    line: number,
    { name, nowMs }: { readonly name: string; readonly nowMs: number },
  ): { readonly asOf: number; readonly workers: readonly WorkerView[] } {
    this.gateways.set(line, { name, sinceMs: nowMs });
    this.provisions.gatewayJoined(name);
    return { asOf: this.#workerEvent, workers: [...this.members.joined()].map(viewOfWorker) };
  }

  name(version: NamedVersion): number {
    const index = this.names.name(version);
    if (index >= 0) this.provisions.named(index);
    this.#settle();
    return index;
  }

  keep(version: NamedVersion): number {
    const index = this.names.keep(version);
    this.#settle();
    return index;
  }

  // ---- told

  unname(index: number): void {
    this.names.unname(index);
  }

  hold(index: number): void {
    this.names.hold(index);
  }

  letGo(index: number): void {
    this.names.letGo(index);
  }

  ended(index: number): void {
    this.names.ended(index);
  }

  setConcurrency(functionKey: string, max: number): void {
    const index = this.names.functionIndex(functionKey);
    if (index >= 0) this.machine.setConcurrency(index, max);
    this.#settle();
  }

  provision(line: number, index: number, count: number): void {
    const gateway = this.gateways.get(line);
    const version = this.names.versionAt(index);
    if (gateway !== undefined && version !== undefined)
      this.provisions.set(index, version, { count, owner: gateway.name });
  }

  gatewayLeft(line: number, names: NameCounts): void {
    const gateway = this.gateways.get(line);
    if (gateway === undefined) return;
    this.gateways.delete(line);
    this.provisions.gatewayLeft(gateway.name);
    for (const [index, count] of names) for (let i = 0; i < count; i++) this.names.leave(index);
  }

  /** Its cores are absent: whatever was leased there has ended for us. */
  workerLeft(line: number): void {
    const member = this.members.on(line);
    if (member === undefined) return;
    this.members.leave(member);
    // What was granted there just now is told, and comes back, as any grant of a worker that is gone.
    this.#settle();
    this.#empty(member);
    this.provisions.hostChanged(member);
    const event = ++this.#workerEvent;
    for (const shard of this.#shards) shard.workerLeft(event, viewOfWorker(member));
    this.#settle();
  }

  withdraw(line: number, firstCore: number, bits: number): void {
    const member = this.members.on(line);
    if (member === undefined) return;
    this.members.withdraw(member, firstCore, bits);
    this.provisions.hostChanged(member);
    this.#settle();
  }

  endEarlier(line: number, core: number, warm: boolean): void {
    const member = this.members.on(line);
    const earlier = member?.earlier.get(core);
    if (member === undefined || earlier === undefined) return;
    member.earlier.delete(core);
    if (earlier.counted < 0) this.members.letGo(member, core, earlier.mask);
    else this.#release(core, earlier.counted, warm);
    this.#settle();
  }

  reported(line: number, index: number, own: Omit<ProvisionedSum, 'wanted'>): void {
    const member = this.members.on(line);
    if (member !== undefined) this.provisions.report(member, index, own);
  }

  warmed(line: number, index: number): void {
    const member = this.members.on(line);
    if (member === undefined) return;
    const own = shardOfLine(line);
    for (const [shard, port] of this.#shards.entries()) if (shard !== own) port.warmed(member.index, index);
  }

  evicted(line: number, index: number): void {
    const member = this.members.on(line);
    if (member === undefined) return;
    const own = shardOfLine(line);
    for (const [shard, port] of this.#shards.entries()) if (shard !== own) port.evicted(member.index, index);
  }

  probe(core: number, sequence: number): void {
    const line = this.members.at(this.machine.workerOf(core))?.line ?? null;
    if (line !== null) this.#shardOf(line).probe(core, sequence);
  }

  unreachable(core: number): void {
    const member = this.members.at(this.machine.workerOf(core));
    if (member === undefined || member.line === null || !this.unreached.report(member.index)) return;
    passOver(this.machine, member.index, true);
    this.#shardOf(member.line).doubted(member.index);
    this.#settle();
  }

  reached(line: number): void {
    const member = this.members.on(line);
    if (member !== undefined) this.unreached.heard(member.index);
  }

  closed(line: number, reason: string): void {
    this.closedCounts.set(reason, (this.closedCounts.get(reason) ?? 0) + 1);
    this.#lines.closed(line);
  }

  turned(shard: number, turn: number): void {
    this.#answered[shard] = turn;
    this.#turns.answered = Math.min(...this.#answered);
  }

  // ---- what becomes of a shard

  /** Its thread begins. What was asked of the one before it is not answered. */
  shardBegins(shard: number): void {
    this.turned(shard, this.#turns.asked);
  }

  /** Its thread has ended, and all its connections with it. */
  shardEnded(shard: number): void {
    for (const line of this.#lines.of(shard)) {
      this.workerLeft(line);
      this.gatewayLeft(line, []);
      this.closed(line, 'lost');
    }
  }

  // ---- leaves

  /** The next turn is asked for once all have answered the one before. */
  #askTurn(): void {
    const turns = this.#turns;
    if (turns.answered < turns.asked) return;
    turns.asked++;
    for (const shard of this.#shards) shard.answerTurn(turns.asked);
  }

  #superseded(line: number): void {
    this.workerLeft(line);
    this.#shardOf(line).close(line, CloseReason.superseded);
  }

  #renewed(greeting: Greeting, epoch: number): void {
    this.#setting.onRenewed?.(greeting, epoch);
    for (const shard of this.#shards) shard.renew(epoch);
  }

  #dropped(index: number, key: string): void {
    this.provisions.dropped(index);
    for (const shard of this.#shards) shard.dropped(index, key);
  }

  /**
   * Ends what is leased on a worker that is away, until all its cores are out. A shard that had claimed one before it was withdrawn is in the middle of
   * leasing it, and never waits there: so this waits for it a little. Whoever is not through by then is looked at again in the sweep, and the
   * worker does not join before that.
   */
  #empty(member: Member): void {
    for (let tries = 0; tries < EMPTY_TRIES && !this.members.isOut(member); tries++) {
      if (tries > 0) Atomics.wait(PAUSE, 0, 0, PAUSE_MS);
      this.#endAll(member);
    }
    this.#tellEnded();
  }

  #endAll(member: Member): void {
    const { leases } = this.machine;
    for (const core of coresOfMember(member))
      if (leases.isLeased(core)) this.#release(core, leases.sequence(core), false);
  }

  #release(core: number, sequence: number, warm: boolean): void {
    const { machine } = this;
    if (!machine.leases.holds(core, sequence)) return;
    const request = machine.leases.request(core);
    const version = machine.leases.version(core);
    if (!machine.release(core, sequence, warm)) return;
    if (request === this.nobody) this.names.ended(version);
    else this.#ended[Math.floor(request / this.#setting.requestsEach)]!.push(request, -1);
  }

  #tellEnded(): void {
    for (const [shard, ended] of this.#ended.entries())
      if (ended.length > 0) this.#shards[shard]!.endedElsewhere(Int32Array.from(ended.splice(0)));
  }

  /** Every call is followed by the grants that it caused, at this machine or at those that it tells. */
  #settle(): void {
    const { machine } = this;
    machine.settleBatch();
    if (!machine.isShared) for (const shard of this.#shards) shard.settle();
    else assert(machine.actions.count === 0, 'the control was granted something');
  }

  #shardOf(line: number): ShardPort {
    return this.#shards[shardOfLine(line)]!;
  }
}

function viewOfWorker({ name, host, port, life, firstCore, coreCount, extraSeatCount }: Member): WorkerView {
  return { name, host, port, life, firstCore, coreCount, extraSeatCount };
}
