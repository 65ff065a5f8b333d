/**
 * What the scheduler knows of a function version: its function, its memory, and how many requests of it hold a core
 * or wait. As long as there are any, its index stands for it.
 *
 *   [ memory in MB, 0: no version | function | running | dedicated: bit 8, cores of each of its leases: bits 0 to 7 ]
 *
 * *Dedicated*: its leases are of cores of a worker's own, never of extra seats. Who asks for several cores is dedicated.
 *
 * Where several shards count, each has two numbers of its own for a version: how many entered there and how many left. A lease may
 * end at another shard than it began, so only the sums mean anything: and as both only grow, whoever adds up what left
 * before what entered, and finds them the same, knows that there was a moment with none.
 *
 * Budget: 16 bytes a version, and 4 that are read only where somebody waits for memory. Allocates nothing.
 */
import { assert } from '../../base/assert.ts';
import { globalWord, type Place, type ShardMemory } from './memory.ts';
import type { SharedInt32 } from './shared.ts';

const STRIDE_LOG2 = 2;
const MEMORY_MB = 0;
const FUNCTION = 1;
const RUNNING = 2;
const CORES = 3;
const CORES_MASK = 0xff;
const DEDICATED = 0x100;
const WORD_CORES = 32;

/** A lease has 16 bits for its version. */
export const VERSION_COUNT_MAX: number = 1 << 16;
export const MEMORY_MB_MAX: number = (1 << 30) - 1;

export interface VersionCores {
  /** Of each of its leases, on one worker, 1 to 32; without it 1. */
  readonly coreCount?: number | undefined;
  /** Must it have cores of its own? Who asks for several must. */
  readonly isDedicated?: boolean | undefined;
}

export class Versions {
  readonly #words: SharedInt32;
  readonly #countMax: number;
  readonly #provisioned: SharedInt32;
  readonly #globals: SharedInt32;
  readonly #shards: readonly ShardMemory[];
  readonly #own: SharedInt32;
  readonly #isShared: boolean;

  constructor({ memory, shard, isShared }: Place) {
    this.#words = memory.versions;
    this.#countMax = memory.provisioned.length;
    this.#provisioned = memory.provisioned;
    this.#globals = memory.globals;
    this.#shards = memory.shards;
    this.#own = memory.shards[shard]!.versions;
    this.#isShared = isShared;
  }

  /** Versions that are provisioned. */
  get provisionedCount(): number {
    return this.#globals[globalWord.PROVISIONED_COUNT]!;
  }

  /** All versions that are set are below it: as many as were ever set at one time, where the lowest free index is taken. */
  get end(): number {
    return this.#globals[globalWord.VERSION_END]!;
  }

  /** One thread sets and removes. */
  set(version: number, functionIndex: number, memoryMb: number, cores: VersionCores): void {
    const { coreCount = 1, isDedicated = false } = cores;
    assert(version >= 0 && version < this.#countMax, `version ${version}: no such index`);
    assert(!this.isSet(version), `version ${version} is set already`);
    assert(memoryMb >= 1 && memoryMb <= MEMORY_MB_MAX, `memory ${memoryMb} MB: must be 1 to ${MEMORY_MB_MAX}`);
    assert(coreCount >= 1 && coreCount <= WORD_CORES, `${coreCount} cores: must be 1 to ${WORD_CORES}`);
    this.#words[(version << STRIDE_LOG2) + FUNCTION] = functionIndex;
    this.#words[(version << STRIDE_LOG2) + CORES] = coreCount | (isDedicated || coreCount > 1 ? DEDICATED : 0);
    Atomics.store(this.#words, (version << STRIDE_LOG2) + MEMORY_MB, memoryMb);
    if (version >= this.end) Atomics.store(this.#globals, globalWord.VERSION_END, version + 1);
  }

  remove(version: number): void {
    assert(this.isSet(version), `version ${version} is not set`);
    assert(this.running(version) === 0, `version ${version}: ${this.running(version)} of its requests are not over`);
    this.provision(version, 0);
    this.#words[(version << STRIDE_LOG2) + MEMORY_MB] = 0;
    let { end } = this;
    while (end > 0 && !this.isSet(end - 1)) end--;
    Atomics.store(this.#globals, globalWord.VERSION_END, end);
  }

  provision(version: number, count: number): void {
    const before = Atomics.exchange(this.#provisioned, version, count);
    Atomics.add(this.#globals, globalWord.PROVISIONED_COUNT, Number(count > 0) - Number(before > 0));
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

  coreCount(version: number): number {
    return this.#words[(version << STRIDE_LOG2) + CORES]! & CORES_MASK;
  }

  isDedicated(version: number): boolean {
    return this.#words[(version << STRIDE_LOG2) + CORES]! > CORES_MASK;
  }

  functionOf(version: number): number {
    return this.#words[(version << STRIDE_LOG2) + FUNCTION]!;
  }

  running(version: number): number {
    if (!this.#isShared) return this.#words[(version << STRIDE_LOG2) + RUNNING]!;
    let left = 0;
    for (const { versions } of this.#shards) left += Atomics.load(versions, (version << 1) + 1);
    let entered = 0;
    for (const { versions } of this.#shards) entered += Atomics.load(versions, version << 1);
    return (entered - left) | 0;
  }

  enter(version: number): void {
    if (this.#isShared) this.#own[version << 1]! += 1;
    else this.#words[(version << STRIDE_LOG2) + RUNNING]! += 1;
  }

  leave(version: number): void {
    if (this.#isShared) this.#own[(version << 1) + 1]! += 1;
    else this.#words[(version << STRIDE_LOG2) + RUNNING]! -= 1;
  }
}
