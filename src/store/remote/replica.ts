/**
 * All functions, layers and chains of another node's store, in memory: made from the lines of its stream.
 *
 * A stream begins with everything there is. Until that is whole, it is kept beside what an earlier stream told, which readers go on
 * seeing; then it takes its place at once, and what differs is told. From then on each line is a change.
 */
import { isDeepStrictEqual } from 'node:util';
import type { FunctionState } from '../functions.ts';
import type { ChainIndex, FunctionIndex, LayerIndex } from '../reads.ts';
import type { Chain, FunctionVersion, LayerVersion } from '../store.ts';
import type { StreamLine } from './protocol.ts';

export interface ReplicaEvents {
  functionChanged(functionName: string): void;
  layerChanged(layerName: string): void;
  chainChanged(chainName: string): void;
  /** Everything up to this number is there. */
  reached(life: string, at: number): void;
}

/** By name, in order where it is asked for. */
class Table<T> {
  readonly #values = new Map<string, T>();
  #names: string[] | null = null;

  get(name: string): T | undefined {
    return this.#values.get(name);
  }

  names(): readonly string[] {
    this.#names ??= [...this.#values.keys()].toSorted();
    return this.#names;
  }

  set(name: string, value: T | null): void {
    if (this.#values.has(name) !== (value !== null)) this.#names = null;
    if (value === null) this.#values.delete(name);
    else this.#values.set(name, value);
  }

  /** The names of what differs. What is equal stays the object that it was: caches know it by that. */
  takeOver(older: Table<T>): string[] {
    const changed = older.names().filter((name) => !this.#values.has(name));
    for (const [name, value] of this.#values) {
      const before = older.get(name);
      if (before !== undefined && isDeepStrictEqual(before, value)) this.#values.set(name, before);
      else changed.push(name);
    }
    return changed;
  }
}

type LayerVersions = readonly LayerVersion[];

interface Contents {
  readonly functions: Table<FunctionState>;
  readonly layers: Table<LayerVersions>;
  readonly chains: Table<Chain>;
  /** Why code cannot be run, by its hash. */
  readonly damages: Map<string, string>;
}

function nothing(): Contents {
  return { functions: new Table(), layers: new Table(), chains: new Table(), damages: new Map() };
}

export class Replica {
  readonly #events: ReplicaEvents;
  #contents = nothing();
  readonly functions: FunctionIndex = {
    get: (name) => this.#contents.functions.get(name),
    names: () => this.#contents.functions.names(),
  };
  readonly layers: LayerIndex = {
    versionsOf: (name) => this.#contents.layers.get(name) ?? [],
    names: () => this.#contents.layers.names(),
  };
  readonly chains: ChainIndex = {
    get: (name) => this.#contents.chains.get(name),
    names: () => this.#contents.chains.names(),
  };

  constructor(events: ReplicaEvents) {
    this.#events = events;
  }

  damageOf(sha256: string): string | null {
    return this.#contents.damages.get(sha256) ?? null;
  }

  /** What takes the lines of one stream. */
  begin(): ReplicaStream {
    return new ReplicaStream(nothing(), {
      ...this.#events,
      whole: (contents) => this.#replace(contents),
    });
  }

  #replace(contents: Contents): void {
    const before = this.#contents;
    const functions = contents.functions.takeOver(before.functions);
    const layers = contents.layers.takeOver(before.layers);
    const chains = contents.chains.takeOver(before.chains);
    this.#contents = contents;
    for (const name of layers) this.#events.layerChanged(name);
    for (const name of functions) this.#events.functionChanged(name);
    for (const name of chains) this.#events.chainChanged(name);
  }
}

interface StreamEvents extends ReplicaEvents {
  whole(contents: Contents): void;
}

export class ReplicaStream {
  readonly #contents: Contents;
  readonly #events: StreamEvents;
  /** Versions whose record has not come yet. */
  readonly #versions = new Map<string, FunctionVersion>();
  readonly #layerVersions = new Map<number, LayerVersion>();
  /** '' until the stream has said so. */
  life = '';
  whole = false;

  constructor(contents: Contents, events: StreamEvents) {
    this.#contents = contents;
    this.#events = events;
  }

  /** What is wrong with the line; null if nothing is. */
  take(line: StreamLine): string | null {
    if (line.life !== undefined) this.life = line.life;
    else if (line.version !== undefined) this.#versions.set(line.version.version, line.version);
    else if (line.layerVersion !== undefined) this.#layerVersions.set(line.layerVersion.version, line.layerVersion);
    else if (line.record !== undefined) return this.#takeRecord(line);
    else if (line.gone !== undefined) this.#setFunction(line.gone, null);
    else if (line.layer !== undefined) return this.#takeLayer(line.layer, line.numbers ?? []);
    else if (line.chain !== undefined) this.#setChain(line.chain.chainName, line.chain);
    else if (line.goneChain !== undefined) this.#setChain(line.goneChain, null);
    else if (line.code !== undefined) this.#setDamage(line.code, line.damage ?? null);
    else if (line.whole !== undefined) return this.#takeWhole(line.whole, line.at ?? 0);
    else if (line.at !== undefined) this.#events.reached(this.life, line.at);
    return null;
  }

  #takeRecord({ record, published }: StreamLine): string | null {
    const { functionName } = record!.latest;
    const before = this.#contents.functions.get(functionName)?.published;
    const versions = new Map<string, FunctionVersion>();
    for (const version of published ?? []) {
      const found = this.#versions.get(version) ?? before?.get(version);
      if (found?.functionName !== functionName) return `version ${version} of ${functionName} has not come`;
      versions.set(version, found);
    }
    this.#versions.clear();
    this.#setFunction(functionName, { record: record!, published: versions, publishedAs: null });
    return null;
  }

  #takeLayer(layerName: string, numbers: readonly number[]): string | null {
    const before = this.#contents.layers.get(layerName) ?? [];
    const versions = numbers.map(
      (number) => this.#layerVersions.get(number) ?? before.find((each) => each.version === number),
    );
    this.#layerVersions.clear();
    if (versions.some((each) => each?.layerName !== layerName)) return `a version of layer ${layerName} has not come`;
    this.#contents.layers.set(layerName, versions.length === 0 ? null : (versions as LayerVersion[]));
    if (this.whole) this.#events.layerChanged(layerName);
    return null;
  }

  #setFunction(functionName: string, state: FunctionState | null): void {
    this.#contents.functions.set(functionName, state);
    if (this.whole) this.#events.functionChanged(functionName);
  }

  #setChain(chainName: string, chain: Chain | null): void {
    this.#contents.chains.set(chainName, chain);
    if (this.whole) this.#events.chainChanged(chainName);
  }

  #setDamage(sha256: string, damage: string | null): void {
    if (damage === null) this.#contents.damages.delete(sha256);
    else this.#contents.damages.set(sha256, damage);
  }

  #takeWhole(count: number, at: number): string | null {
    const { length } = this.#contents.functions.names();
    if (length !== count) return `${count} functions were announced, and ${length} came`;
    this.whole = true;
    this.#events.whole(this.#contents);
    this.#events.reached(this.life, at);
    return null;
  }
}
