/**
 * A plan of steps, and one run through it. A chain is the simplest plan: each step leads to the next one.
 *
 *   begin(input) ──▶ invoke 0, ready 1       stepEnded(0, output) ──▶ invoke 1, ready 2       …       ──▶ done
 *
 * A run is pure: it never looks at a payload, and only says which step gets it.
 *
 * Invariants, checked by properties:
 * - at most one step runs, and it was told by exactly one `invoke`;
 * - a step is fed the output of the one before it, the first one the input;
 * - at most one `done`, and nothing after it; exactly one, unless the run was abandoned;
 * - `ready` names the step that the next `invoke` names, if there is a next one.
 *
 * Rejected: a list of names and a loop with `await`. What survives what, and what is readied when, could then be tried only
 * together with real functions.
 */
import { assert } from '../../base/assert.ts';

/** What is invoked: a version of a function. */
export interface PlanTarget {
  readonly functionName: string;
  /** '$LATEST', or a published one. */
  readonly version: string;
}

export interface PlanStep extends PlanTarget {
  /** The step that is fed its output, further down the plan; null: the output is that of the whole. */
  readonly next: number | null;
}

/** The first step is where it begins. */
export interface Plan {
  readonly steps: readonly PlanStep[];
}

export type StepOutcome<Payload> =
  | { readonly kind: 'output'; readonly payload: Payload }
  /** A function error, a refusal, whatever ends the run. */
  | { readonly kind: 'failed' };

export type PlanAction<Payload> =
  | { readonly kind: 'invoke'; readonly step: number; readonly payload: Payload }
  /** An instance of that step should be ready when its predecessor, which begins now, ends. */
  | { readonly kind: 'ready'; readonly step: number }
  /** `step`: the one that ended it. */
  | { readonly kind: 'done'; readonly step: number; readonly outcome: StepOutcome<Payload> };

export function chainPlan(targets: readonly PlanTarget[]): Plan {
  assert(targets.length > 0, 'a plan has at least one step');
  const steps = targets.map(({ functionName, version }, step) => {
    return { functionName, version, next: step + 1 < targets.length ? step + 1 : null };
  });
  return { steps };
}

/** Step numbers of a run that is between two steps, has not begun, or is over. */
const NONE = -1;

export class PlanRun<Payload> {
  readonly #plan: Plan;
  #step = NONE;
  #state: 'new' | 'running' | 'abandoned' | 'over' = 'new';

  constructor(plan: Plan) {
    const { steps } = plan;
    assert(steps.length > 0, 'a plan has at least one step');
    for (const [step, { next }] of steps.entries())
      assert(next === null || (next > step && next < steps.length), `step ${step} leads to ${next}`);
    this.#plan = plan;
  }

  /** The step that runs; -1: none. */
  get step(): number {
    return this.#step;
  }

  /** `from`: a run that ended there goes on. */
  begin(input: Payload, from = 0): readonly PlanAction<Payload>[] {
    assert(this.#state === 'new', 'a run begins once');
    this.#state = 'running';
    assert(from < this.#plan.steps.length, `there is no step ${from}`);
    return this.#invoke(from, input);
  }

  stepEnded(step: number, outcome: StepOutcome<Payload>): readonly PlanAction<Payload>[] {
    assert(step === this.#step, `step ${step} ended, and ${this.#step} runs`);
    this.#step = NONE;
    const isAbandoned = this.#state === 'abandoned';
    const { next } = this.#plan.steps[step]!;
    if (!isAbandoned && outcome.kind === 'output' && next !== null) return this.#invoke(next, outcome.payload);
    this.#state = 'over';
    return isAbandoned ? [] : [{ kind: 'done', step, outcome }];
  }

  /** Nobody waits for the result: what runs ends, no other step begins, and nothing is said of it. */
  abandon(): void {
    if (this.#state === 'running') this.#state = 'abandoned';
  }

  #invoke(step: number, payload: Payload): readonly PlanAction<Payload>[] {
    this.#step = step;
    const { next } = this.#plan.steps[step]!;
    const invoke = { kind: 'invoke', step, payload } as const;
    return next === null ? [invoke] : [invoke, { kind: 'ready', step: next }];
  }
}
