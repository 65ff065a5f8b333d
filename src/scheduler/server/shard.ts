/**
 * A shard of the cluster's scheduler: its part of the machine, and those who are connected to it. Gateways ask and workers release, each over a
 * line of its own that may break at any moment; what frames carry is calls and ports here. Its shell calls `turn` and `sweep`.
 *
 * What a gateway was granted and does not start is found by asking the worker (`probe`): one that does not run the lease
 * refuses it from then on, and so the core may be granted to somebody else.
 */
import type { CloseReason } from '../../wire/cluster-frame.ts';
import { Grant } from '../machine/actions.ts';
import { forgetWorker } from '../machine/membership.ts';
import type { Scheduler } from '../machine/scheduler.ts';
import { type Gateway, Intake } from './intake.ts';
import { Leasing } from './leasing.ts';
import { LineNames } from './line-names.ts';
import { Mail, type PeerPort } from './mail.ts';
import { coreEndOf, isOwnCore, isOwnWord } from './members.ts';
import type {
  Announcement,
  Asking,
  GatewayPort,
  GatewaySession,
  Place,
  ProvisionedSum,
  WorkerPort,
  WorkerSize,
  WorkerSession,
  WorkerView,
} from './ports.ts';
import { noRequests, Requests } from './requests.ts';
import { type ControlPort, lineOf, type ShardPort, type ShardReport } from './shard-ports.ts';
import { Unheard } from './unheard.ts';
import type { NamedVersion } from './version-names.ts';

export interface ShardSetting {
  readonly machine: Scheduler;
  readonly control: ControlPort;
  /** Of this scheduler; the control says when it grows. */
  readonly epoch: number;
  readonly requestsEach: number;
  readonly queueMax: number;
  readonly startSweeps: number;
  /** The shards, this one among them; with one shard nothing is sent to them. */
  readonly peers: readonly PeerPort[];
  readonly begun?: Begun;
}

/** What a shard in a thread of its own begins with, which may be started again. */
export interface Begun {
  /** How often it was started before: no line has a name that one of before had. */
  readonly generation: number;
  /** For each worker how often it has joined, by its first word of cores; counted by the control before its cores are open. */
  readonly joins: Int32Array;
  /** The same, as far as this shard does not have to be told any more. */
  readonly joinsSeen: Int32Array;
  /** What holds a core for whoever asked before. */
  readonly heldRequests: readonly number[];
}

/** A worker whose line is here. */
interface WorkerHere {
  readonly line: number;
  readonly port: WorkerPort;
  readonly index: number;
  readonly firstCore: number;
  readonly coreCount: number;
  readonly extraSeatCount: number;
  /** What it runs from before it joined, by core: the sequence under which it knows the lease. */
  readonly earlier: Map<number, number>;
  /** A gateway could not reach it, and nothing was heard of what runs there since. */
  isDoubted: boolean;
}

const FRESH: Asking = { again: false, waitedMs: 0 };
/** Of one life of a shard. */
const LINE_COUNT_MAX = 2 ** 40;
const NOTHING = (): void => {};

export class Shard implements ShardPort {
  readonly machine: Scheduler;
  // The parts are there to be read, by views; only the shard changes them.
  readonly requests: Requests<Gateway>;
  readonly gateways: Map<number, Gateway> = new Map();
  readonly workers: Map<number, WorkerHere> = new Map();
  readonly intake: Intake;
  epoch: number;
  /** Grants that were told. */
  grantCount = 0;
  readonly #control: ControlPort;
  readonly #isShared: boolean;
  /** Its name towards gateways. */
  readonly #shard: number;
  readonly #mail: Mail;
  readonly #leasing: Leasing;
  readonly #unheard: Unheard;
  readonly #grant = new Grant();
  readonly #joins: Int32Array | null;
  /** As far as this shard was told. */
  readonly #joinsSeen: Int32Array;
  #onTurn = NOTHING;
  #nowMs: (() => number) | null = null;
  #isTimeTold = false;
  #isTurnAsked = false;
  #isTurning = false;
  #isSettling = false;
  #lineCount: number;
  #hearControl = NOTHING;
  #onClose: (line: number, reason: CloseReason) => void = NOTHING;
  #onRenew: (epoch: number) => void = NOTHING;

