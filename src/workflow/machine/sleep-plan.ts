/**
 * The sleep plan of a step: what its instance may sleep on, what wakes it, and what comes next. Written from the plan that the step is
 * part of, so it is *directed* knowledge: the agent may believe it without having seen anything (Tell me when you are sleepy and what
 * may wake you up!, SoCC '21, calls it contextual information).
 */
import type { Plan } from './plan.ts';

/**
 * - `output`: it is readied and its predecessor runs; the output of that step wakes it, on the core that the predecessor ends on.
 * - `response`: it has asked somebody and waits; what comes back on its sockets wakes it.
 * - `timer`: it waits for time to pass. Such wake-ups may be put off a little, and come together.
 */
export type WakerKind = 'output' | 'response' | 'timer';

export interface Waker {
  readonly kind: WakerKind;
  /** Of `output`: the steps any of which may wake it. */
  readonly steps: readonly number[];
  /** It may be woken somewhat later than it asked for. */
  readonly mayWait: boolean;
}

export interface SleepPlan {
  readonly step: number;
  readonly functionName: string;
  readonly version: string;
  /** Before it has its input: asleep from the moment it is readied. None: it begins with its input, and is not readied. */
  readonly before: Waker | null;
  /** From its input to its answer. */
  readonly during: readonly Waker[];
  /** The step that its answer wakes, which takes over its core; null: the core is free then. */
  readonly next: number | null;
}

const RESPONSE: Waker = { kind: 'response', steps: [], mayWait: false };
const TIMER: Waker = { kind: 'timer', steps: [], mayWait: true };

export function sleepPlanOf(plan: Plan, step: number): SleepPlan {
  const { functionName, version, next } = plan.steps[step]!;
  const predecessors = plan.steps.flatMap((each, index) => (each.next === step ? [index] : []));
  const before: Waker | null =
    predecessors.length === 0 ? null : { kind: 'output', steps: predecessors, mayWait: false };
  return { step, functionName, version, before, during: [RESPONSE, TIMER], next };
}
