/** Calls of a short function beside a burst, in an open loop: each has its moment, and is timed from it, however late it is sent. */
import { setTimeout as sleep } from 'node:timers/promises';
import { quantile } from './metrics.ts';
import type { ExperimentPlatform } from './platform.ts';

const FUNCTION_NAME = 'sleepy-short';

/** Microseconds; all 0 where none were asked for. */
export interface ShortCalls {
  readonly shortCount: number;
  readonly shortP50Us: number;
  readonly shortP99Us: number;
  /** Not answered, by whatever refusal. */
  readonly shortRefusedCount: number;
}

const NO_SHORT_CALLS: ShortCalls = { shortCount: 0, shortP50Us: 0, shortP99Us: 0, shortRefusedCount: 0 };

/** Calls until `isOver`; answers once every call has ended. */
export async function callShort(
  platform: ExperimentPlatform,
  perSecond: number,
  isOver: () => boolean,
): Promise<ShortCalls> {
  if (perSecond === 0) return NO_SHORT_CALLS;
  const latenciesUs: number[] = [];
  let refused = 0;
  const calls: Promise<void>[] = [];
  const beganMs = performance.now();
  for (let index = 0; !isOver(); index++) {
    const dueMs = beganMs + (index * 1000) / perSecond;
    await sleep(Math.max(0, dueMs - performance.now()));
    const answered = (answer: unknown): void => {
      if (answer === null) refused++;
      else latenciesUs.push((performance.now() - dueMs) * 1000);
    };
    const call = platform.invoke(FUNCTION_NAME, {}).then(answered);
    call.catch(() => undefined); // it is thrown below, once all have ended
    calls.push(call);
  }
  await Promise.all(calls);
  return {
    shortCount: latenciesUs.length,
    shortP50Us: quantile(latenciesUs, 0.5),
    shortP99Us: quantile(latenciesUs, 0.99),
    shortRefusedCount: refused,
  };
}
