/**
 * Small integers for what the scheduler and the agent schedule: an index for each (function, version, revision) in
 * use, and one for each function, over which reserved concurrency counts.
 *
 * A change of a version makes a new revision, with a new index: instances of the old one are not reused. An old index
 * is retired once no lease, no waiting request and no provisioned concurrency uses it.
 */
import { assert } from '../base/assert.ts';
import { UserError } from '../base/errors.ts';
import { codeOf } from '../store/functions.ts';
import { type Isolation, isolationOf } from '../store/settings.ts';
import type { FunctionVersion, Store } from '../store/store.ts';

const RUNS_REMEMBERED = 8;

export interface VersionEntry {
  readonly index: number;
  readonly functionIndex: number;
  readonly fn: FunctionVersion;
  readonly isolation: Isolation;
  /** Requests that wait, leases that are not over, and one where the version is provisioned. */
  userCount: number;
  /** Invocations of it that are about to come, each a user too. */
  wantedCount: number;
  /** Invocations of it that have had their results. */
  resultCount: number;
  /** What they took lately, microseconds: a moving mean. */
  runUs: number;
  /** The store knows another revision now, or none; or its isolation is another one by a tag. */
  outdated: boolean;
}

/** Of one more invocation; 0: it did not run, or nobody knows how long. */
export function noteResult(entry: VersionEntry, runUs: number): void {
  entry.resultCount++;
  if (runUs > 0) entry.runUs += (runUs - entry.runUs) / RUNS_REMEMBERED;
}

export interface VersionEvents {
  /** Asked before a version gets an index: why it may not run here, or null. */
  refuse(fn: FunctionVersion): UserError | null;
  added(entry: VersionEntry): void;
  retired(entry: VersionEntry): void;
  concurrency(functionIndex: number, max: number | null, functionName: string): void;
}

interface FunctionEntry {
  readonly index: number;
  readonly entries: Set<VersionEntry>;
}

export class VersionTable {
  readonly #store: Store;
  readonly #events: VersionEvents;
  /** The store hands out the same object until a version changes: its identity is the fastest key. */
  readonly #byVersion = new WeakMap<FunctionVersion, VersionEntry>();
  readonly #functions = new Map<string, FunctionEntry>();
  readonly #indexCount: number;
  readonly #freeVersions: number[];
  readonly #freeFunctions: number[];

  constructor(store: Store, indexCountMax: number, events: VersionEvents) {
    this.#store = store;
    this.#indexCount = indexCountMax;
    this.#events = events;
    this.#freeVersions = Array.from({ length: indexCountMax }, (_, index) => indexCountMax - 1 - index);
    this.#freeFunctions = [...this.#freeVersions];
    store.onChange((functionName) => this.#onChange(functionName));
  }

  /** What it answers is to be used at once. A `UserError` where every index is in use, or the code was found damaged. */
  entryOf(fn: FunctionVersion): VersionEntry | UserError {
    return this.#byVersion.get(fn) ?? this.#codeError(fn) ?? this.#events.refuse(fn) ?? this.#add(fn);
  }

  /** Of its layers too. */
  #codeError(fn: FunctionVersion): UserError | null {
    for (const code of codeOf(fn)) {
      const error = this.#store.codeError(code);
      if (error !== null) return error;
    }
    return null;
  }

  /** Null where the version is not in use. */
  find(fn: FunctionVersion): VersionEntry | null {
    return this.#byVersion.get(fn) ?? null;
  }

  use(entry: VersionEntry): void {
    entry.userCount++;
  }

  unuse(entry: VersionEntry): void {
    entry.userCount--;
    assert(entry.userCount >= 0, `version ${entry.index} has fewer users than none`);
    if (entry.userCount === 0 && entry.outdated) this.#retire(entry);
  }

