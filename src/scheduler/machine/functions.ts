/** Reserved concurrency. What is counted is leased and waiting requests of all versions of a function. */
import { sharedInt32, type SharedInt32 } from './shared.ts';

const STRIDE_LOG2 = 1;
const RUNNING = 0;
const MAX = 1;

export class Functions {
  readonly #records: SharedInt32;

  constructor(functionCountMax: number) {
    this.#records = sharedInt32(functionCountMax << STRIDE_LOG2);
    for (let i = 0; i < functionCountMax; i++) this.#records[(i << STRIDE_LOG2) + MAX] = -1;
  }

  /** -1: no limit of its own. */
  setMax(functionIndex: number, max: number): void {
    this.#records[(functionIndex << STRIDE_LOG2) + MAX] = max;
  }

  max(functionIndex: number): number {
    return this.#records[(functionIndex << STRIDE_LOG2) + MAX]!;
  }

  running(functionIndex: number): number {
    return this.#records[(functionIndex << STRIDE_LOG2) + RUNNING]!;
  }

  mayEnter(functionIndex: number): boolean {
    const at = functionIndex << STRIDE_LOG2;
    const max = this.#records[at + MAX]!;
    return max < 0 || this.#records[at + RUNNING]! < max;
  }

  enter(functionIndex: number): void {
    this.#records[(functionIndex << STRIDE_LOG2) + RUNNING]! += 1;
  }

  leave(functionIndex: number): void {
    this.#records[(functionIndex << STRIDE_LOG2) + RUNNING]! -= 1;
  }
}
