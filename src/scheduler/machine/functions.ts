/** Reserved concurrency. What is counted is leased and waiting requests of all versions of a function. */
import { sharedInt32, type SharedInt32 } from './shared.ts';

const STRIDE = 2;
const RUNNING = 0;
const MAX = 1;

export class Functions {
  readonly #records: SharedInt32;

  constructor(functionCountMax: number) {
    this.#records = sharedInt32(functionCountMax * STRIDE);
    for (let i = 0; i < functionCountMax; i++) this.#records[i * STRIDE + MAX] = -1;
  }

  /** -1: no limit of its own. */
  setMax(functionIndex: number, max: number): void {
    this.#records[functionIndex * STRIDE + MAX] = max;
  }

  max(functionIndex: number): number {
    return this.#records[functionIndex * STRIDE + MAX]!;
  }

  running(functionIndex: number): number {
    return this.#records[functionIndex * STRIDE + RUNNING]!;
  }

  mayEnter(functionIndex: number): boolean {
    const at = functionIndex * STRIDE;
    const max = this.#records[at + MAX]!;
    return max < 0 || this.#records[at + RUNNING]! < max;
  }

  enter(functionIndex: number): void {
    this.#records[functionIndex * STRIDE + RUNNING]! += 1;
  }

  leave(functionIndex: number): void {
    this.#records[functionIndex * STRIDE + RUNNING]! -= 1;
  }
}
