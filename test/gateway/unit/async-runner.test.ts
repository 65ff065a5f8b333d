/** The asynchronous runner with the real embedded store, a clock that the test moves, and a door that it answers through. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { SimulatedClock } from '../../../src/base/clock.ts';
import { UserError } from '../../../src/base/errors.ts';
import { LIMITS } from '../../../src/base/limits.ts';
import { AsyncRunner } from '../../../src/gateway/async-runner.ts';
import type { ChainRequest, ChainResult, InvokeRequest, InvokeResult } from '../../../src/gateway/platform.ts';
import { stepNotFound } from '../../../src/store/chains.ts';
import { type EmbeddedStore, openEmbeddedStore } from '../../../src/store/embedded/embedded-store.ts';
import type { FunctionConfig } from '../../../src/store/store.ts';
import { createLog } from '../../../src/telemetry/log.ts';
import { Metrics } from '../../../src/telemetry/metrics.ts';
import { makeZip } from '../../lib/zip.ts';

const CONCURRENCY_MAX = 3;
const CONFIG = {
  runtime: 'nodejs24.x',
  handler: 'index.handler',
  memoryMb: 128,
  timeoutS: 3,
  layers: [],
} as Partial<FunctionConfig> as FunctionConfig;
const REFUSED: InvokeResult = { kind: 'refused', error: new UserError('TooManyRequestsException', 'Rate Exceeded.') };

/** A result of which the runner reads the kind alone. */
function result(kind: 'response' | 'error'): InvokeResult {
  return { kind } as InvokeResult;
}

interface Running {
  readonly request: InvokeRequest;
  readonly done: (result: InvokeResult) => void;
}

interface RunningChain {
  readonly request: ChainRequest;
  readonly done: (result: ChainResult) => void;
}

class Setting {
  readonly clock: SimulatedClock = new SimulatedClock(1_000_000);
  readonly metrics: Metrics = new Metrics();
  readonly #folder = mkdtempSync(path.join(tmpdir(), 'perch-async-'));
  store!: EmbeddedStore;
  runner!: AsyncRunner;
  running: Running[] = [];
  chains: RunningChain[] = [];
  invokeCount = 0;
  /** Answers at once with this, if it is set. */
  always: InvokeResult | null = null;