  constructor({ machine, control, epoch, requestsEach, queueMax, startSweeps, peers, begun }: ShardSetting) {
    this.machine = machine;
    this.epoch = epoch;
    this.#control = control;
    this.#isShared = machine.isShared;
    this.#shard = machine.shard;
    this.#mail = new Mail(peers, requestsEach);
    this.requests = new Requests(requestsEach, requestsEach * machine.shard);
    this.intake = new Intake({ machine, requests: this.requests, control, queueMax, startSweeps });
    this.intake.onCollected(() => this.#askTurn());
    const { requests, intake } = this;
    this.#leasing = new Leasing({ machine, control, requests, intake, mail: this.#mail });
    this.#unheard = new Unheard(machine.cores.coreCountMax);
    this.#joins = begun?.joins ?? null;
    this.#joinsSeen = begun?.joinsSeen ?? new Int32Array(machine.cores.coreCountMax >>> 5);
    this.#lineCount = (begun?.generation ?? 0) * LINE_COUNT_MAX;
    this.requests.hold(begun?.heldRequests ?? []);
  }

  // ---- what its shell does

  /** The listener has `turn` called, once what has come is read. */
  onTurn(listener: () => void): void {
    this.#onTurn = listener;
  }

  /** Asked once in each turn in which somebody asks for a core; ms of a clock that does not go back. */
  onTime(nowMs: () => number): void {
    this.#nowMs = nowMs;
  }

  /** For lines whose nodes have others by now, and for an epoch that has begun. */
  onClose(line: (line: number, reason: CloseReason) => void, renew: (epoch: number) => void): void {
    this.#onClose = line;
    this.#onRenew = renew;
  }

  /** `hear` carries out what the control has told and is on its way still. */
  onBehind(hear: () => void): void {
    this.#hearControl = hear;
  }

  newLine(): number {
    return lineOf(this.#shard, ++this.#lineCount);
  }

  /** The end of a turn in which something was collected, or may be of use to other shards. */
  turn(): void {
    this.#isTurnAsked = false;
    this.#isTimeTold = false;
    this.#isTurning = true;
    this.intake.turn();
    this.settle();
    while (this.#isShared) {
      this.machine.settleBatch();
      if (this.machine.actions.count === 0) break;
      this.settle();
    }
    this.#isTurning = false;
    this.#mail.send();
  }

  /** Once a second, by the shell's clock. */
  sweep(): void {
    this.intake.sweep();
    for (const worker of this.workers.values()) {
      this.#unheard.sweep(this.machine.leases, [worker.firstCore, coreEndOf(worker)], (core, sequence) =>
        worker.port.probe(core, sequence),
      );
    }
    if (this.#isShared) this.machine.forget();
    this.settle();
  }

  /** Whoever waits is told to ask the next scheduler, and so is who asks from now on. */
  stop(): void {
    this.#leasing.stop(this.gateways.values());
    this.settle();
  }

  report(): ShardReport {
    const running = this.#leasing.runningCounts();
    return {
      queueLength: this.machine.queue.length,
      collectedCount: this.intake.collectedCount,
      grantCount: this.grantCount,
      gateways: [...this.gateways.values()].map((gateway) => ({
        line: gateway.line,
        waiting: this.#leasing.waitingCount(gateway),
        running: running.get(gateway) ?? 0,
      })),
    };
  }

  /** Where its cores are, or were when it was here before: absent until it joins. A text says why it may not have any. */
  place(worker: WorkerSize): Place | string {
    return this.#control.place(worker);
  }

  /** A text says why it may not. */
  joinWorker(port: WorkerPort, announcement: Announcement, line: number = this.newLine()): WorkerSession | string {
    const joined = this.#control.joinWorker(line, announcement);
    if (typeof joined === 'string') return joined;
    const { index, firstCore, floor } = joined;
    const earlier = new Map(announcement.running.map(({ core, sequence }) => [firstCore + core, sequence]));
    const worker: WorkerHere = {
      line,
      port,
      index,
      firstCore,
      coreCount: announcement.coreCount,
      extraSeatCount: announcement.extraSeatCount ?? 0,
      earlier,
      isDoubted: false,
    };
    this.workers.set(index, worker);
    for (const core of joined.counted) this.#unheard.heard(firstCore + core, floor);
    return this.#workerSession(worker, floor);
  }

  joinGateway(port: GatewayPort, name = '', nowMs = 0, line: number = this.newLine()): GatewaySession {
    const { asOf, workers } = this.#control.joinGateway(line, { name, nowMs });
    const versions = new LineNames(this.#control);
    const gateway: Gateway = { line, port, ...noRequests(), versions, asOf };
    this.gateways.set(line, gateway);
    for (const worker of workers) port.workerJoined(worker);
    return this.#gatewaySession(gateway);
  }

  // ---- what the control tells it, and other shards do

  workerJoined(event: number, worker: WorkerView): void {
    this.#joinsSeen[worker.firstCore >>> 5]! += 1;
    for (const gateway of this.gateways.values()) if (gateway.asOf < event) gateway.port.workerJoined(worker);
  }

  workerLeft(event: number, worker: WorkerView): void {
    forgetWorker(this.machine, this.machine.workerOf(worker.firstCore));
    for (const gateway of this.gateways.values()) if (gateway.asOf < event) gateway.port.workerLeft(worker);
  }

  workerPlaced(): void {
    this.intake.workerPlaced();
  }

  dropped(index: number, key: string): void {
    for (const { port } of this.workers.values()) port.dropped(index, key);
  }

  provision(line: number, index: number, count: number, version: NamedVersion): void {
    for (const worker of this.workers.values()) if (worker.line === line) worker.port.provision(index, count, version);
  }

  provisioned(index: number, sum: ProvisionedSum): void {
    for (const { versions, port } of this.gateways.values()) if (versions.has(index)) port.provisioned(index, sum);
  }

  probe(core: number, sequence: number): void {
    if (this.machine.leases.holds(core, sequence))
      this.workers.get(this.machine.workerOf(core))?.port.probe(core, sequence);
  }

  endedElsewhere(requests: Int32Array): void {
    for (let at = 0; at < requests.length; at += 2) {
      const request = requests[at]!;
      const warmCore = requests[at + 1]!;
      const version = this.requests.version(request);
      const isWanted = warmCore >= 0 && this.requests.requester(request) !== null;
      // Here is where the version is asked for, so here it helps to know where it is warm.
      if (isWanted) this.machine.warmed(this.machine.workerOf(warmCore), version);
      this.#leasing.over(request, version);
    }
    this.settle();
  }

  noMemory(core: number, sequence: number): void {
    this.#leasing.noMemory(core, sequence);
    this.settle();
  }

  memoryAvailable(worker: number): void {
    this.machine.memoryAvailable(worker);
    this.settle();
  }

  warmed(worker: number, version: number): void {
    this.machine.warmed(worker, version);
    this.settle();
  }

  evicted(worker: number, version: number): void {
    this.machine.evicted(worker, version);
  }

  doubted(index: number): void {
    const worker = this.workers.get(index);
    if (worker !== undefined) worker.isDoubted = true;
  }

  close(line: number, reason: CloseReason): void {
    this.#onClose(line, reason);
  }

  renew(epoch: number): void {
    this.epoch = Math.max(this.epoch, epoch);
    this.#onRenew(epoch);
  }

  answerTurn(turn: number): void {
    this.#control.turned(this.#shard, turn);
  }

  /** Every event is followed by the grants that it caused. */
  settle(): void {
    if (this.#isSettling) return;
    const { machine, requests } = this;
    const grant = this.#grant;
    while (machine.takeGrant(grant)) {
      const { request } = grant;
      const gateway = requests.requester(request);
      requests.granted(request, grant.core, grant.sequence);
      if (gateway === null) {
        this.#leasing.release(grant.core, grant.sequence, false);
        continue;
      }
      if (this.#joins !== null) this.#catchUp(grant.core, this.#joins);
      this.grantCount++;
      gateway.port.granted(requests.number(request), grant, requests.wasQueued(request) ? this.#shard : -1);
    }
    // What others are to be told of goes with this turn, or there would be another one after each.
    if (this.#isShared && !this.#isTurning) this.#askTurn();
  }

  // ---- sessions

  #workerSession(worker: WorkerHere, floor: number): WorkerSession {
    const { machine, workers } = this;
    const control = this.#control;
    const { line, index, firstCore, earlier } = worker;
    const isHere = (): boolean => workers.get(index) === worker;
    const owns = (core: number): boolean => isOwnCore(worker, core) && isHere();
    const ended = (core: number, sequence: number, warm: boolean): boolean => {
      if (!owns(core)) return false;
      const isEarlier = earlier.size > 0 && earlier.has(core);
      const known = isEarlier
        ? this.#endEarlier(worker, core, { sequence, warm })
        : this.#leasing.release(core, sequence, warm);
      this.settle();
      return known;
    };
    return {
      firstCore,
      floor,
      release: (core, sequence, warm) => {
        const known = ended(core, sequence, warm);
        if (known) this.#believe(worker);
        return known;
      },
      noMemory: (core, sequence) => {
        const known = owns(core) && !earlier.has(core) && this.#leasing.noMemory(core, sequence);
        this.settle();
        return known;
      },
      fenced: (core, sequence) => ended(core, sequence, false),
      held: (core, sequence) => {
        if (!owns(core) || !machine.leases.holds(core, sequence)) return;
        this.#unheard.heard(core, sequence);
        this.#believe(worker);
      },
      memoryAvailable: () => {
        if (!isHere()) return;
        this.#mail.memoryAvailable(index);
        this.memoryAvailable(index);
      },
      withdraw: (first, bits) => {
        const known = isHere() && isOwnWord(worker, first, bits);
        if (known) control.withdraw(line, first, bits);
        return known;
      },
      warmed: (version) => {
        if (!isHere()) return;
        machine.warmed(index, version);
        control.warmed(line, version);
        this.settle();
      },
      evicted: (version) => {
        if (!isHere()) return;
        machine.evicted(index, version);
        control.evicted(line, version);
      },
      provisioned: (version, own) => {
        if (isHere()) control.reported(line, version, own);
      },
      name: (version) => control.keep(version),
      leave: () => {
        if (!isHere()) return;
        workers.delete(index);
        control.workerLeft(line);
      },
    };
  }

  #gatewaySession(gateway: Gateway): GatewaySession {
    const control = this.#control;
    const leasing = this.#leasing;
    const { versions, line } = gateway;
    return {
      name: (version) => versions.name(version),
      unname: (index, key) => versions.unname(index, key),
      setConcurrency: (functionKey, max) => control.setConcurrency(functionKey, max),
      provision: (version, count) => {
        if (versions.has(version)) control.provision(line, version, count);
        return versions.wasGiven(version);
      },
      request: (number, version, asking = FRESH) => {
        this.#tellTime();
        const isTaken = leasing.request(gateway, number, version, asking);
        this.settle();
        return isTaken;
      },
      cancel: (number) => {
        leasing.cancel(gateway, number);
        this.settle();
      },
      unstarted: (number, lease, why) => {
        leasing.unstarted(gateway, number, lease, why);
        this.settle();
      },
      leave: () => {
        if (!this.gateways.delete(line)) return;
        leasing.gatewayLeft(gateway);
        control.gatewayLeft(line, versions.counts());
        this.settle();
      },
    };
  }

  // ---- leaves

  #endEarlier(
    { line, earlier }: WorkerHere,
    core: number,
    { sequence, warm }: { sequence: number; warm: boolean },
  ): boolean {
    if (earlier.get(core) !== sequence) return false;
    earlier.delete(core);
    this.#control.endEarlier(line, core, warm);
    return true;
  }

  /** Something runs there, so somebody has reached it. */
  #believe(worker: WorkerHere): void {
    if (!worker.isDoubted) return;
    worker.isDoubted = false;
    this.#control.reached(worker.line);
  }

  /** What was granted may be on a worker of which the gateways here were not told yet. */
  #catchUp(core: number, joins: Int32Array): void {
    const home = this.machine.cores.homeOf(core);
    if (Atomics.load(joins, home) === this.#joinsSeen[home]!) return;
    this.#isSettling = true;
    this.#hearControl();
    this.#isSettling = false;
  }

  /** At the first request of a turn: later ones came within it. */
  #tellTime(): void {
    if (this.#isTimeTold || this.#nowMs === null) return;
    this.#isTimeTold = true;
    this.intake.tellTime(this.#nowMs());
    this.#askTurn();
  }

  #askTurn(): void {
    if (this.#isTurnAsked) return;
    this.#isTurnAsked = true;
    this.#onTurn();
  }
}
