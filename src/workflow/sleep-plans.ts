/** The sleep plans of a chain, for whoever shows them, and for the agents that its steps run at. */
import type { Chain } from '../store/store.ts';
import { chainPlan } from './machine/plan.ts';
import { type SleepPlan, sleepPlanOf } from './machine/sleep-plan.ts';

export type { SleepPlan, Waker, WakerKind } from './machine/sleep-plan.ts';

/** Of each step, in order. */
export function sleepPlansOf({ steps }: Pick<Chain, 'steps'>): readonly SleepPlan[] {
  const plan = chainPlan(steps);
  return plan.steps.map((_, step) => sleepPlanOf(plan, step));
}
