/**
 * What the readers of all functions are told: first everything, then each change. For a reader there are only the names of what has
 * changed since it was told; the state is read when there is room to send it. So several changes of one function may come as one,
 * and a slow reader holds at most as many names as there are.
 *
 * A round tells of all that had changed when it began, and ends by saying up to which change that was (`at`).
 */
import type { ServerResponse } from 'node:http';
import type { Clock } from '../../base/clock.ts';
import { LIMITS } from '../../base/limits.ts';
import { eachFunction } from '../each-function.ts';
import { versionNumber } from '../functions.ts';
import type { Store } from '../store.ts';
import { PacedWriter } from './paced-writer.ts';
import type { StreamLine } from './protocol.ts';

export type FeedStore = Pick<
  Store,
  | 'getFunction'
  | 'listFunctions'
  | 'listVersions'
  | 'listLayers'
  | 'listLayerVersions'
  | 'getChain'
  | 'listChains'
  | 'codeError'
  | 'onChange'
  | 'onLayerChange'
  | 'onChainChange'
>;

/** Names of functions, layers, chains and codes, in a set of their own each. */
interface Names {
  readonly functions: Set<string>;
  readonly layers: Set<string>;
  readonly chains: Set<string>;
  readonly codes: Set<string>;
}

interface Reader {
  readonly response: ServerResponse;
  readonly writer: PacedWriter;
  /** The highest number of a version that it was sent, by function and by layer. */
  readonly functionNumbers: Map<string, number>;
  readonly layerNumbers: Map<string, number>;
  changed: Names;
  wake: () => void;
}

const CHUNK_LENGTH = 64 * 1024;
const PAGE_ITEMS = 1000;

export class FunctionFeed {
  readonly #store: FeedStore;
  readonly #clock: Clock;
  readonly #life: string;
  readonly #readers = new Set<Reader>();
  readonly #damages = new Map<string, string>();
  readonly #stopBeating: () => void;
  #at = 0;
  #closed = false;

