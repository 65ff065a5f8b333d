/** A fuzzed cluster: its nodes, what connects them, and what they are asked for. One step is one event of the engine. */
import type { MachineLimits } from '../../gateway/cluster/machine/ports.ts';
import type { ClusterLimits } from '../../scheduler/server/cluster-scheduler.ts';
import { Random } from '../engine/random.ts';
import type { Arrival, FuzzCase } from './case.ts';
import { Functions } from './functions.ts';
import { GatewayHost } from './gateway-host.ts';
import { History } from './history.ts';
import type { Invocation } from './invocation.ts';
import { Net } from './net.ts';
import { SCHEDULER, SchedulerHost } from './scheduler-host.ts';
import { VirtualTime } from './time.ts';
import { WorkerHost } from './worker-host.ts';
import { exponentialOf } from './waits.ts';

const HISTORY_COUNT = 60;
const WORKER_SEATS_END = 64;
const VERSION_COUNT_MAX = 12;
const REDIAL_MIN_US = 500;
const REDIAL_MEAN_US = 60_000;
/** Of a connection that breaks: until a side hears of it, at most. */
const HEARD_US = 30_000;
/** Numbers of streams; the first are those of case.ts. */
const stream = { net: 16, nodes: 17, scheduler: 18 } as const;

export class FuzzWorld {
  readonly theCase: FuzzCase;
  readonly time: VirtualTime = new VirtualTime();
  readonly history: History;
  readonly net: Net;
  readonly functions: Functions;
  readonly invocations: Map<string, Invocation> = new Map();
  readonly workers: (WorkerHost | null)[] = [];
  readonly gateways: (GatewayHost | null)[] = [];
  scheduler: SchedulerHost;
  /** When something went wrong last. */
  lastFaultUs = -Infinity;
  /** Schedulers that believe they lead, and do not. */
  readonly #former: SchedulerHost[] = [];
  readonly #random: Random;
  readonly #schedulerRandom: Random;
  #lifeCount = 0;
  #epoch = 1;