  static async make(context: TestContext): Promise<Setting> {
    const setting = new Setting();
    context.after(async () => {
      setting.runner.stop();
      await setting.store.close();
      rmSync(setting.#folder, { recursive: true, force: true });
    });
    await setting.start();
    return setting;
  }

  async start(): Promise<void> {
    this.running = [];
    this.chains = [];
    this.store = await openEmbeddedStore(this.#folder, { clock: this.clock, report: () => {} });
    const { store, clock, metrics } = this;
    this.runner = new AsyncRunner(
      {
        store,
        clock,
        metrics,
        log: createLog('silent'),
        invokeChain: (request, done) => void this.chains.push({ request, done }),
        invoke: (request, done) => {
          this.invokeCount++;
          if (this.always !== null) return done(this.always);
          this.running.push({ request, done });
          assert.ok(this.running.length <= CONCURRENCY_MAX, 'more at once than the limit');
        },
      },
      {
        retryMax: LIMITS.asyncRetryMax,
        retryDelaysMs: LIMITS.asyncRetryDelaysMs,
        ageMaxMs: LIMITS.asyncAgeMaxMs,
        refusedDelayMinMs: LIMITS.asyncRefusedDelayMinMs,
        refusedDelayMaxMs: LIMITS.asyncRefusedDelayMaxMs,
        concurrencyMax: CONCURRENCY_MAX,
      },
    );
  }

  async create(functionName: string, says: string): Promise<void> {
    const code = await this.store.putCode(await makeZip({ 'index.mjs': says }));
    assert.ok(!(code instanceof UserError));
    const made =
      this.store.getFunction(functionName) === null
        ? await this.store.createFunction({ functionName, config: CONFIG, code, tags: {}, publish: false })
        : await this.store.updateFunction({ functionName, code, publish: false });
    assert.ok(!(made instanceof UserError));
  }

  async enqueue(functionName: string): Promise<string> {
    const id = randomUUID();
    const nowMs = this.clock.wallMs();
    const refusal = await this.store.enqueue({
      id,
      functionName,
      version: '$LATEST',
      payload: Buffer.from('{}'),
      clientContext: '',
      acceptedMs: nowMs,
      attempts: 0,
      dueMs: nowMs,
    });
    assert.equal(refusal, null);
    this.runner.wake();
    return id;
  }

  /** Lets what was asked of the disk come back. Nothing else is written, so a write that waits behind it tells. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 3; turn++) {
      await this.store.setTags('f', (tags) => tags);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async pass(ms: number): Promise<void> {
    this.clock.advanceUs(ms * 1000);
    this.runner.wake();
    await this.settle();
  }

  async answer(with_: InvokeResult): Promise<InvokeRequest> {
    const next = this.running.shift();
    assert.ok(next !== undefined, 'nothing runs');
    next.done(with_);
    await this.settle();
    return next.request;
  }

  async restart(): Promise<void> {
    this.runner.stop();
    await this.store.close();
    await this.start();
    this.runner.wake();
  }
}

test('a function that fails is tried again after one minute and after two, and then given up', async (context) => {
  const setting = await Setting.make(context);
  await setting.create('f', '');
  const id = await setting.enqueue('f');
  for (const delayMs of LIMITS.asyncRetryDelaysMs) {
    assert.equal((await setting.answer(result('error'))).requestId, id);
    await setting.pass(delayMs - 1);
    assert.equal(setting.running.length, 0, 'tried before its time');
    await setting.pass(1);
    assert.equal(setting.running.length, 1, 'not tried in its time');
  }
  await setting.answer(result('error'));
  await setting.pass(LIMITS.asyncAgeMaxMs);
  assert.equal(setting.invokeCount, 3);
  assert.equal(setting.store.asyncQueueLength(), 0);
  assert.match(setting.metrics.text(), /perch_async_dropped_total\{reason="retries-exhausted"\} 1/);
});

test('a second try that is alone in the queue comes by itself', async (context) => {
  const setting = await Setting.make(context);
  await setting.create('f', '');
  const id = await setting.enqueue('f');
  await setting.answer({ kind: 'error', isLost: true } as InvokeResult);
  // Nobody wakes the runner; its own timer does, after as long as the store says.
  setting.clock.advanceUs(LIMITS.asyncRefusedDelayMinMs * 1000);
  for (let turn = 0; turn < 500 && setting.running.length === 0; turn++) await sleep(20);
  assert.equal((await setting.answer(result('response'))).requestId, id);
  assert.match(setting.metrics.text(), /perch_async_retries_total\{reason="lost"\} 1/);
  assert.equal(setting.store.asyncQueueLength(), 0);
});

test('what is refused is tried again for six hours, but not in a tight loop', async (context) => {
  const setting = await Setting.make(context);
  await setting.create('f', '');
  setting.always = REFUSED;
  await setting.enqueue('f');
  await setting.settle();
  await setting.settle();
  assert.equal(setting.invokeCount, 1, 'tried again although no time has passed');
  for (let minute = 0; minute <= 6 * 60; minute++) await setting.pass(60_000);
  assert.ok(setting.invokeCount > 60 && setting.invokeCount < 100, `tried ${setting.invokeCount} times`);
  assert.equal(setting.store.asyncQueueLength(), 0);
  assert.match(setting.metrics.text(), /perch_async_dropped_total\{reason="age-exceeded"\} 1/);
});

test('no more run at once than the limit, and all do', async (context) => {
  const setting = await Setting.make(context);
  await setting.create('f', '');
  const ids = new Set<string>();
  for (let count = 0; count < 10; count++) ids.add(await setting.enqueue('f'));
  for (let count = 0; count < 10; count++) ids.delete((await setting.answer(result('response'))).requestId);
  assert.equal(ids.size, 0);
  assert.equal(setting.store.asyncQueueLength(), 0);
});

test('across restarts each runs at least once, and what was done does not run again', async (context) => {
  const setting = await Setting.make(context);
  await setting.create('f', '');
  const done = await setting.enqueue('f');
  const cut = await setting.enqueue('f');
  const failed = await setting.enqueue('f');
  const waiting = await setting.enqueue('f');
  assert.equal((await setting.answer(result('response'))).requestId, done);
  setting.runner.abandon();
  for (const kind of ['error', 'refused'] as const) {
    const { request } = setting.running[0]!;
    assert.ok(request.requestId === cut || request.requestId === failed);
    await setting.answer(kind === 'refused' ? REFUSED : result(kind));
  }
  await setting.restart();
  const again: string[] = [];
  while (setting.running.length > 0) again.push((await setting.answer(result('response'))).requestId);
  assert.deepEqual(new Set(again), new Set([cut, failed, waiting]));
  assert.equal(again.length, 3);
  await setting.restart();
  assert.equal(setting.running.length, 0);
  assert.equal(setting.store.asyncQueueLength(), 0);
});

test('a response that comes while the platform ends counts, and so does a failed attempt before the cut', async (context) => {
  const setting = await Setting.make(context);
  await setting.create('f', '');
  await setting.enqueue('f');
  await setting.enqueue('f');
  setting.runner.stop();
  await setting.answer(result('error'));
  setting.runner.abandon();
  await setting.answer(result('response'));
  await setting.restart();
  assert.equal(setting.running.length, 0, 'the failed one is not due for a minute');
  assert.equal(setting.store.asyncQueueLength(), 1);
});

test('a second try runs the code of then; what belongs to a deleted function is gone', async (context) => {
  const setting = await Setting.make(context);
  await setting.create('f', 'first');
  await setting.create('g', 'other');
  await setting.enqueue('f');
  await setting.enqueue('g');
  await setting.enqueue('g');
  await setting.enqueue('g');
  const before = setting.running[0]!.request.fn;
  await setting.create('f', 'second');
  await setting.answer(result('error'));
  assert.equal(await setting.store.deleteFunction('g', null), null);
  // One was running, one was handed out or waited: neither comes back, whatever became of it.
  while (setting.running.length > 0) await setting.answer(result('error'));
  assert.equal(setting.store.asyncQueueLength(), 1);
  await setting.pass(LIMITS.asyncRetryDelaysMs[0]);
  const [again] = setting.running;
  assert.notEqual(again!.request.fn.code.sha256, before.code.sha256);
  assert.equal(again!.request.fn, setting.store.getVersion('f', '$LATEST'));
  await setting.answer(result('response'));
  assert.equal(setting.store.asyncQueueLength(), 0);
});

/** A chain in the queue; its steps are of function f. */
async function enqueueChain(setting: Setting, stepCount: number): Promise<string> {
  const step = { functionName: 'f', version: '$LATEST' };
  const steps = Array.from({ length: stepCount }, () => step);
  assert.ok(!((await setting.store.createChain({ chainName: 'c', steps })) instanceof UserError));
  const id = randomUUID();
  const nowMs = setting.clock.wallMs();
  const kept = { id, functionName: '', version: '', clientContext: '', acceptedMs: nowMs, attempts: 0, dueMs: nowMs };
  const chain = { chainName: 'c', steps, at: 0 };
  assert.equal(await setting.store.enqueue({ ...kept, chain, payload: Buffer.from('0') }), null);
  setting.runner.wake();
  return id;
}

function endChain(setting: Setting, of: InvokeResult, step: number, input: string): ChainRequest {
  const { request, done } = setting.chains.shift()!;
  done({ result: of, step, input: Buffer.from(input), records: [] });
  return request;
}

test('a chain that is put back goes on with the step that ended it, also after a restart', async (context) => {
  const setting = await Setting.make(context);
  await setting.create('f', '');
  const id = await enqueueChain(setting, 3);
  const seen: string[] = [];
  const see = ({ requestId, chain, payload }: ChainRequest): void => {
    assert.equal(requestId, id);
    seen.push(`${chain.at} ${payload.toString()}`);
  };
  see(endChain(setting, result('error'), 1, '"one"'));
  await setting.settle();
  await setting.pass(LIMITS.asyncRetryDelaysMs[0]!);
  see(endChain(setting, REFUSED, 2, '"two"'));
  await setting.settle();
  await setting.restart();
  await setting.pass(LIMITS.asyncRefusedDelayMaxMs);
  see(endChain(setting, result('response'), 2, '"two"'));
  await setting.settle();
  assert.deepEqual(seen, ['0 0', '1 "one"', '2 "two"']);
  assert.equal(setting.store.asyncQueueLength(), 0);
});

test('a chain has the retries of one invocation, whichever of its steps fails', async (context) => {
  const setting = await Setting.make(context);
  await setting.create('f', '');
  await enqueueChain(setting, 3);
  for (const [index, delayMs] of LIMITS.asyncRetryDelaysMs.entries()) {
    endChain(setting, result('error'), index, '0');
    await setting.settle();
    await setting.pass(delayMs);
  }
  endChain(setting, result('error'), 2, '0');
  await setting.settle();
  assert.equal(setting.store.asyncQueueLength(), 0);
  assert.match(setting.metrics.text(), /perch_async_dropped_total\{reason="retries-exhausted"\} 1/);
});

test('a chain whose function was deleted is given up', async (context) => {
  const setting = await Setting.make(context);
  await setting.create('f', '');
  await setting.create('g', '');
  await enqueueChain(setting, 2);
  endChain(setting, result('error'), 1, '0');
  await setting.settle();
  await setting.store.deleteFunction('f', null);
  await setting.pass(LIMITS.asyncRetryDelaysMs[0]!);
  assert.equal(setting.chains.length, 0);
  for (let turn = 0; turn < 100 && setting.store.asyncQueueLength() > 0; turn++) await sleep(5);
  assert.equal(setting.store.asyncQueueLength(), 0);
  assert.match(setting.metrics.text(), /perch_async_dropped_total\{reason="function-deleted"\} 1/);
});

test('a chain whose next function was deleted while it ran is given up at once', async (context) => {
  const setting = await Setting.make(context);
  await setting.create('f', '');
  await enqueueChain(setting, 2);
  await setting.store.deleteFunction('f', null);
  const { chain } = setting.chains[0]!.request;
  endChain(setting, { kind: 'refused', error: stepNotFound(chain, 1) }, 1, '"one"');
  for (let turn = 0; turn < 100 && setting.store.asyncQueueLength() > 0; turn++) await sleep(5);
  assert.equal(setting.store.asyncQueueLength(), 0);
  assert.match(setting.metrics.text(), /perch_async_dropped_total\{reason="function-deleted"\} 1/);
  assert.doesNotMatch(setting.metrics.text(), /perch_async_retries_total\{/);
  await setting.restart();
  assert.equal(setting.chains.length, 0);
});
