/**
 * What becomes of an asynchronous invocation after an attempt, as Lambda has it: a function error is tried again
 * after one minute and after two; a refusal (no core, no concurrency) again and again with back-off; nothing is tried
 * once it is older than the limit. One whose worker was lost is tried again soon, as that was not its fault; and it counts as
 * an attempt, as it may have been. A function that there is not any more ends it. A decision without I/O or clock.
 */
export type Attempt = 'response' | 'error' | 'lost' | 'refused' | 'missing';

export type GiveUpReason = 'retries-exhausted' | 'age-exceeded' | 'function-deleted';

export type Verdict =
  | { readonly kind: 'done' }
  | { readonly kind: 'retry'; readonly attempts: number; readonly dueMs: number }
  | { readonly kind: 'give-up'; readonly reason: GiveUpReason };

export interface AsyncLimits {
  readonly retryMax: number;
  readonly retryDelaysMs: readonly number[];
  readonly ageMaxMs: number;
  readonly refusedDelayMinMs: number;
  readonly refusedDelayMaxMs: number;
}

export function judge(
  attempt: Attempt,
  invocation: { readonly acceptedMs: number; readonly attempts: number },
  nowMs: number,
  limits: AsyncLimits,
): Verdict {
  if (attempt === 'response') return { kind: 'done' };
  if (attempt === 'missing') return { kind: 'give-up', reason: 'function-deleted' };
  const attempts = invocation.attempts + (attempt === 'error' || attempt === 'lost' ? 1 : 0);
  if (attempts > limits.retryMax) return { kind: 'give-up', reason: 'retries-exhausted' };
  const ageMs = nowMs - invocation.acceptedMs;
  // A refused one waits as long again as it has waited so far: doubling, without a counter to keep.
  const refusedDelayMs = Math.min(Math.max(ageMs, limits.refusedDelayMinMs), limits.refusedDelayMaxMs);
  const errorDelayMs = limits.retryDelaysMs[Math.min(attempts, limits.retryDelaysMs.length) - 1]!;
  const delaysMs = { error: errorDelayMs, lost: limits.refusedDelayMinMs, refused: refusedDelayMs };
  const delayMs = delaysMs[attempt];
  if (ageMs + delayMs > limits.ageMaxMs) return { kind: 'give-up', reason: 'age-exceeded' };
  return { kind: 'retry', attempts, dueMs: nowMs + delayMs };
}
