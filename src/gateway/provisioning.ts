/**
 * Keeps the agent's provisioned versions as the store has them. The store is the one truth: after each change of a
 * function, and for all of them at the start, what is stored is compared with what the agent was last told. So a
 * deleted version, a deleted function and a restart need no care of their own.
 *
 * What got no index is tried again now and then: code that was damaged is mended by whoever uploads it again, an index becomes
 * free, and no change of this function tells of either.
 *
 * A provisioned version is in use (see VersionTable) for as long as it is provisioned, and so keeps its index.
 */
import { assert } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import { UserError } from '../base/errors.ts';
import { eachFunction } from '../store/each-function.ts';
import type { FunctionVersion, Store } from '../store/store.ts';
import type { ProvisionedState, Provisioner } from '../worker/agent/contract.ts';
import type { VersionEntry, VersionTable } from './versions.ts';

const RETRY_MS = 5000;

interface Held {
  readonly count: number;
  /** In use by this; null where the version got no index. */
  readonly entry: VersionEntry | null;
  /** Why it did not; '' where it did. */
  readonly refusal: string;
}

/** What `count` instances kept ready may take, with the zygote that they are copied from. */
export function provisionedMb(count: number, memoryMb: number): number {
  return (count + 1) * memoryMb;
}

type Agent = Pick<Provisioner, 'provision' | 'provisionedState'>;

export class Provisioning {
  readonly #store: Store;
  readonly #versions: VersionTable;
  readonly #provisioner: Agent;
  readonly #clock: Clock;
  /** By function and version. */
  readonly #held = new Map<string, Map<string, Held>>();
  /** Ends the retries; null while every version has what it needs. */
  #retrying: (() => void) | null = null;
  #stopped = false;

  constructor(store: Store, versions: VersionTable, provisioner: Agent, clock: Clock) {
    this.#store = store;
    this.#versions = versions;
    this.#provisioner = provisioner;
    this.#clock = clock;
    // After the versions' own listener, so that their entries know already whether they are outdated.
    store.onChange((functionName) => this.#apply(functionName));
    for (const record of eachFunction(store)) this.#apply(record.latest.functionName);
  }

  /** Null where the version is not provisioned. */
  stateOf(fn: FunctionVersion): ProvisionedState | null {
    const held = this.#held.get(fn.functionName)?.get(fn.version);
    if (held === undefined) return null;
    if (held.entry === null) return { allocated: 0, available: 0, failed: held.refusal };
    return this.#provisioner.provisionedState(held.entry.index);
  }

  /** What is kept ready for all versions but this one. It is never given up for an invocation. */
  memoryMbBeside(entry: VersionEntry): number {
    let memoryMb = 0;
    for (const versions of this.#held.values()) {
      for (const { count, entry: other } of versions.values()) {
        if (other !== null && other !== entry) memoryMb += provisionedMb(count, other.fn.config.memoryMb);
      }
    }
    return memoryMb;
  }

  /** Entries that are in use by this, each once; for tests. */
  *entries(): Iterable<VersionEntry> {
    for (const versions of this.#held.values()) {
      for (const { entry } of versions.values()) if (entry !== null) yield entry;
    }
  }

  /** No more retries. */
  stop(): void {
    this.#stopped = true;
    this.#retrying?.();
    this.#retrying = null;
  }

  #retry(): void {
    for (const functionName of this.#refused()) this.#apply(functionName);
    if (this.#refused().length > 0) return;
    this.#retrying?.();
    this.#retrying = null;
  }

  #refused(): string[] {
    const names: string[] = [];
    for (const [name, versions] of this.#held) {
      for (const { entry } of versions.values()) if (entry === null) names.push(name);
    }
    return names;
  }

  #apply(functionName: string): void {
    const wanted = this.#store.getFunction(functionName)?.provisioned ?? {};
    const held = this.#held.get(functionName) ?? new Map<string, Held>();
    for (const [version, { entry }] of held) {
      if (Object.hasOwn(wanted, version) && entry?.outdated === false) continue;
      held.delete(version);
      if (entry !== null) this.#release(entry);
    }
    for (const [version, { count }] of Object.entries(wanted)) {
      held.set(version, this.#keep(functionName, version, count, held.get(version)));
    }
    if (held.size === 0) this.#held.delete(functionName);
    else this.#held.set(functionName, held);
  }

  #keep(functionName: string, version: string, count: number, before: Held | undefined): Held {
    const entry = before?.entry ?? this.#acquire(functionName, version);
    if (entry instanceof UserError) {
      if (!this.#stopped) this.#retrying ??= this.#clock.every(RETRY_MS, () => this.#retry());
      return { count, entry: null, refusal: entry.message };
    }
    if (before?.count !== count) this.#provision(entry, count);
    return { count, entry, refusal: '' };
  }

  #acquire(functionName: string, version: string): VersionEntry | UserError {
    const fn = this.#store.getVersion(functionName, version);
    assert(fn !== null, `${functionName}:${version} is provisioned and not there`);
    const entry = this.#versions.entryOf(fn);
    if (!(entry instanceof UserError)) this.#versions.use(entry);
    return entry;
  }

  #release(entry: VersionEntry): void {
    this.#provision(entry, 0);
    this.#versions.unuse(entry);
  }

  #provision(entry: VersionEntry, count: number): void {
    this.#provisioner.provision(entry.index, count);
  }
}
