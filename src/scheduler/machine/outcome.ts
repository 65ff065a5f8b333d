/** What becomes of a request at once: small integers, for the wire and because they cost nothing. */
export const outcome = {
  granted: 0,
  queued: 1,
  /** The function is at its reserved concurrency. */
  refusedConcurrency: 2,
  refusedQueueFull: 3,
  /** It asks more memory than any worker has in all. */
  refusedMemory: 4,
  /** It asks for more cores than any worker has. */
  refusedCores: 5,
} as const;
export type Outcome = (typeof outcome)[keyof typeof outcome];
