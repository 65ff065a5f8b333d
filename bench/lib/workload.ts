/** A workload: functions, and who is invoked when. */
export interface WorkloadFunction {
  readonly memoryMb: number;
  readonly durationMs: number;
  /** What a cold start adds. */
  readonly initMs: number;
}

export interface Workload {
  readonly functions: readonly WorkloadFunction[];
  readonly seconds: number;
  /** Ascending, milliseconds; beside each the function's index. */
  readonly arrivalMs: Float64Array;
  readonly arrivalOf: Int32Array;
}

/** Puts each function's arrivals into one order. */
export function workloadOf(
  functions: readonly WorkloadFunction[],
  seconds: number,
  arrivals: readonly (readonly number[])[],
): Workload {
  const count = arrivals.reduce((sum, own) => sum + own.length, 0);
  const timesMs = new Float64Array(count);
  const of = new Int32Array(count);
  let at = 0;
  for (const [index, own] of arrivals.entries()) {
    for (const time of own) {
      timesMs[at] = time;
      of[at++] = index;
    }
  }
  const order = Uint32Array.from(timesMs.keys()).sort((a, b) => timesMs[a]! - timesMs[b]!);
  const arrivalMs = Float64Array.from(order, (place) => timesMs[place]!);
  const arrivalOf = Int32Array.from(order, (place) => of[place]!);
  return { functions, seconds, arrivalMs, arrivalOf };
}
