/** What the scheduler counts for the metrics: doubles, so that they never wrap. */
export const counter = {
  /** Grants by the way the core was found. */
  grantWarmCore: 0,
  grantWarmWorker: 1,
  grantIdleList: 2,
  grantSummary: 3,
  /** A released core went straight to a request that waited. */
  grantHandedOver: 4,
  /** On a worker that was kept for the request. */
  grantKept: 5,
  released: 6,
  /** Releases that named no lease of the moment. */
  staleReleases: 7,
  /** Warm hints whose worker could not take the request. */
  staleWarmHints: 8,
  /** References in the idle list whose core could not take the request. */
  staleIdleReferences: 9,
  queued: 10,
  cancelled: 11,
  refusedConcurrency: 12,
  refusedQueueFull: 13,
  refusedMemory: 14,
  /** Requests that had to wait although a core was idle, for want of memory beside it. */
  memoryBlocked: 15,
  /** Leases that an agent refused for memory. */
  noMemory: 16,
  /** Grants to a younger request on a worker that the oldest one waits for. */
  overtakes: 17,
  /** Workers kept for a request that was overtaken too often. */
  keeps: 18,
  /** To a provisioned instance, past others that wait for memory. */
  grantProvisioned: 19,
  refusedCores: 20,
  /** On an extra seat, where no core fitted. */
  grantExtra: 21,
} as const;

export type CounterName = keyof typeof counter;
export const COUNTER_NAMES = Object.keys(counter) as readonly CounterName[];
