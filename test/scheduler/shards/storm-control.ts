/** What the threads of a storm share beside the machine's memory. */
import type { SchedulerLimits } from '../../../src/scheduler/machine/limits.ts';
import type { SharedMemory } from '../../../src/scheduler/machine/memory.ts';

export interface StormData {
  readonly shard: number;
  readonly shardCount: number;
  readonly seed: number;
  /** A shard has had enough once it has granted so much. */
  readonly grantCount: number;
  readonly limits: SchedulerLimits;
  readonly memory: SharedMemory;
  readonly workerCount: number;
  readonly versionCount: number;
  /** For each core: sequence + 1 of the lease that its worker runs; 0: none. Any shard may end it. */
  readonly running: Int32Array<SharedArrayBuffer>;
  /** For each request: 1 while it waits or holds a core. */
  readonly inUse: Int32Array<SharedArrayBuffer>;
  /** The cores that there are. */
  readonly cores: readonly number[];
  /** For each shard: its phase. */
  readonly phases: Int32Array<SharedArrayBuffer>;
}

export const phase = { BEGINNING: 0, STORM: 1, ENDING: 2, IDLE: 3 } as const;

export interface StormReport {
  readonly shard: number;
  readonly granted: number;
  readonly released: number;
  readonly stale: number;
  readonly woken: number;
  readonly error: string | null;
}