  /** Those that have an index. */
  *entries(): Iterable<VersionEntry> {
    for (const { entries } of this.#functions.values()) yield* entries;
  }

  /** Versions that have an index. */
  get entryCount(): number {
    let count = 0;
    for (const owner of this.#functions.values()) count += owner.entries.size;
    return count;
  }

  /** For tests. `userCountOf`: requests and leases of an entry, as its user knows them. */
  checkInvariants(userCountOf: (entry: VersionEntry) => number): void {
    assert(this.#freeFunctions.length + this.#functions.size === this.#indexCount, 'an index of a function is lost');
    assert(this.#freeVersions.length + this.entryCount === this.#indexCount, 'an index of a version is lost');
    for (const [name, owner] of this.#functions) {
      assert(owner.entries.size > 0, `function ${name} has an index and no version`);
      for (const entry of owner.entries) {
        const userCount = userCountOf(entry);
        assert(userCount === entry.userCount, `version ${entry.index}: ${userCount} users, counted ${entry.userCount}`);
        assert(userCount > 0 || !entry.outdated, `version ${entry.index} is outdated, unused and not retired`);
      }
    }
  }

  #add(fn: FunctionVersion): VersionEntry | UserError {
    // As many functions as versions, and a function without a version has no index: so there is one of each, or none.
    const index = this.#freeVersions.pop();
    if (index === undefined) {
      const message = 'Too many function versions are in use at once.';
      return new UserError('TooManyRequestsException', message, 'ConcurrentInvocationLimitExceeded');
    }
    const owner = this.#functionOf(fn.functionName);
    const current = this.#store.getVersion(fn.functionName, fn.version);
    const entry: VersionEntry = {
      index,
      functionIndex: owner.index,
      fn,
      isolation: this.#isolationOf(fn),
      userCount: 0,
      wantedCount: 0,
      resultCount: 0,
      runUs: 0,
      outdated: current !== fn,
    };
    owner.entries.add(entry);
    this.#byVersion.set(fn, entry);
    this.#events.added(entry);
    return entry;
  }

  #functionOf(functionName: string): FunctionEntry {
    const known = this.#functions.get(functionName);
    if (known !== undefined) return known;
    const index = this.#freeFunctions.pop();
    assert(index !== undefined, 'a version has an index, and its function has none');
    const entry: FunctionEntry = { index, entries: new Set() };
    this.#functions.set(functionName, entry);
    this.#events.concurrency(index, reservedOf(this.#store, functionName), functionName);
    return entry;
  }

  #onChange(functionName: string): void {
    const owner = this.#functions.get(functionName);
    if (owner === undefined) return;
    this.#events.concurrency(owner.index, reservedOf(this.#store, functionName), functionName);
    for (const entry of owner.entries) {
      const current = this.#store.getVersion(functionName, entry.fn.version) === entry.fn;
      const sameIsolation = current && this.#isolationOf(entry.fn) === entry.isolation;
      // Once outdated for ever so: by then a newer entry may stand for the same version.
      entry.outdated ||= !sameIsolation;
      if (current && entry.outdated && this.#byVersion.get(entry.fn) === entry) this.#byVersion.delete(entry.fn);
      if (entry.outdated && entry.userCount === 0) this.#retire(entry);
    }
  }

  #isolationOf(fn: FunctionVersion): Isolation {
    return isolationOf(fn.config, this.#store.getFunction(fn.functionName)?.tags);
  }

  #retire(entry: VersionEntry): void {
    const owner = this.#functions.get(entry.fn.functionName);
    assert(owner !== undefined && owner.entries.delete(entry), `version ${entry.index} is retired twice`);
    if (this.#byVersion.get(entry.fn) === entry) this.#byVersion.delete(entry.fn);
    this.#events.retired(entry);
    this.#freeVersions.push(entry.index);
    if (owner.entries.size > 0) return;
    this.#functions.delete(entry.fn.functionName);
    this.#freeFunctions.push(owner.index);
  }
}

/** Null: no limit of its own. */
export function reservedOf(store: Store, functionName: string): number | null {
  return store.getFunction(functionName)?.reservedConcurrency ?? null;
}
