/**
 * Runs chains: carries out what the plan says (machine/plan.ts), one invocation a step, through the same door as every other invocation.
 *
 * So a step waits, is refused, times out and loses its worker as an invocation does, and whatever ends it ends the chain. What has run is
 * not undone, and not run again: an asynchronous chain that is put back goes on with the step that ended it.
 */
import type { Clock } from '../base/clock.ts';
import { UserError } from '../base/errors.ts';
import { LIMITS } from '../base/limits.ts';
import type {
  ChainRequest,
  ChainResult,
  Dispatch,
  InvokeRequest,
  InvokeResult,
  StepRecord,
} from '../gateway/platform.ts';
import { missingStep, stepNotFound, stepText } from '../store/chains.ts';
import type { ChainProgress, FunctionVersion, Store } from '../store/store.ts';
import type { Counter, Metrics } from '../telemetry/metrics.ts';
import { chainPlan, type Plan, type PlanAction, PlanRun, type StepOutcome } from './machine/plan.ts';
import { sleepPlanOf } from './machine/sleep-plan.ts';
import { stepRequestId } from './request-id.ts';

export interface ChainDoors {
  readonly store: Pick<Store, 'getVersion'>;
  readonly dispatch: Pick<Dispatch, 'invoke'>;
  readonly clock: Clock;
  readonly metrics: Metrics;
}

type Outcome = 'response' | 'error' | 'refused' | 'withdrawn';
const OUTCOMES: readonly Outcome[] = ['response', 'error', 'refused', 'withdrawn'];

/** What steps of all runs share. */
interface Common extends ChainDoors {
  readonly steps: Counter;
  readonly between: { record(us: number): void };
  ended(outcome: Outcome): void;
}

export class ChainRunner {
  readonly #common: Common;

