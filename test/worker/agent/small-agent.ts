/**
 * An agent under tiny limits with simulated sandboxes, and no scheduler: the test grants leases, good ones and bad ones. What is
 * told of an invocation has to be pinned to the CPUs of its lease at that moment, and no core may be another's until the release.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { DEFAULT_ACCOUNT } from '../../../src/base/arn.ts';
import { SimulatedClock } from '../../../src/base/clock.ts';
import { defaultConfig } from '../../../src/gateway/lambda/config.ts';
import type { Isolation } from '../../../src/store/settings.ts';
import type { FunctionVersion } from '../../../src/store/store.ts';
import { createLog } from '../../../src/telemetry/log.ts';
import { Metrics } from '../../../src/telemetry/metrics.ts';
import { Agent } from '../../../src/worker/agent/agent.ts';
import type { InvocationResult } from '../../../src/worker/agent/contract.ts';
import { FakeBackend } from '../../../src/worker/sandbox/fake/index.ts';
import { SafeBackend } from '../../../src/worker/sandbox/safe.ts';
import { CellPlay, Play } from '../../platform/plays.ts';
import { NO_LOGS, SmallCodes, TIMEOUT_S } from '../../platform/small-store.ts';

export const CORE_COUNT = 4;
const SLOT_COUNT = 10;
const BITS = Array.from({ length: 32 }, (_, bit) => bit);
/** Each version has its isolation. */
export const ISOLATIONS: readonly Isolation[] = ['reuse', 'fresh', 'process'];

export interface Ask {
  readonly requestId: string;
  readonly sequence: number;
  /** Its lead first; what is no lease has none of its own. */
  readonly cores: readonly number[];
  readonly results: InvocationResult[];
  readonly play: Play | null;
}

/** Two hardware threads for each core. */
function cpusOf(cores: readonly number[]): number[] {
  return cores.flatMap((core) => [2 * core, 2 * core + 1]);
}

export class SmallAgent {
  readonly clock: SimulatedClock = new SimulatedClock();
  readonly codes: SmallCodes = new SmallCodes(() => false);
  readonly metrics: Metrics = new Metrics();
  agent!: Agent;
  plays: Play[] = [];
  cells: CellPlay[] = [];
  readonly asks: Ask[] = [];
  /** By core: the lease that has it, until its release. */
  readonly held = new Map<number, Ask>();
  refusedCount = 0;
  severalCount = 0;
  readonly #byId = new Map<string, { play: Play | null; readonly ask: Ask }>();
  readonly #backend: SafeBackend;
  readonly #versions: FunctionVersion[] = [];

