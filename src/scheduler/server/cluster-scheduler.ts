/** The scheduler of a cluster with one shard: the shard and the control call each other, and use one machine. */
import { assert } from '../../base/assert.ts';
import type { SchedulerLimits } from '../machine/limits.ts';
import { Scheduler } from '../machine/scheduler.ts';
import { Control } from './control.ts';
import type { Intake } from './intake.ts';
import type { Members } from './members.ts';
import type {
  Announcement,
  GatewayPort,
  GatewaySession,
  Place,
  WorkerPort,
  WorkerSession,
  WorkerSize,
} from './ports.ts';
import type { Greeting } from './shard-ports.ts';
import { Shard } from './shard.ts';
import type { VersionNames } from './version-names.ts';

export interface ClusterLimits extends SchedulerLimits {
  /** Sweeps for which a version is kept whose gateways have gone; 0 unless said otherwise. */
  readonly keptSweeps?: number;
  /** Sweeps in which workers are believed to be on their way still; 0 unless said otherwise. */
  readonly startSweeps?: number;
}

/** Of each machine: the bound of the queue is the intake's own, and one request more than there are is nobody's. */
export function machineLimits(limits: ClusterLimits, shardCount: number): SchedulerLimits {
  return { ...limits, requestCountMax: limits.requestCountMax * shardCount + 1, queueMax: limits.requestCountMax };
}

export class ClusterScheduler {
  readonly machine: Scheduler;
  readonly control: Control;
  readonly shard: Shard;

  constructor(limits: ClusterLimits, onRenewed?: (greeting: Greeting, epoch: number) => void) {
    const { epoch, queueMax, keptSweeps = 0, startSweeps = 0, requestCountMax: requestsEach } = limits;
    const machine = new Scheduler(machineLimits(limits, 1));
    const renewed = onRenewed === undefined ? {} : { onRenewed };
    const control = new Control(machine, { epoch, keptSweeps, requestsEach, shardCount: 1, ...renewed });
    this.machine = machine;
    this.control = control;
    this.shard = new Shard({ machine, control, epoch, requestsEach, queueMax, startSweeps, peers: [] });
    control.attach([this.shard]);
  }

  /** Which life of the scheduler this is, for all who join. */
  get epoch(): number {
    return this.control.epoch;
  }

  get names(): VersionNames {
    return this.control.names;
  }

  get members(): Members {
    return this.control.members;
  }

  get intake(): Intake {
    return this.shard.intake;
  }

  /** The listener has `turn` called, once what has come is read. */
  onCollected(listener: () => void): void {
    this.shard.onTurn(listener);
  }

  place(worker: WorkerSize): Place | string {
    return this.shard.place(worker);
  }

  joinWorker(line: WorkerPort, announcement: Announcement): WorkerSession | string {
    return this.shard.joinWorker(line, announcement);
  }

  joinGateway(port: GatewayPort, name = '', nowMs = 0): GatewaySession {
    return this.shard.joinGateway(port, name, nowMs);
  }

  turn(): void {
    this.shard.turn();
  }

  /** Once a second, by the shell's clock. */
  sweep(): void {
    this.control.sweep();
    this.shard.sweep();
  }

  /** Ten times a second. */
  tick(): void {
    this.control.tick();
  }

  stop(): void {
    this.shard.stop();
  }

  /** For tests: everything that must hold between two events. */
  checkInvariants(): void {
    const { machine, names, control, shard } = this;
    machine.checkInvariants();
    assert(machine.actions.count === 0, 'a grant was not carried out');
    checkRequests(control, [shard]);
    for (let version = 0; version < machine.limits.versionCountMax; version++) {
      const isNeeded = names.isNamed(version) || machine.versions.running(version) > 0 || names.isKept(version);
      assert(machine.versions.isSet(version) === isNeeded, `version ${version} is set: ${!isNeeded}`);
    }
    control.members.checkInvariants();
  }
}

/** For tests: each request has one place, and what gateways name is named. While nothing is on its way between shards. */
export function checkRequests({ machine, names, nobody }: Control, shards: readonly Shard[]): void {
  const leased = new Int32Array(shards.length);
  for (let core = 0; core < machine.cores.coreCountMax; core++) {
    const request = machine.leases.request(core);
    if (request >= 0 && request !== nobody) leased[shards.findIndex(({ requests }) => requests.isOwn(request))]! += 1;
  }
  for (const [at, { machine: own, requests, intake, gateways }] of shards.entries()) {
    const inUse = leased[at]! + own.queue.length + intake.collectedCount;
    assert(requests.inUse === inUse, `${requests.inUse} requests are in use, ${inUse} wait or hold a core`);
    for (const { versions } of gateways.values())
      for (const [index] of versions.counts()) assert(names.isNamed(index), `version ${index} is named, and dropped`);
  }
}
