/**
 * What the scheduler knows of a function version: its function, its memory, and how many requests of it hold a core
 * or wait. As long as there are any, its index stands for it.
 *
 *   [ memory in MB, 0: no version | function | running | - ]
 *
 * Budget: 16 bytes a version, and 4 that are read only where somebody waits for memory. Allocates nothing.
 */
import { assert } from '../../base/assert.ts';
import { sharedInt32, type SharedInt32 } from './shared.ts';

const STRIDE_LOG2 = 2;
const MEMORY_MB = 0;
const FUNCTION = 1;
const RUNNING = 2;

/** A lease has 16 bits for its version. */
export const VERSION_COUNT_MAX: number = 1 << 16;
export const MEMORY_MB_MAX: number = (1 << 30) - 1;

export class Versions {
  readonly #words: SharedInt32;
  readonly #countMax: number;
  readonly #provisioned: SharedInt32;
  /** Versions that are provisioned. */
  provisionedCount = 0;

  constructor(versionCountMax: number) {
    this.#countMax = versionCountMax;
    this.#words = sharedInt32(versionCountMax << STRIDE_LOG2);
    this.#provisioned = sharedInt32(versionCountMax);
  }

  set(version: number, functionIndex: number, memoryMb: number): void {
    assert(version >= 0 && version < this.#countMax, `version ${version}: no such index`);
    assert(!this.isSet(version), `version ${version} is set already`);
    assert(memoryMb >= 1 && memoryMb <= MEMORY_MB_MAX, `memory ${memoryMb} MB: must be 1 to ${MEMORY_MB_MAX}`);
    this.#words[(version << STRIDE_LOG2) + MEMORY_MB] = memoryMb;
    this.#words[(version << STRIDE_LOG2) + FUNCTION] = functionIndex;
  }

  remove(version: number): void {
    assert(this.isSet(version), `version ${version} is not set`);
    assert(this.running(version) === 0, `version ${version}: ${this.running(version)} of its requests are not over`);
    this.provision(version, 0);
    this.#words[(version << STRIDE_LOG2) + MEMORY_MB] = 0;
  }

  provision(version: number, count: number): void {
    const before = this.#provisioned[version]!;
    this.provisionedCount += Number(count > 0) - Number(before > 0);
    this.#provisioned[version] = count;
  }

  provisioned(version: number): number {
    return this.#provisioned[version]!;
  }

  isSet(version: number): boolean {
    return version >= 0 && version < this.#countMax && this.#words[(version << STRIDE_LOG2) + MEMORY_MB] !== 0;
  }

  memoryMb(version: number): number {
    return this.#words[(version << STRIDE_LOG2) + MEMORY_MB]!;
  }

  functionOf(version: number): number {
    return this.#words[(version << STRIDE_LOG2) + FUNCTION]!;
  }

  running(version: number): number {
    return this.#words[(version << STRIDE_LOG2) + RUNNING]!;
  }

  enter(version: number): void {
    this.#words[(version << STRIDE_LOG2) + RUNNING]! += 1;
  }

  leave(version: number): void {
    this.#words[(version << STRIDE_LOG2) + RUNNING]! -= 1;
  }
}
