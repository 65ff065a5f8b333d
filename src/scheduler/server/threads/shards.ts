/**
 * The main thread of a scheduler with several shards: the control, and the threads. It has no connection and decides nothing of requests.
 *
 * A thread that throws has met a bug: the process ends, and the next scheduler's epoch begins. One that ends by itself leaves words that are
 * whole but for what it owned: everybody stands still, the reaper puts that right (machine/reaper.ts), and the shard is started again. Its
 * connections broke with it, and its nodes dial again.
 */
import { MessageChannel, type MessagePort, type Transferable, Worker } from 'node:worker_threads';
import type { Clock } from '../../../base/clock.ts';
import type { Log } from '../../../telemetry/log.ts';
import { Metrics } from '../../../telemetry/metrics.ts';
import { type SharedMemory, makeMemory } from '../../machine/memory.ts';
import { reap, silence, wakeAll } from '../../machine/reaper.ts';
import { Scheduler } from '../../machine/scheduler.ts';
import { type SharedInt32, sharedInt32 } from '../../machine/shared.ts';
import { whileAllStandStill } from '../../shards/pause.ts';
import { type ClusterLimits, machineLimits } from '../cluster-scheduler.ts';
import { newLife } from '../cluster-server.ts';
import { SWEEP_MS } from '../collected.ts';
import { Control } from '../control.ts';
import { warnOfEpochs } from '../one-shard.ts';
import { Rate } from '../rate.ts';
import { clusterMetrics, grantsTotal } from '../scheduler-metrics.ts';
import type { ShardReport } from '../shard-ports.ts';
import { TICK_MS } from '../unreached.ts';
import { type ClusterView, viewOfCluster } from '../view.ts';
import { Desk, type ThreadEvents } from './desk.ts';
import { Gathering } from './gathering.ts';
import type { ThreadData } from './messages.ts';
import { ShardStub } from './shard-stub.ts';

export interface ShardsSetting {
  readonly limits: ClusterLimits;
  readonly shardCount: number;
  /** Of this node. */
  readonly name: string;
  readonly clock: Clock;
  readonly log: Log;
  /** What each thread runs, and how it listens at this port; 0: any free one, for the first. */
  readonly entry: URL;
  door(port: number): unknown;
  /** A thread has met a bug. */
  failed(error: Error): void;
}

interface Thread {
  readonly worker: Worker;
  readonly desk: Desk;
  readonly generation: number;
  isStopped: boolean;
}

export class Shards {
  readonly control: Control;
  port = 0;
  readonly #setting: ShardsSetting;
  readonly #memory: SharedMemory;
  readonly #joins: SharedInt32;
  readonly #life = newLife();
  readonly #stubs: readonly ShardStub[];
  readonly #threads: (Thread | null)[];
  readonly #gathering: Gathering;
  readonly #metrics = new Metrics();
  readonly #rate: Rate;
  readonly #stopSweeping: () => void;
  readonly #stopTicking: () => void;
  #view: ClusterView | null = null;
  #isClosing = false;
  #isReaping = false;
  #onStopped: () => void = () => {};

