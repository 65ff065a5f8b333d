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
import type { InvokeResult } from '../../src/gateway/platform.ts';
import { LocalScheduler } from '../../src/scheduler/server/local.ts';
import type { LogStore } from '../../src/store/logs.ts';
import type { FunctionConfig, FunctionVersion, Store } from '../../src/store/store.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { FRAME_HEADER_BYTES, FrameKind, INVOKE_FIXED_BYTES } from '../../src/wire/instance-frame.ts';
import { Agent } from '../../src/worker/agent/agent.ts';
import type { CodeSupply } from '../../src/worker/agent/contract.ts';
import { findRuntime } from '../../src/worker/runtimes/index.ts';
import { FakeBackend, type FakeInstance } from '../../src/worker/sandbox/fake/index.ts';
import { SafeBackend } from '../../src/worker/sandbox/safe.ts';

export const SMALL = {
  coreCount: 3,
  slotCount: 4,
  queueMax: 4,
  requestCountMax: 10,
  versionCountMax: 3,
  memoryMb: 384,
  timeoutS: 3,
  initTimeoutMs: 5000,
} as const;

const UUID_BYTES = 36;

/** The scripted instance, and what it was last asked to run. */
export class Play {
  readonly instance: FakeInstance;
  ready = false;
  ended = false;
  running: { requestId: string; sequence: number } | null = null;

  constructor(instance: FakeInstance, onInvoke: (requestId: string) => void) {
    this.instance = instance;
    instance.onEnd(() => (this.ended = true));
    let received: Buffer = Buffer.alloc(0);
    instance.channel.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      const end = received.length < FRAME_HEADER_BYTES ? Infinity : FRAME_HEADER_BYTES + received.readUInt32LE(0);
      if (received.length < end) return;
      const requestId = received.toString(
        'latin1',
        FRAME_HEADER_BYTES + INVOKE_FIXED_BYTES - UUID_BYTES,
        FRAME_HEADER_BYTES + INVOKE_FIXED_BYTES,
      );
      assert.ok(!instance.frozen, 'an instance that is frozen was given an invocation');
      assert.equal(this.running, null, 'an instance was given an invocation while it had one');
      this.running = { requestId, sequence: received.readUInt32LE(8) };
      received = received.subarray(end);
      onInvoke(requestId);
    });
  }

  /** Which revision of which function its environment says that it is. */
  get revision(): string {
    return /\](.*)$/.exec(this.instance.spec.env['AWS_LAMBDA_LOG_STREAM_NAME'] ?? '')?.[1] ?? '';
  }

  boot(): void {
    this.ready = true;
    this.send(FrameKind.ready, 0, '');
  }

  answer(kind: FrameKind = FrameKind.response, last = false): void {
    const { running } = this;
    if (running === null) return;
    this.running = null;
    this.send(kind, running.sequence, `${running.requestId} by ${this.revision}`, last);
  }

  send(kind: FrameKind, sequence: number, text: string, last = false): void {
    if (this.ended) return;
    const body = Buffer.from(text);
    const header = Buffer.alloc(FRAME_HEADER_BYTES);
    header.writeUInt32LE(body.length, 0);
    header[4] = kind;
    header[5] = last ? 1 : 0;
    header.writeUInt32LE(sequence, 8);
    this.instance.answers.write(Buffer.concat([header, body]));
  }
}

/** One invocation as its client sees it. */
export interface Ask {
  readonly requestId: string;
  readonly revision: string;
  readonly results: InvokeResult[];
  withdraw: () => void;
  withdrawn: boolean;
  runCount: number;
}

/** The part of a store that the way of an invocation asks. */
class SmallStore {
  readonly #functions = new Map<string, { latest: FunctionVersion; reservedConcurrency: number | null }>();
  readonly #listeners: ((functionName: string) => void)[] = [];

  put(functionName: string, memoryMb: number): void {
    const latest: FunctionVersion = {
      functionName,
      version: '$LATEST',
      config: {
        runtime: 'nodejs24.x',
        handler: 'index.handler',
        memoryMb,
        timeoutS: SMALL.timeoutS,
        environment: {},
      } as FunctionConfig,
      code: { sha256: '', zipBytes: 0 },
      revisionId: randomUUID(),
      lastModifiedMs: 0,
    };
    this.#functions.set(functionName, { latest, reservedConcurrency: this.concurrency(functionName) });
    this.#changed(functionName);
  }

  delete(functionName: string): void {
    this.#functions.delete(functionName);
    this.#changed(functionName);
  }

  setConcurrency(functionName: string, reservedConcurrency: number | null): void {
    const known = this.#functions.get(functionName);
    if (known === undefined) return;
    known.reservedConcurrency = reservedConcurrency;
    this.#changed(functionName);
  }

