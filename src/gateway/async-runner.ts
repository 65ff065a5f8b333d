/** Runs the asynchronous invocations that the store holds: takes what is due, invokes it, keeps or removes it. */
import type { Clock } from '../base/clock.ts';
import { missingStep, stepNotFound } from '../store/chains.ts';
import type {
  AsyncInvocation,
  ChainProgress,
  ChainResume,
  EnqueuedInvocations,
  FunctionVersion,
  Store,
} from '../store/store.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { type AsyncLimits, type Attempt, type GiveUpReason, judge } from './async-policy.ts';
import type { ChainRequest, ChainResult, InvokeRequest, InvokeResult } from './platform.ts';

export interface AsyncRunnerDoors {
  readonly store: Pick<Store, 'getVersion'> & EnqueuedInvocations;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly log: Log;
  invoke(request: InvokeRequest, done: (result: InvokeResult) => void): void;
  invokeChain(request: ChainRequest, done: (result: ChainResult) => void): void;
}

/** setTimeout takes no more; a later look is taken then. */
const TIMER_MAX_MS = 2 ** 31 - 1;

export class AsyncRunner {
  readonly #doors: AsyncRunnerDoors;
  readonly #limits: AsyncLimits & { readonly concurrencyMax: number };
  #running = 0;
  #timer: NodeJS.Timeout | null = null;
  #stopped = false;
  #abandoned = false;

  constructor(doors: AsyncRunnerDoors, limits: AsyncLimits & { readonly concurrencyMax: number }) {
    this.#doors = doors;
    this.#limits = limits;
    doors.metrics.read('perch_async_queue_length', () => doors.store.asyncQueueLength());
  }

  /** Looks for work; called when something was enqueued, when something ended, and when something becomes due. */
  wake(): void {
    if (this.#stopped) return;
    const { store, clock } = this.#doors;
    const room = this.#limits.concurrencyMax - this.#running;
    if (room > 0) for (const invocation of store.takeDue(clock.wallMs(), room)) this.#run(invocation);
    this.#arm();
  }

  /** Takes no more. */
  stop(): void {
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  /** From now on the platform cuts short what runs: that is nobody's failed attempt, and it stays for the next start. */
  abandon(): void {
    this.stop();
    this.#abandoned = true;
  }

  #arm(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const dueMs = this.#doors.store.nextDueMs();
    // With every place taken, the end of one of them looks again.
    if (dueMs === null || this.#running >= this.#limits.concurrencyMax) return;
    const delayMs = Math.min(Math.max(0, dueMs - this.#doors.clock.wallMs()), TIMER_MAX_MS);
    this.#timer = setTimeout(() => this.wake(), delayMs);
  }

  #run(invocation: AsyncInvocation): void {
    const { chain } = invocation;
    if (chain !== undefined) return this.#runChain(invocation, chain);
    const { store } = this.#doors;
    const fn = store.getVersion(invocation.functionName, invocation.version);
    if (fn === null) return this.#giveUp(invocation, 'function-deleted', '');
    this.#running++;
    this.#doors.invoke(requestOf(invocation, fn), (result) => this.#ended(invocation, result, null));
  }

  #runChain(invocation: AsyncInvocation, chain: ChainProgress): void {
    const missing = missingStep(this.#doors.store, chain, chain.at);
    if (missing >= 0) return this.#giveUp(invocation, 'function-deleted', stepNotFound(chain, missing).message);
    this.#running++;
    const { id, payload, clientContext } = invocation;
    const request = { requestId: id, chain, payload, clientContext, traceId: '', tail: false };
    this.#doors.invokeChain(request, ({ result, step, input }) => {
      // What has run is not run again: it goes on with the step that ended it.
      const resume = step === chain.at ? null : { chain: { ...chain, at: step }, payload: input };
      this.#ended(invocation, result, resume);
    });
  }

  #ended(invocation: AsyncInvocation, result: InvokeResult, resume: ChainResume | null): void {
    this.#running--;
    this.#settle(invocation, result, resume);
    setImmediate(() => this.wake());
  }

  #settle(invocation: AsyncInvocation, result: InvokeResult, resume: ChainResume | null): void {
    const { store, clock, metrics } = this.#doors;
    const attempt = attemptOf(result);
    if (this.#abandoned && attempt !== 'response') return;
    const verdict = judge(attempt, invocation, clock.wallMs(), this.#limits);
    switch (verdict.kind) {
      case 'done':
        return this.#keep(store.done(invocation.id));
      case 'retry':
        metrics.counter('perch_async_retries_total', attempt).add();
        // Only then is it known when it is due.
        return this.#keep(
          store.retry(invocation.id, verdict.attempts, verdict.dueMs, resume ?? undefined).then(() => this.wake()),
        );
      case 'give-up':
        return this.#giveUp(invocation, verdict.reason, result.kind === 'refused' ? result.error.message : '');
    }
  }

  /** `error`: what it was refused with last; '' where it was not. */
  #giveUp(invocation: AsyncInvocation, reason: GiveUpReason, error: string): void {
    const { store, metrics, log } = this.#doors;
    metrics.counter('perch_async_dropped_total', reason).add();
    const details = { ...nameOf(invocation), requestId: invocation.id, reason, ...(error === '' ? {} : { error }) };
    log.warn(details, 'an asynchronous invocation was given up');
    this.#keep(store.done(invocation.id));
  }

  /** If the disk refuses, the invocation stays as it was and runs again after a restart: at least once. */
  #keep(written: Promise<void>): void {
    written.catch((error: unknown) =>
      this.#doors.log.error({ error: String(error) }, 'the asynchronous queue could not be written'),
    );
  }
}

function attemptOf(result: InvokeResult): Attempt {
  if (result.kind === 'error' && result.isLost === true) return 'lost';
  // Of a step: it was there when the chain began.
  if (result.kind === 'refused' && result.error.code === 'ResourceNotFoundException') return 'missing';
  return result.kind;
}

function nameOf({ functionName, chain }: AsyncInvocation): object {
  return chain === undefined ? { function: functionName } : { chain: chain.chainName };
}

function requestOf(invocation: AsyncInvocation, fn: FunctionVersion): InvokeRequest {
  return {
    requestId: invocation.id,
    fn,
    payload: invocation.payload,
    clientContext: invocation.clientContext,
    traceId: '',
    invokedArn: '',
    tail: false,
  };
}
