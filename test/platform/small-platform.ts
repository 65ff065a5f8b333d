/**
 * The whole way of an invocation behind the gateway, in this process: the real scheduler, dispatcher and agent with
 * their machines, under tiny limits, with the doors simulated: clock, sandbox, and a store that is a map.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { DEFAULT_ACCOUNT } from '../../src/base/arn.ts';
import { SimulatedClock } from '../../src/base/clock.ts';
import { Admission } from '../../src/gateway/admission.ts';
import { Dispatcher } from '../../src/gateway/dispatch.ts';
import type { InvokeRequest, InvokeResult } from '../../src/gateway/platform.ts';
import { LocalScheduler, seatSpaceOf } from '../../src/scheduler/server/local.ts';
import type { FunctionVersion, Store } from '../../src/store/store.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { Agent } from '../../src/worker/agent/agent.ts';
import { extraSeatCountOf, NO_SHARING, type SharingSetting } from '../../src/worker/agent/sharing-setting.ts';
import { findRuntime } from '../../src/worker/runtimes/index.ts';
import { FakeBackend, type FakeCell, type FakeInstance } from '../../src/worker/sandbox/fake/index.ts';
import { SafeBackend } from '../../src/worker/sandbox/safe.ts';
import { CellPlay, Play } from './plays.ts';
import { SmallObserver } from './small-observer.ts';
import { NO_LOGS, SmallCodes, SmallKnowledge, SmallStore, TIMEOUT_S } from './small-store.ts';

export const SMALL = {
  coreCount: 3,
  slotCount: 4,
  queueMax: 4,
  requestCountMax: 10,
  versionCountMax: 3,
  memoryMb: 384,
  timeoutS: TIMEOUT_S,
  initTimeoutMs: 5000,
  codeTimeoutMs: 20_000,
} as const;

type Limits = Readonly<Record<keyof typeof SMALL, number>>;

/** One invocation as its client sees it. */
export interface Ask {
  readonly requestId: string;
  readonly revision: string;
  readonly results: InvokeResult[];
  withdraw: () => void;
  withdrawn: boolean;
  runCount: number;
}

export class SmallPlatform {
  readonly clock: SimulatedClock = new SimulatedClock();
  readonly store: SmallStore = new SmallStore();
  readonly metrics: Metrics = new Metrics();
  readonly scheduler: LocalScheduler;
  readonly dispatcher: Dispatcher;
  /** Once it is open. */
  agent!: Agent;
  readonly observer: SmallObserver = new SmallObserver(this.clock);
  readonly knowledge: SmallKnowledge = new SmallKnowledge();
  readonly sharing: SharingSetting;
  readonly #limits: Limits;
  readonly codes: SmallCodes = new SmallCodes((codeDir) => this.#isShown(codeDir));
  /** Of living instances, oldest first. */
  plays: Play[] = [];
  /** Of living cells and zygotes. */
  cells: CellPlay[] = [];
  startCount = 0;
  readonly asks: Ask[] = [];
  readonly #asksById = new Map<string, Ask>();
  readonly #fake: FakeBackend;
  readonly #backend: SafeBackend;

  /** Without copies, every instance is a process of its own. */
  constructor(over: Partial<Limits> = {}, canCopy = false, sharing: SharingSetting = NO_SHARING) {
    const limits = { ...SMALL, ...over };
    const extraSeatCount = extraSeatCountOf(sharing, limits.coreCount);
    this.#limits = limits;
    this.sharing = sharing;
    const { clock, metrics } = this;
    const store = this.store as unknown as Store;
    const { requestCountMax } = limits;
    const playCell = (cell: FakeCell): void => void this.cells.push(new CellPlay(cell));
    this.#fake = new FakeBackend((instance) => this.#play(instance), canCopy ? playCell : null);
    this.#backend = new SafeBackend(this.#fake, limits.slotCount);
    this.scheduler = new LocalScheduler(
      {
        epoch: 1,
        coreCountMax: seatSpaceOf(limits.coreCount, extraSeatCount),
        workerCountMax: 1,
        functionCountMax: limits.versionCountMax,
        versionCountMax: limits.versionCountMax,
        requestCountMax,
        queueMax: limits.queueMax,
        overtakeMax: 2,
        warmHintMax: 2,
      },
      { coreCount: limits.coreCount, memoryMb: limits.memoryMb, extraSeatCount },
    );
    this.dispatcher = new Dispatcher(
      {
        seatCount: this.scheduler.seatCount,
        requestCountMax,
        versionCountMax: limits.versionCountMax,
        epoch: 1,
        memoryMb: limits.memoryMb,
      },
      {
        store,
        scheduler: this.scheduler,
        clock,
        metrics,
        admission: new Admission({ hostNetworkAllowed: true, findRuntime }),
      },
    );
  }

  async open(): Promise<void> {
    await this.#backend.open();
    // It asks whether there are copies when it is made.
    this.agent = this.#makeAgent();
    this.dispatcher.attach(this.agent);
    this.agent.start();
  }

  /** Null: there is no such function. */
  invoke(functionName: string): Ask | null {
    const fn = this.store.getVersion(functionName);
    return fn === null ? null : this.invokeVersion(fn);
  }

  /** Functions in order, each asked for as the result of the one before is told, as a chain does; one that is not there, or fails, ends it. */
  invokeChain(functionNames: readonly string[], sinceUs?: number): void {
    const [functionName, ...rest] = functionNames;
    const fn = functionName === undefined ? null : this.store.getVersion(functionName);
    if (fn === null) return;
    const acceptedUs = sinceUs ?? this.clock.nowUs();
    const place = sinceUs === undefined ? {} : { goesOn: true, sinceUs };
    const next = rest[0] === undefined ? null : this.store.getVersion(rest[0]);
    const plan = { sleepsOn: ['response', 'timer'] } as const;
    this.invokeVersion(fn, { ...plan, ...place, ...(next !== null && { next }) }, (result) => {
      if (result.kind === 'response') this.invokeChain(rest, acceptedUs);
    });
  }

  invokeVersion(
    fn: FunctionVersion,
    more: Partial<InvokeRequest> = {},
    onResult?: (result: InvokeResult) => void,
  ): Ask {
    const ask: Ask = {
      requestId: randomUUID(),
      revision: fn.revisionId,
      results: [],
      withdraw: () => {},
      withdrawn: false,
      runCount: 0,
    };
    this.asks.push(ask);
    this.#asksById.set(ask.requestId, ask);
    const { requestId } = ask;
    const request = {
      requestId,
      fn,
      payload: Buffer.from('{}'),
      clientContext: '',
      traceId: '',
      invokedArn: '',
      tail: true,
      ...more,
    };
    ask.withdraw = this.dispatcher.invoke(request, (result) => {
      assert.equal(ask.results.length, 0, 'a second result');
      assert.equal(ask.withdrawn && ask.runCount === 0 && result.kind === 'response', false, 'answered, and never ran');
      if (result.kind === 'response')
        assert.equal(
          result.payload.toString(),
          `${requestId} by ${fn.revisionId}`,
          'answered by another revision or for another request',
        );
      ask.results.push(result);
      onResult?.(result);
    });
    return ask;
  }

  /** Lets everything that is under way in this process arrive. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 6; turn++) await new Promise((resolve) => setImmediate(resolve));
    this.plays = this.plays.filter((play) => !play.ended);
    this.cells = this.cells.filter((cell) => !cell.ended);
  }

  check(): void {
    this.agent.checkInvariants();
    this.dispatcher.checkInvariants();
  }

  /** Of a sandbox that lives, or was asked for. */
  #isShown(codeDir: string): boolean {
    const { instances, cells } = this.#fake;
    return (
      instances.some((instance) => !instance.ended && instance.spec.codeDir === codeDir) ||
      cells.some((cell) => !cell.ended && cell.adopted?.codeDir === codeDir)
    );
  }