  #changed(functionName: string): void {
    for (const listener of this.#listeners) listener(functionName);
  }

  names(): string[] {
    return [...this.#functions.keys()];
  }

  concurrency(functionName: string): number | null {
    return this.#functions.get(functionName)?.reservedConcurrency ?? null;
  }

  listFunctions(): unknown {
    return { items: [...this.#functions.values()], nextMarker: null };
  }

  getFunction(functionName: string): unknown {
    return this.#functions.get(functionName) ?? null;
  }

  getVersion(functionName: string): FunctionVersion | null {
    return this.#functions.get(functionName)?.latest ?? null;
  }

  codeDir(): string {
    return '/code';
  }

  codeError(): null {
    return null;
  }

  onChange(listener: (functionName: string) => void): void {
    this.#listeners.push(listener);
  }
}

const NO_LOGS: LogStore = {
  append() {},
  tail: async () => '',
  follow: () => () => {},
  delete: async () => {},
  close: async () => {},
};

const CODES: CodeSupply = { acquire: () => ({ codeDir: '/code', layersDir: '' }), release: () => {} };

export class SmallPlatform {
  readonly clock: SimulatedClock = new SimulatedClock();
  readonly store: SmallStore = new SmallStore();
  readonly metrics: Metrics = new Metrics();
  readonly scheduler: LocalScheduler;
  readonly dispatcher: Dispatcher;
  readonly agent: Agent;
  /** Of living instances, oldest first. */
  plays: Play[] = [];
  startCount = 0;
  readonly asks: Ask[] = [];
  readonly #asksById = new Map<string, Ask>();
  readonly #backend: SafeBackend;

  constructor(over: Partial<Record<keyof typeof SMALL, number>> = {}) {
    const limits = { ...SMALL, ...over };
    const { clock, metrics } = this;
    const store = this.store as unknown as Store;
    const { requestCountMax } = limits;
    this.#backend = new SafeBackend(new FakeBackend((instance) => this.#play(instance)), limits.slotCount);
    this.scheduler = new LocalScheduler(
      {
        epoch: 1,
        coreCountMax: 32,
        workerCountMax: 1,
        functionCountMax: limits.versionCountMax,
        versionCountMax: limits.versionCountMax,
        requestCountMax,
        queueMax: limits.queueMax,
        overtakeMax: 2,
        warmHintMax: 2,
      },
      { coreCount: limits.coreCount, memoryMb: limits.memoryMb },
    );
    this.dispatcher = new Dispatcher(
      { coreCount: limits.coreCount, requestCountMax, versionCountMax: limits.versionCountMax, epoch: 1 },
      {
        store,
        scheduler: this.scheduler,
        clock,
        metrics,
        admission: new Admission({ hostNetworkAllowed: true, findRuntime }),
      },
    );
    this.agent = new Agent(
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
          responseBytesMax: 10_000,
          logLineBytesMax: 1000,
          logBytesPerInvocationMax: 2000,
          logTailBytesMax: 100,
          cellCount: 1,
          cellMemoryMb: 1,
          copiesAheadMax: 2,
        },
        account: DEFAULT_ACCOUNT,
      },
      { backend: this.#backend, codes: CODES, clock, logs: NO_LOGS, metrics, log: createLog('silent') },
      {
        released: (core, sequence, warm) => this.dispatcher.released(core, sequence, warm),
        evicted: (versionIndex) => this.scheduler.evicted(versionIndex),
        memoryAvailable: () => this.scheduler.memoryAvailable(),
      },
    );
    this.dispatcher.attach(this.agent);
  }

  open(): Promise<void> {
    return this.#backend.open();
  }

  /** Null: there is no such function. */
  invoke(functionName: string): Ask | null {
    const fn = this.store.getVersion(functionName);
    return fn === null ? null : this.invokeVersion(fn);
  }

  invokeVersion(fn: FunctionVersion): Ask {
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
    });
    return ask;
  }

  /** Lets everything that is under way in this process arrive. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 6; turn++) await new Promise((resolve) => setImmediate(resolve));
    this.plays = this.plays.filter((play) => !play.ended);
  }

  check(): void {
    this.agent.checkInvariants();
    this.dispatcher.checkInvariants();
  }

  /** Boots and answers whatever there is, until nothing waits or runs. */
  async answerAll(): Promise<void> {
    for (let round = 0; !this.dispatcher.isIdle; round++) {
      assert.ok(round < 100, 'something waits, and nothing comes of it');
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

  #play(instance: FakeInstance): void {
    this.startCount++;
    const play: Play = new Play(instance, (requestId) => {
      const ask = this.#asksById.get(requestId);
      assert.ok(ask !== undefined, 'nobody asked for it');
      assert.equal(play.revision, ask.revision, 'it was given to an instance of another revision');
      ask.runCount++;
    });
    this.plays.push(play);
  }
}