  constructor(canCopy: boolean) {
    const playCell = (cell: ConstructorParameters<typeof CellPlay>[0]): void =>
      void this.cells.push(new CellPlay(cell));
    const fake = new FakeBackend((instance) => this.#play(instance), canCopy ? playCell : null);
    this.#backend = new SafeBackend(fake, SLOT_COUNT);
  }

  async open(): Promise<void> {
    await this.#backend.open();
    const cores = Array.from({ length: CORE_COUNT }, (_, core) => cpusOf([core]));
    const limits = {
      slotCount: SLOT_COUNT,
      versionCount: ISOLATIONS.length,
      memoryMb: 1000,
      initTimeoutMs: 5000,
      codeTimeoutMs: 20_000,
      responseBytesMax: 10_000,
      logLineBytesMax: 1000,
      logBytesPerInvocationMax: 2000,
      logTailBytesMax: 100,
      cellCount: 1,
      cellMemoryMb: 1,
      copiesAheadMax: 2,
    };
    // Not known: else it would pin the process of the test.
    const setting = { topology: { cores, platformCpus: [], known: false }, limits, account: DEFAULT_ACCOUNT };
    const doors = {
      backend: this.#backend,
      codes: this.codes,
      clock: this.clock,
      logs: NO_LOGS,
      metrics: this.metrics,
    };
    this.agent = new Agent(
      setting,
      { ...doors, log: createLog('silent') },
      {
        released: (core, sequence) => this.#released(core, sequence),
        warmed: () => {},
        evicted: () => {},
        memoryAvailable: () => {},
      },
    );
    for (const [versionIndex, isolation] of ISOLATIONS.entries()) this.#deploy(versionIndex, isolation);
    this.agent.start();
  }

  /** `mask`: 0 or anything, a lease's or not. */
  assign(core: number, mask: number, versionIndex: number): Ask {
    const requestId = randomUUID();
    const cores = mask === 0 ? [core] : BITS.filter((bit) => ((mask >>> bit) & 1) === 1);
    const results: InvocationResult[] = [];
    const record = { play: null as Play | null, ask: null as unknown as Ask };
    const ask: Ask = {
      requestId,
      sequence: this.asks.length + 1,
      cores,
      results,
      get play() {
        return record.play;
      },
    };
    record.ask = ask;
    this.asks.push(ask);
    this.#byId.set(requestId, record);
    const isLease = cores[0] === core && cores.every((each) => each >= 0 && each < CORE_COUNT && !this.held.has(each));
    if (isLease) for (const each of cores) this.held.set(each, ask);
    const fn = this.#versions[versionIndex]!;
    const invocation = { requestId, versionIndex, fn, payload: Buffer.from('{}'), clientContext: '', traceId: '' };
    const more = { invokedArn: '', tail: false, queuedAt: -1, acceptedUs: this.clock.nowUs() };
    const done = (result: InvocationResult): void => this.#done(ask, result, isLease);
    this.agent.assign({ epoch: 1, core, sequence: ask.sequence, mask }, { ...invocation, ...more, done });
    return ask;
  }

  /** Lets everything that is under way in this process arrive. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 6; turn++) await new Promise((resolve) => setImmediate(resolve));
    this.plays = this.plays.filter((play) => !play.ended);
    this.cells = this.cells.filter((cell) => !cell.ended);
    this.agent.checkInvariants();
  }

  /** Boots and answers whatever there is, until no core is held. */
  async answerAll(): Promise<void> {
    for (let round = 0; this.held.size > 0; round++) {
      assert.ok(round < 100, 'something runs, and nothing comes of it');
      this.codes.arriveAll();
      for (const cell of this.cells) cell.goOn();
      for (const play of this.plays) {
        if (!play.ready) play.boot();
        play.answer();
      }
      await this.settle();
    }
  }

  async close(): Promise<void> {
    await this.agent.stop();
    await this.settle();
    assert.equal(this.held.size, 0, 'a core was never released');
    for (const { results } of this.asks) assert.equal(results.length, 1, 'not one result');
  }

  #done(ask: Ask, result: InvocationResult, isLease: boolean): void {
    ask.results.push(result);
    assert.equal(ask.results.length, 1, 'a second result');
    if (result.kind === 'refused') {
      this.refusedCount++;
      assert.equal(result.why === 'stale-lease', !isLease, `refused: ${result.why}`);
      if (isLease) for (const core of ask.cores) this.held.delete(core);
      return;
    }
    assert.ok(isLease, 'what is no lease was taken');
    if (ask.cores.length > 1) this.severalCount++;
    if (!('record' in result)) return;
    assert.deepEqual([result.record.core, result.record.coreCount], [ask.cores[0], ask.cores.length]);
  }

  #released(lead: number, sequence: number): void {
    const ask = this.held.get(lead);
    assert.ok(ask !== undefined && ask.sequence === sequence, 'a release of what is not held');
    assert.equal(ask.cores[0], lead, 'a release that does not name the lead');
    for (const core of ask.cores) {
      assert.equal(this.held.get(core), ask, `core ${core} was another's`);
      this.held.delete(core);
    }
  }

  #deploy(versionIndex: number, isolation: Isolation): void {
    const environment = { PERCH_ISOLATION: isolation };
    const config = { ...defaultConfig(), memoryMb: 128, timeoutS: TIMEOUT_S, environment };
    const code = { sha256: '', zipBytes: 0 };
    const functionName = `f${versionIndex}`;
    const fn = { functionName, version: '$LATEST', config, code, revisionId: randomUUID(), lastModifiedMs: 0 };
    this.#versions[versionIndex] = fn;
    this.agent.setVersion({ versionIndex, fn, isolation });
  }

  #play(instance: ConstructorParameters<typeof Play>[0]): void {
    const play: Play = new Play(instance, (requestId) => {
      const record = this.#byId.get(requestId);
      assert.ok(record !== undefined && record.play === null, 'nobody asked for it, or it runs twice');
      record.play = play;
      const { ask } = record;
      assert.ok(
        ask.cores.every((core) => this.held.get(core) === ask),
        'it runs on cores that are not its own',
      );
      // What has just ended is told too: nobody knows yet.
      const cpus = instance.ended ? cpusOf(ask.cores) : instance.pins.at(-1);
      assert.deepEqual(cpus, cpusOf(ask.cores), 'it runs elsewhere than on the cores of its lease');
    });
    this.plays.push(play);
  }
}