  constructor(theCase: FuzzCase) {
    const { seed, delayUs, lateShare, lateUs, functions } = theCase;
    this.theCase = theCase;
    this.history = new History(HISTORY_COUNT, () => this.time.nowUs());
    this.net = new Net(this.time, new Random(seed, stream.net), { delayUs, lateShare, lateUs }, this.history);
    this.functions = new Functions(functions);
    this.#random = new Random(seed, stream.nodes);
    this.#schedulerRandom = new Random(seed, stream.scheduler);
    this.scheduler = this.#openScheduler();
    for (let at = 0; at < theCase.workers.length; at++) this.openWorker(at);
    for (let at = 0; at < theCase.gatewayCount; at++) this.openGateway(at);
    for (const arrival of theCase.arrivals) this.time.later(arrival.atUs, () => this.#arrive(arrival));
  }

  get heardUs(): number {
    return HEARD_US;
  }

  /** False: nothing is to come until then. */
  step(untilUs: number): boolean {
    this.history.step++;
    const isStepped = this.time.engine.step(untilUs);
    for (const each of this.schedulers()) each.hearBells();
    return isStepped;
  }

  nameOfWorker(at: number): string {
    return `worker-${at}`;
  }

  nameOfGateway(at: number): string {
    return `gateway-${at}`;
  }

  openWorker(at: number): void {
    const name = this.nameOfWorker(at);
    const { time, net, functions, invocations } = this;
    const host: WorkerHost = new WorkerHost(
      { name, life: ++this.#lifeCount, spec: this.theCase.workers[at]! },
      {
        time,
        net,
        functions,
        invocations,
        random: this.#random,
        shares: this.theCase.shares,
        redialUs: () => this.#redialUs(),
        gone: () => this.#stopped(at, host),
      },
    );
    this.workers[at] = host;
  }

  openGateway(at: number): void {
    const { time, net, functions, invocations, history } = this;
    const { requestCountMax } = this.theCase;
    const limits: MachineLimits = {
      requestCountMax,
      unaskedMax: Math.ceil(requestCountMax / 2),
      versionCountMax: VERSION_COUNT_MAX,
      coreEnd: this.theCase.workers.length * WORKER_SEATS_END,
      schedulerWaitTicks: 8,
      connectTicks: 4,
      lostTicks: 12,
      untoldTicks: 8,
    };
    this.gateways[at] = new GatewayHost(
      { name: this.nameOfGateway(at), life: ++this.#lifeCount, limits },
      { time, net, functions, invocations, history, redialUs: () => this.#redialUs() },
    );
  }

  killWorker(at: number): void {
    const host = this.workers[at] ?? null;
    if (host === null) return;
    this.workers[at] = null;
    host.die();
    this.net.crash(host.name, HEARD_US);
  }

  killGateway(at: number): void {
    const host = this.gateways[at] ?? null;
    if (host === null) return;
    this.gateways[at] = null;
    host.die();
    this.net.crash(host.name, HEARD_US);
  }

  /** `begins`: where its epoch is by the one before it. */
  replaceScheduler(begins: number): void {
    this.scheduler.die();
    this.#former.splice(0).forEach((each) => each.die());
    this.net.crash(SCHEDULER, HEARD_US);
    this.#begin(begins);
  }

  /** Those that are connected to the one that was there find the next one when their connections break; after that time it is gone. */
  addScheduler(begins: number, forUs: number): void {
    const former = this.scheduler;
    this.#former.push(former);
    for (const end of former.ends()) this.time.later(this.#random.unit() * forUs, () => this.net.cut(end, HEARD_US));
    this.time.later(forUs, () => {
      if (!this.#former.includes(former)) return;
      this.#former.splice(this.#former.indexOf(former), 1);
      former.die();
      for (const end of former.ends()) this.net.cut(end, HEARD_US);
    });
    this.#begin(begins);
  }

  /** All that live. */
  schedulers(): readonly SchedulerHost[] {
    return [this.scheduler, ...this.#former];
  }

  #begin(begins: number): void {
    this.#epoch = Math.max(1, this.scheduler.epoch + begins);
    this.scheduler = this.#openScheduler();
  }

  /** What is not over, in words. */
  pending(): string[] {
    const { workers, gateways } = this;
    return [
      ...workers.flatMap((worker, at) => worker?.pending() ?? [`${this.nameOfWorker(at)} is not there`]),
      ...gateways.flatMap((gateway, at) => gateway?.pending() ?? [`${this.nameOfGateway(at)} is not there`]),
      ...this.#pendingAtScheduler(),
    ];
  }

  #pendingAtScheduler(): string[] {
    const { shards } = this.scheduler.parts;
    const pending = this.scheduler.isQuiet ? [] : ['something is on its way between shards'];
    const { leasedCount } = shards[0]!.machine;
    if (leasedCount > 0) pending.push(`the scheduler counts ${leasedCount} cores as leased`);
    for (const [at, { machine, intake }] of shards.entries())
      if (machine.queue.length + intake.collectedCount > 0)
        pending.push(
          `shard ${at}: ${machine.queue.length} requests wait, and ${intake.collectedCount} are to be asked for`,
        );
    return pending;
  }

  #arrive({ gateway: at, version, cancelUs, ...arrival }: Arrival): void {
    const gateway = this.gateways[at] ?? null;
    const invocation = gateway?.invoke(version, arrival) ?? null;
    if (invocation === null) return;
    this.history.add(() => `${gateway!.name} accepts ${invocation.name} of version ${version}`);
    if (cancelUs > 0) this.time.later(cancelUs, () => gateway!.withdraw(invocation));
  }

  #stopped(at: number, host: WorkerHost): void {
    if (this.workers[at] !== host) return;
    host.die();
    this.net.crash(host.name, HEARD_US);
    this.openWorker(at);
  }

  #openScheduler(): SchedulerHost {
    const { workers, queueMax, overtakeMax, firstSequence, shardCount, bellUs, requestCountMax, gatewayCount } =
      this.theCase;
    const limits: ClusterLimits = {
      epoch: this.#epoch,
      coreCountMax: workers.length * WORKER_SEATS_END,
      workerCountMax: workers.length,
      functionCountMax: VERSION_COUNT_MAX,
      versionCountMax: VERSION_COUNT_MAX,
      // Those of a gateway that is gone count for a while, beside those of the one after it.
      requestCountMax: requestCountMax * gatewayCount * 3,
      queueMax,
      overtakeMax,
      warmHintMax: 3,
      firstSequence,
      keptSweeps: 2,
      startSweeps: 2,
    };
    const host = new SchedulerHost({ limits, shardCount, bellUs }, this.time, this.#schedulerRandom);
    host.listen(this.net);
    return host;
  }

  #redialUs(): number {
    return REDIAL_MIN_US + exponentialOf(this.#random) * REDIAL_MEAN_US;
  }
}
