/**
 * What the scheduler knows of a function version: its function and its memory, in one word, and how many requests of it hold
 * a core or wait. As long as there are any, its index stands for it.
 *
 * Allocates nothing.
 */
import { assert } from '../../base/assert.ts';
import { sharedInt32, type SharedInt32 } from './shared.ts';

export const VERSION_COUNT_MAX: number = 1 << 16;
export const FUNCTION_COUNT_MAX: number = 1 << 16;
export const MEMORY_MB_MAX: number = (1 << 16) - 1;

export function functionOf(functionMemory: number): number {
  return functionMemory >>> 16;
}

export function memoryOf(functionMemory: number): number {
  return functionMemory & 0xffff;
}

export class Versions {
  readonly #words: SharedInt32;
  readonly #countMax: number;

  constructor(versionCountMax: number) {
    this.#countMax = versionCountMax;
    this.#words = sharedInt32(versionCountMax * 2);
  }

  set(version: number, functionIndex: number, memoryMb: number): void {
    assert(version >= 0 && version < this.#countMax, `version ${version}: no such index`);
    assert(!this.isSet(version), `version ${version} is set already`);
    assert(memoryMb >= 1 && memoryMb <= MEMORY_MB_MAX, `memory ${memoryMb} MB: must be 1 to ${MEMORY_MB_MAX}`);
    this.#words[version * 2] = (functionIndex << 16) | memoryMb;
  }

  remove(version: number): void {
    assert(this.isSet(version), `version ${version} is not set`);
    assert(this.running(version) === 0, `version ${version}: ${this.running(version)} of its requests are not over`);
    this.#words[version * 2] = 0;
  }

  /** No version has 0 MB, so 0 is an index without version. */
  isSet(version: number): boolean {
    return version >= 0 && version < this.#countMax && this.#words[version * 2] !== 0;
  }

  functionMemory(version: number): number {
    return this.#words[version * 2]!;
  }

  running(version: number): number {
    return this.#words[version * 2 + 1]!;
  }

  enter(version: number): void {
    this.#words[version * 2 + 1]! += 1;
  }

  leave(version: number): void {
    this.#words[version * 2 + 1]! -= 1;
  }
}