  /** After the agent has stopped: nothing lives, and no code is held, not even what comes too late. */
  async checkGone(): Promise<void> {
    const { instances, cells } = this.#fake;
    assert.equal(this.agent.residentCount, 0);
    assert.ok(
      [...instances, ...cells].every(({ ended }) => ended),
      'something lives',
    );
    this.codes.arriveAll();
    await this.settle();
    assert.equal(this.codes.heldCount, 0, 'code is held for nobody');
    assert.ok(
      [...instances, ...cells].every(({ ended }) => ended),
      'something lives again',
    );
  }

  /** Boots and answers whatever there is, until nothing waits or runs. */
  async answerAll(): Promise<void> {
    for (let round = 0; !this.dispatcher.isIdle; round++) {
      assert.ok(round < 100, 'something waits, and nothing comes of it');
      this.codes.arriveAll();
      for (const cell of this.cells) cell.goOn();
      for (const play of this.plays) {
        if (!play.ready) play.boot();
        play.answer();
      }
      await this.settle();
      this.check();
    }
  }

  /** Each has one result, or was withdrawn before it ran; nothing ran twice. */
  checkResults(): void {
    for (const ask of this.asks) {
      assert.ok(ask.runCount <= 1, 'an invocation ran twice');
      if (ask.withdrawn && ask.results.length === 0) assert.equal(ask.runCount, 0, 'it ran, and its result was lost');
      else assert.equal(ask.results.length, 1, 'no result');
    }
  }

  #makeAgent(): Agent {
    const limits = this.#limits;
    return new Agent(
      {
        topology: {
          cores: Array.from({ length: limits.coreCount }, (_, core) => [core]),
          platformCpus: [],
          known: false,
        },
        limits: {
          slotCount: limits.slotCount,
          versionCount: limits.versionCountMax,
          memoryMb: limits.memoryMb,
          initTimeoutMs: limits.initTimeoutMs,
          codeTimeoutMs: limits.codeTimeoutMs,
          responseBytesMax: 10_000,
          logLineBytesMax: 1000,
          logBytesPerInvocationMax: 2000,
          logTailBytesMax: 100,
          cellCount: 1,
          cellMemoryMb: 1,
          copiesAheadMax: 2,
        },
        account: DEFAULT_ACCOUNT,
        sharing: this.sharing,
      },
      {
        backend: this.#backend,
        codes: this.codes,
        clock: this.clock,
        logs: NO_LOGS,
        metrics: this.metrics,
        log: createLog('silent'),
        observe: (events) => this.observer.open(events),
        knowledge: this.knowledge,
      },
      {
        released: (core, sequence, warm) => this.dispatcher.released(core, sequence, warm),
        warmed: (versionIndex) => this.scheduler.warmed(versionIndex),
        evicted: (versionIndex) => this.scheduler.evicted(versionIndex),
        memoryAvailable: () => this.scheduler.memoryAvailable(),
        openSeat: (seat) => void this.scheduler.openSeat(seat),
        closeSeat: (seat) => void this.scheduler.closeSeat(seat),
      },
    );
  }

  #play(instance: FakeInstance): void {
    this.startCount++;
    assert.ok(this.codes.isHeld(instance.spec.codeDir), 'a sandbox shows code that nobody holds');
    const play: Play = new Play(instance, (requestId) => {
      const ask = this.#asksById.get(requestId);
      assert.ok(ask !== undefined, 'nobody asked for it');
      assert.equal(play.revision, ask.revision, 'it was given to an instance of another revision');
      ask.runCount++;
    });
    this.plays.push(play);
  }
}