  constructor(store: FeedStore, life: string, clock: Clock) {
    this.#store = store;
    this.#life = life;
    this.#clock = clock;
    store.onChange((name) => this.#note((changed) => changed.functions.add(name)));
    store.onLayerChange((name) => this.#note((changed) => changed.layers.add(name)));
    store.onChainChange((name) => this.#note((changed) => changed.chains.add(name)));
    this.#stopBeating = clock.every(LIMITS.linkBeatMs, () => this.#beat());
  }

  /** The number of the latest change. */
  get at(): number {
    return this.#at;
  }

  get readerCount(): number {
    return this.#readers.size;
  }

  /** Why code cannot be run; null: it is whole, again or still. */
  setDamage(sha256: string, damage: string | null): void {
    if ((this.#damages.get(sha256) ?? null) === damage) return;
    if (damage === null) this.#damages.delete(sha256);
    else if (this.#damages.size < LIMITS.codeNotesMax) this.#damages.set(sha256, damage);
    this.#note((changed) => changed.codes.add(sha256));
  }

  /** Answers with the stream; it ends when the reader or the feed does. */
  add(response: ServerResponse): void {
    const writer = new PacedWriter(response, this.#clock);
    const numbers = { functionNumbers: new Map<string, number>(), layerNumbers: new Map<string, number>() };
    const reader: Reader = { response, writer, ...numbers, changed: noNames(), wake: () => {} };
    this.#readers.add(reader);
    response.on('close', () => {
      this.#readers.delete(reader);
      reader.wake();
    });
    response.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' });
    void this.#tell(reader);
  }

  close(): void {
    this.#closed = true;
    this.#stopBeating();
    for (const { response, wake } of this.#readers) {
      response.end();
      wake();
    }
  }

  #note(add: (changed: Names) => void): void {
    this.#at++;
    for (const reader of this.#readers) {
      add(reader.changed);
      reader.wake();
    }
  }

  #beat(): void {
    // It may have been uploaded again at this node.
    for (const sha256 of this.#damages.keys()) {
      if (this.#store.codeError({ sha256, zipBytes: 0 }) === null) this.setDamage(sha256, null);
    }
    for (const { response } of this.#readers) {
      if (!response.writableNeedDrain && !response.writableEnded) response.write('{"beat":1}\n');
    }
  }

  async #tell(reader: Reader): Promise<void> {
    if (!(await reader.writer.send(inChunks(this.#everything(reader))))) return;
    while (!this.#closed && reader.writer.isOpen) {
      if (isEmpty(reader.changed)) await new Promise<void>((resolve) => (reader.wake = resolve));
      // Changes of one turn of the event loop go together.
      await Promise.resolve();
      if (!(await reader.writer.send(inChunks(this.#round(reader))))) return;
    }
  }

  *#everything(reader: Reader): Iterable<StreamLine> {
    const at = this.#at;
    yield { life: this.#life };
    for (const [code, damage] of this.#damages) yield { code, damage };
    for (const name of this.#layerNames()) yield* this.#layerLines(reader, name);
    for (const name of this.#chainNames()) yield* this.#chainLines(name);
    // Names first: what is read a page at a time might be passed over while it changes.
    const names = Array.from(eachFunction(this.#store), (record) => record.latest.functionName);
    let count = 0;
    for (const name of names) {
      for (const line of this.#functionLines(reader, name)) {
        if (line.record !== undefined) count++;
        yield line;
      }
    }
    yield { whole: count, at };
  }

  *#round(reader: Reader): Iterable<StreamLine> {
    const at = this.#at;
    const { functions, layers, chains, codes } = reader.changed;
    reader.changed = noNames();
    for (const name of functions) yield* this.#functionLines(reader, name);
    for (const name of layers) yield* this.#layerLines(reader, name);
    for (const name of chains) yield* this.#chainLines(name);
    for (const code of codes) yield { code, damage: this.#damages.get(code) ?? null };
    yield { at };
  }

  *#functionLines(reader: Reader, name: string): Iterable<StreamLine> {
    const record = this.#store.getFunction(name);
    if (record === null) {
      reader.functionNumbers.delete(name);
      yield { gone: name };
      return;
    }
    const published = this.#store.listVersions(name, '$LATEST', Infinity).items;
    const sent = reader.functionNumbers.get(name) ?? 0;
    for (const version of published) if (versionNumber(version.version) > sent) yield { version };
    reader.functionNumbers.set(name, versionNumber(published.at(-1)?.version ?? '$LATEST'));
    yield { record, published: published.map((each) => each.version) };
  }

  *#layerLines(reader: Reader, name: string): Iterable<StreamLine> {
    const versions = this.#store.listLayerVersions(name, () => true, null, Infinity).items.toReversed();
    const sent = reader.layerNumbers.get(name) ?? 0;
    for (const layerVersion of versions) if (layerVersion.version > sent) yield { layerVersion };
    if (versions.length === 0) reader.layerNumbers.delete(name);
    else reader.layerNumbers.set(name, versions.at(-1)!.version);
    yield { layer: name, numbers: versions.map((each) => each.version) };
  }

  *#chainLines(name: string): Iterable<StreamLine> {
    const chain = this.#store.getChain(name);
    yield chain === null ? { goneChain: name } : { chain };
  }

  #chainNames(): string[] {
    return this.#store.listChains(null, Infinity).items.map((chain) => chain.chainName);
  }

  #layerNames(): string[] {
    const names: string[] = [];
    for (let marker: string | null = null; ;) {
      const page: ReturnType<Store['listLayers']> = this.#store.listLayers(() => true, marker, PAGE_ITEMS);
      names.push(...page.items.map((layer) => layer.layerName));
      marker = page.nextMarker;
      if (marker === null) return names;
    }
  }
}

function noNames(): Names {
  return { functions: new Set(), layers: new Set(), chains: new Set(), codes: new Set() };
}

function isEmpty({ functions, layers, chains, codes }: Names): boolean {
  return functions.size + layers.size + chains.size + codes.size === 0;
}

/** Few large writes instead of many small ones. */
function* inChunks(lines: Iterable<StreamLine>): Iterable<string> {
  let chunk = '';
  for (const line of lines) {
    chunk += JSON.stringify(line) + '\n';
    if (chunk.length < CHUNK_LENGTH) continue;
    yield chunk;
    chunk = '';
  }
  if (chunk !== '') yield chunk;
}