  private constructor(setting: ShardsSetting) {
    const { limits, shardCount, clock, log } = setting;
    this.#setting = setting;
    this.#memory = makeMemory(limits, shardCount + 1);
    this.#joins = sharedInt32(Math.ceil(limits.coreCountMax / 32));
    const machine = new Scheduler(machineLimits(limits, shardCount), { memory: this.#memory, shard: shardCount });
    this.control = new Control(machine, {
      epoch: limits.epoch,
      keptSweeps: limits.keptSweeps ?? 0,
      requestsEach: limits.requestCountMax,
      shardCount,
      joins: this.#joins,
      onRenewed: warnOfEpochs(log),
    });
    this.#stubs = Array.from({ length: shardCount }, () => new ShardStub(new MessageChannel().port1));
    this.#threads = this.#stubs.map(() => null);
    this.control.attach(this.#stubs);
    this.#gathering = new Gathering((shard, id) => this.#stubs[shard]!.report(id));
    clusterMetrics(this.control, this.#metrics, () => this.#view!);
    this.#rate = new Rate(clock.nowUs());
    this.#stopSweeping = clock.every(SWEEP_MS, () => {
      this.#rate.look(grantsTotal(this.#memory), clock.nowUs());
      this.control.sweep();
    });
    this.#stopTicking = clock.every(TICK_MS, () => this.control.tick());
  }

  /** Throws what listening throws. */
  static async open(setting: ShardsSetting): Promise<Shards> {
    const shards = new Shards(setting);
    const ports = allPeers(setting.shardCount);
    try {
      shards.port = await shards.#begin(0, { peers: ports[0]! });
      await Promise.all(ports.slice(1).map((peers, at) => shards.#begin(at + 1, { peers })));
    } catch (error) {
      await shards.#terminate();
      throw error;
    }
    return shards;
  }

  revoke(fingerprints: readonly string[]): void {
    for (const stub of this.#stubs) stub.revoke(fingerprints);
  }

  /** Closes all connections; who waits is told to ask the next scheduler. */
  async close(): Promise<void> {
    this.#isClosing = true;
    const stopped = new Promise<void>((resolve) => (this.#onStopped = resolve));
    for (const stub of this.#stubs) stub.stop();
    await stopped;
    await this.#terminate();
  }

  /** For tests: ends the thread as if it had been killed. */
  async kill(shard: number): Promise<void> {
    await this.#threads[shard]!.worker.terminate();
  }

  async #terminate(): Promise<void> {
    this.#isClosing = true;
    this.#stopSweeping();
    this.#stopTicking();
    await Promise.all(this.#threads.map((thread) => thread?.worker.terminate() ?? Promise.resolve(0)));
  }

  /** Resolves with the port at which it listens. */
  #begin(
    shard: number,
    { peers, generation = 0, heldRequests = [] }: Pick<ThreadData, 'peers'> & Partial<ThreadData>,
  ): Promise<number> {
    const { limits, shardCount, name, entry } = this.#setting;
    const [asks, answers, pushes] = [new MessageChannel(), new MessageChannel(), new MessageChannel()];
    const answerCount = sharedInt32(1);
    const data: ThreadData = {
      shard,
      generation,
      limits: machineLimits(limits, shardCount),
      memory: this.#memory,
      requestsEach: limits.requestCountMax,
      queueMax: limits.queueMax,
      startSweeps: limits.startSweeps ?? 0,
      epoch: this.control.epoch,
      joins: this.#joins,
      joinsSeen: this.#joins.slice(),
      heldRequests,
      toMain: asks.port1,
      answers: answers.port1,
      answerCount,
      pushes: pushes.port1,
      peers,
      name,
      life: this.#life,
      door: this.#setting.door(this.port),
    };
    const moved: Transferable[] = [asks.port1, answers.port1, pushes.port1, ...peers.filter((port) => port !== null)];
    this.#stubs[shard]!.port = pushes.port2;
    this.control.shardBegins(shard);
    return new Promise((resolve, reject) => {
      const events = this.#eventsOf(shard, resolve, reject);
      const desk = new Desk(this.control, events);
      desk.serve(asks.port2, answers.port2, answerCount);
      const worker = new Worker(entry, { workerData: data, transferList: moved, name: `perch-shard-${shard}` });
      this.#threads[shard] = { worker, desk, generation, isStopped: false };
      worker.on('error', (error: Error) => {
        this.#setting.failed(error);
        reject(error);
      });
      worker.on('exit', () => this.#ended(shard));
    });
  }

  #eventsOf(shard: number, resolve: (port: number) => void, reject: (error: Error) => void): ThreadEvents {
    return {
      listening: resolve,
      notListening: ({ message, ...more }) => reject(Object.assign(new Error(message), more)),
      reportIs: (id, report) => this.#gathering.add(shard, id, report),
      wanted: (id, what) => {
        void this.#gathering.ask(this.#living()).then((reports) => {
          this.#stubs[shard]!.answered(id, this.#answer(what, reports));
        });
      },
      stopped: () => {
        this.#threads[shard]!.isStopped = true;
        if (this.#threads.every((thread) => thread?.isStopped ?? true)) this.#onStopped();
      },
    };
  }

  #answer(what: 'view' | 'metrics', reports: readonly ShardReport[]): object | string {
    this.#view = viewOfCluster(this.control, reports);
    if (what === 'metrics') return this.#metrics.text();
    return { ...this.#view, grantsPerSecond: this.#rate.perSecond };
  }

  #living(): readonly number[] {
    return [...this.#threads.keys()].filter((shard) => this.#threads[shard] !== null);
  }

  #ended(shard: number): void {
    const thread = this.#threads[shard];
    if (this.#isClosing || thread === null || thread === undefined) return;
    this.#threads[shard] = null;
    this.#gathering.gone(shard);
    this.#setting.log.error({ shard }, 'a shard has ended, and is started again');
    // Whoever has to stand still for the reaper is gone: nobody would go on.
    if (this.#isReaping) return this.#setting.failed(new Error(`the shards ${shard} and another have ended at once`));
    void this.#restart(shard, thread).catch((error: unknown) => this.#setting.failed(error as Error));
  }

  async #restart(shard: number, { desk, generation }: Thread): Promise<void> {
    this.#isReaping = true;
    silence(this.#memory, shard);
    desk.end(shard);
    const begun: Promise<number>[] = [];
    await whileAllStandStill(this.#memory, this.#living(), () => {
      if (this.#isClosing) return;
      const machine = new Scheduler(machineLimits(this.#setting.limits, this.#setting.shardCount), {
        memory: this.#memory,
        shard,
      });
      reap(machine);
      begun.push(
        this.#begin(shard, {
          peers: this.#newPeers(shard),
          generation: generation + 1,
          heldRequests: heldOf(machine),
        }),
      );
    });
    wakeAll(this.#memory, shard);
    this.#isReaping = false;
    await Promise.all(begun);
  }

  /** The others hear of theirs before they go on. */
  #newPeers(shard: number): readonly (MessagePort | null)[] {
    return this.#threads.map((thread, other) => {
      if (thread === null) return null;
      const { port1, port2 } = new MessageChannel();
      this.#stubs[other]!.peer(shard, port1);
      return port2;
    });
  }
}

/** Requests of the machine's shard that hold a core. */
function heldOf({ cores, leases, limits, shard, memory }: Scheduler): readonly number[] {
  const each = (limits.requestCountMax - 1) / (memory.shards.length - 1);
  const held: number[] = [];
  for (let core = 0; core < cores.coreCountMax; core++) {
    const request = leases.request(core);
    if (Math.floor(request / each) === shard) held.push(request);
  }
  return held;
}

/** A port between each two of them. */
function allPeers(shardCount: number): readonly (readonly (MessagePort | null)[])[] {
  const ports = Array.from({ length: shardCount }, () => new Array<MessagePort | null>(shardCount).fill(null));
  for (let shard = 0; shard < shardCount; shard++) {
    for (let other = shard + 1; other < shardCount; other++) {
      const { port1, port2 } = new MessageChannel();
      ports[shard]![other] = port1;
      ports[other]![shard] = port2;
    }
  }
  return ports;
}