  constructor(doors: ChainDoors) {
    const { metrics } = doors;
    const counters = new Map(
      OUTCOMES.map((outcome) => [outcome, metrics.counter('perch_chain_invocations_total', outcome)]),
    );
    this.#common = {
      ...doors,
      steps: metrics.counter('perch_chain_steps_total'),
      between: metrics.histogram('perch_chain_between_seconds'),
      ended: (outcome) => counters.get(outcome)!.add(),
    };
  }

  /**
   * `done` is called exactly once, perhaps before this returns; or never, where the function returned was called first and had something
   * to withdraw.
   */
  run(request: ChainRequest, done: (result: ChainResult) => void): () => void {
    const { chain } = request;
    // Nothing runs of a chain that cannot end.
    const missing = missingStep(this.#common.store, chain, chain.at);
    if (missing >= 0) {
      this.#common.ended('refused');
      const result: InvokeResult = { kind: 'refused', error: stepNotFound(chain, missing) };
      done({ result, step: missing, input: request.payload, records: [] });
      return () => {};
    }
    const running = new RunningChain(this.#common, request, done);
    running.begin();
    return () => running.withdraw();
  }
}

class RunningChain {
  readonly #common: Common;
  readonly #request: ChainRequest;
  readonly #done: (result: ChainResult) => void;
  readonly #plan: Plan;
  readonly #run: PlanRun<Buffer>;
  readonly #records: StepRecord[] = [];
  /** Of the step that runs, or ended last. */
  #input: Buffer;
  /** Of the step that ended last. */
  #result: InvokeResult | null = null;
  #withdrawStep: (() => void) | null = null;
  /** Since when it counts as waiting: its acceptance, or when it went behind the others. */
  #sinceUs: number;
  #inRow = 0;
  #isWithdrawn = false;
  #isOver = false;

  constructor(common: Common, request: ChainRequest, done: (result: ChainResult) => void) {
    this.#common = common;
    this.#request = request;
    this.#done = done;
    this.#input = request.payload;
    this.#sinceUs = common.clock.nowUs();
    this.#plan = chainPlan(request.chain.steps);
    this.#run = new PlanRun(this.#plan);
  }

  begin(): void {
    this.#carryOut(this.#run.begin(this.#request.payload, this.#request.chain.at));
  }

  /** Nobody waits for it any more: a step that waits for a core is withdrawn, one that runs is the last. */
  withdraw(): void {
    if (this.#isOver || this.#isWithdrawn) return;
    this.#isWithdrawn = true;
    this.#run.abandon();
    this.#common.ended('withdrawn');
    this.#withdrawStep?.();
  }

  #carryOut(actions: readonly PlanAction<Buffer>[]): void {
    const ready = actions.find((action) => action.kind === 'ready');
    for (const action of actions) {
      if (action.kind === 'invoke') this.#invoke(action.step, action.payload, ready?.step ?? null);
      else if (action.kind === 'done') this.#end(action.step);
    }
  }

  /** `next`: the step to be readied while this one runs. */
  #invoke(step: number, payload: Buffer, next: number | null): void {
    const { store, dispatch } = this.#common;
    const { requestId, chain, clientContext, traceId, tail } = this.#request;
    this.#input = payload;
    const target = chain.steps[step]!;
    const fn = store.getVersion(target.functionName, target.version);
    // It was there when the chain began.
    if (fn === null) return this.#refuse(step, stepNotFound(chain, step));
    if (payload.length > LIMITS.payloadBytesMax) return this.#refuse(step, tooLarge(chain, step, payload.length));
    this.#withdrawStep = null;
    const request = {
      requestId: stepRequestId(requestId, step),
      fn,
      payload,
      clientContext,
      traceId,
      invokedArn: '',
      // Any of them may be the one that ends it.
      tail,
      sleepsOn: sleepPlanOf(this.#plan, step).during.map(({ kind }) => kind),
      ...this.#place(step),
      ...this.#next(next),
    };
    const withdraw = dispatch.invoke(request, (result) => this.#stepEnded(step, named(result, chain, step)));
    if (this.#run.step === step) this.#withdrawStep = withdraw;
  }

  /** Where a step goes among those who wait for a core. */
  #place(step: number): Pick<InvokeRequest, 'goesOn' | 'sinceUs' | 'usedUs'> {
    if (step === this.#request.chain.at) return { goesOn: step > 0 };
    if (++this.#inRow > LIMITS.chainStepsInRowMax) {
      this.#inRow = 0;
      this.#sinceUs = this.#common.clock.nowUs();
    }
    const usedUs = this.#records.reduce((sum, { record }) => sum + record.runUs, 0);
    return { goesOn: true, sinceUs: this.#sinceUs, usedUs };
  }

  #next(step: number | null): Pick<InvokeRequest, 'next' | 'afterNext'> {
    const next = step === null ? null : this.#versionOf(step);
    if (step === null || next === null) return {};
    const following = this.#plan.steps[step]!.next;
    const afterNext = following === null ? null : this.#versionOf(following);
    return afterNext === null ? { next } : { next, afterNext };
  }

  #versionOf(step: number): FunctionVersion | null {
    const { functionName, version } = this.#request.chain.steps[step]!;
    return this.#common.store.getVersion(functionName, version);
  }

  #refuse(step: number, error: UserError): void {
    this.#stepEnded(step, { kind: 'refused', error });
  }

  #stepEnded(step: number, result: InvokeResult): void {
    this.#result = result;
    this.#withdrawStep = null;
    if (result.kind !== 'refused') {
      const { record } = result;
      const betweenUs = record.queuedUs + record.startUs;
      this.#records.push({ record, betweenUs });
      this.#common.steps.add();
      if (step > 0) this.#common.between.record(betweenUs);
    }
    const outcome: StepOutcome<Buffer> =
      result.kind === 'response' ? { kind: 'output', payload: result.payload } : { kind: 'failed' };
    this.#carryOut(this.#run.stepEnded(step, outcome));
  }

  #end(step: number): void {
    this.#isOver = true;
    const result = this.#result!;
    this.#common.ended(result.kind);
    this.#done({ result, step, input: this.#input, records: this.#records });
  }
}

/** Which step is refused is part of what its caller is told. */
function named(result: InvokeResult, chain: ChainProgress, step: number): InvokeResult {
  if (result.kind !== 'refused') return result;
  const { code, message, reason } = result.error;
  return { kind: 'refused', error: new UserError(code, `Step ${where(chain, step)}: ${message}`, reason) };
}

function where({ chainName, steps }: ChainProgress, step: number): string {
  return `${step + 1} of chain '${chainName}' (${stepText(steps[step]!)})`;
}

function tooLarge(chain: ChainProgress, step: number, bytes: number): UserError {
  const message =
    `Step ${where(chain, step)}: The output of step ${where(chain, step - 1)} has ${bytes} bytes; ` +
    `a step takes at most ${LIMITS.payloadBytesMax}.`;
  return new UserError('RequestTooLargeException', message);
}
