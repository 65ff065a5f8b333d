/** Small parts of a cluster in one process: its limits, its lines, and how what is said is spelled at either end. */
import type { MachineLimits } from '../../../src/gateway/cluster/machine/ports.ts';
import { outcome } from '../../../src/scheduler/machine/outcome.ts';
import type { Refusal, Unstarted } from '../../../src/scheduler/server/ports.ts';
import { RefusedWhy, UnstartedWhy } from '../../../src/wire/cluster/small-frames.ts';

export const CORES = 2;
export const VERSION_COUNT = 3;
export const MEMORY_MB = 600;
export const MEMORY_OF: readonly number[] = [128, 300, 500];

export const MACHINE_LIMITS: MachineLimits = {
  requestCountMax: 8,
  unaskedMax: 5,
  versionCountMax: VERSION_COUNT,
  coreEnd: 1024,
  schedulerWaitTicks: 3,
  connectTicks: 1,
  lostTicks: 8,
  untoldTicks: 3,
};

export const REFUSED: Readonly<Record<Refusal, number>> = {
  [outcome.granted]: 0,
  [outcome.queued]: 0,
  [outcome.refusedConcurrency]: RefusedWhy.concurrency,
  [outcome.refusedQueueFull]: RefusedWhy.queueFull,
  [outcome.refusedMemory]: RefusedWhy.memory,
  [outcome.refusedCores]: RefusedWhy.cores,
  version: RefusedWhy.version,
  stopping: RefusedWhy.stopping,
} as Record<Refusal, number>;

export const UNSTARTED: Readonly<Record<UnstartedWhy, Unstarted>> = {
  [UnstartedWhy.noMemory]: 'no-memory',
  [UnstartedWhy.staleLease]: 'refused',
  [UnstartedWhy.stopping]: 'refused',
  [UnstartedWhy.unreachable]: 'unsent',
  [UnstartedWhy.cancelled]: 'cancelled',
};

/** One direction of a connection: what was said arrives in order, or not at all. */
export class Line {
  #queue: (() => void)[] = [];
  #isOpen = true;

  say(what: () => void): void {
    if (this.#isOpen) this.#queue.push(what);
  }

  deliver(): boolean {
    const what = this.#queue.shift();
    what?.();
    return what !== undefined;
  }

  break(): void {
    this.#isOpen = false;
    this.#queue = [];
  }
}

export function memoryOf(key: string): number {
  return MEMORY_OF[Number(key[0])]!;
}

/**
 * Its last version asks for two cores. The scheduler is told of one for each, and the other is here: the worker has as many cores
 * again, from 16 on, each of which comes with the one below it.
 */
export function maskOf(key: string, core: number): number {
  const bit = 1 << (core & 31);
  return Number(key[0]) === VERSION_COUNT - 1 ? bit | (bit << 16) : 0;
}

export function functionKeyOf(key: string): string {
  return `f${Number(key[0]) % 2}`;
}
