/**
 * The small integers of function versions, for a whole cluster. A version is named by a key of 16 bytes; whoever names it
 * gets the index that stands for it, the same for all, until nobody names it any more and nothing of it runs.
 *
 * A gateway whose line broke names the same versions again when it is back, and a worker says what it has warm before any
 * gateway has come. So what such a line named is kept for a while (`keptSweeps`), unless its place is needed: else a
 * line that breaks would make all workers throw away what they have warm.
 *
 * Where shards run beside this, an index is free only once nobody names it, nothing of it runs, and after that each shard has said that it has
 * turned: so none is still at the end of a release that was the version's last. That is looked at in each sweep.
 */
import type { NameVersionFrame } from '../../wire/cluster/large-frames.ts';
import type { Scheduler } from '../machine/scheduler.ts';
import { MEMORY_MB_MAX } from '../machine/versions.ts';

export interface NamedVersion {
  /** 32 hexadecimal digits: of account, function, version and revision. */
  readonly key: string;
  /** 32 hexadecimal digits: of account and function. */
  readonly functionKey: string;
  readonly memoryMb: number;
  /** Of each of its leases, 1 to 32. */
  readonly coreCount: number;
  /** Has it cores only, and no extra seat? */
  readonly isDedicated?: boolean;
}

/** What a frame names; null for what no version can ask. */
export function versionOf(frame: NameVersionFrame): NamedVersion | null {
  const { key, functionKey, memoryMb, coreCount, dedicated } = frame;
  if (memoryMb < 1 || memoryMb > MEMORY_MB_MAX) return null;
  return { key, functionKey, memoryMb, coreCount, isDedicated: dedicated === 1 };
}

interface Entry {
  readonly version: NamedVersion;
  readonly index: number;
  readonly fn: FunctionEntry;
  nameCount: number;
  /** The sweep until which it stays although nobody names it. */
  keptUntil: number;
  /** With several shards: the turn that all have to have answered before it may go; 0: none was asked for. */
  quietTurn: number;
}

interface FunctionEntry {
  readonly key: string;
  readonly index: number;
  versionCount: number;
}

interface NamesSetting {
  readonly keptSweeps: number;
  /** An index stands for this key no more. */
  readonly dropped: (index: number, key: string) => void;
  /** Null: there is one shard, and whoever calls is it. */
  readonly turns: Turns | null;
}

/** The shards are asked to answer between two events, again and again. */
export interface Turns {
  readonly asked: number;
  /** By all of them. */
  readonly answered: number;
}

export class VersionNames {
  readonly #machine: Scheduler;
  readonly #setting: NamesSetting;
  readonly #byKey = new Map<string, Entry>();
  readonly #byIndex: (Entry | undefined)[] = [];
  readonly #functions = new Map<string, FunctionEntry>();
  readonly #freeIndexes: number[];
  readonly #freeFunctions: number[];
  /** Those that nobody names, and that are kept for a while; about the oldest first. */
  readonly #kept = new Set<Entry>();
  #sweepCount = 0;

  constructor(machine: Scheduler, setting: NamesSetting) {
    this.#machine = machine;
    this.#setting = setting;
    const { versionCountMax, functionCountMax } = machine.limits;
    this.#freeIndexes = Array.from({ length: versionCountMax }, (_, index) => versionCountMax - 1 - index);
    this.#freeFunctions = Array.from({ length: functionCountMax }, (_, index) => functionCountMax - 1 - index);
  }

  get count(): number {
    return this.#byKey.size;
  }

  /** -1: there are too many. Each `name` is taken back by one `unname` or `leave`. */
  name(version: NamedVersion): number {
    const entry = this.#entryOf(version);
    if (entry === undefined) return -1;
    this.#addName(entry);
    return entry.index;
  }

  /** -1: there are too many. Nobody names it by this; it stays for a while. */
  keep(version: NamedVersion): number {
    const entry = this.#entryOf(version);
    if (entry === undefined) return -1;
    entry.keptUntil = this.#sweepCount + this.#setting.keptSweeps;
    entry.quietTurn = 0;
    if (entry.nameCount === 0) this.#kept.add(entry);
    return entry.index;
  }

  /** Who named it needs it no more. */
  unname(index: number): void {
    const entry = this.#byIndex[index];
    if (entry === undefined || entry.nameCount === 0) return;
    entry.keptUntil = 0;
    entry.nameCount--;
    this.ended(index);
  }

