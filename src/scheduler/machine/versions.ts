/**
 * What the scheduler knows of a function version: its function and its memory, in one word, and a tag that says which
 * of the versions that had this index one after the other is meant. The shell uses an index again as soon as its
 * version is removed; leases and waiting requests of the old one carry the old tag and do not touch the new one's warm hints.
 *
 * Allocates nothing.
 */
import { assert } from '../../base/assert.ts';
import { sharedInt32, type SharedInt32 } from './shared.ts';

const STRIDE = 2;
const TAG = 0;
const FUNCTION_MEMORY = 1;
const INDEX_BITS = 16;
const INDEX_MASK = (1 << INDEX_BITS) - 1;
const GENERATION_MASK = 0x7fff;

export const VERSION_COUNT_MAX = 1 << INDEX_BITS;
export const FUNCTION_COUNT_MAX = 1 << 16;
export const MEMORY_MB_MAX = (1 << 16) - 1;

export function functionOf(functionMemory: number): number {
  return functionMemory >>> 16;
}

export function memoryOf(functionMemory: number): number {
  return functionMemory & MEMORY_MB_MAX;
}

export function indexOf(tag: number): number {
  return tag & INDEX_MASK;
}

export class Versions {
  readonly #records: SharedInt32;
  readonly #countMax: number;

  constructor(versionCountMax: number) {
    this.#countMax = versionCountMax;
    this.#records = sharedInt32(versionCountMax * STRIDE);
    for (let version = 0; version < versionCountMax; version++) this.#records[version * STRIDE + TAG] = version;
  }

  set(version: number, functionIndex: number, memoryMb: number): void {
    assert(version >= 0 && version < this.#countMax, `version ${version}: no such index`);
    assert(memoryMb >= 1 && memoryMb <= MEMORY_MB_MAX, `memory ${memoryMb} MB: must be 1 to ${MEMORY_MB_MAX}`);
    this.#records[version * STRIDE + FUNCTION_MEMORY] = (functionIndex << 16) | memoryMb;
  }

  remove(version: number): void {
    const generation = ((this.#records[version * STRIDE + TAG]! >>> INDEX_BITS) + 1) & GENERATION_MASK;
    this.#records[version * STRIDE + TAG] = (generation << INDEX_BITS) | version;
    this.#records[version * STRIDE + FUNCTION_MEMORY] = 0;
  }

  /** No version has 0 MB, so 0 is an index without version. */
  isSet(version: number): boolean {
    return version >= 0 && version < this.#countMax && this.#records[version * STRIDE + FUNCTION_MEMORY] !== 0;
  }

  tag(version: number): number {
    return this.#records[version * STRIDE + TAG]!;
  }

  functionMemory(version: number): number {
    return this.#records[version * STRIDE + FUNCTION_MEMORY]!;
  }

  /** Does the tag name the version that has its index now? */
  isCurrent(tag: number): boolean {
    return this.#records[indexOf(tag) * STRIDE + TAG] === tag;
  }
}
