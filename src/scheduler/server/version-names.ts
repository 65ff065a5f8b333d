/**
 * The small integers of function versions, for a whole cluster. A version is named by a key of 16 bytes; whoever names it
 * gets the index that stands for it, the same for all, until nobody names it any more and nothing of it runs.
 */
import type { NameVersionFrame } from '../../wire/cluster/large-frames.ts';
import type { Scheduler } from '../machine/scheduler.ts';

export interface NamedVersion {
  /** 32 hexadecimal digits: of account, function, version and revision. */
  readonly key: string;
  /** 32 hexadecimal digits: of account and function. */
  readonly functionKey: string;
  readonly memoryMb: number;
}

/** What a frame names; null for what no version can ask. Invocations of several cores are not scheduled yet. */
export function versionOf({ key, functionKey, memoryMb, coreCount }: NameVersionFrame): NamedVersion | null {
  return coreCount === 1 && memoryMb >= 1 ? { key, functionKey, memoryMb } : null;
}

interface Entry {
  readonly key: string;
  readonly index: number;
  readonly fn: FunctionEntry;
  nameCount: number;
}

interface FunctionEntry {
  readonly key: string;
  readonly index: number;
  versionCount: number;
}

export class VersionNames {
  readonly #machine: Scheduler;
  readonly #byKey = new Map<string, Entry>();
  readonly #byIndex: (Entry | undefined)[] = [];
  readonly #functions = new Map<string, FunctionEntry>();
  readonly #freeIndexes: number[];
  readonly #freeFunctions: number[];

  constructor(machine: Scheduler) {
    this.#machine = machine;
    const { versionCountMax, functionCountMax } = machine.limits;
    this.#freeIndexes = Array.from({ length: versionCountMax }, (_, index) => versionCountMax - 1 - index);
    this.#freeFunctions = Array.from({ length: functionCountMax }, (_, index) => functionCountMax - 1 - index);
  }

  get count(): number {
    return this.#byKey.size;
  }

  /** -1: there are too many. Each `name` is taken back by one `unname`. */
  name(version: NamedVersion): number {
    const known = this.#byKey.get(version.key);
    if (known !== undefined) {
      known.nameCount++;
      return known.index;
    }
    const fn = this.#functionOf(version.functionKey);
    const index = fn === undefined ? undefined : this.#freeIndexes.pop();
    if (fn === undefined || index === undefined) {
      if (fn !== undefined) this.#drop(fn);
      return -1;
    }
    fn.versionCount++;
    const entry: Entry = { key: version.key, index, fn, nameCount: 1 };
    this.#byKey.set(version.key, entry);
    this.#byIndex[index] = entry;
    this.#machine.setVersion(index, fn.index, version.memoryMb);
    return index;
  }

  unname(index: number): void {
    const entry = this.#byIndex[index];
    if (entry === undefined || entry.nameCount === 0) return;
    entry.nameCount--;
    this.ended(index);
  }

  /** One of its requests is over: perhaps it was the last thing that kept the index. */
  ended(index: number): void {
    const entry = this.#byIndex[index];
    if (entry === undefined || entry.nameCount > 0 || this.#machine.versions.running(index) > 0) return;
    this.#machine.removeVersion(index);
    this.#byIndex[index] = undefined;
    this.#byKey.delete(entry.key);
    this.#freeIndexes.push(index);
    entry.fn.versionCount--;
    this.#drop(entry.fn);
  }

  /** -1 for a function that has no version here. */
  functionIndex(functionKey: string): number {
    return this.#functions.get(functionKey)?.index ?? -1;
  }

  /** '' where the index stands for nothing. */
  keyOf(index: number): string {
    return this.#byIndex[index]?.key ?? '';
  }

  #functionOf(key: string): FunctionEntry | undefined {
    const known = this.#functions.get(key);
    if (known !== undefined) return known;
    const index = this.#freeFunctions.pop();
    if (index === undefined) return undefined;
    const fn = { key, index, versionCount: 0 };
    this.#functions.set(key, fn);
    this.#machine.setConcurrency(index, -1);
    return fn;
  }

  #drop(fn: FunctionEntry): void {
    if (fn.versionCount > 0) return;
    this.#functions.delete(fn.key);
    this.#freeFunctions.push(fn.index);
  }
}

/** The names that one line has given, to be taken back when it ends. */
export class LineNames {
  readonly #names: VersionNames;
  readonly #counts = new Map<number, number>();

  constructor(names: VersionNames) {
    this.#names = names;
  }

  has(index: number): boolean {
    return this.#counts.has(index);
  }

  indexes(): Iterable<number> {
    return this.#counts.keys();
  }

  /** -1: there are too many. */
  name(version: NamedVersion): number {
    const index = this.#names.name(version);
    if (index >= 0) this.#counts.set(index, (this.#counts.get(index) ?? 0) + 1);
    return index;
  }

  unname(index: number): void {
    const count = this.#counts.get(index) ?? 0;
    if (count === 0) return;
    if (count === 1) this.#counts.delete(index);
    else this.#counts.set(index, count - 1);
    this.#names.unname(index);
  }

  clear(): void {
    for (const [index, count] of this.#counts) for (let i = 0; i < count; i++) this.#names.unname(index);
    this.#counts.clear();
  }
}