  /** Who named it is gone, and may come back. */
  leave(index: number): void {
    const entry = this.#byIndex[index];
    if (entry === undefined || entry.nameCount === 0) return;
    entry.keptUntil = this.#sweepCount + this.#setting.keptSweeps;
    entry.nameCount--;
    this.ended(index);
  }

  /** A request that the machine does not know of waits for it; `letGo` when it does not any more. */
  hold(index: number): void {
    this.#addName(this.#byIndex[index]!);
  }

  letGo(index: number): void {
    this.#byIndex[index]!.nameCount--;
    this.ended(index);
  }

  /** One of its requests is over: perhaps it was the last thing that kept the index. */
  ended(index: number): void {
    const entry = this.#byIndex[index];
    if (entry === undefined || entry.nameCount > 0) return;
    if (this.#setting.turns !== null) return void this.#kept.add(entry);
    if (this.#machine.versions.running(index) > 0) return;
    if (entry.keptUntil > this.#sweepCount) this.#kept.add(entry);
    else this.#drop(entry);
  }

  /** Once a second. */
  sweep(): void {
    this.#sweepCount++;
    for (const entry of this.#kept) {
      if (entry.keptUntil > this.#sweepCount) continue;
      if (this.#setting.turns !== null) {
        if (this.#isQuiet(entry)) this.#drop(entry);
        continue;
      }
      this.#kept.delete(entry);
      this.ended(entry.index);
    }
  }

  /** -1 for a function that has no version here. */
  functionIndex(functionKey: string): number {
    return this.#functions.get(functionKey)?.index ?? -1;
  }

  /** Undefined where the index stands for nothing. */
  versionAt(index: number): NamedVersion | undefined {
    return this.#byIndex[index]?.version;
  }

  /** For `checkInvariants`. */
  isNamed(index: number): boolean {
    return (this.#byIndex[index]?.nameCount ?? 0) > 0;
  }

  isKept(index: number): boolean {
    const entry = this.#byIndex[index];
    return entry !== undefined && this.#kept.has(entry);
  }

  #addName(entry: Entry): void {
    entry.nameCount++;
    entry.quietTurn = 0;
    this.#kept.delete(entry);
  }

  /** Nothing of it runs, and no shard is still at the end of the last that did. */
  #isQuiet(entry: Entry): boolean {
    const { turns } = this.#setting;
    const isRunning = this.#machine.versions.running(entry.index) > 0;
    if (turns === null) return !isRunning;
    if (isRunning) entry.quietTurn = 0;
    else if (entry.quietTurn === 0) entry.quietTurn = turns.asked + 1;
    else return turns.answered >= entry.quietTurn;
    return false;
  }

  #entryOf(version: NamedVersion): Entry | undefined {
    const known = this.#byKey.get(version.key);
    if (known !== undefined) return known;
    if (!this.#makeRoom(version.functionKey)) return undefined;
    const fn = this.#functionOf(version.functionKey);
    const index = this.#freeIndexes.pop()!;
    fn.versionCount++;
    const entry: Entry = { version, index, fn, nameCount: 0, keptUntil: 0, quietTurn: 0 };
    this.#byKey.set(version.key, entry);
    this.#byIndex[index] = entry;
    const { coreCount, isDedicated = false } = version;
    this.#machine.setVersion(index, fn.index, version.memoryMb, { coreCount, isDedicated });
    return entry;
  }

  /** False: everything that is there is in use. */
  #makeRoom(functionKey: string): boolean {
    for (const entry of this.#kept) {
      if (this.#hasRoom(functionKey)) return true;
      if (this.#isQuiet(entry)) this.#drop(entry);
    }
    return this.#hasRoom(functionKey);
  }

  #hasRoom(functionKey: string): boolean {
    return this.#freeIndexes.length > 0 && (this.#freeFunctions.length > 0 || this.#functions.has(functionKey));
  }

  #functionOf(key: string): FunctionEntry {
    const known = this.#functions.get(key);
    if (known !== undefined) return known;
    const index = this.#freeFunctions.pop()!;
    const fn = { key, index, versionCount: 0 };
    this.#functions.set(key, fn);
    this.#machine.setConcurrency(index, -1);
    return fn;
  }

  #drop(entry: Entry): void {
    const { index, version, fn } = entry;
    this.#kept.delete(entry);
    this.#machine.removeVersion(index);
    this.#byIndex[index] = undefined;
    this.#byKey.delete(version.key);
    this.#freeIndexes.push(index);
    if (--fn.versionCount === 0) {
      this.#functions.delete(fn.key);
      this.#freeFunctions.push(fn.index);
    }
    this.#setting.dropped(index, version.key);
  }
}
